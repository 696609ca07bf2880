"""Tables: what is written how, what stands to the right, and in which order."""

from __future__ import annotations

import time

import pytest

from unipam.cli.table import (
    Column,
    Table,
    age,
    column,
    count,
    duration,
    fraction,
    ident,
    moment,
    number,
    percent,
    share,
    sorted_by,
)

COLUMNS = (column("name"), ident("id"), number("size"), share("used", "size"), age("made"), moment("made"))


def row(name: str, size: int = 8, used: int = 4, made: object = None) -> dict[str, object]:
    return {"name": name, "id": f"{name}-0123456789abcdef", "size": size, "used": used, "made": made}


def drawn(rows: list[dict[str, object]], *, wide: bool = False, columns: tuple[Column, ...] = COLUMNS) -> list[str]:
    return list(Table(columns, wide=wide).lines(rows))


def test_numbers_stand_to_the_right_ids_are_cut_and_nothing_is_a_dash() -> None:
    assert drawn([row("a", 1024), row("longer", 8, 8)]) == [
        "NAME    ID            SIZE   USE  AGE",
        "a       a-0123456789  1024   <1%  -",
        "longer  longer-01234     8  100%  -",
    ]


def test_wide_shows_ids_whole_and_when_it_was() -> None:
    made = time.time() - 100000
    (heads, line) = drawn([row("a", made=made)], wide=True)
    assert heads.split() == ["NAME", "ID", "SIZE", "USE", "AGE", "MADE"]
    assert line.split()[:5] == ["a", "a-0123456789abcdef", "8", "50%", "27h"]
    assert line.endswith("Z")


def test_what_is_added_later_stands_under_the_heads() -> None:
    table = Table((column("name"), number("size")))
    first = list(table.lines([row("abcdefgh")]))
    assert list(table.lines([row("b", 12)])) == ["b           12"]
    assert first == ["NAME      SIZE", "abcdefgh     8"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"), (0, "0s"), (119.9, "119s"), (120, "2m"), (310, "5m10s"), (600, "10m"), (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"), (3 * 3600 + 60, "3h1m"), (8 * 3600, "8h"), (48 * 3600 - 1, "47h"), (48 * 3600, "2d"),
        (49 * 3600, "2d1h"), (8 * 86400, "8d"), (400 * 86400, "400d"), (731 * 86400, "2y1d"),
    ],
)  # fmt: skip
def test_durations_are_written_as_kubectl_does(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 8, "0%"), (1, 1000, "<1%"), (1, 8, "12%"), (999, 1000, ">99%"), (8, 8, "100%"), (0, 0, ""), (None, 8, "")],
)
def test_only_nothing_is_0_and_only_all_is_100_per_cent(part: object, whole: object, text: str) -> None:
    assert percent(fraction(part, whole)) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (12, "12"), (10**12 - 1, "999999999999"), (1 << 96, "2^96"), (3 << 94, "5.94e28")]
)
def test_counts_nobody_reads_are_powers(value: object, text: str) -> None:
    assert count(value) == text


def test_addresses_are_sorted_by_value_and_ages_from_the_youngest() -> None:
    rows = [{"ip": "10.0.0.10", "at": 5.0}, {"ip": "10.0.0.9", "at": 9.0}, {"ip": "fd00::1", "at": None}, {"ip": ""}]
    columns = (column("ip"), age("at"))
    assert [r["ip"] for r in sorted_by(rows, columns, "ip")] == ["10.0.0.9", "10.0.0.10", "fd00::1", ""]
    assert [r.get("at") for r in sorted_by(rows, columns, "age")] == [9.0, 5.0, None, None]
    assert sorted_by(rows, columns, "-ip") == sorted_by(rows, columns, "ip")[::-1]
    with pytest.raises(KeyError):
        sorted_by(rows, columns, "nope")
