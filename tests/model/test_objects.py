"""The plan's pure rules: names, prefixes, and the original's golden vectors of fitting (spec §1.2, §1.4, §1.5)."""

from __future__ import annotations

import pytest

from unipam.addr.prefix import line_length, parse_prefix
from unipam.addr.ranges import RangeSet
from unipam.model import objects
from unipam.model.errors import BadValue, Exhausted

FIRST = ("10.0.2.0/25",)
SECOND = ("10.0.0.0/26", "10.0.1.0/25", "10.0.3.192/26")


def fit(used: tuple[str, ...], size: int, *, reverse: bool = False, smallest: bool = False) -> str | None:
    block = parse_prefix("10.0.0.0/22")
    taken = RangeSet((p.first, p.last) for p in map(parse_prefix, used))
    free = taken.gaps(block.first, block.last)
    found = objects.choose(free, line_length(size, 4), reverse=reverse, smallest=smallest)
    return None if found is None else str(found)


@pytest.mark.parametrize(
    ("size", "default", "smallest", "reverse", "both"),
    [
        (23, "10.0.0.0/23", "10.0.0.0/23", "10.0.0.0/23", "10.0.0.0/23"),
        (24, "10.0.0.0/24", "10.0.3.0/24", "10.0.3.0/24", "10.0.3.0/24"),
        (25, "10.0.0.0/25", "10.0.2.128/25", "10.0.3.128/25", "10.0.2.128/25"),
        (26, "10.0.0.0/26", "10.0.2.128/26", "10.0.3.192/26", "10.0.2.192/26"),
        (28, "10.0.0.0/28", "10.0.2.128/28", "10.0.3.240/28", "10.0.2.240/28"),
    ],
)
def test_the_first_golden_vectors(size: int, default: str, smallest: str, reverse: str, both: str) -> None:
    assert fit(FIRST, size) == default
    assert fit(FIRST, size, smallest=True) == smallest
    assert fit(FIRST, size, reverse=True) == reverse
    assert fit(FIRST, size, reverse=True, smallest=True) == both


@pytest.mark.parametrize(
    ("size", "default", "reverse"),
    [
        (24, "10.0.2.0/24", "10.0.2.0/24"),
        (25, "10.0.0.128/25", "10.0.3.0/25"),
        (26, "10.0.0.64/26", "10.0.3.128/26"),
        (27, "10.0.0.64/27", "10.0.3.160/27"),
        (22, None, None),
        (23, None, None),
    ],
)
def test_the_second_golden_vectors(size: int, default: str | None, reverse: str | None) -> None:
    assert fit(SECOND, size) == default
    assert fit(SECOND, size, reverse=True) == reverse


@pytest.mark.parametrize("name", ["a", "A.b_c-d", "x" * 64, "0"])
def test_good_names(name: str) -> None:
    assert objects.check_name("space", name) == name


@pytest.mark.parametrize(
    "name", ["", ".a", "a.", "-a", "a_", "x" * 65, "a b", "ok2\n", "a/b", "é", "a'; DROP TABLE claim;--", "a\0b"]
)
def test_bad_names_are_told_the_rule(name: str) -> None:
    with pytest.raises(BadValue, match="1 to 64 letters") as caught:
        objects.check_name("space", name)
    assert caught.value.facts["field"] == "name"


@pytest.mark.parametrize("text", ["", " a", "a ", "/a", "x" * 129, "a\n", "<b>"])
def test_bad_descriptions_are_told_the_rule(text: str) -> None:
    with pytest.raises(BadValue, match="1 to 128 letters"):
        objects.check_text("space", text)


@pytest.mark.parametrize("text", ["a\nb", "\x00", "x" * 257, "\ud800"])
def test_a_remark_is_printable_and_short(text: str) -> None:
    with pytest.raises(BadValue):
        objects.check_remark(text)


def test_host_bits_are_refused_with_what_was_meant() -> None:
    with pytest.raises(BadValue) as caught:
        objects.parse_cidr("10.2.3.4/16")
    assert caught.value.facts["suggestion"] == "10.2.0.0/16"


@pytest.mark.parametrize(
    "text", ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "::/0", "x/24", "10.0.0.0/-1", "fe80::%1/64"]
)
def test_what_is_no_prefix_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        objects.parse_cidr(text)


def test_sizes_are_those_of_the_family() -> None:
    assert objects.length_in(parse_prefix("10.0.0.0/8"), 24) == 120
    assert objects.length_in(parse_prefix("2001:db8::/32"), 48) == 48
    for bits in (33, -1):
        with pytest.raises(BadValue):
            objects.length_in(parse_prefix("10.0.0.0/8"), bits)
    with pytest.raises(Exhausted):
        objects.length_in(parse_prefix("10.0.0.0/8"), 7)


def test_facts_survive_being_details() -> None:
    for facts in (
        objects.Space("a", "b"),
        objects.Block("a"),
        objects.Reservation("i", 1.0, "me", "s", desc="é"),
        objects.Network("/x", "n"),
        objects.External("a", "b"),
        objects.Subnet("a", "b"),
        objects.Endpoint("a", "b"),
    ):
        assert objects.decode(objects.encode(facts)) == facts
