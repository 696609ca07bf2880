"""What goes wrong between a controller and the simulated Azure: by seed, and by what a test has happen.

Stands between dispatcher and `SimulatedAzure`. Every request may be lost, unanswered, answered by what was so a while
ago, or arrive when its sender has long given up; Azure may be away, or throttle for an hour; a process may die with a
request on its way.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.fakes.azure_http import Refused
from tests.fakes.simulated import LOST, UNSENT, SimulatedAzure, World

from unipam.clients.azure.arm import Answer
from unipam.clients.azure.write.jobs import Ask
from unipam.model.errors import SourceFailed

Deliver = Callable[[Answer | SourceFailed], None]

_BUSY = Refused(409, "Conflict", "another operation is in progress")
_LIMITED = Refused(429, "TooManyRequests", "throttled", {"Retry-After": "20"})
_FAULTS = (LOST, UNSENT, _LIMITED, _BUSY, Refused(503, "ServerBusy", ""), Refused(500, "InternalServerError", ""))
_LATE, _STALE = "late", "stale"
_HALFWAY = (("InternalServerError", "failed halfway"), ("Canceled", "by another"))
OLDEST = 20.0
"""Seconds: nothing older is shown by a stale read."""


class Died(BaseException):
    """The process dies here."""


class Weather:
    """`bad` is the share of requests that go wrong; `away` and `throttled` say until when all of them do."""

    def __init__(self, azure: SimulatedAzure, world: World, dice: random.Random, bad: float) -> None:
        self._azure, self._world, self._dice = azure, world, dice
        self.bad = bad
        self.away = self.throttled = 0.0
        self.dies_in = 0
        """The process dies when it has done so many more steps; 0: it does not."""
        self._seen: dict[str, tuple[float, Answer]] = {}
        azure.fault = self._fault

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self.bad = self.away = self.throttled = 0.0
        self.dies_in = 0
        self._azure.arm.fail_next = None

    def step(self) -> None:
        """A step of the process that it may die in. Raises Died."""
        if self.dies_in:
            self.dies_in -= 1
            if not self.dies_in:
                raise Died

    def send(self, ask: Ask, deliver: Deliver) -> None:
        """Send as a dispatcher sends. Raises Died, with the request on its way."""
        how = self._dice.choice((_LATE, _STALE)) if self.bad and self._dice.random() < self.bad / 4 else ""
        if how == _STALE and self._shown(ask, deliver):
            return
        if how == _LATE:
            self._azure.send_late(ask, deliver, self._dice.choice((31.0, 60.0)))
        else:
            self._azure.send(ask, lambda came: self._came(ask, came, deliver))
        self.step()

    def _came(self, ask: Ask, came: Answer | SourceFailed, deliver: Deliver) -> None:
        if not ask.writes and isinstance(came, Answer):
            self._seen[ask.path or ask.link] = self._world.now, came
        deliver(came)

    def _shown(self, ask: Ask, deliver: Deliver) -> bool:
        """Whether something was read a while ago, and is shown again."""
        at, answer = self._seen.get(ask.path or ask.link, (0.0, None))
        if ask.writes or answer is None or self._world.now - at > OLDEST:
            return False
        shown = answer
        self._world.after(self._azure.latency, lambda: deliver(shown))
        return True

    def _fault(self, ask: Ask) -> str | Refused | None:
        now = self._world.now
        if now < self.away:
            return UNSENT
        if now < self.throttled:
            pause = str(min(60, int(self.throttled - now) + 1))
            return Refused(429, "TooManyRequests", "throttled", {"Retry-After": pause})
        if not self.bad or self._dice.random() > self.bad:
            return None
        if ask.writes and self._dice.random() < 0.3:
            self._azure.arm.fail_next = self._dice.choice(_HALFWAY)
            return None
        return self._dice.choice(_FAULTS)
