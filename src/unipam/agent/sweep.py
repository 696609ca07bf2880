"""Garbage: looks for leases whose container is gone, round after round, in a thread of its own.

It also clears ended cooldowns away, lets the journal forget what is too old, and moves the write-ahead log into the
ledger, so that no call has to.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

from unipam.agent.watch import Watch
from unipam.ledger import reconcile
from unipam.ledger.adopted import identify
from unipam.ledger.ledger import Ledger
from unipam.ledger.open import FILE, Ledgers, started, uptime
from unipam.model.errors import UnipamError
from unipam.rounds import Rounds

_FENCES_KEPT = 3600.0
_CLEAN_UP_EVERY = 3600.0

_NOT_ASKED = "the agent was started without --cri: a sandbox whose namespace remains is not seen to be gone"

Ask = Callable[[], reconcile.Runtime]
"""Asks the container runtime. Raises SourceFailed."""


class Sweeper(Rounds):
    """Sweeps the ledgers in the directories that `directories` names. `interval` and `keep` are in seconds."""

    def __init__(
        self,
        directories: Callable[[], Iterable[str]],
        watch: Watch,
        *,
        interval: float,
        keep: float,
        ask: Ask | None = None,
    ) -> None:
        super().__init__("sweep", interval, delay=interval)
        self._directories = directories
        self._watch = watch
        self._keep = keep
        self._ask = ask
        self._ledgers = Ledgers(timeout=2.0)
        self._suspects: dict[str, dict[tuple[int, int, int], str]] = {}
        self._cleaned_up = -_CLEAN_UP_EVERY

    def round(self) -> None:
        """Look at every ledger once."""
        runtime, complaint = self._runtime()
        due = time.monotonic() - self._cleaned_up > _CLEAN_UP_EVERY
        self._cleaned_up = time.monotonic() if due else self._cleaned_up
        for directory in sorted(set(self._directories())):
            if not os.path.exists(f"{directory}/{FILE}"):
                continue
            try:
                ledger = self._sweep(directory, runtime)
                reconcile.complain(ledger, complaint)
                self._clean_up(ledger, due)
            except UnipamError as error:
                self._watch.say("sweep failed", directory=directory, error=error.name, message=error.message)

    def _runtime(self) -> tuple[reconcile.Runtime | None, str]:
        """Return what the runtime says, or why it does not."""
        if self._ask is None:
            return None, _NOT_ASKED
        try:
            return self._ask(), ""
        except UnipamError as error:  # a runtime that does not answer proves nothing about its containers
            self._watch.say("runtime not asked", error=error.name, message=error.message)
            return None, error.message

    def _sweep(self, directory: str, runtime: reconcile.Runtime | None) -> Ledger:
        ledger = self._ledgers.at(directory)
        if runtime:
            identify(ledger, runtime, started())
        observed = reconcile.observe(ledger.boot, runtime)
        suspects, released = reconcile.reclaim(ledger, observed, self._suspects.get(directory, {}))
        self._suspects[directory] = suspects
        for suspect in released:
            self._watch.reclaimed(directory, suspect)
        return ledger

    def _clean_up(self, ledger: Ledger, due: bool) -> None:
        ledger.end_cooldowns()
        if due:
            ledger.forget(time.time() - self._keep, uptime() - _FENCES_KEPT)
        ledger.store.settle()
