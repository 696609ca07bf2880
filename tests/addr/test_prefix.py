"""Prefixes and addresses: text in both directions, the line and its boundaries, containment against plain sets."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import oracle

from unipam.addr.prefix import (
    BITS,
    LINE_LAST,
    V4_FIRST,
    V4_LAST,
    Prefix,
    Range,
    family,
    format_address,
    is_v4,
    line_length,
    parse_address,
    parse_interface,
    parse_prefix,
    truncate,
)

addresses = st.one_of(
    st.integers(0, LINE_LAST),
    st.integers(V4_FIRST, V4_LAST),
    st.sampled_from((0, 1, V4_FIRST - 1, V4_FIRST, V4_LAST, V4_LAST + 1, LINE_LAST)),
)
v4_prefixes = st.builds(truncate, st.integers(V4_FIRST, V4_LAST), st.integers(96, 128))
v6_prefixes = st.builds(truncate, addresses, st.integers(0, 128)).filter(
    lambda prefix: not prefix.first <= V4_FIRST <= prefix.last and not is_v4(prefix.first)
)


@given(addresses)
def test_an_address_survives_its_text(value: int) -> None:
    assert parse_address(format_address(value)) == value


@given(addresses)
def test_text_is_what_ipaddress_writes(value: int) -> None:
    peer = ipaddress.ip_address(format_address(value))
    assert format_address(value) == str(peer)
    assert family(value) == peer.version
    assert is_v4(value) == (peer.version == 4)
    assert int(peer) == (value - V4_FIRST if peer.version == 4 else value)


@given(st.lists(st.sampled_from((0, 0, 1, 0xABC, 0xFFFF)), min_size=8, max_size=8))
def test_the_longest_zeros_are_left_out(hextets: list[int]) -> None:
    peer = ipaddress.IPv6Address(b"".join(each.to_bytes(2, "big") for each in hextets))
    if not is_v4(int(peer)):
        assert format_address(int(peer)) == str(peer)


@given(st.integers(0, 2**32 - 1))
def test_a_mapped_address_is_the_ipv4_one(value: int) -> None:
    dotted = str(ipaddress.IPv4Address(value))
    in_hex = f"::FFFF:{value >> 16:x}:{value & 0xFFFF:x}"
    assert parse_address(f"::ffff:{dotted}") == parse_address(in_hex) == parse_address(dotted)
    assert format_address(parse_address(f"::ffff:{dotted}")) == dotted


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("::", 0),
        ("::fffe:ffff:ffff", V4_FIRST - 1),
        ("0.0.0.0", V4_FIRST),
        ("255.255.255.255", V4_LAST),
        ("::1:0:0:0", V4_LAST + 1),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", LINE_LAST),
    ],
)
def test_the_boundaries_of_the_line(text: str, value: int) -> None:
    assert parse_address(text) == value
    assert format_address(value) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "10.0.0",
        "10.0.0.01",
        "010.0.0.1",
        "10.0.0.256",
        "10.0.0.1 ",
        "fe80::1%eth0",
        "::1::",
        "nope",
        "1",
        "٣.0.0.1",
    ],
)
def test_what_is_no_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="invalid IP address") as refusal:
        parse_address(text)
    assert str(refusal.value) == f"invalid IP address: {text}"


@given(st.text(), st.sampled_from((parse_address, parse_interface, parse_prefix)))
def test_any_text_is_an_address_or_a_value_error_with_it(text: str, parse: Callable[[str], object]) -> None:
    refusal = ""
    try:
        parse(text)
    except ValueError as error:
        refusal = str(error)
    assert not refusal or text in refusal


@given(st.one_of(v4_prefixes, v6_prefixes))
def test_a_prefix_survives_its_text(prefix: Prefix) -> None:
    assert parse_prefix(str(prefix)) == prefix


@given(st.one_of(v4_prefixes, v6_prefixes))
def test_a_prefix_is_what_ipaddress_knows(prefix: Prefix) -> None:
    peer = ipaddress.ip_network(str(prefix))
    assert prefix.family == peer.version
    assert prefix.bits == peer.prefixlen
    assert prefix.size == peer.num_addresses
    assert format_address(prefix.last) == str(peer.broadcast_address)
    assert line_length(prefix.bits, prefix.family) == prefix.length


@given(st.one_of(v4_prefixes, v6_prefixes), st.data())
def test_an_interface_is_its_address_and_its_prefix(prefix: Prefix, data: st.DataObject) -> None:
    value = data.draw(st.integers(prefix.first, prefix.last))
    assert parse_interface(f"{format_address(value)}/{prefix.bits}") == (value, prefix)


def test_host_bits_are_refused_with_the_canonical_form() -> None:
    with pytest.raises(ValueError, match=r"invalid prefix 10\.1\.2\.3/24: .* 10\.1\.2\.0/24"):
        parse_prefix("10.1.2.3/24")


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.0",
        "10.0.0.0/",
        "/24",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "::/129",
        "::/٣",
        "10.0.0.0/8/8",
        "x/8",
    ],
)
def test_what_is_no_cidr_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="invalid CIDR address") as refusal:
        parse_interface(text)
    assert text in str(refusal.value)


@pytest.mark.parametrize("text", ["::/0", "::/1", "::/80", "::ffff:0:0/80", "::fffe:0:0/95"])
def test_an_ipv6_prefix_over_all_of_ipv4_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="IPv4-mapped range"):
        parse_interface(text)


def test_the_whole_of_ipv4_is_a_prefix() -> None:
    prefix = parse_prefix("0.0.0.0/0")
    assert (prefix.first, prefix.last, prefix.family, prefix.bits, str(prefix)) == (
        V4_FIRST,
        V4_LAST,
        4,
        0,
        "0.0.0.0/0",
    )


def test_a_mapped_prefix_keeps_its_ipv6_length() -> None:
    assert parse_prefix("::ffff:10.1.2.0/120") == parse_prefix("10.1.2.0/24")


@given(st.data())
def test_containment_and_overlap_agree_with_sets(data: st.DataObject) -> None:
    base = data.draw(oracle.bases)
    draw_one = st.builds(truncate, st.integers(base, base + oracle.SPAN - 1), oracle.lengths)
    one, other = data.draw(draw_one), data.draw(draw_one)
    assert one.contains(other) == (oracle.block(one) >= oracle.block(other))
    assert one.overlaps(other) == bool(oracle.block(one) & oracle.block(other))
    assert one.overlaps(other) == (one.contains(other) or other.contains(one))
    assert oracle.block(one) == oracle.members([(one.first, one.last)])
    assert one.size == len(oracle.block(one))


@given(addresses, st.integers(0, BITS))
def test_truncate_finds_the_one_prefix_around_an_address(value: int, length: int) -> None:
    prefix = truncate(value, length)
    assert prefix.first <= value <= prefix.last
    assert prefix.first % prefix.size == 0


def test_a_range_reads_as_people_write_it() -> None:
    assert str(Range(parse_address("10.1.2.1"), parse_address("10.1.2.254"))) == "10.1.2.1-10.1.2.254"
