"""Azure Resource Graph: every row that a query has, through all pages.

Sources: the ARM fixtures' README, "Resource Graph": pages of at most 1,000 rows; the token alone says whether there
are more; rows come as objects when asked so, and as columns and rows from services that do not listen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from unipam.clients.azure.arm import MOST_PAGES, Arm, decoded
from unipam.model.errors import SourceFailed

T = TypeVar("T")

PATH = "/providers/Microsoft.ResourceGraph/resources"
VERSION = "2024-04-01"
PAGE = 1000
BATCH = 100
"""Subscriptions in one query; the service takes fewer than 300."""


class _Answer(msgspec.Struct):
    data: msgspec.Raw
    token: str | None = msgspec.field(default=None, name="$skipToken")


class _Column(msgspec.Struct):
    name: str


class _Table(msgspec.Struct):
    columns: list[_Column]
    rows: list[list[Any]]


def rows(arm: Arm, query: str, subscriptions: Sequence[str], into: type[list[T]]) -> list[T]:
    """Return every row. Raises SourceFailed."""
    options: dict[str, Any] = {"$top": PAGE, "resultFormat": "objectArray"}
    body = {"subscriptions": list(subscriptions), "query": query, "options": options}
    found: list[T] = []
    for _ in range(MOST_PAGES):
        answer = arm.ask(PATH, VERSION, body, _Answer)
        found += decoded(answer.data, PATH, lambda raw: _read(raw, into))
        if not answer.token:
            return found
        if answer.token == options.get("$skipToken"):
            break
        options["$skipToken"] = answer.token
    raise SourceFailed("Resource Graph's pages do not end: it gives the same one again", source="azure", asked=PATH)


def _read(raw: msgspec.Raw, into: type[list[T]]) -> list[T]:
    if not bytes(raw).lstrip().startswith(b"{"):
        return msgspec.json.decode(raw, type=into)
    table = msgspec.json.decode(raw, type=_Table)
    names = [column.name for column in table.columns]
    return msgspec.convert([dict(zip(names, row, strict=False)) for row in table.rows], into)
