"""What the agent does beside answering calls: round after round, in a thread of its own."""

from __future__ import annotations

import threading


class Rounds:
    """Makes a `round` every `interval` seconds, the first one after `delay` seconds, until it is stopped."""

    def __init__(self, name: str, interval: float, *, delay: float = 0.0) -> None:
        self._interval = interval
        self._delay = delay
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the round under way."""
        self._stop.set()
        self._thread.join(timeout=5.0)

    def round(self) -> None:
        """What is done again and again."""
        raise NotImplementedError

    def _work(self) -> None:
        wait = self._delay
        while not self._stop.wait(wait):
            self.round()
            wait = self._interval
