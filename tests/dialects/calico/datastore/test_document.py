"""Documents as bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipam.dialects.calico.datastore.document import decode, encode

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.text(), values))
def test_what_is_written_is_read(document: dict[str, object]) -> None:
    encoded = encode(document)
    assert decode(encoded) == json.loads(encoded) == document


def test_go_escapes_what_might_be_html() -> None:
    assert (
        encode({"b": 1, "a": "<x> & \u2028\u2029é"})
        == rb'{"b":1,"a":"\u003cx\u003e \u0026 \u2028\u2029' + 'é"}'.encode()
    )


def test_no_bytes_are_an_empty_document() -> None:
    assert decode(b"") == {}


@pytest.mark.parametrize("encoded", [b"[]", b"5", b"{", b"null", b"\xff"])
def test_what_is_no_document_is_said_to_be_none(encoded: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(encoded)
