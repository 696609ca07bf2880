"""Header fields of HTTP/2: what RFC 7541 shows in its appendix, and what is no field."""

from __future__ import annotations

import pytest

from unipam.clients.http2.headers import decode, encode


def test_what_is_encoded_is_decoded() -> None:
    fields = {"grpc-status": "14", "grpc-message": "etcdserver: no leader", "x" * 300: "y" * 70_000}
    assert decode(encode(fields.items())) == fields


@pytest.mark.parametrize(
    ("block", "fields"),
    [
        # RFC 7541, C.2.1 and C.2.3: names that are spelled out, to be remembered or never
        ("400a637573746f6d2d6b65790d637573746f6d2d686561646572", {"custom-key": "custom-header"}),
        ("100870617373776f726406736563726574", {"password": "secret"}),
        # C.4.3: with Huffman's code, after fields of the static table
        ("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", {"custom-key": "custom-value"}),
        # C.6.1: a name of the static table, a text of all sorts of letters
        ("6196d07abe941054d444a8200595040b8166e082a62d1bff", {}),
        ("20", {}),
    ],
)
def test_what_others_write(block: str, fields: dict[str, str]) -> None:
    assert decode(bytes.fromhex(block)) == fields


def test_every_letter_has_a_code() -> None:
    """RFC 7541, appendix B: samples of every length."""
    samples = {"0": "07", " ": "53", ">": "ffbf", "\\": "fffe1f", "a": "1f", "Z": "fd"}
    for letter, code in samples.items():
        encoded = bytes.fromhex(code)
        assert decode(b"\0\x01x" + bytes([0x80 | len(encoded)]) + encoded) == {"x": letter}


@pytest.mark.parametrize("block", ["00", "0005ab", "400a63", "0001788100", "00017884ffffffff", "ffffffffffffff"])
def test_what_is_no_field(block: str) -> None:
    with pytest.raises(ValueError, match=r"ends|long"):
        decode(bytes.fromhex(block))
