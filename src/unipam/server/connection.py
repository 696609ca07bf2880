"""One HTTP connection, which may not make the register wait: for a header, a body, or for its answer to be taken.

uvicorn's own protocol has an end for idle connections alone; one that sends half a request, or reads half an answer,
would stay for ever. Whoever drips bytes gets no more time than whoever sends none.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER, BODY, ANSWER = 10.0, 60.0, 30.0
"""Seconds in which a request's header must be there, its body, and some more of an answer be taken."""
LARGEST_HEADER = 64 << 10
"""Bytes of a request's header that are read; a parser would keep any number of them."""
ALWAYS = b"/healthz"
"""What is answered also where there is no room for anything else."""


class Connection(HttpToolsProtocol):
    """A connection that knows since when its client is waited for; `gone` is told when it ends.

    `spare`: there is no room for it, and it gets nothing but a word of life.
    """

    spare = False

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.since = time.monotonic()
        self.gone: Callable[[Connection], None] = lambda _: None
        self._header = 0

    @property
    def idle(self) -> bool:
        """Return whether its client is waited for, and not the other way round."""
        cycle = self.cycle
        return cycle is None or cycle.response_complete or cycle.more_body or self.flow.write_paused

    @property
    def overdue(self) -> bool:
        """Return whether its client has let itself be waited for too long."""
        return self.idle and time.monotonic() - self.since > self._allowed

    @property
    def _allowed(self) -> float:
        if self.transport is not None and self.transport.get_write_buffer_size():
            return ANSWER
        return BODY if self.cycle is not None and self.cycle.more_body else HEADER

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self.gone(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`: reads on, unless a header is larger than any that makes sense."""
        self._header += len(data)
        super().data_received(data)
        if self._header > LARGEST_HEADER and not self.transport.is_closing():
            self.send_400_response("The request's header is too large.")

    def on_headers_complete(self) -> None:
        """See httptools: from here on the body is waited for."""
        self._renew()
        if self.spare and self.url != ALWAYS:
            self.app = service_unavailable
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """See httptools: what comes now is no header."""
        self._header = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """See httptools: the next bytes are of the next header."""
        self._header = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """See uvicorn: the next request is waited for."""
        self._renew()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`: the client is to take some of what it asked for."""
        self.since = time.monotonic()
        super().pause_writing()

    def _renew(self) -> None:
        self.since, self._header = time.monotonic(), 0
