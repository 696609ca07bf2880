"""Errors of the native API: problem details (RFC 9457) with a stable type, the facts, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from fastapi import Request
from fastapi.responses import Response

from unipam.model.errors import (
    BadInput,
    Duplicate,
    Exhausted,
    Forbidden,
    Mismatch,
    Missing,
    NameTaken,
    NotEmpty,
    NotSignedIn,
    Outside,
    Overlap,
    Refused,
    Stale,
    Throttled,
    Unavailable,
    UnipamError,
)

NATIVE = "/api/v1"
MEDIA_TYPE = "application/problem+json"

STATUS: dict[type[UnipamError], int] = {
    BadInput: 400,
    NotSignedIn: 401,
    Forbidden: 403,
    Missing: 404,
    Duplicate: 409,
    Exhausted: 409,
    NameTaken: 409,
    NotEmpty: 409,
    Outside: 409,
    Overlap: 409,
    Refused: 409,
    Stale: 412,
    Mismatch: 422,
    Throttled: 429,
    Unavailable: 503,
    UnipamError: 503,
}
"""Of every error the status; one that is not here has that of the nearest kind it belongs to."""


def status_of(error: UnipamError) -> int:
    """The HTTP status of an error."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem(request: Request, error: UnipamError) -> Response:
    """An error as problem details."""
    status = status_of(error)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if error.temporary or status == 503:
        headers["Retry-After"] = str(error.facts.get("seconds", 1))
    document = {
        "type": f"urn:unipam:error:{error.name}",
        "title": (type(error).__doc__ or error.name).splitlines()[0],
        "status": status,
        "detail": error.message,
        "instance": request.url.path,
        **{name: value for name, value in error.facts.items() if name not in ("path", "title", "status")},
    }
    return _answer(document, status, headers)


def invalid(rows: Sequence[Mapping[str, Any]]) -> Response:
    """A request of the wrong shape as problem details."""
    detail = "; ".join(f"{'.'.join(row['loc'])}: {row['msg']}" for row in rows)
    document = {"type": "urn:unipam:error:Invalid", "title": "The request is misshapen.", "status": 422}
    return _answer({**document, "detail": detail, "errors": list(rows)}, 422, {})


def http_problem(status: int, detail: str, headers: dict[str, str]) -> Response:
    """What the framework refuses, as problem details."""
    return _answer({"type": "about:blank", "title": detail, "status": status, "detail": detail}, status, headers)


def _answer(document: Mapping[str, Any], status: int, headers: dict[str, str]) -> Response:
    content = msgspec.json.encode(document, enc_hook=str)
    return Response(content, status, headers, media_type=MEDIA_TYPE)
