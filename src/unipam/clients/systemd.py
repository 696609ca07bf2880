"""What a supervisor is told: that a service is ready (sd_notify(3)), so that nobody has to ask who listens."""

from __future__ import annotations

import os
import socket

READY = b"READY=1"


def ready() -> None:
    """Tell whoever started this process, if it asked by NOTIFY_SOCKET, that it serves now.

    A supervisor that is gone, or a variable that names no socket, is no reason not to serve.
    """
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path[:1] not in ("/", "@"):
        return
    address = f"\0{path[1:]}" if path[0] == "@" else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
            connection.setblocking(False)
            connection.sendto(READY, address)
    except OSError:
        return
