"""Routes that know who asks before they read what is asked, and read nothing that is not text."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Coroutine
from typing import Any

import fastapi
import msgspec
from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from unipam.server.register import open_session, register_of, signed_in

LARGE = 64 << 10
"""Bytes of a body from which on it is parsed in a thread, between whose steps others are served."""


class _Request(Request):
    """A request whose JSON is JSON (RFC 8259): text in UTF-8, of Unicode characters alone, numbers that are numbers."""

    async def json(self) -> Any:
        """Return the parsed body. Raises JSONDecodeError."""
        body = await self.body()
        if len(body) < LARGE:
            return parse(body)
        return await register_of(self).in_thread(lambda: parse(body))


def parse(body: bytes) -> Any:
    """Parse JSON as plain values. Raises JSONDecodeError; a lone surrogate is no character (RFC 8259 §8.2)."""
    try:
        return msgspec.json.decode(body.removeprefix(codecs.BOM_UTF8))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise json.JSONDecodeError(str(error), "", 0) from None


class Route(APIRoute):
    """A route that signs its caller in, where it wants one, before it reads the body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See FastAPI."""
        handle = super().get_route_handler()
        wants_caller = any(each.call in (signed_in, open_session) for each in self.dependant.dependencies)

        async def sign_in_and_handle(request: Request) -> Response:
            known = _Request(request.scope, request.receive)
            if wants_caller:
                await signed_in(known)
            return await handle(known)

        return sign_in_and_handle


class Router(fastapi.APIRouter):
    """A router of such routes."""

    def __init__(self, **named: Any) -> None:
        super().__init__(route_class=Route, **named)
