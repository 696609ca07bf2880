"""How forecasts are asked for and shown, whatever they are of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from unipam.cli.table import View, column, number, share, stamp

F = TypeVar("F", bound=Callable[..., Any])


def horizon_option(command: F) -> F:
    """Give a command the `--horizon DAYS` of every forecast."""
    return click.option(
        "--horizon", type=click.IntRange(1), metavar="DAYS", default=365, show_default=True, help="Days to look ahead."
    )(command)


def _a_day(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:+.2e}" if abs(value) >= 1e12 else f"{value:+.1f}"


def _day(value: float | None) -> str:
    return stamp(value)[:10]


FORECAST = View(
    "forecast",
    (
        column("name"),
        column("cidr"),
        share("taken", "size"),
        number("free"),
        number("rate", "a day")._replace(write=_a_day),
        column("earliest")._replace(write=_day),
        column("likely", "full")._replace(write=_day),
        column("latest")._replace(write=_day),
        column("verdict"),
        number("days", wide=True),
        number("changes", wide=True),
        column("why", wide=True),
    ),
    name="name",
)
"""The last columns say what stands behind a row."""
