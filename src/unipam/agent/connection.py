"""One launcher at the agent's socket: what it has sent, what it was answered, and for how long it has been idle."""

from __future__ import annotations

import contextlib
import socket
import time

from unipam.cni.call import ACK, AT_IT, AT_IT_FOR, Answer, Call

_TOLD_EVERY = 1.0
"""Seconds between two frames that say that the agent is at it: a launcher takes four seconds of silence for a no."""


class Connection:
    """What it has sent so far, what it was answered and what of that is still to be sent.

    `since` is when its turn began: when it came, or when it was answered (seconds, `time.perf_counter`). `buffered` is
    how many bytes of it are in memory, beside those of a call that came in one piece. `told` is when it was told last
    that the agent is at it, or None where it is not to be told.
    """

    __slots__ = (
        "answer", "buffered", "call", "closed", "data", "descriptor", "pid", "since", "socket", "told", "unsent",
        "watched",
    )  # fmt: skip

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
        self.told: float | None = None
        self.closed = False

    def heard(self) -> bool:
        """Return whether the launcher still waits; any thread may ask."""
        try:
            there = self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except BlockingIOError:
            there = True
        except OSError:
            there = False
        return there and not self.closed  # in this order: once it is closed, its descriptor may be another's

    def keep_waiting(self, now: float) -> None:
        """Tell the launcher, every now and then, that its call is under way."""
        if self.told is None or self.answer is not None:
            return
        if now - self.told < _TOLD_EVERY or now - self.since > AT_IT_FOR:
            return
        self.told = now
        with contextlib.suppress(OSError):  # it has gone, which reading from it will show
            self.socket.send(AT_IT, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def close(self) -> bool:
        """Close it; return whether the launcher has acknowledged its answer until then.

        What it acknowledges afterwards fails, so that it and the agent never differ about that.
        """
        self.closed = True
        try:
            self.socket.shutdown(socket.SHUT_RD)
            return self.socket.recv(len(ACK), socket.MSG_DONTWAIT) == ACK
        except OSError:  # it has gone before
            return False
        finally:
            self.socket.close()

    def idle(self, now: float) -> float:
        """Return for how many seconds it has had its turn without an end; 0 while it is ours."""
        return now - self.since if self.call is None or self.answer is not None else 0.0
