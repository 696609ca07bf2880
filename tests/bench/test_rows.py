"""What the bench measures on a machine that lacks something, and when it says so."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench.table import Row

from bench import __main__, host_local, needs, spawn, table

ROW = Row("work", "1 µs", "2 µs", 0.5, 1)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the peer and without musl-gcc."""
    monkeypatch.setattr(host_local, "PEER", "/no/such/peer")
    monkeypatch.setattr(spawn, "NOTHING", Path("/no/such/program"))
    monkeypatch.setattr(shutil, "which", lambda _: None)


def test_every_measurement_says_what_it_needs() -> None:
    named = [path.stem for path in Path(__main__.__file__).parent.glob("*.py")]
    for name in set(named) - __main__.TOOLS:
        module = __main__.module(name)
        assert all(isinstance(need, needs.Need) for need in module.NEEDS), name


def test_what_is_left_out_is_said_before_anything_is_measured(
    bare: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure() -> None:
        assert capsys.readouterr().out == (
            "host_local: left out without /usr/lib/cni/host-local (Debian: containernetworking-plugins):"
            " the rows against the real plugin\n"
            "host_local: left out without musl-gcc (Debian: musl-tools): the rows against an empty program\n"
        )

    monkeypatch.setattr(host_local, "main", measure)
    __main__.main(["host_local"])


def test_without_peer_and_musl_the_rest_is_measured(
    bare: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its own rows are measured, here by something quicker; those that need what is not there are not begun."""
    measured: list[str] = []

    def quick(name: str) -> Any:
        def row(*_: object) -> Any:
            measured.append(name)
            return ROW if name == "flat" else [ROW]

        return row

    for name in ("flat", "cold", "footprint"):
        monkeypatch.setattr(host_local, name, quick(name))
    assert list(host_local.rows(host_local.Node(tmp_path))) == [ROW] * 4
    assert measured == ["flat", "flat", "cold", "footprint"]


def test_a_row_is_printed_before_the_next_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    def rows() -> Iterator[Row]:
        yield ROW
        assert "work" in capsys.readouterr().out.splitlines()[-1]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        table.show("title", rows())
