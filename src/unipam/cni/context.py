"""What the process that answers a call lends to a verb; warm, cold and in tests alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from unipam.ledger.open import Ledgers, WouldBlock


class Context(NamedTuple):
    """How a verb reaches what it works on, and what it may do while others wait.

    `attended` says that somebody keeps fresh what is learned from outside, so that a call need not. `clock` gives
    seconds since the epoch. `home` is the directory of the node's ledger for what has none of its own; "" for nowhere.
    `heard` says whether the caller still waits for the answer, and may be asked by any thread.
    """

    ledgers: Ledgers
    attended: bool = False
    clock: Callable[[], float] = time.time
    home: str = ""
    heard: Callable[[], bool] = lambda: True

    @property
    def may_wait(self) -> bool:
        """Whether a call may keep those behind it waiting."""
        return self.ledgers.patient

    def require_waiting(self, why: str) -> None:
        """Raise WouldBlock where the call may not wait."""
        if not self.may_wait:
            raise WouldBlock(why)
