"""Every JSON document that a command prints is what its schema says, and every command has one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from click.testing import CliRunner
from tests.cli.test_help import LEAVES
from tests.cli.test_output import call

from unipam.cli.main import unipam
from unipam.cli.schemas import SCHEMAS, schema_of

LEDGER = (
    "lease list", "lease show 10.244.2.2", "lease history 10.244.2.2", "lease release 10.244.2.2 --dry-run",
    "pool list",    "pool show kubenet", "explain kubenet", "explain 10.244.2.2", "status",
)  # fmt: skip
REGISTER = (
    "space list", "space show prod", "space use prod", "space change prod --desc e --dry-run", "block list prod",
    "block show prod west", "block free prod west --size 24", "reservation list prod",
    "reservation add prod west --size 24", "external list prod west", "external show prod west dc",
    "external free prod west dc --size 28", "external subnet list prod west dc",
    "external subnet free prod west dc web",
    "external endpoint list prod west dc web", "register token list", "register grant list",
    "register token add ci --role reader", "plan tree --free", "plan explain 10.0.0.0/8", "plan history",
    "network list prod west", "plan forecast", "block forecast prod west", "space forecast prod",
)  # fmt: skip
ALONE = (
    "sizing --variant overlay --pool system,nodes=3", "sizing --limits", "cni install --bin-dir . --dry-run",
    "adopt host-local --data-dir . --dry-run", "diagnose node.log",
)  # fmt: skip


def printed(words: str, *more: str, **env: str) -> dict[str, Any]:
    done = CliRunner(env=env).invoke(unipam, [*words.split(), *more, "-o", "json"])
    assert done.exit_code in (0, 1, 3), (done.output, done.exception)
    return dict(json.loads(done.stdout))


def require_described(document: dict[str, Any]) -> None:
    """A document is what its schema says, and has no field that it does not name."""
    schema = schema_of(document["schema"])
    jsonschema_rs.validator_for(schema).validate(document)
    jsonschema_rs.validator_for(closed(schema)).validate(document)


def closed(value: Any) -> Any:
    """A schema that allows no other fields than those that it names."""
    if isinstance(value, list):
        return [closed(each) for each in value]
    if not isinstance(value, dict):
        return value
    made = {key: closed(each) for key, each in value.items()}
    return {**made, "additionalProperties": False} if isinstance(value.get("properties"), dict) else made


@pytest.mark.parametrize("words", LEDGER)
def test_documents_of_a_ledger(words: str, tmp_path: Path) -> None:
    call("ADD", tmp_path, "c1", "shop/web-0")
    call("ADD", tmp_path, "c2", "shop/web-1")
    call("DEL", tmp_path, "c2", "shop/web-1")
    require_described(printed(words, "--data-dir", str(tmp_path)))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = str(tmp_path_factory.mktemp("register") / "register.db")
    for words in (
        "register init", "space add prod --desc d", "block add prod west 10.0.0.0/12", "block add prod v6 fd00::/32",
        "external add prod west dc --size 24 --desc d", "external subnet add prod west dc web --size 28 --desc d",
        "external endpoint add prod west dc web vip --desc d", "reservation add prod west --size 16",
        "register grant add n --app-role R --role admin",
    ):  # fmt: skip
        done = CliRunner(env={"UNIPAM_DATABASE": made}).invoke(unipam, words.split())
        assert done.exit_code == 0, (done.output, done.exception)
    return made


@pytest.mark.parametrize("words", REGISTER)
def test_documents_of_a_register(words: str, database: str) -> None:
    require_described(printed(words, UNIPAM_DATABASE=database))


@pytest.mark.parametrize("words", ALONE)
def test_documents_of_other_commands(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kubenet").mkdir()
    (tmp_path / "kubenet" / "10.244.2.2").write_text("c1\r\neth0")
    (tmp_path / "node.log").write_text("nothing of interest\n")
    monkeypatch.chdir(tmp_path)
    require_described(printed(words))


def printing() -> Iterator[str]:
    for words, command in LEAVES:
        if any(each.name == "output" for each in command.params):
            yield " ".join(words)


def test_every_command_that_prints_a_document_has_a_schema() -> None:
    named = [each.strip().partition(" --")[0] for d in SCHEMAS.values() for each in d.commands.split(",")]
    assert set(printing()) == set(named)


def test_schemas_are_listed_and_printed() -> None:
    listed = CliRunner().invoke(unipam, ["schema"]).stdout.splitlines()[1:]
    assert [line.split()[0] for line in listed] == list(SCHEMAS)
    for name in SCHEMAS:
        schema = json.loads(CliRunner().invoke(unipam, ["schema", name]).stdout)
        jsonschema_rs.meta.validate(schema)
        assert schema["properties"]["schema"] == {"const": name}
    missing = CliRunner().invoke(unipam, ["schema", "nothing"])
    assert (missing.exit_code, missing.output) == (1, "Error: there is no schema nothing: unipam schema lists them\n")
