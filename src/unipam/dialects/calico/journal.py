"""What an agent does in a cluster's datastore, noted in the node's ledger by a thread of its own.

So history and `explain` know of it. No call waits for it, and none fails of it: a ledger that cannot be written costs
history.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

from unipam.ledger.noted import Gained, Lost, note
from unipam.ledger.open import Ledgers
from unipam.model.errors import UnipamError

_MOST_WAITING = 10_000
"""Events that wait for a ledger that somebody else holds; older ones are not noted."""
_MOST_AT_ONCE = 500
_LATER = 0.01
"""Seconds that events wait, so that their calls are answered first, and those that come at once share a commit."""


class Journal:
    """The ledger in a directory, as it is written from here. Any thread may note."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._ledgers = Ledgers(timeout=2.0)
        self._waiting: deque[tuple[str, Gained | Lost]] = deque(maxlen=_MOST_WAITING)
        self._thread = ThreadPoolExecutor(1, "journal")
        self._lock = threading.Lock()
        self._writing = False

    def note(self, space: str, event: Gained | Lost) -> None:
        """Note what has happened in a space, soon. Events of one thread are noted in their order."""
        self._waiting.append((space, event))
        with self._lock:
            if self._writing:
                return
            self._writing = True
        self._thread.submit(self._write)

    def close(self) -> None:
        """Note what is waiting, and let go of the ledger."""
        self._thread.submit(self._ledgers.close_all)
        self._thread.shutdown()

    def _write(self) -> None:
        while True:
            time.sleep(_LATER)
            taken: list[tuple[str, Gained | Lost]] = []
            while self._waiting and len(taken) < _MOST_AT_ONCE:
                taken.append(self._waiting.popleft())
            for space, events in groupby(taken, lambda each: each[0]):
                self._note(space, [event for _, event in events])
            with self._lock:
                if not self._waiting:
                    self._writing = False
                    return

    def _note(self, space: str, events: list[Gained | Lost]) -> None:
        try:
            note(self._ledgers.at(self._directory), space, events)
        except UnipamError:
            return


@functools.cache
def journal(directory: str) -> Journal:
    """Return the journal of a directory, one for the whole process."""
    return Journal(directory)
