"""The register inside another process: the same application, asked without a socket. For commands on a local database.

Whoever may open the database may do everything in it, so the caller is an administrator.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import unquote

from fastapi import FastAPI, Request

from unipam.plan.access.callers import Caller
from unipam.server import register
from unipam.server.run import Settings, make_app


def local_app(database: str, name: str) -> FastAPI:
    """The application on a database, for one caller."""
    app = make_app(Settings(database, follows=False))

    async def caller(request: Request) -> Caller:
        request.state.caller = Caller(name, name, admin=True)
        return cast("Caller", request.state.caller)

    app.dependency_overrides[register.signed_in] = caller
    return app


async def ask(app: FastAPI, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """Send one request, and wait for its answer: status and body."""
    target, _, query = path.partition("?")
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(target),
        "raw_path": target.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": None,
        "server": None,
    }
    status, parts = 0, []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)
        parts.append(message.get("body", b""))

    async with app.router.lifespan_context(app):
        await app(scope, receive, send)
    return status, b"".join(parts)
