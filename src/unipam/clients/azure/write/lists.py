"""Lists of resources as jobs: page by page; the pages after the first cost no token of the budget."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from unipam.clients.azure.arm import MOST_PAGES
from unipam.clients.azure.write.jobs import Ask, Job
from unipam.model.errors import SourceFailed

T = TypeVar("T")


def every(path: str, version: str) -> Job[list[dict[str, Any]]]:
    """Return every row of a list. Raises SourceFailed."""
    return (yield from taken(path, version, list))


def taken(path: str, version: str, take: Callable[[Iterable[dict[str, Any]]], list[T]]) -> Job[list[T]]:
    """Return what is taken from every page of a list, whose rows may be large. Raises SourceFailed."""
    ask = Ask(path=path, version=version)
    found: list[T] = []
    for _ in range(MOST_PAGES):
        page = (yield ask).read(dict[str, Any])
        found += take(page.get("value") or [])
        if not page.get("nextLink"):
            return found
        ask = Ask(link=str(page["nextLink"]), follows=True)
    raise SourceFailed(f"the list {path} does not end after {MOST_PAGES} pages", source="azure", asked=path)
