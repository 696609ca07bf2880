"""Which HTTP status an error has, in the native API and on pages. (The Azure IPAM application has its own words.)"""

from __future__ import annotations

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
    """Return the HTTP status of an error."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
