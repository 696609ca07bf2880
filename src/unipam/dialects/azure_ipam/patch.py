"""The subset of JSON Patch that the Azure IPAM application reads: `replace` of a few paths; the rest is ignored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from unipam.dialects.azure_ipam.messages import BAD_PATCH
from unipam.model.errors import Undecodable


class Operation(NamedTuple):
    """One operation of a patch."""

    op: str
    path: str
    value: Any = None


def replacements(operations: Iterable[Operation], allowed: Mapping[str, str]) -> dict[str, str]:
    """Return the new values by field, of those paths that are `allowed` (path to field); later ones win.

    Other operations and paths are silently ignored, as in the original (P9). Raises Undecodable when a value is not
    text.
    """
    found: dict[str, str] = {}
    for operation in operations:
        if operation.op == "replace" and operation.path in allowed:
            if not isinstance(operation.value, str):
                raise Undecodable(BAD_PATCH, path=operation.path)
            found[allowed[operation.path]] = operation.value
    return found
