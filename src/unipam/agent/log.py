"""The agent's log: lines on stderr, written in a thread of its own: no call waits for who reads them."""

from __future__ import annotations

import os
import select
import threading

from unipam.logline import AUTO, Line, encoder, entry

MOST_WAITING = 1 << 20
"""Bytes of lines that wait for somebody who reads them; what comes beyond is dropped and counted."""

_GATHER = 0.01
"""Seconds that lines are gathered for: the thread then works between two calls, and not beside one."""


class Log:
    """Writes lines to a descriptor. `write` never raises and never waits."""

    def __init__(self, descriptor: int = 2, form: str = AUTO) -> None:
        self.dropped = 0
        """How many lines nobody will read."""
        self._descriptor = descriptor
        self._encoded = encoder(form, terminal=os.isatty(descriptor))
        self._lines: list[bytes] = []
        self._waiting = 0
        self._told = 0
        self._lock = threading.Lock()
        self._some = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    def write(self, line: Line) -> None:
        """Take one line to be written."""
        data = self._encoded(line) + b"\n"
        with self._lock:
            if self._waiting + len(data) > MOST_WAITING:
                self.dropped += 1
                return
            self._waiting += len(data)
            self._lines.append(data)
        self._some.set()

    def finish(self, timeout: float = 1.0) -> None:
        """Write what waits, in so many seconds at the most: nobody may be reading."""
        self._ending.set()
        self._some.set()
        self._thread.join(timeout)

    def _work(self) -> None:
        while not self._ending.is_set():
            self._some.wait()
            self._ending.wait(_GATHER)
            self._some.clear()
            for line in self._take():
                if self._put(line):
                    self._tell_dropped()

    def _take(self) -> list[bytes]:
        with self._lock:
            lines, self._lines, self._waiting = self._lines, [], 0
        return lines

    def _put(self, line: bytes) -> bool:
        """Write a whole line, waiting for who reads it; whether anybody does."""
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[self._some_of(rest) :]
        except OSError:  # who reads the log has gone; pods need their addresses all the same
            with self._lock:
                self.dropped += 1
            return False
        return True

    def _some_of(self, rest: memoryview) -> int:
        """Write as much as there is room for; how much that was."""
        try:
            return os.write(self._descriptor, rest)
        except BlockingIOError:  # whoever shares stderr with us has made it so
            poll = select.poll()
            poll.register(self._descriptor, select.POLLOUT)
            poll.poll()
            return 0

    def _tell_dropped(self) -> None:
        """Tell who reads now how many lines are missing."""
        new = self.dropped - self._told
        if new:
            self._told += new
            self._put(self._encoded(entry("lines dropped", "warning", count=new)) + b"\n")
