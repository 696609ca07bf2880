"""Which status an error has in the native API, and the document that tells of it (RFC 9457); without HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

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

MISSHAPEN = 422
"""The status of a request of the wrong shape."""

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


_UNTOLD = ("path", "title", "status", "use_case", "needs", "hint")
"""Facts that do not stand in a document: they belong to the log, mean something else there, or are in its words."""


def status_of(error: UnipamError) -> int:
    """Return the HTTP status of an error."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def document_of(error: UnipamError, instance: str) -> dict[str, Any]:
    """Return an error, met by who asked for the path `instance`."""
    return {
        "type": f"urn:unipam:error:{error.name}",
        "title": (type(error).__doc__ or error.name).splitlines()[0],
        "status": status_of(error),
        "detail": error.message,
        "instance": instance,
        **{name: value for name, value in error.facts.items() if name not in _UNTOLD},
    }


def document_of_shape(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what is wrong with a request of the wrong shape: where (`loc`), why (`msg`), of what kind (`type`)."""
    detail = "; ".join(f"{'.'.join(row['loc'])}: {row['msg']}" for row in rows)
    document = {"type": "urn:unipam:error:Invalid", "title": "The request is misshapen.", "status": MISSHAPEN}
    return {**document, "detail": detail, "errors": list(rows)}


def encode(document: Mapping[str, Any]) -> bytes:
    """Encode a document as JSON; facts may be anything."""
    return msgspec.json.encode(document, enc_hook=str)
