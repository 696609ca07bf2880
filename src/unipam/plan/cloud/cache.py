"""Snapshots kept: one for the register itself, renewed in the background; a short-lived one for each person who looks.

Whoever looks at the cloud is given (`Look`): it gets the last snapshot, so that what cannot be read this time may be
carried over, and gives a new one or raises SourceFailed. Nobody looks twice at once, and nobody asks again before the
pause that a refusal told is over; meanwhile the last snapshot serves, and its age says how old it is.
"""

from __future__ import annotations

import hashlib
import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from unipam.model.cloud import Endpoint, Snapshot
from unipam.model.errors import SourceFailed
from unipam.rounds import Rounds

T = TypeVar("T")
Look = Callable[[Snapshot], Snapshot]

EVERY = 60.0
"""Seconds between two looks of the register's own."""
PAUSE, LONGEST_PAUSE = 10.0, 300.0
"""Seconds without a look after a failure, doubled with each further one; a refusal may tell a longer one."""
OLD = LONGEST_PAUSE
"""Seconds after which a snapshot is old: no two looks are further apart unless those between failed."""
VISIBLE_FOR = 60.0
"""Seconds for which what a person may see is not looked at again."""
MOST_PEOPLE = 64
"""People whose view is kept; the one who has not looked for longest goes first."""

log = logging.getLogger(__name__)


class CachedSnapshot:
    """The last snapshot of one look."""

    def __init__(self, look: Look, clock: Callable[[], float]) -> None:
        self._look = look
        self._clock = clock
        self._turn = threading.Lock()
        self._last = Snapshot()
        self._failure: SourceFailed | None = None
        self._failures = 0
        self._not_before = -math.inf
        self._looked = 0.0

    def get(self, newer_than: float, within: float = math.inf) -> Snapshot:
        """Return the last snapshot when that is new enough, else a new one; after a failure the last one all the same.

        New enough: taken after `newer_than` (epoch seconds), and looked for `within` so many seconds. Raises
        SourceFailed when there is none.
        """
        if self._is_new(newer_than, within):  # replaced as a whole, so it may be read without the lock
            return self._best()
        with self._turn:
            if not self._is_new(newer_than, within) and self._clock() >= self._not_before:
                self._renew()
            return self._best()

    def fresh(self, newer_than: float, within: float) -> Snapshot:
        """Return a snapshot that is new enough. Raises SourceFailed when it cannot be had."""
        found = self.get(newer_than, within)
        if self._failure is not None and not self._is_new(newer_than, within):
            raise self._failure
        return found

    def _is_new(self, newer_than: float, within: float) -> bool:
        return self._last.taken > newer_than and self._clock() - self._looked < within

    def _renew(self) -> None:
        looked = self._clock()
        try:
            self._last, self._looked = shared(self._look(self._last), self._last), looked
            self._failure, self._failures = None, 0
        except SourceFailed as error:
            self._failure = error
            told = error.facts.get("retry_after")
            pause = min(PAUSE * 2.0**self._failures, LONGEST_PAUSE)
            self._not_before = self._clock() + max(pause, float(told) if isinstance(told, int | float) else 0.0)
            self._failures += 1
            log.warning("the cloud cannot be looked at: %s", error.message)

    def _best(self) -> Snapshot:
        failure, last = self._failure, self._last
        if failure is None:
            return last
        if not last.taken:
            raise failure
        return last._replace(problems=(*last.problems, f"not renewed: {failure.message}"))


class Renewal(Rounds):
    """Looks again and again, in the background."""

    def __init__(self, snapshot: CachedSnapshot, every: float) -> None:
        super().__init__("cloud", every)
        self._snapshot = snapshot

    def round(self) -> None:
        """See `Rounds`."""
        try:
            self._snapshot.get(0.0, within=0.0)
        except SourceFailed:
            pass  # noted and logged by `CachedSnapshot`, and told to whoever asks
        except Exception:  # a fault of ours must not end the looking for good
            log.exception("looking at the cloud failed")


class CachedCloud:
    """A cloud (`port.Cloud`) seen through snapshots that are kept. May be used from any thread.

    `own` looks as the register, `visitor` as the bearer of an access token; `done` is called when it is closed.
    `clock` is one that nobody sets (CLOCK_MONOTONIC): what a view shows is never older than it says.
    """

    def __init__(
        self,
        own: Look,
        visitor: Callable[[str, Snapshot], Snapshot],
        *,
        every: float = EVERY,
        done: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._own = CachedSnapshot(own, clock)
        self._visitor = visitor
        self._renewal = Renewal(self._own, every)
        self._done = done
        self._clock = clock
        self._lock = threading.Lock()
        self._people: OrderedDict[str, CachedSnapshot] = OrderedDict()

    def start(self) -> CachedCloud:
        """Look now and then again and again in the background, until `close`."""
        self._renewal.start()
        return self

    def close(self) -> None:
        """End the looking in the background; a look that is under way is waited for."""
        self._renewal.stop(wait=None)
        self._done()

    def snapshot(self, *, newer_than: float = 0.0) -> Snapshot:
        """Do as `port.Cloud.snapshot`. One that failed to be renewed says so among its problems."""
        return self._own.get(newer_than)

    def visible_to(self, credential: str, *, newer_than: float = 0.0) -> Snapshot:
        """Do as `port.Cloud.visible_to`; never older than `VISIBLE_FOR`, for rights are taken away too."""
        return self._kept_for(credential).fresh(newer_than, VISIBLE_FOR)

    def _kept_for(self, credential: str) -> CachedSnapshot:
        """Return the place of a person's view. The token itself is not kept as a key: a dump would show it."""
        name = hashlib.sha256(credential.encode()).hexdigest()
        with self._lock:
            kept = self._people.pop(name, None) or CachedSnapshot(self._look_as(credential), self._clock)
            self._people[name] = kept
            if len(self._people) > MOST_PEOPLE:
                self._people.popitem(last=False)
            return kept

    def _look_as(self, credential: str) -> Look:
        def look(_: Snapshot) -> Snapshot:
            return shared(self._visitor(credential, Snapshot()), self._own.get(-math.inf))

        return look


def shared(view: Snapshot, whole: Snapshot) -> Snapshot:
    """Return the same view, made of what `whole` is made of where that is equal: many views then cost little memory.

    Somebody's view outlives the snapshot that it was taken beside: so snapshots share with the ones before them, too.
    """
    known = {_place(each): each for each in whole.endpoints}
    networks = {key: _same(network, whole.networks.get(key)) for key, network in view.networks.items()}
    endpoints = tuple(_same(each, known.get(_place(each))) for each in view.endpoints)
    return view._replace(networks=_same(networks, whole.networks), endpoints=_same(endpoints, whole.endpoints))


def _same(mine: T, theirs: T | None) -> T:
    return theirs if theirs is not None and theirs == mine else mine


def _place(endpoint: Endpoint) -> tuple[str, str, str | None, str | None]:
    return endpoint.source, endpoint.id, endpoint.private_ip, endpoint.subnet_id
