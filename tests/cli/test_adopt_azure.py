"""`unipam adopt azure-vnet-ipam`: there and back with a captured state file."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.conftest import items

from unipam.cli import give_back
from unipam.cli.adopt import command
from unipam.cni.call import Call
from unipam.cni.context import Context
from unipam.dialects.registry import answer
from unipam.ledger.open import Ledgers, uptime
from unipam.model.errors import InstallError

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
    return items(done.output)


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


def call(place: Path, verb: str, container: str) -> dict[str, Any]:
    """What the plugin says without an agent; its source knows nothing, so it serves what was adopted."""
    own = {"dataDir": str(place / "data"), "stateFile": str(place / "state.json"), "environment": "null"}
    conf = {"cniVersion": "0.3.0", "name": "azure", "ipam": {"type": "azure-vnet-ipam", **own}}
    env = {"CNI_COMMAND": verb, "CNI_CONTAINERID": container, "CNI_NETNS": "/n", "CNI_IFNAME": "eth0", "CNI_PATH": "/p"}
    ledgers = Ledgers()
    given = answer(Call("azure-vnet-ipam", env, json.dumps(conf).encode(), asked=uptime()), Context(ledgers))
    ledgers.close_all()
    found = json.loads(given.stdout or b"{}")
    assert isinstance(found, dict)
    return found


def test_given_back_it_is_not_taken_over_again_by_a_call(place: Path) -> None:
    """The original, once in place, would not know what that call handed out or let go of."""
    run(place)
    assert run(place, "--rollback").exit_code == 0
    for verb in ("ADD", "DEL"):
        said = call(place, verb, "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d")
        assert (said["code"], "unipam adopt azure-vnet-ipam --data-dir" in said["msg"]) == (11, True)
    assert len(json.loads((place / "state.json").read_text())["IPAM"]["AddressSpaces"]["local"]["Pools"]) == 2
    assert rows(run(place, "-o", "json")) == expected("adopted")
    assert call(place, "DEL", "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d") == {}


def test_what_the_original_has_handed_out_since_is_named_and_kept(place: Path) -> None:
    run(place)
    call(place, "DEL", "18ac3e7343f016890c510e93f935261169d9e3f565436429830faf0934f4f8e4")
    file = place / "state.json"
    assert run(place, "--rollback", "--dry-run").exit_code == 0, "what was let go of here may still stand there"
    file.write_text(file.read_text().replace("2e7d2c03a9507ae2", "newcomer"))
    before = file.read_bytes()
    refused = run(place, "--rollback")
    assert refused.exit_code == 1
    assert "10.224.0.7 (newcomer" in str(refused.exception)
    assert file.read_bytes() == before
    assert rows(run(place, "-o", "json"))[0]["action"] == "kept: the ledger has its pools already"


def test_the_state_file_is_put_back_when_the_way_back_fails_later(place: Path) -> None:
    run(place)
    before = (place / "state.json").read_bytes()
    ledger = Ledgers().at(str(place / "data"))
    way = give_back.of_azure_vnet(ledger, "azure-vnet-ipam", str(place / "data"), str(place / "state.json"))

    def fail() -> None:
        assert call(place, "DEL", "someone")["code"] == 11
        raise InstallError("the binary stays")

    with pytest.raises(InstallError):
        give_back.give_back([way], fail)
    ledger.store.close()
    assert (place / "state.json").read_bytes() == before
    assert call(place, "DEL", "someone") == {}
    assert rows(run(place, "--rollback", "--dry-run", "-o", "json")) == expected("would give back")
