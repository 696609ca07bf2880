"""`unipam register grant`: made, listed and taken back, without a server."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.conftest import items
from tests.plan.clouds import some_uuid

from unipam.cli.main import unipam

GROUP = some_uuid(40)


@pytest.fixture
def database(tmp_path: Path) -> str:
    made = str(tmp_path / "register.db")
    assert run(made, "register", "init").exit_code == 0
    assert run(made, "space", "add", "prod", "--desc", "d").exit_code == 0
    return made


def run(database: str, *words: str) -> Result:
    return CliRunner().invoke(unipam, [*words, "--database", database])


def test_grants_are_made_listed_and_taken_back(database: str) -> None:
    admins = ("register", "grant", "add", "admins", "--group", GROUP, "--role", "admin", "--reason", "ticket 7")
    assert run(database, *admins, "--dry-run").exit_code == 0
    assert "no grants" in run(database, "register", "grant", "list").output
    assert GROUP in run(database, *admins).output
    planner = ("--app-role", "IPAM.Planner", "--role", "planner", "--space", "PROD")
    assert run(database, "register", "grant", "add", "planners", *planner).exit_code == 0
    rows = items(run(database, "register", "grant", "list", "-o", "json").output)
    assert [(row["name"], row["group"], row["app_role"], row["spaces"]) for row in rows] == [
        ("admins", GROUP, None, []), ("planners", None, "IPAM.Planner", ["prod"]),
    ]  # fmt: skip
    assert "ticket 7" in run(database, "plan", "history", "--name", "grant/admins").output
    assert run(database, "register", "grant", "revoke", "admins").exit_code == 0
    assert "admins" not in run(database, "register", "grant", "list").output


def test_a_grant_is_to_a_group_or_to_an_app_role(database: str) -> None:
    for to in ((), ("--group", GROUP, "--app-role", "R")):
        done = run(database, "register", "grant", "add", "x", *to, "--role", "reader")
        assert done.exit_code == 2
        assert "give either --group or --app-role" in done.output
