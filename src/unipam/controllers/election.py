"""Which of several processes leads: the one that holds the cluster's Lease.

A lease is no lock: who stands still for long enough and goes on has lost it without knowing. So a term ends by the
leader's own clock before anybody else may take over, and each write of a controller is at a revision all the same.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from unipam.clients.kubernetes import lease
from unipam.clients.kubernetes.api import Object, Refusal, WatchEnded
from unipam.clients.kubernetes.lease import Held, Lease
from unipam.controllers.term import Term
from unipam.model.errors import BadConfig, UnipamError


class Timing(NamedTuple):
    """Seconds, those of Kubernetes' own components.

    Others take over when a leader has said nothing for `duration`; it stops itself when it could not say anything for
    `renewal`, and tries every `retry`.
    """

    duration: float = 15.0
    renewal: float = 10.0
    retry: float = 2.0

    def checked(self) -> Timing:
        """Return the same, if a leader stops before anybody else may take over. Raises BadConfig.

        A Lease says whole seconds.
        """
        duration, renewal, retry = f"{int(self.duration)} s", f"{self.renewal:g} s", f"{self.retry:g} s"
        if self.renewal >= int(self.duration):
            raise BadConfig(
                f"leader-election-renew-deadline ({renewal}) must be shorter than lease-duration ({duration})"
            )
        if self.retry >= self.renewal:
            raise BadConfig(f"leader-election-retry-period ({retry}) must be shorter than renew-deadline ({renewal})")
        if self.retry <= 0:
            raise BadConfig(f"leader-election-retry-period ({retry}) must be longer than 0")
        return self


_LOOK = 0.25
"""Seconds after which a process that waits looks whether it is to stop."""

Tell = Callable[..., None]
"""Logs an event with facts."""


class Election:
    """This process in the contest for a Lease. One thread uses it; `stop`, once set, ends all waiting."""

    def __init__(self, contested: Lease, identity: str, stop: threading.Event, tell: Tell, timing: Timing) -> None:
        self._lease, self._identity, self._stop, self._tell, self._timing = contested, identity, stop, tell, timing
        self._seen: Held | None = None
        self._since = 0.0
        self._problem = self._behind = ""

    def win(self) -> Term | None:
        """Wait until this process leads. None when it is to stop."""
        self._behind = ""
        while not self._stop.is_set():
            with self._complaining():
                if term := self._try():
                    return term
                if self._is_free_after_watching():
                    continue
            self._stop.wait(self._timing.retry)
        return None

    def hold(self, term: Term) -> None:
        """Renew the lease until this process is to stop, or has lost it. The term may be over by then, or not."""
        while not self._stop.wait(self._timing.retry) and term.lasts:
            asked = time.monotonic()
            with self._complaining():
                renewed = self._lease.write(self._seen, lease.renewed(time.time()), asked + self._timing.retry)
                if renewed is None and not self._is_mine(asked):
                    return
                if renewed is not None:
                    self._seen = renewed
                    term.renew(asked + self._timing.renewal)

    def release(self) -> None:
        """Give the lease back, so that another process leads at once. A failure is told: others wait for the end."""
        with self._complaining():
            if self._seen is not None:
                self._lease.write(self._seen, lease.released(time.time()), time.monotonic() + 1.0)

    def _try(self) -> Term | None:
        """Take the lease if it is nobody's, this process's from before, or its holder has said nothing for long."""
        asked = time.monotonic()
        found = self._read(asked)
        if found and found.holder not in {"", self._identity} and not self._is_free:
            return None
        spec = lease.taken(found, self._identity, int(self._timing.duration), time.time())
        mine = self._lease.write(found, spec, asked + self._timing.retry)
        if mine is None:
            self._read(asked)  # whom to watch: somebody was faster
            return None
        self._look(mine, asked)
        return Term(asked + self._timing.renewal - time.monotonic())

    def _read(self, asked: float) -> Held | None:
        found = self._lease.read(asked + self._timing.retry)
        self._look(found, asked)
        return found

    def _look(self, found: Held | None, at: float) -> None:
        if self._seen is None or found is None or found.revision != self._seen.revision:
            self._since = at
        self._seen = found

    @property
    def _expires(self) -> float:
        return self._since + (self._seen.seconds if self._seen else 0)

    def _is_free_after_watching(self) -> bool:
        """Wait until the lease is nobody's, or its holder silent for long; whether it is: a watch may end."""
        if self._seen is None:
            return False
        if self._seen.holder != self._behind:
            self._behind = self._seen.holder
            self._tell("standing by", lease=str(self._lease), holder=self._behind)
        inbox = self._lease.watch(self._seen, time.monotonic() + self._timing.retry)
        try:
            while not self._stop.is_set() and not self._is_free:
                for event in inbox.take(min(time.monotonic() + _LOOK, self._expires)):
                    self._note(event)
        except WatchEnded:
            return False
        finally:
            inbox.close()
        return True

    def _note(self, event: Object) -> None:
        if event["type"] == "DELETED":
            self._seen = None
        elif event["type"] != "BOOKMARK":
            self._look(lease.held(event["object"]), time.monotonic())

    @property
    def _is_free(self) -> bool:
        return self._seen is None or not self._seen.holder or time.monotonic() >= self._expires

    def _is_mine(self, asked: float) -> bool:
        """Return whether a lease that was not as expected is this process's still: a lost answer, another's touch."""
        found = self._read(asked)
        return found is not None and found.holder == self._identity

    @contextlib.contextmanager
    def _complaining(self) -> Iterator[None]:
        """Tell of what goes wrong, once for as long as it is the same."""
        problem = ""
        try:
            yield
        except (UnipamError, Refusal) as error:
            problem = str(error)
        if problem and problem != self._problem:
            self._tell("lease not reached", lease=str(self._lease), error=problem)
        self._problem = problem
