"""Lists of resources as jobs: page by page; the pages after the first cost no token of the budget."""

from __future__ import annotations

from typing import Any

from unipam.clients.azure.arm import MOST_PAGES
from unipam.clients.azure.write.jobs import Ask, Job
from unipam.model.errors import SourceFailed


def every(path: str, version: str) -> Job[list[dict[str, Any]]]:
    """Return every row of a list. Raises SourceFailed."""
    ask = Ask(path=path, version=version)
    found: list[dict[str, Any]] = []
    for _ in range(MOST_PAGES):
        page = (yield ask).read(dict[str, Any])
        found += page.get("value") or []
        if not page.get("nextLink"):
            return found
        ask = Ask(link=str(page["nextLink"]), follows=True)
    raise SourceFailed(f"the list {path} does not end after {MOST_PAGES} pages", source="azure", asked=path)
