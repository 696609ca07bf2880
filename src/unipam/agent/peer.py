"""Who is at the other end of a Unix socket, as the kernel says."""

from __future__ import annotations

import os
import socket
import struct
import sys

_CREDENTIALS = struct.Struct("3i")
_NETNS_COOKIE = 71
"""SO_NETNS_COOKIE (Linux 5.14), which Python has no name for."""


def peer(connection: socket.SocketType) -> tuple[int, int]:
    """Return the process and user that connected, or that listen: as they were when they did (unix(7), SO_PEERCRED).

    Raises OSError.
    """
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, _ = _CREDENTIALS.unpack(told)
    return process, user


class OwnNamespace:
    """The network namespace that this process is in, and that most of its callers are in too.

    To look up a caller's under /proc makes the kernel fill in directories for a process that is about to end. But a
    socket belongs to a namespace, an accepted one to that of who connected, and the kernel numbers them all.
    """

    def __init__(self, own: socket.SocketType) -> None:
        self._cookie = _cookie(own)
        self._inode = os.stat("/proc/self/ns/net").st_ino

    def of(self, accepted: socket.SocketType) -> int:
        """Return the inode of the namespace of who connected, where it is ours; else 0, and it must be looked up."""
        return self._inode if self._cookie and _cookie(accepted) == self._cookie else 0


def _cookie(connection: socket.SocketType) -> int:
    try:
        return int.from_bytes(connection.getsockopt(socket.SOL_SOCKET, _NETNS_COOKIE, 8), sys.byteorder)
    except OSError:  # an older kernel
        return 0
