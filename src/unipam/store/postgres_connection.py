"""A connection to PostgreSQL that waits for no longer than it says, whatever becomes of the network.

A database that falls silent sends nothing, no reset either. The kernel finds a dead host by itself (TCP_USER_TIMEOUT,
keepalives), but not a proxy that takes what it is given and passes nothing on. So every wait has an end here.
"""

from __future__ import annotations

import select
import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict, make_conninfo

R = TypeVar("R")

SILENCE = 8.0
"""Seconds without a byte from the server, while one is due, after which a connection is given up. The server, too, ends
a transaction that its client has left for so long, and with it the lock that keeps other writers waiting."""
CONNECT = 5
"""Seconds in which a connection must be made."""

_NETWORK: dict[str, Any] = {
    "connect_timeout": CONNECT,
    "application_name": "unipam",
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": round(SILENCE * 1000),
}
"""Parameters of libpq; what the database's own address says goes before."""


class WholeNumber(Loader):
    """Loads numeric, of which all of ours are whole numbers, as int."""

    def load(self, data: Any) -> int:
        """Read a value as psycopg asks for it."""
        return int(bytes(data))


class Connection(psycopg.Connection[Any]):
    """A connection whose waits end: after `silence` seconds in which nothing came, and at the time `until`."""

    silence = SILENCE
    until = float("inf")

    def wait(self, gen: Generator[Any, Any, R], *args: Any, **named: Any) -> R:
        """Drive one exchange with the server. Raises OperationalError, the connection being closed, when it hangs."""
        return super().wait(self._watched(gen), *args, **named)

    def _watched(self, gen: Generator[Any, Any, R]) -> Generator[Any, Any, R]:
        """Yield the same exchange, which is told every tenth of a second that nothing is ready, to look at the time."""
        heard = time.monotonic()
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                now = time.monotonic()
                heard = now if ready else heard
                if now > min(heard + self.silence, self.until):
                    self.close()
                    raise psycopg.OperationalError(self._complaint(now - heard))
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def _complaint(self, silent: float) -> str:
        return f"the server said nothing for {silent:.0f} s" if silent > self.silence else "it took too long"

    @property
    def lost(self) -> bool:
        """Return whether the server has ended it: nothing is due, so what can be read is its last message."""
        if self.closed:
            return True
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return bool(poll.poll(0))


def connect(database: str, longest: float = 0.0) -> Connection:
    """Return a connection for transactions of at most `longest` seconds (0: no limit). Raises psycopg.Error.

    The server ends a statement a little before that, which keeps the connection.
    """
    made = Connection.connect(make_conninfo(**_NETWORK | conninfo_to_dict(database)), autocommit=True)
    made.adapters.register_loader("numeric", WholeNumber)
    made.execute(
        "SET client_min_messages = warning;"
        f" SET statement_timeout = {round(longest * 900)};"
        f" SET idle_in_transaction_session_timeout = {round(SILENCE * 1000)}"
    )
    return made
