"""The container runtime, as the sweep asks it: which sandboxes it lists, and since when its process runs."""

from __future__ import annotations

import contextlib
import select
import socket

from unipam.agent.peer import peer
from unipam.clients import cri
from unipam.ledger.open import began, uptime
from unipam.ledger.reconcile import Listed, Runtime

_TIMEOUT = 5.0
"""Seconds for each of the two questions."""


def ask(path: str) -> Runtime:
    """Return what the runtime at this socket says. Raises SourceFailed."""
    # The process first: one that is replaced before it is asked for its list only looks older than it is.
    process, asked = listening_since(path), uptime()
    listed = {s.id: Listed(f"{s.namespace}/{s.name}", s.uid, s.created) for s in cri.sandboxes(path, _TIMEOUT)}
    return Runtime(listed, asked, process)


def listening_since(path: str) -> float:
    """Return when the process began that listens at this socket (CLOCK_BOOTTIME seconds); 0.0 when nobody can tell.

    It is the one that called listen(2). Where that was not the runtime but systemd, for it, it began earlier.
    """
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_TIMEOUT)
        connection.connect(path)
        found = began(peer(connection)[0])
        if not _hung_up(connection):  # else it has ended, and another process may have its number by now
            return found
    return 0.0


def _hung_up(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, 0)
    return bool(poll.poll(0))
