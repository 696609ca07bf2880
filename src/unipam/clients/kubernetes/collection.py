"""All objects of a kind: read in pages, and watched from there on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from unipam.clients.kubernetes.api import KubernetesApi, Object, Refusal, WatchEnded
from unipam.model.errors import Expired, SourceFailed

if TYPE_CHECKING:
    from unipam.clients.inbox import Inbox

T = TypeVar("T")

_PAGE = "1000"
_LEAST = 0.5
"""Seconds from the beginning of a watch to the next one, at least."""


def read_all(
    api: KubernetesApi, path: str, read: Callable[[Object], T], deadline: float, **query: str
) -> tuple[str, list[T]]:
    """Return what `read` makes of each object of a collection, and the revision to watch it from.

    One page is kept at a time; where the reading took too long for the server, it begins again. Raises Refusal,
    SourceFailed.
    """
    found: list[T] = []
    more: dict[str, str] = {}
    while True:
        try:
            page = api.get(path, deadline, limit=_PAGE, **query, **more)
        except Refusal as error:
            if error.status != 410:
                raise
            found, more = [], {}
            continue
        found += map(read, page["items"])
        about = page["metadata"]
        if not about.get("continue"):
            return str(about["resourceVersion"]), found
        more = {"continue": about["continue"]}


class Watching:
    """The events of a collection after a revision. Where the server ends them in good order, it asks for the next.

    One thread reads; any thread may close it.
    """

    def __init__(self, api: KubernetesApi, path: str, revision: str, deadline: float, **query: str) -> None:
        """Begin. Raises Expired, SourceFailed."""
        self._api, self._path, self._query, self.revision = api, path, query, revision
        self.closed = False
        self._inbox: Inbox[Object] | None = self._begin(deadline)

    def next(self, deadline: float) -> Sequence[Object]:
        """Return what has come, after waiting for something until the deadline. Raises Expired, SourceFailed."""
        try:
            if self._inbox is None:
                self._inbox = self._begin(deadline)
            events = self._inbox.take(deadline)
        except WatchEnded:
            self._inbox = None
            if time.monotonic() < self._began + _LEAST:  # whoever ends watches at once is not to be asked all the time
                time.sleep(max(0.0, min(_LEAST, deadline - time.monotonic())))
        except Expired:
            raise
        except SourceFailed:
            if self._inbox is not None or time.monotonic() < deadline:
                raise  # else time was merely too short to begin another one
        else:
            if events:
                self.revision = events[-1]["object"]["metadata"]["resourceVersion"]
            return events
        return ()

    def close(self) -> None:
        """Let go of the connection, and end a `next` that waits: it returns nothing."""
        self.closed = True
        if (inbox := self._inbox) is not None:
            inbox.close()

    def _begin(self, deadline: float) -> Inbox[Object]:
        self._began = time.monotonic()
        try:
            return self._api.watch(self._path, self.revision, deadline, **self._query)
        except Refusal as error:
            raise SourceFailed(f"{self._api.name}: {error}", source=self._api.name) from error
