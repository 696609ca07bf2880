"""The original's log: its lines word for word against the captures, its switches, its files."""

from __future__ import annotations

import json
import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.dialects.calico.captures import CAPTURED, calls, fill
from tests.dialects.calico.test_replay import ask

from unipam.dialects.calico.datastore.memory import MemoryDatastore
from unipam.dialects.calico.logged import Limits, append

ETCD = {each.number[:3]: each for each in calls("etcd") if each.command == ["calico-ipam"]}
LINES: dict[str, list[str]] = json.loads((CAPTURED / "log.json").read_text())
"""The original's lines of some calls, at the places at which ours has some, too."""


def told(number: str, path: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> list[str]:
    """What ours writes of a captured call."""
    call = ETCD[number]
    store = MemoryDatastore()
    fill(store, call.before)
    ask(call._replace(stdin={**call.stdin, "log_file_path": str(path), **more}), store, monkeypatch)
    return path.read_text().splitlines() if path.exists() else []


def plain(lines: list[str]) -> list[str]:
    """Lines without time and process."""
    found = (re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} (\[\w+\])\[\d+\] (.*)", line) for line in lines)
    return [f"{each[1]} {each[2]}" for each in found if each]


@pytest.mark.parametrize("number", LINES)
def test_lines_are_the_originals(number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines, theirs = told(number, tmp_path / "log" / "cni.log", monkeypatch), plain(LINES[number])
    if number == "172":  # what of the two families it was is in the text only
        theirs = [line.replace("ipam.go 147", "ipam.go 132").replace("IPV6", "IPV4") for line in theirs]
    assert sorted(plain(lines)) == sorted(theirs)
    assert theirs


def test_errors_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = told("030", tmp_path / "cni.log", monkeypatch, log_level="ERROR")
    assert lines == []
    lines = told("052", tmp_path / "cni.log", monkeypatch, log_level="error")
    assert [line.split("[")[1] for line in lines] == ["ERROR]"]


def test_a_log_that_cannot_be_written_fails_no_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    call = ETCD["030"]
    store = MemoryDatastore()
    fill(store, call.before)
    stdin = {**call.stdin, "log_file_path": str(tmp_path / "file" / "cni.log")}
    assert ask(call._replace(stdin=stdin), store, monkeypatch).code == 0


def test_no_log_is_written_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    call = ETCD["030"]
    store = MemoryDatastore()
    fill(store, call.before)
    assert json.loads(ask(call, store, monkeypatch).stdout)["ips"]
    assert list(tmp_path.iterdir()) == []


def test_a_large_log_is_put_aside(tmp_path: Path) -> None:
    path, limits = tmp_path / "cni.log", Limits(100, 1e9, 2)
    for number in range(60):
        append(path, f"{number:02} {'x' * 30}\n", limits)
    former = sorted(each.name for each in tmp_path.iterdir() if each != path)
    assert len(former) <= 2
    assert all(re.fullmatch(r"cni-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}\.log", name) for name in former)
    assert path.stat().st_size <= 100
    assert path.read_text().splitlines()[-1].startswith("59 ")


def test_an_old_log_is_removed(tmp_path: Path) -> None:
    old = tmp_path / "cni-2020-01-01T00-00-00.000.log"
    old.touch()
    os.utime(old, (0, 0))
    append(tmp_path / "cni.log", "a\n", Limits(1, 3600, 9))
    append(tmp_path / "cni.log", "b\n", Limits(1, 3600, 9))
    assert not old.exists()


def test_lines_of_many_writers_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "cni.log"

    def write(name: int) -> None:
        for number in range(50):
            append(path, f"{name}-{number}\n", Limits(400, 1e9, 1000))

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    lines = sorted(line for each in tmp_path.iterdir() for line in each.read_text().splitlines())
    assert lines == sorted(f"{name}-{number}" for name in range(4) for number in range(50))
