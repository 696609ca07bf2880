"""Hours in seconds: a clock with appointments, and the fake Azure answering by it, slowly and badly where told.

No thread, no socket, nothing random but what a seeded generator gives: the same seed gives the same day.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from tests.fakes.azure_arm import Resources
from tests.fakes.azure_http import Answer as Served
from tests.fakes.azure_http import Refused, Request

from unipam.clients.azure.arm import Answer, refusal
from unipam.clients.azure.write.jobs import Ask
from unipam.model.errors import SourceFailed


class World:
    """A clock that goes from one appointment to the next."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self._appointments: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def __call__(self) -> float:
        return self.now

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        """Make an appointment."""
        heapq.heappush(self._appointments, (self.now + seconds, next(self._order), what))

    def run(self, seconds: float, step: Callable[[], float], until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass, stepping whenever something happened or was due; whether `until` came true."""
        end = self.now + seconds
        while True:
            due = step()
            if until():
                return True
            upcoming = min(due, self._appointments[0][0] if self._appointments else math.inf)
            if upcoming > end:
                self.now = end
                return False
            self.now = max(self.now, upcoming)
            while self._appointments and self._appointments[0][0] <= self.now:
                heapq.heappop(self._appointments)[2]()


@dataclass
class Bucket:
    """A limit of the service: so many at once, so many more a second."""

    size: float
    refill: float
    left: float = field(init=False)
    at: float = 0.0

    def __post_init__(self) -> None:
        self.left = self.size

    def take(self, now: float) -> bool:
        """Whether there was one."""
        self.left = min(self.size, self.left + (now - self.at) * self.refill)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


LOST = "the answer is lost"
UNSENT = "the request is lost"


@dataclass
class Call:
    """A request that came."""

    at: float
    ask: Ask
    status: int


class SimulatedAzure:
    """The Resource Manager by a world's clock, with the limits that ARM publishes.

    `fault` says of a request what goes wrong: LOST, UNSENT, or an answer that is given instead.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.arm = Resources()
        self.arm.base, self.arm.clock, self.arm.retry_after = "https://fake.test", world, "2"
        self.latency = 0.05
        self.calls: list[Call] = []
        self.fault: Callable[[Ask], str | Refused | None] = lambda _: None
        self.reads, self.writes = Bucket(250, 25), Bucket(200, 10)

    def send(self, ask: Ask, deliver: Callable[[Answer | SourceFailed], None]) -> None:
        """Send as a dispatcher sends."""
        fault = self.fault(ask)
        if fault == UNSENT:
            self.world.after(self.latency, lambda: deliver(_unanswered(ask)))
            return

        def arrive() -> None:
            outcome = fault.answer if isinstance(fault, Refused) else self._serve(ask)
            self.calls.append(Call(self.world.now, ask, outcome.status))
            came = _unanswered(ask) if fault == LOST else _outcome(ask, outcome)
            self.world.after(self.latency / 2, lambda: deliver(came))

        self.world.after(self.latency / 2, arrive)

    def send_late(self, ask: Ask, deliver: Callable[[Answer | SourceFailed], None], seconds: float) -> None:
        """Send a request that arrives after so many seconds; whoever sends it gives up after 30."""
        self.world.after(30.0, lambda: deliver(_unanswered(ask)))
        self.world.after(seconds, lambda: self.send(ask, lambda _: None))

    def asked(self, method: str, part: str = "") -> list[Call]:
        """The requests so far of this method with `part` in their path."""
        return [each for each in self.calls if each.ask.method == method and part.lower() in each.ask.path.lower()]

    def _serve(self, ask: Ask) -> Served:
        kind, bucket = ("writes", self.writes) if ask.writes else ("reads", self.reads)
        if not bucket.take(self.world.now):
            return Refused(429, "TooManyRequests", "The request was throttled.", {"Retry-After": "5"}).answer
        try:
            served = self.arm.serve(_request(ask))
        except Refused as refused:
            served = refused.answer
        served.headers[f"x-ms-ratelimit-remaining-subscription-{kind}"] = str(int(bucket.left))
        return served


def _request(ask: Ask) -> Request:
    where, _, query = (ask.link.partition("://")[2].partition("/")[2] if ask.link else ask.path).partition("?")
    pairs = dict(each.split("=", 1) for each in query.split("&") if each)
    headers = {"if-match": ask.match} if ask.match else {}
    body = b"" if ask.body is None else msgspec.json.encode(ask.body)
    return Request(ask.method, "/" + where.lstrip("/"), {"api-version": ask.version, **pairs}, headers, body)


def _outcome(ask: Ask, served: Served) -> Answer | SourceFailed:
    body = b"" if served.body is None else msgspec.json.encode(served.body)
    if served.status in ask.expect:
        return Answer(served.status, body, dict(served.headers), str(ask))
    return refusal(served.status, served.headers, body, str(ask))


def _unanswered(ask: Ask) -> SourceFailed:
    return SourceFailed(f"Azure did not answer {ask}: the connection broke off", source="azure", asked=str(ask))
