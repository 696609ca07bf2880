"""How errors leave the register: in the original's envelope on its API, as problem details on the native one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from unipam.model.errors import StoreBroken, StoreFull, UnipamError
from unipam.plan.access.callers import Caller
from unipam.server.azure_ipam.common import answer_error
from unipam.server.native.problems import NATIVE, http_problem, invalid, problem
from unipam.server.register import reply

log = structlog.get_logger()


def _is_native(request: Request) -> bool:
    return request.url.path.startswith(NATIVE)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, UnipamError)
    told = _told(request, error)
    return problem(request, told) if _is_native(request) else answer_error(request, told)


def _told(request: Request, error: UnipamError) -> UnipamError:
    """The error as this caller may know it: what is wrong with the database, and where that is, only administrators."""
    caller: Caller | None = getattr(request.state, "caller", None)
    if not isinstance(error, StoreBroken | StoreFull) or (caller is not None and caller.admin):
        return error
    log.error("database", error=error.message, **error.facts)
    return type(error)("the database cannot be used now; why is in the register's log")


async def _misshapen(request: Request, error: Exception) -> Response:
    """A body or query of the wrong shape: where and why, but never what was sent (it may not be text at all)."""
    assert isinstance(error, RequestValidationError)
    rows = [{"loc": [str(p) for p in e["loc"]], "msg": _reason(e), "type": e["type"]} for e in error.errors()]
    return invalid(rows) if _is_native(request) else reply({"detail": rows}, 422)


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
    if _is_native(request):
        return http_problem(error.status_code, str(error.detail), headers)
    if error.status_code == 405:
        return reply({"detail": str(error.detail)}, 405, headers)
    text = "Invalid API path." if error.status_code == 404 else str(error.detail)
    return reply({"error": text}, error.status_code, headers)


def _allowed(request: Request) -> set[str]:
    """Every method that this path knows, whichever route serves it."""
    found: set[str] = set()
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes):
            found.add(method)
    return found


def _without_slash(request: Request) -> str:
    """The place that a path with a slash too many means, relative to the server; empty when it means none.

    The framework's own redirect names the host that the request named, which is anybody's word.
    """
    asked, query = request.scope["path"], request.scope["query_string"].decode("latin-1")
    path = asked.rstrip("/")
    scope = {**request.scope, "path": path}
    if path == asked or all(route.matches(scope)[0] is Match.NONE for route in request.app.router.routes):
        return ""
    return quote(path) + (f"?{query}" if query else "")


async def _unforeseen(request: Request, error: Exception) -> Response:
    """A defect of ours: logged with its traceback, told without."""
    log.error("unforeseen", method=request.method, path=request.url.path, exc_info=error)
    text = "Internal error; it is in the server's log."
    return http_problem(500, text, {}) if _is_native(request) else reply({"error": text}, 500)


def install(app: FastAPI) -> None:
    """Let the application answer errors so."""
    app.add_exception_handler(UnipamError, _refused)
    app.add_exception_handler(RequestValidationError, _misshapen)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unforeseen)
