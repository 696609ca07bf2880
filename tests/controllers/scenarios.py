"""Runs with faults at random: each is a list of events that a seed gives, and a list that fails is made shorter.

The same list gives the same run: whatever else is random in it comes from the seed, too. So what fails can be printed
as the few events that it takes, with what happened meanwhile, and be put into a test of its own.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol


class Event(NamedTuple):
    """Something happens to one of the things it can happen to (`which` counts them, in turn); then time passes."""

    what: str
    which: int = 0
    much: int = 0
    wait: float = 0.0


class Wrong(Exception):
    """A promise was broken."""


class Run(Protocol):
    """A cluster in which events happen."""

    trace: list[str]
    """What happened, line by line, if it is kept."""

    def happen(self, event: Event) -> None:
        """Let it happen, and time pass. Raises Wrong."""

    def end(self) -> None:
        """All goes well from here on, and things are as they should be after a while. Raises Wrong."""


Begin = Callable[[int, bool], Run]
"""Begins a run of a seed; with True it keeps a trace."""


class Failure(NamedTuple):
    """A seed that fails, the fewest events found that do, and what happened then."""

    seed: int
    events: list[Event]
    trace: list[str]

    def __str__(self) -> str:
        return "\n".join([f"seed {self.seed}", *map(repr, self.events), *self.trace])


WAITS = (0.0, 0.1, 1.0, 5.0, 20.0, 70.0)


def events_of(seed: int, usual: Sequence[str], rare: Sequence[str], most: int) -> list[Event]:
    """The events of a seed: those that are usual, and of the others a few kinds only, so that these meet often."""
    dice = random.Random(f"events {seed}")
    kinds = (*usual, *dice.sample(rare, dice.randint(2, 5)))
    return [
        Event(dice.choice(kinds), dice.randrange(64), dice.randint(1, 12), dice.choice(WAITS))
        for _ in range(dice.randint(3, most))
    ]


def failures(
    begin: Begin, seeds: range, usual: Sequence[str], rare: Sequence[str], most: int = 30, every: int = 1000
) -> Iterator[Failure]:
    """Run the seeds one by one, say how it goes, and yield those that fail."""
    say(f"seeds {seeds.start} to {seeds.stop - 1}")
    wrong = 0
    for count, seed in enumerate(seeds, 1):
        events = events_of(seed, usual, rare, most)
        if _wrong(begin, seed, events):
            wrong += 1
            yield _shortest(begin, seed, events)
        if count % every == 0 or count == len(seeds):
            say(f"{count} runs, the last of seed {seed}: {wrong} failed")


def say(line: str) -> None:
    """Print a line at once: `pytest -s` shows it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _wrong(begin: Begin, seed: int, events: Sequence[Event], trace: list[str] | None = None) -> str:
    """What is wrong after these events; empty when nothing is."""
    run = begin(seed, trace is not None)
    try:
        for event in events:
            run.happen(event)
        run.end()
    except Wrong as error:
        return str(error)
    finally:
        if trace is not None:
            trace += run.trace
    return ""


def _shortest(begin: Begin, seed: int, events: list[Event]) -> Failure:
    """Leave out what it does not take, in ever smaller pieces, and make the waits as short as possible."""
    size = len(events) // 2
    while size:
        for at in range(0, len(events), size):
            fewer = events[:at] + events[at + size :]
            while at < len(events) and _wrong(begin, seed, fewer):
                events = fewer
                fewer = events[:at] + events[at + size :]
        size //= 2
    for at, event in enumerate(events):
        for wait in WAITS:
            changed = [*events[:at], event._replace(wait=wait), *events[at + 1 :]]
            if wait < event.wait and _wrong(begin, seed, changed):
                events = changed
                break
    trace: list[str] = []
    said = _wrong(begin, seed, events, trace)
    return Failure(seed, events, [*trace, said])
