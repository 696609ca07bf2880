"""One launcher at the agent's socket: what it has sent, what it was answered, and for how long it has been idle."""

from __future__ import annotations

import socket
import time

from unipam.cni.call import Answer, Call


class Connection:
    """What it has sent so far, what it was answered and what of that is still to be sent.

    `since` is when its turn began: when it came, or when it was answered (seconds, `time.perf_counter`). `buffered` is
    how many bytes of it are in memory, beside those of a call that came in one piece.
    """

    __slots__ = ("answer", "buffered", "call", "data", "descriptor", "pid", "since", "socket", "unsent", "watched")

    def __init__(self, connection: socket.SocketType, pid: int) -> None:
        self.since = time.perf_counter()
        self.socket = connection
        self.descriptor = connection.fileno()
        self.pid = pid
        self.data = bytearray()
        self.buffered = 0
        self.call: Call | None = None
        self.answer: Answer | None = None
        self.unsent = b""
        self.watched = 0

    def idle(self, now: float) -> float:
        """Return for how many seconds it has had its turn without an end; 0 while it is ours."""
        return now - self.since if self.call is None or self.answer is not None else 0.0
