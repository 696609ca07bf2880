"""The register inside another process: the same application, asked without a socket. For commands on a local database.

Whoever may open the database may do everything in it, so the caller is an administrator.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from fastapi import FastAPI

from unipam.plan.access.callers import Caller
from unipam.server.run import Settings, make_app


class Application:
    """The application on a database, for one caller; it is made once, and lives until it is closed."""

    def __init__(self, database: str, name: str) -> None:
        self._app = make_app(Settings(database, follows=False))
        self._caller = Caller(name, name, admin=True)
        self._runner = asyncio.Runner()
        self._lifespan = self._app.router.lifespan_context(self._app)
        self._runner.run(self._lifespan.__aenter__())

    def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Answer one request: status and body."""
        return self._runner.run(_ask(self._app, self._caller, method, path, body, headers))

    def close(self) -> None:
        """End it in good order."""
        self._runner.run(self._lifespan.__aexit__(None, None, None))
        self._runner.close()


async def _ask(
    app: FastAPI, caller: Caller, method: str, path: str, body: bytes, headers: Mapping[str, str]
) -> tuple[int, bytes]:
    """Send one request as this caller, and wait for its answer: status and body."""
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
        "state": {"caller": caller},  # known already to `register.signed_in`
    }
    status, parts = 0, []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)
        parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return status, b"".join(parts)
