"""Route tables: read, and replaced as a whole, so that one write serves any number of routes (spec kubenet §5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from unipam.clients.azure.write.jobs import WRITTEN, Ask, Job, Pause
from unipam.clients.azure.write.operations import patiently, until_ended
from unipam.model.errors import SourceFailed

VERSION = "2024-05-01"
SUCCEEDED, FAILED = "succeeded", "failed"
_STATE = "provisioningState"
_LAGS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds between looks at a table that was written and does not show it."""


class Table(NamedTuple):
    """A table as it was read; an empty `etag` is that of one that does not exist yet."""

    document: Mapping[str, Any]
    etag: str = ""

    @property
    def routes(self) -> Sequence[Mapping[str, Any]]:
        """Return its routes, as they were read."""
        return tuple(self._properties.get("routes") or ())

    @property
    def state(self) -> str:
        """Return how its last write stands, in lower case: its routes have effect when that has `succeeded`."""
        return str(self._properties.get(_STATE) or SUCCEEDED).lower()

    @property
    def subnets(self) -> list[str]:
        """Return the ids of the subnets that use it, in lower case."""
        return [str(each.get("id", "")).lower() for each in self._properties.get("subnets") or ()]

    @property
    def _properties(self) -> Mapping[str, Any]:
        return self.document.get("properties") or {}


def read(table: str) -> Job[Table | None]:
    """Read a table; None if there is none of this id. Raises SourceFailed."""
    try:
        answer = yield Ask(path=table, version=VERSION)
    except SourceFailed as error:
        if error.facts.get("status") == 404:
            return None
        raise
    document = answer.read(dict[str, Any])
    return Table(document, str(document.get("etag") or answer.etag))


def replace(table: str, before: Table, routes: Sequence[Mapping[str, Any]]) -> Job[Table]:
    """Write a table with these routes, and all else as it was; return it as it was read back. Raises SourceFailed.

    Its state is not sent: it may be that of somebody else's write, which has ended meanwhile.
    """
    kept = {name: value for name, value in (before.document.get("properties") or {}).items() if name != _STATE}
    properties = {**kept, "routes": list(routes)}
    body = {**before.document, "properties": properties}
    begun = yield from patiently(Ask("PUT", table, VERSION, body, before.etag, WRITTEN))
    yield from until_ended(begun, Ask(path=table, version=VERSION))
    return (yield from _read_back(table, before.etag))


def _read_back(table: str, old: str) -> Job[Table]:
    """Return a table that was written. For some seconds readers may be shown the one before. Raises SourceFailed."""
    for pause in _LAGS:
        written = yield from read(table)
        if written is not None and (written.etag != old or not old):
            return written
        yield Pause(pause, f"{table} is shown as it was before it was written")
    if written is None:
        raise SourceFailed(f"{table} was written, and is not there", source="azure", code="ResourceNotFound")
    return written
