"""Who is at the other end of a Unix socket, as the kernel says (unix(7), SO_PEERCRED)."""

from __future__ import annotations

import socket
import struct

_CREDENTIALS = struct.Struct("3i")


def peer(connection: socket.SocketType) -> tuple[int, int]:
    """Process and user that connected, or that listen: as they were when they did. Raises OSError."""
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, _ = _CREDENTIALS.unpack(told)
    return process, user
