"""The plan as a picture: its lines, its bars, what is free, and parts of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.conftest import UNIPAM, items

from unipam.cli.main import unipam


def run(database: Path, *words: str) -> Result:
    return CliRunner(env={"UNIPAM_DATABASE": str(database)}).invoke(unipam, words)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tree") / "register.db"
    for words in (
        ("register", "init"),
        ("space", "add", "prod", "--desc", "production"),
        ("space", "add", "lab", "--desc", "empty"),
        ("block", "add", "prod", "west", "10.0.0.0/16", "--desc", "West Europe"),
        ("block", "add", "prod", "apps", "10.0.0.0/17", "--parent", "west"),
        ("reservation", "add", "prod", "apps", "--size", "18", "--desc", "payments"),
        ("external", "add", "prod", "west", "dc", "--prefix", "10.0.128.0/24", "--desc", "data centre"),
        ("external", "subnet", "add", "prod", "west", "dc", "web", "--prefix", "10.0.128.0/25", "--desc", "tier"),
        ("external", "endpoint", "add", "prod", "west", "dc", "web", "vip", "--ip", "10.0.128.1", "--desc", "lb"),
        ("block", "add", "prod", "six", "fd00::/32"),
    ):
        assert run(made, *words).exit_code == 0, words
    return made


PICTURE = """\
PLAN                         KIND         NAME          USE              FREE  STATUS  DESC
lab                          space                                          0          empty
prod                         space                      ████░░░░  50%   32512          production
├─ 10.0.0.0/16               block        west          ████░░░░  50%   32512          West Europe
│  ├─ 10.0.0.0/17            block        apps          ▒▒▒▒░░░░  50%   16384
│  │  └─ 10.0.0.0/18         reservation  ID                                    wait    payments
│  └─ 10.0.128.0/24          external     dc            ████░░░░  50%     128          data centre
│     └─ 10.0.128.0/25       subnet       web           █░░░░░░░  <1%     127          tier
│        └─ 10.0.128.1/32    endpoint     vip                                          lb
└─ fd00::/32                 block        six           ░░░░░░░░   0%    2^96
"""


def test_the_picture(database: Path) -> None:
    (reserved,) = items(run(database, "reservation", "list", "prod", "-o", "json").stdout)
    shown = run(database, "plan", "tree").stdout.replace(str(reserved["id"])[:12], "ID")
    assert [line.split() for line in shown.splitlines()] == [line.split() for line in PICTURE.splitlines()]
    assert all(len(line) <= 120 for line in shown.splitlines())


def test_columns_stand_under_their_heads(database: Path) -> None:
    heads, *lines = run(database, "plan", "tree").stdout.splitlines()
    place = heads.index("FREE") + len("FREE")
    assert {line[place - 1 : place] for line in lines} <= set("0123456789 6")
    assert all(line[place : place + 2].strip() == "" for line in lines)


def test_what_is_free_fills_what_holds_it(database: Path) -> None:
    (block,) = items(run(database, "plan", "tree", "--under", "prod/west", "--free", "-o", "json").stdout)
    free = [row["cidr"] for row in block["items"] if row["kind"] == "free"]
    assert free[0] == "10.0.129.0/24"
    assert sum(row["use"]["size"] for row in block["items"] if row["kind"] != "reservation") == block["use"]["size"]
    assert sum(row["use"]["size"] for row in block["items"] if row["kind"] == "free") == block["use"]["free"]


@pytest.mark.parametrize(
    ("words", "paths"),
    [
        (("--depth", "0"), ["lab", "prod"]),
        (("--depth", "1"), ["lab", "prod", "prod/west", "prod/six"]),
        (("--under", "dc", "--depth", "1"), ["dc", "dc/web"]),
        (("--under", "prod/west/dc/web"), ["web", "web/vip"]),
        (("--under", "10.0.128.0/24"), ["dc", "dc/web", "dc/web/vip"]),
        (("--under", "10.0.0.0/8", "--depth", "0"), ["west"]),
        (("--under", "fd00::/16"), ["six"]),
    ],
)
def test_parts_of_the_plan(database: Path, words: tuple[str, ...], paths: list[str]) -> None:
    assert run(database, "plan", "tree", *words, "-o", "name").stdout.split() == paths


def test_nothing_under_a_name_is_said(database: Path) -> None:
    done = run(database, "plan", "tree", "--under", "10.99.0.0/16")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "--under 10.99.0.0/16: nothing in the plan has this name or lies there" in done.stderr


def test_a_terminal_without_boxes_gets_letters(database: Path) -> None:
    env = {**os.environ, "UNIPAM_DATABASE": str(database), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([UNIPAM, "plan", "tree"], capture_output=True, env=env, check=True)
    assert b"`- fd00::/32" in done.stdout
    assert b"++++....  50%" in done.stdout
