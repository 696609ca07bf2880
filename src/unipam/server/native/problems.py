"""Errors of the native API: problem details (RFC 9457) with a stable type, the facts, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from unipam.model.errors import UnipamError
from unipam.server.native.refusals import MISSHAPEN, document_of, document_of_shape, encode
from unipam.server.register import retry_headers
from unipam.server.statuses import status_of

NATIVE = "/api/v1"
MEDIA_TYPE = "application/problem+json"


def problem(request: Request, error: UnipamError) -> Response:
    """Answer with an error as problem details."""
    status = status_of(error)
    return _answer(document_of(error, request.url.path), status, retry_headers(error, status))


def invalid(rows: Sequence[Mapping[str, Any]]) -> Response:
    """Answer to a request of the wrong shape as problem details."""
    return _answer(document_of_shape(rows), MISSHAPEN, {})


def http_problem(status: int, detail: str, headers: dict[str, str]) -> Response:
    """Answer what the framework refuses, as problem details."""
    return _answer({"type": "about:blank", "title": detail, "status": status, "detail": detail}, status, headers)


def _answer(document: Mapping[str, Any], status: int, headers: dict[str, str]) -> Response:
    return Response(encode(document), status, headers, media_type=MEDIA_TYPE)
