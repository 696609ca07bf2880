"""`unipam adopt azure-vnet-ipam`: there and back with a captured state file."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from unipam.cli.adopt import command

CAPTURED = Path(__file__).parents[1] / "dialects" / "azure_vnet" / "captured"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "state.json").write_bytes((CAPTURED / "state_v1459.json").read_bytes())
    return tmp_path


def run(place: Path, *words: str) -> Result:
    options = ["--state-file", str(place / "state.json"), "--data-dir", str(place / "data")]
    return CliRunner().invoke(command, ["azure-vnet-ipam", *options, *words])


def rows(done: Result) -> list[dict[str, Any]]:
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert isinstance(found, list)
    return found


def expected(action: str) -> list[dict[str, Any]]:
    return [
        {"pool": "10.224.0.0/16", "interface": "eth0", "action": action, "addresses": 3, "leases": 3},
        {"pool": "10.225.0.0/24", "interface": "ifb0", "action": action, "addresses": 1, "leases": 1},
    ]


def test_a_dry_run_changes_nothing(place: Path) -> None:
    assert rows(run(place, "--dry-run", "-o", "json")) == expected("would adopt")
    assert os.listdir(place) == ["state.json"]


def test_there_and_back_is_the_same_file(place: Path) -> None:
    before = (place / "state.json").read_text()
    assert rows(run(place, "-o", "json")) == expected("adopted")
    assert (place / "state.json").read_text() == before
    assert rows(run(place, "-o", "json")) == expected("kept: the ledger has its pools already")
    (place / "state.json").unlink()
    assert rows(run(place, "--rollback", "--dry-run", "-o", "json")) == expected("would give back")
    assert not (place / "state.json").exists()
    assert rows(run(place, "--rollback", "-o", "json")) == expected("gave back")
    after = (place / "state.json").read_text()
    writer = re.compile(r'"(Version|TimeStamp)": "[^"]*"')
    assert writer.sub("", after) == writer.sub("", before)
    assert rows(run(place, "-o", "json")) == expected("adopted")


def test_going_back_removes_the_leases(place: Path) -> None:
    run(place)
    run(place, "--rollback")
    again = run(place, "--rollback")
    assert again.exit_code == 1
    assert "there is no network named azure-vnet-ipam in this ledger" in str(again.exception)


def test_going_back_to_a_place_that_takes_no_file_gives_nothing_back(place: Path) -> None:
    run(place)
    nowhere = CliRunner().invoke(
        command,
        [
            "azure-vnet-ipam",
            "--state-file",
            str(place / "no" / "s.json"),
            "--data-dir",
            str(place / "data"),
            "--rollback",
        ],
    )
    assert (nowhere.exit_code, "nothing was given back" in str(nowhere.exception)) == (1, True)
    assert rows(run(place, "--rollback", "--dry-run", "-o", "json")) == expected("would give back")


def test_a_file_that_cannot_be_read_is_named_with_the_way_out(place: Path) -> None:
    (place / "state.json").write_text("{")
    done = run(place)
    assert done.exit_code == 1
    assert "unexpected end of JSON input" in done.output
    assert "move it away" in done.output


def test_without_a_file_or_a_ledger_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert "name another with --state-file" in run(tmp_path).output
    assert "nothing to give back" in run(tmp_path, "--rollback").output
