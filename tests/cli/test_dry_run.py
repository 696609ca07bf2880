"""With --dry-run every line says that nothing was done, and what would be."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.cli.test_help import LEAVES
from tests.conftest import items

from unipam.cli.main import unipam

CHANGES = {
    ("space", "add"): (["lab", "--desc", "d"], "add", "lab"),
    ("space", "change"): (["prod", "--desc", "e"], "change", "prod"),
    ("space", "remove"): (["prod", "--force"], "remove space prod", ""),
    ("block", "add"): (["prod", "north", "10.2.0.0/16"], "add", "north"),
    ("block", "change"): (["prod", "west", "--desc", "e"], "change", "west"),
    ("block", "remove"): (["prod", "west", "--force"], "remove block prod west", ""),
    ("external", "add"): (["prod", "west", "lab", "--size", "20", "--desc", "d"], "add", "lab"),
    ("external", "change"): (["prod", "west", "dc", "--desc", "e"], "change", "dc"),
    ("external", "remove"): (["prod", "west", "dc", "--force"], "remove external prod west dc", ""),
    ("external", "subnet", "add"): (["prod", "west", "dc", "b", "--size", "28", "--desc", "d"], "add", "b"),
    ("external", "subnet", "change"): (["prod", "west", "dc", "a", "--desc", "e"], "change", "a"),
    ("external", "subnet", "remove"): (["prod", "west", "dc", "a", "--force"], "remove subnet prod west dc a", ""),
    ("external", "endpoint", "add"): (["prod", "west", "dc", "a", "h", "--desc", "d"], "add", "h"),
    ("external", "endpoint", "change"): (["prod", "west", "dc", "a", "g", "--desc", "e"], "change", "g"),
    ("external", "endpoint", "remove"): (["prod", "west", "dc", "a", "g"], "remove endpoint prod west dc a g", ""),
    ("reservation", "add"): (["prod", "west", "--size", "24"], "add", "10.1."),
    ("register", "grant", "add"): (["n", "--app-role", "R", "--role", "admin"], "add", "n"),
}
NEED_MORE = {
    ("network", "add"),  # a cloud
    ("network", "remove"),
    ("register", "grant", "revoke"),  # something that is there
    ("register", "import"),
    ("reservation", "cancel"),
}
NOT_THE_REGISTER = {"adopt", "calico", "cni", "controller", "lease"}


def run(database: Path, *words: str) -> str:
    done = CliRunner(env={"UNIPAM_DATABASE": str(database)}).invoke(unipam, words)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan in which everything that is changed here is there."""
    made = tmp_path_factory.mktemp("plan") / "register.db"
    run(made, "register", "init")
    run(made, "space", "add", "prod", "--desc", "d")
    run(made, "block", "add", "prod", "west", "10.1.0.0/16")
    run(made, "external", "add", "prod", "west", "dc", "--size", "20", "--desc", "d")
    run(made, "external", "subnet", "add", "prod", "west", "dc", "a", "--size", "28", "--desc", "d")
    run(made, "external", "endpoint", "add", "prod", "west", "dc", "a", "g", "--desc", "d")
    return made


@pytest.fixture
def database(plan: Path, tmp_path: Path) -> Path:
    """The plan, once more."""
    return Path(shutil.copy(plan, tmp_path))


def test_every_command_that_can_rehearse_is_tried() -> None:
    able = {
        words
        for words, command in LEAVES
        if any(each.name == "dry_run" for each in command.params) and words[0] not in NOT_THE_REGISTER
    }
    assert able == CHANGES.keys() | NEED_MORE


@pytest.mark.parametrize("words", CHANGES, ids=" ".join)
def test_what_would_be_done_is_said_and_not_done(words: tuple[str, ...], database: Path) -> None:
    given, action, shown = CHANGES[words]
    before = run(database, "register", "export")
    told = run(database, *words, *given, "--dry-run")
    if shown:
        head, line = told.splitlines()
        assert head.startswith("ACTION")
        assert line.startswith(f"would {action}  ")
        assert shown in line
        (row,) = items(run(database, *words, *given, "--dry-run", "-o", "json"))
        assert row["action"] == f"would {action}"
    else:
        assert told == f"would {action}\n"
    after = run(database, "register", "export")
    assert {**json.loads(after), "at": 0} == {**json.loads(before), "at": 0}
    assert "would" not in run(database, *words, *given)


def test_a_reservation_and_a_grant_would_be_given_back(database: Path) -> None:
    (made,) = items(run(database, "reservation", "add", "prod", "west", "--size", "24", "-o", "json"))
    assert run(database, "reservation", "cancel", "prod", "west", made["id"], "--dry-run") == (
        f"would cancel reservation prod west {made['id']}\n"
    )
    run(database, "register", "grant", "add", "n", "--app-role", "R", "--role", "admin")
    assert run(database, "register", "grant", "revoke", "n", "--dry-run") == "would revoke grant n\n"
    assert "n" in run(database, "register", "grant", "list")


def test_an_import_says_what_would_be_created(database: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(run(database, "register", "export"))
    run(tmp_path / "other.db", "register", "init")
    done = CliRunner(env={**os.environ, "UNIPAM_DATABASE": str(tmp_path / "other.db")}).invoke(
        unipam, ["register", "import", str(plan), "--dry-run"]
    )
    assert "would be created (dry run)" in done.stderr
    assert (
        "no spaces yet"
        in CliRunner().invoke(unipam, ["space", "list", "--database", str(tmp_path / "other.db")]).stderr
    )
