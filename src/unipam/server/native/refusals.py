"""The document that tells of an error in the native API (RFC 9457); without HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from unipam.model.errors import UnipamError
from unipam.server.statuses import status_of

MISSHAPEN = 422
"""The status of a request of the wrong shape."""

_UNTOLD = ("path", "title", "status", "use_case", "needs", "hint")
"""Facts that do not stand in a document: they belong to the log, mean something else there, or are in its words."""


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
