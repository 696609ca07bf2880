"""Connections over TCP and TLS, as every client here wants them: without delays, and found out about when they die."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


_IDLE, _BETWEEN, _TIMES = 20, 10, 3
DEAD_AFTER = float(_IDLE + _BETWEEN * _TIMES)
"""Seconds after which it is found out that the other end is gone, also where nothing is being sent."""


def connect(host: str, port: int, timeout: float, tls: ssl.SSLContext | None) -> socket.socket:
    """Connect to a server, by TLS where there is a context for it. Raises OSError, ValueError for no name of a host."""
    name = _encoded(host)
    opened = socket.create_connection((name, port), timeout)  # type: ignore[arg-type]  # which takes bytes, too
    try:
        _keep_alive(opened)
        return tls.wrap_socket(opened, server_hostname=name) if tls else opened
    except BaseException:
        opened.close()
        raise


def _encoded(host: str) -> str | bytes:
    """Return a host's name as bytes, where it is ASCII: for a text Python loads all of Unicode's tables (IDNA)."""
    return host.encode() if host.isascii() else host


def _keep_alive(opened: socket.socket) -> None:
    """Find out that the other end is gone."""
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, _IDLE), (socket.TCP_KEEPINTVL, _BETWEEN), (socket.TCP_KEEPCNT, _TIMES)):
        opened.setsockopt(socket.IPPROTO_TCP, option, value)
