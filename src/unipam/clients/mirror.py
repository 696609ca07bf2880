"""A copy of a collection in memory, as far as it is needed, that a thread keeps up to date by watching."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from unipam.clients.kubernetes.api import Refusal
from unipam.model.errors import Expired, SourceFailed, UnipamError

K = TypeVar("K")
R = TypeVar("R")
K_co = TypeVar("K_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)

_LIST_WITHIN, _BEGIN_WITHIN = 120.0, 10.0
"""Seconds that a list may take in all its pages, and the beginning of a watch."""
_WAIT = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 15.0
_CALM = 60.0
"""Seconds without a failure after which the next one is taken for the first."""


class Watcher(Protocol[K_co, R_co]):
    """What changes in a collection."""

    @property
    def revision(self) -> str:
        """Up to where everything has been told."""

    def next(self, deadline: float) -> Sequence[tuple[K_co, R_co | None]]:
        """Return what has been changed; None is what was removed. Raises Expired, SourceFailed."""

    def close(self) -> None:
        """End a `next` that waits."""


class Source(Protocol[K, R]):
    """A collection that can be listed, and watched from there. Deadlines are readings of `time.monotonic()`."""

    name: str

    def list(self, deadline: float) -> tuple[str, dict[K, R]]:
        """Return a revision, and what there is at it. Raises SourceFailed, Refusal."""

    def watch(self, revision: str, deadline: float) -> Watcher[K, R]:
        """Watch from a revision. Raises Expired, SourceFailed, Refusal."""


class Mirror(Generic[K, R]):
    """The copy. `changed` is called after each change, in a thread of the mirror's; a list has `within` seconds.

    Mirrors that share `turns` list one after the other: for a moment a list is far larger than what is kept of it.
    """

    def __init__(
        self,
        source: Source[K, R],
        changed: Callable[[], None],
        within: float = _LIST_WITHIN,
        turns: threading.Lock | None = None,
    ) -> None:
        self._source, self._changed, self._within = source, changed, within
        self._turns = turns or threading.Lock()
        self._lock = threading.Lock()
        self._records: dict[K, R] = {}
        self._revision: str | None = None
        self._problem = "it has not been read yet"
        self._pause, self._since = _FIRST_PAUSE, time.monotonic()
        self._watcher: Watcher[K, R] | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name=source.name, daemon=True)
        self._thread.start()

    @property
    def problem(self) -> str:
        """Why the copy is not up to date; empty when it is, as far as anybody knows."""
        return self._problem

    def snapshot(self) -> Mapping[K, R]:
        """Return what there is. Raises SourceFailed when the copy is not up to date."""
        with self._lock:
            if self._problem:
                raise SourceFailed(f"{self._source.name}: {self._problem}", source=self._source.name)
            return dict(self._records)

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        if (watcher := self._watcher) is not None:
            watcher.close()
        self._thread.join(5.0)

    def _work(self) -> None:
        while not self._closed.is_set():
            try:
                self._follow()
            except Expired:
                self._revision = None  # the history from there is gone: all is read anew
                self._fail("its history is gone", calm=self._is_old)  # the server is there, however long it was away
            except (UnipamError, Refusal) as error:
                self._fail(str(error), calm=self._is_old and not self._problem)
            except Exception as error:  # noqa: BLE001 (a copy that nobody keeps must not pass for a good one)
                self._fail(f"defect: {error!r}", calm=self._is_old and not self._problem)

    def _follow(self) -> None:
        """Read everything, unless it has been read, and then what changes. Returns when it is closed."""
        if self._revision is None:
            with self._turns:
                revision, found = self._source.list(time.monotonic() + self._within)
            with self._lock:
                self._records, self._revision = found, revision
            self._since = time.monotonic()
        self._watcher = watcher = self._source.watch(self._revision, time.monotonic() + _BEGIN_WITHIN)
        self._since = time.monotonic()
        try:
            self._problem = ""
            self._changed()
            while not self._closed.is_set():
                self._take(watcher.next(time.monotonic() + _WAIT))
                self._revision = watcher.revision
        finally:
            watcher.close()

    def _take(self, changes: Sequence[tuple[K, R | None]]) -> None:
        if not changes:
            return
        with self._lock:
            for key, record in changes:
                if record is None:
                    self._records.pop(key, None)
                else:
                    self._records[key] = record
        self._changed()

    @property
    def _is_old(self) -> bool:
        """Whether it is long ago that everything was read, or a watch began."""
        return time.monotonic() > self._since + _CALM

    def _fail(self, problem: str, *, calm: bool) -> None:
        """Tell, and pause: for as long as after the first failure where it was calm before."""
        self._problem = problem
        self._changed()
        pause = _FIRST_PAUSE if calm else self._pause
        self._pause = min(2 * pause, _LONGEST_PAUSE)
        self._rest(pause)

    def _rest(self, seconds: float) -> None:
        self._closed.wait(seconds)
