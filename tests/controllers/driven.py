"""A controller in its process, by a simulated clock: without threads, and without anybody who waits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tests.controllers.scenarios import Event
from tests.fakes.simulated import SimulatedAzure, World
from tests.fakes.weather import Died, Weather

from unipam.clients.azure.write.budget import Budget
from unipam.clients.azure.write.dispatcher import Dispatcher, Heard
from unipam.clients.azure.write.jobs import Ask
from unipam.controllers.term import Term
from unipam.model.errors import SourceFailed

ASLEEP, ORIGIN = math.inf, 1_000_000.0


class NoWait(Term):
    """A term whose time is a world's: nobody waits in it."""

    def __init__(self) -> None:
        super().__init__(math.inf, lambda: 0.0)

    def wait(self, seconds: float) -> bool:
        return True


class Woken(NoWait):
    """It notes that there is something to look at."""

    def __init__(self) -> None:
        super().__init__()
        self.woken = True

    def wake(self) -> None:
        self.woken = True


class Simulated(Dispatcher):
    """A dispatcher as controllers have it, without a thread."""

    def lead(self, term: Term) -> None:
        self.may_write = lambda: term.lasts

    def listen(self, heard: Callable[[Heard], None]) -> None:
        self.heard = heard

    def close(self) -> None:
        """Nothing to let go of."""


class Driven:
    """Part of a simulation: its controller is looked after only when something woke it or is due, as in its process.

    It may die with every request, and then another one follows at once.
    """

    world: World
    dispatcher: Simulated
    weather: Weather
    longest = 60.0
    """Seconds after which the controller looks though nothing woke it."""
    _looked = 0.0

    def start(self) -> None:
        """A new process: nothing is remembered."""
        if hasattr(self, "weather"):
            self.term = Woken()
            self.dispatcher = Simulated(self.weather.send, self.world, Budget)
            self.begin()

    def begin(self) -> None:
        """Make a controller that knows nothing yet."""
        raise NotImplementedError

    def round(self) -> None:
        """Let it look, decide, carry out and report. Raises SourceFailed, Died."""
        raise NotImplementedError

    def due(self) -> float:
        """When it is to look again, if nothing wakes it."""
        raise NotImplementedError

    def step(self) -> float:
        """One round, if it is time for one."""
        try:
            return self._step()
        except Died:
            self.start()
            return self.world.now

    def _step(self) -> float:
        now, asked = self.world.now, self.dispatcher.step()
        due = min(self.due(), self._looked + self.longest)
        if not self.term.woken and now < due:
            return min(asked, due)
        self.term.woken, self._looked = False, now
        try:
            self.round()
        except SourceFailed:
            return min(self.dispatcher.step(), now + 5.0)
        if self.term.woken:
            return now
        return min(max(self.due(), now + 0.01), now + self.longest, self.dispatcher.step())


class FaultyDay:
    """What happens in every cluster; a subclass adds what happens in its own."""

    of: Driven
    weather: Weather

    def happen(self, event: Event) -> None:
        """See `scenarios.Run`."""
        self._note(repr(event))
        getattr(self, f"_{event.what}")(event)
        self._pass(event.wait)

    def _note(self, line: str) -> None:
        raise NotImplementedError

    def _pass(self, seconds: float) -> None:
        raise NotImplementedError

    def _at(self) -> str:
        """The time of day, for the trace."""
        return f"{self.of.world.now - ORIGIN:9.2f}"

    def _restart(self, _: Event) -> None:
        self.of.start()

    def _die(self, event: Event) -> None:
        self.weather.dies_in = event.much

    def _sleep(self, event: Event) -> None:
        """The process, or its machine, stands still."""
        self.of.world.run(event.much * 60.0, lambda: ASLEEP)

    def _azure(self, event: Event) -> None:
        self.weather.away = self.of.world.now + event.much * 60.0

    def _throttle(self, event: Event) -> None:
        self.weather.throttled = self.of.world.now + event.much * 300.0


def next_write_late(azure: SimulatedAzure, dispatcher: Simulated, seconds: float) -> Callable[[], bool]:
    """The next write arrives so much later; whether it was sent."""
    send, sent = azure.send, list[Ask]()

    def late(ask: Ask, deliver: Any) -> None:
        if not ask.writes or sent:
            send(ask, deliver)
        else:
            sent.append(ask)
            azure.send_late(ask, deliver, seconds)

    dispatcher._send = late
    return lambda: bool(sent)
