"""What a register refuses is said in the words of the command that was typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from unipam.cli.main import unipam


@pytest.fixture
def database(tmp_path: Path) -> str:
    made = str(tmp_path / "register.db")
    for words in (
        ("register", "init"),
        ("space", "add", "prod", "--desc", "d"),
        ("block", "add", "prod", "west", "10.0.0.0/16"),
        ("reservation", "add", "prod", "west", "--size", "17"),
    ):
        assert CliRunner().invoke(unipam, [*words, "--database", made]).exit_code == 0
    return made


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("block add prod north foo", "PREFIX: invalid CIDR address: foo; "),
        ("block change prod west --prefix 10.0.0.0/33", "--prefix: invalid CIDR address: 10.0.0.0/33; "),
        ("block remove prod west", "or use --force"),
        ("reservation add prod west", "give either --length or --prefix"),
        ("reservation add prod west --size 99", "--length: 99 is not a prefix length"),
        ("external add prod west lab --size 20 --prefix 10.0.0.0/20 --desc d", "give either --length or --prefix"),
        ("plan history --limit 5000", "--limit: Input should be from 1 to 1000"),
        ("register token add x --role planner --expires-in -5", "--expires-in: Input should be greater than 0"),
        ("reservation add prod west --size 16", "10.0.128.0/17 is the largest free prefix of west"),
    ],
)
def test_options_are_named_and_no_fields(words: str, said: str, database: str) -> None:
    done = CliRunner().invoke(unipam, [*words.split(), "--database", database])
    assert done.exit_code == 1
    assert said in str(done.exception)
    assert not {"body", "query", "cidr", "Value error"} & set(str(done.exception).replace(":", " ").split())


def test_a_file_that_is_no_register_is_not_taken_for_a_node_s_ledger(tmp_path: Path) -> None:
    text = tmp_path / "plan.txt"
    text.write_text("hello")
    done = CliRunner().invoke(unipam, ["space", "list", "--database", str(text)])
    assert f"{text} is no register, or damaged (file is not a database): name another" in str(done.exception)
    assert "agent" not in str(done.exception)
