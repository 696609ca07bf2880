"""When learned pools are learned anew: one asks for the whole node, seldom, and less often while the answers fail.

What was asked when is written in the ledger, so that it holds for every process of the node; who is asking holds a
file lock, which the kernel takes back from the dead. Time is CLOCK_BOOTTIME, which nobody sets back.

What does not belong here: who is asked and what the answer means.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from unipam.ledger.change import Change, Inherit
from unipam.ledger.learned import Learned, LearnedPool, merge
from unipam.ledger.ledger import Ledger
from unipam.ledger.open import uptime
from unipam.model.errors import SourceFailed, StoreBroken
from unipam.store.api import Tx

LONGEST_PAUSE = 60.0
"""Seconds between two attempts, however many have failed."""
WAIT = 3.3
"""Seconds for which a call that needs the answer waits while somebody else asks."""


class Attempt(NamedTuple):
    """The latest time that a source was asked: in which boot, when (CLOCK_BOOTTIME), and how it went.

    `failures` counts those since the last good answer, `error` is the latest one's text. `settings` are how it was
    asked, so that whoever keeps the space fresh can ask again.
    """

    boot: int = 0
    at: float = 0.0
    failures: int = 0
    error: str = ""
    settings: Mapping[str, Any] = {}

    def due(self, boot: int, now: float, interval: float, *, needed: bool = False) -> bool:
        """Return whether to ask again. Who cannot go on without the answer does not wait longer after failures."""
        pause = interval if needed or not self.failures else min(interval * 2.0**self.failures, LONGEST_PAUSE)
        return self.boot != boot or now - self.at >= max(pause, interval)


class Source(NamedTuple):
    """Somebody to ask: `fetch` gives all pools or raises SourceFailed, at most every `interval` seconds.

    What a `once` source has said holds for the rest of the boot. Attempts count by `name`: that one source was asked
    says nothing of another.
    """

    name: str
    fetch: Callable[[], Sequence[LearnedPool]]
    interval: float
    settings: Mapping[str, Any]
    once: bool = False

    def due(self, attempt: Attempt, boot: int, *, needed: bool = False) -> bool:
        """Return whether to ask again after the latest attempt."""
        if self.once and attempt.boot == boot and attempt.at and not attempt.failures:
            return False
        return attempt.due(boot, uptime(), self.interval, needed=needed)


class Outcome(NamedTuple):
    """How a refresh went: whether it was asked here, the attempt, and what is known now (None: as before)."""

    asked: bool
    attempt: Attempt
    learned: Learned | None = None


def latest(ledger: Ledger, space: str, source: str = "") -> Attempt:
    """Return the latest attempt, at the source of this name or at any; the empty one when there was none."""
    with ledger.store.reading() as tx:
        parent = tx.space(space)
        return recall(tx, parent, source) if parent is not None else Attempt()


def recall(tx: Tx, parent: int, source: str = "") -> Attempt:
    """Return the latest attempt, within a transaction."""
    note = tx.note(_note(parent, source))
    return Attempt(**msgspec.json.decode(note)) if note else Attempt()


def refresh(
    ledger: Ledger, directory: str, space: str, source: Source, *, inherit: Inherit, needed: bool = False
) -> Outcome:
    """Ask the source if it is due, and write down what it says, or that it failed.

    Who finds somebody else asking waits for that answer if it is `needed`, and otherwise goes on with what is known.
    Raises the store's errors only.
    """
    with _turn(f"{directory}/{space}.refresh", WAIT if needed else 0.0) as mine:
        before = latest(ledger, space, source.name)
        if not mine or not source.due(before, ledger.boot, needed=needed):
            return Outcome(asked=False, attempt=before)
        began = uptime()
        try:
            found: Sequence[LearnedPool] = source.fetch()
            attempt = Attempt(ledger.boot, began, 0, "", source.settings)
        except SourceFailed as error:
            found = ()
            attempt = Attempt(ledger.boot, began, before.failures + 1, error.message, source.settings)
        return Outcome(True, attempt, _write(ledger, space, source.name, inherit, attempt, found))


def _write(
    ledger: Ledger, space: str, source: str, inherit: Inherit, attempt: Attempt, found: Sequence[LearnedPool]
) -> Learned | None:
    with Change(ledger, space, inherit) as (tx, (parent, *_), _):
        for name in (source, ""):
            tx.set_note(_note(parent, name), msgspec.json.encode(attempt._asdict()).decode())
        return None if attempt.failures else merge(tx, parent, found, ledger.boot)


def _note(parent: int, source: str) -> str:
    return f"refresh/{parent}/{source}" if source else f"refresh/{parent}"


@contextlib.contextmanager
def _turn(path: str, timeout: float) -> Iterator[bool]:
    """Wait for this process's turn, for at most `timeout` seconds; yield whether it came."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreBroken(f"cannot open {path}: {error.strerror}", path=path) from error
    try:
        yield _take(descriptor, time.monotonic() + timeout)
    finally:
        os.close(descriptor)


def _take(descriptor: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.01)
        else:
            return True
