"""The application: both APIs, health, metrics, documentation. What serves it is `server.run`."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import iter_route_contexts
from fastapi_offline import FastAPIOffline
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unipam.model.errors import UnipamError
from unipam.plan.forecast import Period, soonest
from unipam.plan.reads import counts
from unipam.server.azure_ipam import admin, clouds, endpoints, externals, networks, reservations, spaces, tools
from unipam.server.azure_ipam.bodies import refusals
from unipam.server.describe import describe, operation_id
from unipam.server.errors import install, is_under, style_of
from unipam.server.native import routes as native
from unipam.server.native.problems import NATIVE
from unipam.server.pages import routes as pages
from unipam.server.register import Register, RegisterDep, reply

MOST_BYTES = 4 << 20
"""The largest request body that is read; an import of a large plan is the largest there is."""

LARGER = {"/api/v1/diagnose": 64 << 20, "/diagnose": 64 << 20}
"""What may be larger: logs that are looked at, in a stream."""

log = structlog.get_logger()

DESCRIPTION = """\
The address plan by two APIs, on one plan and with one sign-in. Their operations are in groups of their own below.

- **`/api/v1`, unipam's own.** Take it for anything new: it knows all that unipam does, has `ETag` and `If-Match`,
  `Idempotency-Key`, `dry_run`, paging, IPv4 and IPv6 told apart, and errors as problem details (RFC 9457). Its lists
  are sorted; each says by what.
- **`/api`, the API of the Azure IPAM application (v3.5.0).** Take it for what was written for that: pipelines,
  scripts, its web pages. Its lists are in the order in which things were made; its sizes count IPv4 only.
"""

Start = Callable[[], AbstractAsyncContextManager[Register]]


def create_app(start: Start) -> FastAPI:
    """Make the application over the register that `start` opens and closes, inside the event loop that serves it."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with start() as register:
            app.state.register = register
            yield

    app: FastAPI = FastAPIOffline(  # its pages' scripts come from here, and not from anybody else's server
        title="unipam register",
        description=DESCRIPTION,
        docs_url="/api/docs",
        redoc_url="/api/redoc",
        static_url="/api/assets",
        openapi_url="/api/openapi.json",
        lifespan=lifespan,
        generate_unique_id_function=operation_id,
        redirect_slashes=False,  # done by `server.errors`, without naming a host
        strict_content_type=False,  # clients written for the original send JSON without saying so
    )
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    install(app)
    # Routes are tried in this order, one after the other: what pipelines ask for most, in either API, comes first.
    app.include_router(reservations.router, prefix="/api", responses=refusals())
    app.include_router(native.ROUTERS[0], prefix=NATIVE)
    for each in (networks, tools, spaces, externals, endpoints, admin, clouds):
        app.include_router(each.router, prefix="/api", responses=refusals())
    app.include_router(clouds.status_router, prefix="/api")
    for router in native.ROUTERS[1:]:
        app.include_router(router, prefix=NATIVE)
    app.include_router(_operations)
    pages.install(app)
    templates = {route.endpoint: str(route.path) for route in iter_route_contexts(app.routes) if route.endpoint}
    app.add_middleware(Observed, state=app.state, templates=templates)
    app.add_middleware(Bounded)
    return app


READY = 3.0
"""Seconds in which the database must answer for the register to be ready."""
SCRAPE = 5.0
"""Seconds for which a scrape waits for the database and the cloud; Prometheus gives up after ten."""

_operations = APIRouter(include_in_schema=False)


@_operations.get("/healthz")
async def healthy() -> Response:
    """The process answers."""
    return reply({"status": "ok"})


@_operations.get("/readyz")
async def ready(register: RegisterDep) -> Response:
    """The database answers too. Why it does not is in the log, since anybody may ask."""
    try:
        async with asyncio.timeout(READY):
            await register.worker.read(lambda tx: tx.note("bootstrapped"))
    except (UnipamError, TimeoutError) as error:
        log.warning("unready", error=str(error) or f"the database did not answer within {READY:.0f} s")
        return reply({"status": "unready"}, 503)
    return reply({"status": "ready"})


@_operations.get("/metrics")
async def metrics(register: RegisterDep) -> Response:
    """Everything that is measured, for Prometheus; while the database is away, what needs none."""
    told = register.metrics
    told.waiting.set(register.worker.waiting)
    try:
        async with asyncio.timeout(SCRAPE):
            snapshot = await register.last_snapshot()
            told.cloud_age.set(register.clock() - snapshot.taken if snapshot.taken else -1)
            told.count(await register.worker.read(counts))
            now = register.clock()
            told.foretell(await register.worker.read_at_length(lambda tx: soonest(tx, Period(now))), now)
    except (UnipamError, TimeoutError):
        told.count(None)
    return Response(told.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


class Observed:
    """Middleware: counts and times every answer, and adds the headers that keep browsers from guessing.

    `templates` are the whole paths of the endpoints: a route itself knows only its part of it.
    """

    def __init__(self, app: ASGIApp, state: object, templates: Mapping[Any, str]) -> None:
        self._app = app
        self._state = state
        self._templates = templates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] += _headers(scope["path"], message["headers"])
            await send(message)

        try:
            await self._app(scope, receive, observed)
        finally:
            route = self._templates.get(scope.get("endpoint"), "unknown")
            register: Register | None = getattr(self._state, "register", None)
            if register is not None:
                register.metrics.observe(scope["method"], route, status, time.perf_counter() - begun)


def _headers(path: str, given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return what is added: nothing of the APIs is stored anywhere; a page or its assets may say how long they keep."""
    says = not is_under(path, "/api") and any(name == b"cache-control" for name, _ in given)
    kept = [] if says else [(b"cache-control", b"no-store")]
    return [(b"x-content-type-options", b"nosniff"), *kept]


class Bounded:
    """Middleware: refuses bodies that are larger than anything meaningful, before they are in memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        most = LARGER.get(scope.get("path", ""), MOST_BYTES)
        if scope["type"] == "http" and _announced(scope) > most:
            await _refuse(scope, receive, send, most)
        else:
            await self._app(scope, _counted(receive, most), send)


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


async def _refuse(scope: Scope, receive: Receive, send: Send, most: int) -> None:
    """Let the body run past before answering: a client that is still sending would not hear the answer."""
    while (await receive()).get("more_body"):
        pass
    request = Request(scope)
    answer = style_of(request).http(request, 413, f"the request body is larger than {most} bytes", {})
    await answer(scope, receive, send)


def _counted(receive: Receive, most: int) -> Receive:
    """Read on until too much has come; then the body just ends, and is misshapen."""
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > most:
            return {"type": "http.disconnect"}
        return message

    return counted
