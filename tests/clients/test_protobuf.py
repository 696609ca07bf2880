"""Protocol Buffers' wire format."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipam.clients.protobuf import content, field, fields, number, text, varint

numbers = st.integers(1, (1 << 64) - 1)


@given(st.lists(st.tuples(st.integers(1, 1000), numbers | st.binary() | st.text())))
def test_what_is_encoded_is_read(given: list[tuple[int, int | bytes | str]]) -> None:
    expected = [(item, value.encode() if isinstance(value, str) else value) for item, value in given]
    assert list(fields(b"".join(field(item, value) for item, value in given))) == expected


def test_examples_of_the_specification() -> None:
    assert field(1, 150) == b"\x08\x96\x01"
    assert field(2, "testing") == b"\x12\x07testing"
    assert field(1, 0) == b""
    assert field(1, -1) == b"\x08" + b"\xff" * 9 + b"\x01"
    assert varint(300) == b"\xac\x02"


def test_fixed_widths_are_passed_over() -> None:
    assert list(fields(b"\x09" + bytes(8) + b"\x15" + bytes(4) + field(3, 7))) == [(1, bytes(8)), (2, bytes(4)), (3, 7)]


@pytest.mark.parametrize("message", [b"\x08", b"\x0a\x05abc", b"\x0b", b"\x08" + b"\xff" * 11])
def test_what_is_no_message_is_said_to_be_none(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"ends in the middle|wire type"):
        list(fields(message))


def test_a_field_is_a_number_or_it_is_not() -> None:
    assert (number(5), content(b"x"), text(b"x")) == (5, b"x", "x")
    with pytest.raises(ValueError, match="a message where"):
        number(b"x")
    with pytest.raises(ValueError, match="a number where"):
        content(5)
