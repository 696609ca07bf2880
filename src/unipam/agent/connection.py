"""One launcher at the agent's socket: what it has said, what it was told, and for how long nothing has come of it."""

from __future__ import annotations

import socket
import time

from unipam.cni.call import Answer, Call


class Connection:
    """What it has said so far, what it was told and what of that is still to be sent.

    `since` is when its turn began: when it came, or when it was told (seconds, `time.perf_counter`). `held` is how many
    bytes of it are in memory, beside those of a call that came in one piece.
    """

    __slots__ = ("call", "data", "descriptor", "held", "pid", "since", "socket", "told", "unsent", "watched")

    def __init__(self, connection: socket.SocketType, pid: int) -> None:
        self.since = time.perf_counter()
        self.socket = connection
        self.descriptor = connection.fileno()
        self.pid = pid
        self.data = bytearray()
        self.held = 0
        self.call: Call | None = None
        self.told: Answer | None = None
        self.unsent = b""
        self.watched = 0

    def silent(self, now: float) -> float:
        """Return for how many seconds it has had its turn without an end; 0 while it is ours."""
        return now - self.since if self.call is None or self.told is not None else 0.0
