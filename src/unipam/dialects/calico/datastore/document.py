"""Documents as bytes: JSON as Go writes it, and what can go wrong in reading it."""

from __future__ import annotations

import msgspec

from unipam.dialects.calico.datastore.api import Document

_ESCAPED = tuple((text.encode(), f"\\u{ord(text):04x}".encode()) for text in "<>&\u2028\u2029")
"""What Go's encoding/json writes as numbers, lest it be taken for HTML or end a line of JavaScript. In JSON these stand
within texts only."""


def encode(document: Document) -> bytes:
    """Encode a document as compact JSON, its fields in their order."""
    encoded = msgspec.json.encode(document)
    for plain, escaped in _ESCAPED:
        encoded = encoded.replace(plain, escaped)
    return encoded


def decode(encoded: bytes) -> Document:
    """Decode a document. No bytes are an empty one, as affinities once were (spec §4.2).

    Raises ValueError saying why.
    """
    found = msgspec.json.decode(encoded or b"{}")
    if not isinstance(found, dict):
        raise ValueError("it is JSON, but not an object")
    return found
