"""How errors leave the register: in the original's envelope on its API, as problem details on the native one.

Outside of both a browser gets a page.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from unipam.model.errors import StoreBroken, StoreFull, UnipamError
from unipam.plan.access.callers import Caller
from unipam.server.azure_ipam.replies import answer_error
from unipam.server.native.problems import NATIVE, http_problem, invalid, problem
from unipam.server.pages import errors as pages
from unipam.server.register import reply
from unipam.server.statuses import status_of

log = structlog.get_logger()


class Style(NamedTuple):
    """How one part of the register words what it refuses: an error, a misshapen request, the framework's refusal."""

    refused: Callable[[Request, UnipamError], Response]
    misshapen: Callable[[Request, Sequence[Mapping[str, Any]]], Response]
    http: Callable[[Request, int, str, dict[str, str]], Response]


def _http_error(_: Request, status: int, detail: str, headers: dict[str, str]) -> Response:
    if status == 405:
        return reply({"detail": detail}, 405, headers)
    return reply({"error": "Invalid API path." if status == 404 else detail}, status, headers)


_NATIVE = Style(problem, lambda _, rows: invalid(rows), lambda _, *given: http_problem(*given))
_APPLICATION = Style(answer_error, lambda _, rows: reply({"detail": rows}, 422), _http_error)
_PAGES = Style(lambda request, error: pages.refused(request, error, status_of(error)), pages.misshapen, pages.http)
_FOR_MACHINES = ("/api", "/healthz", "/readyz", "/metrics")


def is_under(path: str, *roots: str) -> bool:
    """Return whether a path is one of these, or lies under it."""
    return any(path == root or path.startswith(f"{root}/") for root in roots)


def style_of(request: Request) -> Style:
    """Return how a request is refused: as its API does it, and elsewhere with a page, to whoever takes one."""
    path = request.url.path
    if path.startswith(NATIVE):
        return _NATIVE
    browser = "text/html" in request.headers.get("accept", "") or request.headers.get("hx-request") == "true"
    return _PAGES if browser and not is_under(path, *_FOR_MACHINES) else _APPLICATION


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, UnipamError)
    return style_of(request).refused(request, _told(request, error))


def _told(request: Request, error: UnipamError) -> UnipamError:
    """Return the error as this caller may know it: what is wrong with the database, and where that is, only
    administrators.
    """
    caller: Caller | None = getattr(request.state, "caller", None)
    if not isinstance(error, StoreBroken | StoreFull) or (caller is not None and caller.admin):
        return error
    number = _number()
    log.error("database", request=number, error=error.message, **error.facts)
    return type(error)(f"the database cannot be used now; why is in the register's log, under request {number}")


def _number() -> str:
    """Return what a request is called, to whoever asked and in the line of the log."""
    return secrets.token_hex(4)


async def _misshapen(request: Request, error: Exception) -> Response:
    """Tell where and why a body or query has the wrong shape, but never what was sent (it may not be text at all)."""
    assert isinstance(error, RequestValidationError)
    rows = [{"loc": [str(p) for p in e["loc"]], "msg": _reason(e), "type": e["type"]} for e in error.errors()]
    return style_of(request).misshapen(request, rows)


def _reason(error: Mapping[str, Any]) -> str:
    why = f": {error['ctx']['error']}" if error["type"] == "json_invalid" else ""
    return f"{error['msg']}{why}"


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(sorted(_allowed(request)))
    if error.status_code == 404 and (place := _without_slash(request)):
        return Response(status_code=307, headers={"Location": place})
    return style_of(request).http(request, error.status_code, str(error.detail), headers)


def _allowed(request: Request) -> set[str]:
    """Return every method that this path knows, whichever route serves it."""
    found: set[str] = set()
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes):
            found.add(method)
    return found


def _without_slash(request: Request) -> str:
    """Return the place that a path with a slash too many means, relative to the server; empty when it means none.

    The framework's own redirect names the host that the request named, which is anybody's word.
    """
    asked, query = request.scope["path"], request.scope["query_string"].decode("latin-1")
    path = asked.rstrip("/")
    scope = {**request.scope, "path": path}
    if path == asked or all(route.matches(scope)[0] is Match.NONE for route in request.app.router.routes):
        return ""
    return quote(path) + (f"?{query}" if query else "")


async def _unforeseen(request: Request, error: Exception) -> Response:
    """Log a defect of ours with its traceback, and tell of it without."""
    number = _number()
    log.error("unforeseen", request=number, method=request.method, path=request.url.path, exc_info=error)
    told = f"Internal error; it is in the server's log, under request {number}."
    return style_of(request).http(request, 500, told, {})


def install(app: FastAPI) -> None:
    """Let the application answer errors so."""
    app.add_exception_handler(UnipamError, _refused)
    app.add_exception_handler(RequestValidationError, _misshapen)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unforeseen)
