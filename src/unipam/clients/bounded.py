"""An HTTP GET within bounds of time and size, so that whatever is at the other end can neither hold a caller up nor
fill its memory. What the answer means is not known here.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

_CHUNK = 1 << 16


def receive(url: str, timeout: float, largest: int, feed: Callable[[bytes], None]) -> None:
    """Get `url` and hand the body of a 200 answer to `feed` as it comes, all within `timeout` seconds.

    Raises ValueError with what is wrong with the answer, also when it is not HTTP or is longer than `largest` bytes;
    TimeoutError; OSError; and what `feed` raises.
    """
    parts = urlsplit(url)
    try:
        with (
            contextlib.closing(_Connection(parts.hostname or "", parts.port or 80, timeout)) as connection,
            contextlib.closing(_ask(connection, f"{parts.path}?{parts.query}")) as response,
        ):
            if response.status != 200:
                raise ValueError(f"http error {response.status} {response.reason}".rstrip())
            size = 0
            while chunk := response.read1(_CHUNK):
                size += len(chunk)
                if size > largest:
                    raise ValueError(f"the answer is larger than {largest >> 20} MiB")
                feed(chunk)
    except ConnectionError:
        raise
    except http.client.HTTPException as error:
        raise ValueError(f"not an HTTP answer ({type(error).__name__})") from None


def _ask(connection: http.client.HTTPConnection, target: str) -> http.client.HTTPResponse:
    connection.request("GET", target, headers={"Connection": "close"})
    return connection.getresponse()


class _Socket(socket.socket):
    """A socket whose every wait ends at one deadline, so that an answer that drips is late like any other."""

    deadline: float

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.settimeout(left)
        return super().recv_into(buffer, nbytes, flags)


class _Connection(http.client.HTTPConnection):
    """An HTTP connection with one deadline for everything. It knows no proxy, which would be another machine."""

    def __init__(self, host: str, port: int, timeout: float) -> None:
        super().__init__(host, port, timeout=timeout)
        self._deadline = time.monotonic() + timeout

    def connect(self) -> None:
        self.sock = _Socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.deadline = self._deadline
        self.sock.settimeout(self.timeout)
        self.sock.connect((self.host, self.port))
