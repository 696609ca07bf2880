"""The agent's socket: one connection, one call, one answer, one acknowledgement.

A call is answered at once in the loop's own thread. Only one that would wait (a locked ledger, a first contact with a
directory of leases) goes to a thread of its own, so that no network waits for another's trouble.

The loop is a dozen lines over epoll and not asyncio's: a launcher has usually said all by the time it is accepted, so
most calls need no callback, and calls that are found together can be answered together (docs/design.md).
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

from unipam.agent.connection import Connection
from unipam.agent.peer import OwnNamespace, peer
from unipam.agent.responder import Responder, Waiting
from unipam.cni.call import ACK, Answer, Call, decode_call, encode_answer, frame_size
from unipam.dialects.registry import is_remote
from unipam.ledger.open import uptime

MOST_BYTES = 32 * 1024 * 1024
"""How much of calls that come in pieces is held in memory, of all launchers together; one sends 16 MB at the most."""
MOST_CONNECTIONS = 1024
LONGEST_SILENCE = 10.0
"""Seconds in which a launcher must say all, and later take its answer; it has given up after four."""
SHORTEST_SILENCE = 0.1
"""The same for one that has not said all while others wait for its place; who lives says it as it comes."""
_CHUNK = 64 * 1024
_TICK = 0.1
"""Seconds between two looks at who is silent; also after which a full agent tries again to accept."""
_GRACE = 2.0
"""Seconds that an ending agent gives those who are connected."""
_AT_A_TIME = 256
"""Events taken from epoll in one turn; Python makes room for a thousand unless told otherwise, every time."""
_SHORT_WAIT = 0.005
"""Seconds to wait where there is nothing else to wait for."""

Observe = Callable[[Call, Answer, float], None]
"""Told of every call with its answer and how many seconds it took; for the log and the metrics."""


class Server:
    """Listens at a path in the file system, for root and the user it runs as.

    A byte written to `wakeup` makes the loop look around.
    """

    def __init__(self, path: str, responder: Responder, observe: Observe) -> None:
        self.path = path
        self.responder = responder
        self._observe = observe
        self._admitted = frozenset((0, os.getuid()))
        self._connections: dict[int, Connection] = {}
        self._poll = select.epoll()
        self._wake, self.wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll.register(self._wake, select.EPOLLIN)
        self._asked: list[tuple[Connection, Call]] = []
        self._ready: deque[tuple[Connection, Answer]] = deque()
        self._stopped = threading.Event()
        self._inode = 0
        self._most = min(MOST_CONNECTIONS, _open_files() // 2)  # ledgers, and threads that wait, want theirs too
        self._buffered = 0
        self._accepting = True
        self._next_look = 0.0

    # ---- the loop

    def listen(self) -> None:
        """Take the path, by rename, so that an agent is replaced without a gap. Raises OSError."""
        draft = f"{self.path}.{os.getpid()}"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._own_namespace = OwnNamespace(self._listening)
        self._listening.bind(draft)
        os.chmod(draft, 0o600)
        self._listening.setblocking(False)
        self._listening.listen(4096)
        os.rename(draft, self.path)
        self._inode = os.stat(self.path).st_ino
        self._poll.register(self._listening, select.EPOLLIN)

    def serve(self) -> None:
        """Answer until `stop` is called, then finish what is under way."""
        while not self._stopped.is_set():
            self._poll_once(_TICK if self._connections or not self._accepting else -1)
        self._finish()

    def stop(self) -> None:
        """Let `serve` come to its end; from any thread or signal handler."""
        self._stopped.set()
        self._wake_loop()

    def _poll_once(self, timeout: float) -> None:
        """Wait for whatever happens, up to so many seconds (-1: for ever), and do what it takes."""
        for descriptor, _ in self._poll.poll(timeout, _AT_A_TIME):
            if descriptor == self._listening.fileno():
                self._accept_some()
            elif descriptor == self._wake:
                self._reply_ready()
            elif connection := self._connections.get(descriptor):
                self._send(connection) if connection.unsent else self._receive(connection)
                self._watch(connection)
        self._answer()
        if self._connections or not self._accepting:
            self._close_silent(time.perf_counter())

    def _close_silent(self, now: float) -> None:
        """Close connections that are silent for too long, tell others to wait on, and try to accept again."""
        if now < self._next_look:
            return
        self._next_look = now + _TICK
        unasked = LONGEST_SILENCE if self._accepting else SHORTEST_SILENCE
        for connection in list(self._connections.values()):
            if connection.idle(now) > (unasked if connection.call is None else LONGEST_SILENCE):
                self._close(connection, acknowledged=False)
            else:
                connection.keep_waiting(now)
        self._accept_again()

    def _finish(self) -> None:
        """Finish what is under way, and remove the socket unless another agent has taken the path over.

        A launcher that has its answer needs a moment to say so; who stays silent longer asks again, cold.
        """
        with contextlib.suppress(FileNotFoundError):
            if os.stat(self.path).st_ino == self._inode:
                os.unlink(self.path)
        self._listening.close()
        self._take_leave()
        self.responder.finish()
        self._reply_ready()  # those who waited longer than that
        self._take_leave()
        for connection in list(self._connections.values()):
            self._close(connection, acknowledged=False)
        self.responder.finish()

    def _take_leave(self) -> None:
        """Let those who are connected say that they have their answers, or leave."""
        deadline = time.monotonic() + _GRACE
        while self._connections and time.monotonic() < deadline:
            self._poll_once(_SHORT_WAIT)

    # ---- one launcher

    def _accept_some(self) -> None:
        """Accept who is here already: one while nobody else calls, since to look in vain for more takes its time."""
        for _ in range(len(self._connections) + 1):
            if len(self._connections) >= self._most:
                self._accept_later()
                return
            try:
                # What socket.accept adds to this takes longer than the system call: it looks up names of constants.
                descriptor, _ = self._listening._accept()  # type: ignore[attr-defined]  # noqa: SLF001
            except BlockingIOError:
                return
            except OSError:  # no descriptor free
                self._accept_later()
                return
            self._admit(socket.SocketType(socket.AF_UNIX, socket.SOCK_STREAM, 0, descriptor))

    def _accept_later(self) -> None:
        """Stop accepting, for want of room: who calls waits in the kernel, and epoll need not tell of it."""
        self._poll.unregister(self._listening)
        self._accepting = False

    def _accept_again(self) -> None:
        if not self._accepting and not self._stopped.is_set():
            self._poll.register(self._listening, select.EPOLLIN)
            self._accepting = True

    def _admit(self, accepted: socket.SocketType) -> None:
        pid, uid = peer(accepted)
        if uid not in self._admitted:
            accepted.close()
            return
        connection = Connection(accepted, pid)
        self._connections[connection.descriptor] = connection
        self._receive(connection)  # it has usually said all by now
        if connection.call is None:
            self._watch(connection)

    def _watch(self, connection: Connection) -> None:
        """Let epoll tell when this launcher sends something, or can take the rest of its answer."""
        wanted = select.EPOLLOUT if connection.unsent else select.EPOLLIN
        if connection.watched == wanted or self._connections.get(connection.descriptor) is not connection:
            return
        (self._poll.modify if connection.watched else self._poll.register)(connection.descriptor, wanted)
        connection.watched = wanted

    def _receive(self, connection: Connection) -> None:
        try:
            data = connection.socket.recv(_CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if connection.answer is not None:
            self._close(connection, acknowledged=data == ACK)
        elif not data or connection.call is not None:  # it has gone, or sends more than one call
            self._close(connection, acknowledged=False)
        else:
            self._collect(connection, data)

    def _collect(self, connection: Connection, data: bytes) -> None:
        if not connection.data and 0 < frame_size(data) <= len(data):
            self._take_call(connection, data[: frame_size(data)])
            return
        self._buffer(connection, data)
        size = frame_size(connection.data)
        if max(size, self._buffered) > MOST_BYTES:
            self._close(connection, acknowledged=False)
        elif 0 < size <= len(connection.data):
            self._take_call(connection, bytes(connection.data[:size]))

    def _buffer(self, connection: Connection, data: bytes) -> None:
        connection.data += data
        connection.buffered += len(data)
        self._buffered += len(data)

    def _take_call(self, connection: Connection, frame: bytes) -> None:
        namespace = self._own_namespace.of(connection.socket) if b"CNI_COMMAND=ADD" in frame else 0  # others hardly ask
        try:
            connection.call = decode_call(frame, connection.pid, uptime(), namespace)
        except ValueError:
            self._close(connection, acknowledged=False)
            return
        connection.data = bytearray()  # the call has it all
        self._asked.append((connection, connection.call))

    def _answer(self) -> None:
        """Answer what was asked in this turn, together."""
        if not self._asked:
            return
        asked, self._asked = self._asked, []
        answers = self.responder.together([call for _, call in asked])
        for (connection, call), given in zip(asked, answers, strict=True):
            if given is not None:
                self._reply(connection, call, given)
            elif is_remote(call):
                connection.told = connection.since
            self._watch(connection)
        waiting = [
            Waiting(connection, call, connection.heard)
            for (connection, call), given in zip(asked, answers, strict=True)
            if given is None
        ]
        self.responder.patiently(waiting, self._hand_to_loop)

    def _hand_to_loop(self, given: list[tuple[Connection, Answer]]) -> None:
        """Give answers to the loop, from the thread that waited for them."""
        self._ready.extend(given)
        self._wake_loop()

    def _wake_loop(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full: it is about to wake
            os.write(self.wakeup, b"\0")

    def _reply_ready(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, _CHUNK)
        while self._ready:
            connection, given = self._ready.popleft()
            if self._connections.get(connection.descriptor) is connection and connection.call is not None:
                self._reply(connection, connection.call, given)
                self._watch(connection)
            else:
                self.responder.undo(given)

    def _reply(self, connection: Connection, call: Call, given: Answer) -> None:
        connection.answer = given
        connection.unsent = encode_answer(given)
        self._send(connection)
        now = time.perf_counter()
        self._observe(call, given, now - connection.since)
        connection.since = now

    def _send(self, connection: Connection) -> None:
        """Send what goes at once; the rest when there is room again."""
        try:
            sent = connection.socket.send(connection.unsent, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except BlockingIOError:
            sent = 0
        except OSError:
            sent = len(connection.unsent)  # it has gone, which reading from it will show
        connection.unsent = connection.unsent[sent:]

    def _close(self, connection: Connection, *, acknowledged: bool) -> None:
        """Close a connection; undo what was answered and not acknowledged."""
        del self._connections[connection.descriptor]
        acknowledged = connection.close() or acknowledged
        self._buffered -= connection.buffered
        self._accept_again()
        if connection.answer is not None and not acknowledged:
            self.responder.undo(connection.answer)


def _open_files() -> int:
    """Return how many files this process may have open."""
    most = os.sysconf("SC_OPEN_MAX")
    return most if most > 0 else 2 * MOST_CONNECTIONS
