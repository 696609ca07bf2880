"""What the native API's operations share: what they answer.

HTTP is not known here, nor in the modules of operations beside this one, so that a command on a local database needs
none of it (`server.direct`). An operation refuses at once a caller who may not do it (`plan.permissions`), and returns
the work of one transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from unipam.plan.tree import Author
from unipam.store.api import Tx

T = TypeVar("T")

MOST_ITEMS = 1000

Shape = dict[str, Any]


class Answer(NamedTuple):
    """What a write leads to."""

    content: Any = None
    status: int = 200
    generation: int = 0


Read = Callable[[Tx], Shape]
List = Callable[[Tx], list[Shape]]
Write = Callable[[Tx, Author], Answer]


def shown(do: Callable[[Tx, Author], T], shape: Callable[[Tx, T], Shape], status: int = 200) -> Write:
    """Return the write that does this and answers with the shape of what comes of it, and its generation."""

    def work(tx: Tx, by: Author) -> Answer:
        content = shape(tx, do(tx, by))
        return Answer(content, status, content.get("generation", 0))

    return work


def done(do: Callable[[Tx, Author], object]) -> Write:
    """Return the write that does this and has nothing to answer."""

    def work(tx: Tx, by: Author) -> Answer:
        do(tx, by)
        return Answer(status=204)

    return work
