"""A register's refusal in the words of the command that was typed: its options instead of the API's fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import click

_ITS_WORDS = "Value error, "
"""What the API's models put before a text of ours."""


def text_of(document: Mapping[str, Any]) -> str:
    """Return what a document of the native API says is wrong, for whoever typed the present command."""
    rows = document.get("errors")
    said = "; ".join(map(_row, rows)) if isinstance(rows, list) else str(document.get("detail", document))
    for field, shown in _options().items():
        said = re.sub(rf"^{field}: |(?<=; ){field}: ", f"{shown}: ", said).replace(f"'{field}'", shown)
    return said.replace(" or use force", " or use --force")


def _row(row: Mapping[str, Any]) -> str:
    """Return one thing that is wrong with a request's shape; of places only the field has a name here."""
    message, field = str(row["msg"]).removeprefix(_ITS_WORDS), str(row["loc"][-1])
    return message if field == "body" or field.isdigit() else f"{field}: {message}"


def _options() -> dict[str, str]:
    """Return how the present command calls the fields of the API."""
    context = click.get_current_context(silent=True)
    if context is None:
        return {}
    shown = {
        str(each.name): each.human_readable_name if isinstance(each, click.Argument) else max(each.opts, key=len)
        for each in context.command.params
    }
    return shown | ({"cidr": shown["prefix"]} if "prefix" in shown else {})
