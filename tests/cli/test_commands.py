"""The commands on a real ledger: what they print, their formats, their exit codes."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import urllib.request
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from tests.conftest import UNIPAM, items

from unipam.cli.main import COMMANDS, unipam
from unipam.cni.call import Call
from unipam.cni.context import Context
from unipam.dialects.registry import answer
from unipam.ledger.open import Ledgers


def run(*words: object, typed: str = "") -> Result:
    return CliRunner().invoke(unipam, [str(word) for word in words], input=typed)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A ledger with three leases of two networks, one of them released."""
    for network, holder, verb in (
        ("one", "c1", "ADD"),
        ("one", "c2", "ADD"),
        ("two", "c3", "ADD"),
        ("one", "c1", "DEL"),
    ):
        ipam = {"type": "host-local", "dataDir": str(tmp_path), "ranges": [[{"subnet": "10.9.0.0/24"}]]}
        config = {"cniVersion": "1.0.0", "name": network, "ipam": ipam}
        env = {
            "CNI_COMMAND": verb,
            "CNI_CONTAINERID": holder,
            "CNI_NETNS": "/x",
            "CNI_IFNAME": "eth0",
            "CNI_PATH": "/x",
            "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-{holder}",
        }
        assert answer(Call("host-local", env, json.dumps(config).encode()), Context(Ledgers())).code == 0
    return tmp_path


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_with_an_example(name: str) -> None:
    told = run(name, "--help")
    assert told.exit_code == 0, told.output
    assert told.output.startswith(f"Usage: unipam {name}")


def test_leases_are_listed_in_every_format(data_dir: Path) -> None:
    table = run("lease", "list", "--data-dir", data_dir).output.splitlines()
    assert table[0].split() == ["ADDRESS", "POD", "STATE", "AGE", "CONTAINER", "NETWORK"]
    assert [line.split()[:2] for line in table[1:]] == [["10.9.0.3", "shop/web-c2"], ["10.9.0.2", "shop/web-c3"]]
    as_json = json.loads(run("lease", "list", "--data-dir", data_dir, "-o", "json").output)
    assert (as_json["schema"], as_json["version"]) == ("lease", 1)
    assert as_json == yaml.safe_load(run("lease", "list", "--data-dir", data_dir, "-o", "yaml").output)
    assert [row["network"] for row in as_json["items"]] == ["one", "two"]
    assert (
        items(run("lease", "list", "--network", "two", "--data-dir", data_dir, "-o", "json").output)[0]["container"]
        == "c3"
    )


def test_history_says_who_and_why(data_dir: Path) -> None:
    rows = items(run("lease", "history", "10.9.0.2", "--data-dir", data_dir, "-o", "json").output)
    told = [(row["network"], row["verb"], row["container"], row["reason"]) for row in rows]
    assert told == [("one", "release", "c1", "DEL"), ("two", "allocate", "c3", ""), ("one", "allocate", "c1", "")]


def test_a_pod_that_is_gone_has_a_past(data_dir: Path) -> None:
    rows = items(run("lease", "history", "shop/web-c1", "--data-dir", data_dir, "-o", "json").output)
    told = [(row["verb"], row["address"], row["pod"], row["node"]) for row in rows]
    assert told == [(verb, "10.9.0.2", "shop/web-c1", os.uname().nodename) for verb in ("release", "allocate")]
    told_by_address = run("lease", "history", "10.9.0.2", "--data-dir", data_dir).output
    assert told_by_address.count("shop/web-c1") == 2
    assert told_by_address.count("shop/web-c3") == 1
    explained = run("explain", "shop/web-c1", "--data-dir", data_dir).output
    assert "c1/eth0 (pod shop/web-c1) holds nothing" in explained


def test_release_shows_asks_and_journals(data_dir: Path) -> None:
    words = ("lease", "release", "c2", "--data-dir", data_dir)
    assert run(*words, "--dry-run").exit_code == 0
    assert run(*words, typed="n\n").exit_code == 1
    assert "c2" in run("lease", "list", "--data-dir", data_dir).output
    assert run(*words, "--yes").exit_code == 0
    assert "c2" not in run("lease", "list", "--data-dir", data_dir).output
    (entry, *_) = items(run("lease", "history", "c2", "--data-dir", data_dir, "-o", "json").output)
    assert (entry["reason"], entry["actor"].split()[0]) == ("released by hand", "cli")


def test_release_by_hand_works_for_a_user_without_a_name(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # the agent's image has no /etc/passwd
    assert run("lease", "release", "c2", "--yes", "--data-dir", data_dir).exit_code == 0
    (entry, *_) = items(run("lease", "history", "c2", "--data-dir", data_dir, "-o", "json").output)
    assert entry["actor"] == f"cli {os.getuid()}"


def test_what_is_not_there_is_said_with_the_way_on(data_dir: Path, tmp_path: Path) -> None:
    missing = run("lease", "show", "c9", "--data-dir", data_dir)
    assert missing.exit_code == 1
    assert "unipam lease history c9" in missing.output
    nowhere = run("lease", "list", "--data-dir", tmp_path / "nowhere")
    assert nowhere.exit_code == 1
    assert "--data-dir" in nowhere.output
    assert not (tmp_path / "nowhere").exists()


def test_pools_show_what_is_left(data_dir: Path) -> None:
    (pool,) = items(run("pool", "show", "one", "--data-dir", data_dir, "-o", "json").output)
    assert (pool["used"], pool["free"], pool["reserved"], pool["next"]) == (1, 252, 1, "10.9.0.4")
    assert len(items(run("pool", "list", "--data-dir", data_dir, "-o", "json").output)) == 2


def test_status_without_an_agent_fails_and_shows_the_ledger(data_dir: Path, tmp_path: Path) -> None:
    told = run("status", "--socket", tmp_path / "none.sock", "--data-dir", data_dir)
    assert told.exit_code == 1
    assert "does not answer" in told.output
    assert "one pool 0: 1 used, 252 free" in told.output


def test_status_counts_many_leases_in_doubt_by_their_reason(tmp_path: Path) -> None:
    ipam = {"type": "host-local", "dataDir": str(tmp_path), "ranges": [[{"subnet": "10.9.0.0/24"}]]}
    config = json.dumps({"cniVersion": "1.0.0", "name": "one", "ipam": ipam}).encode()
    ledgers = Ledgers()
    for number in range(25):
        env = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": f"c{number}", "CNI_NETNS": f"/never/{number}",
               "CNI_IFNAME": "eth0", "CNI_PATH": "/x"}  # fmt: skip
        assert answer(Call("host-local", env, config), Context(ledgers)).code == 0
    ledgers.close_all()
    told = run("status", "--socket", tmp_path / "none", "--data-dir", tmp_path).output.splitlines()
    doubtful = [line for line in told if "doubtful" in line]
    assert doubtful[0].startswith("  doubtful: 25 leases: nothing is known about its network namespace")
    assert len(doubtful) == 12
    assert doubtful[-1] == "  doubtful: 15 more (--all names them)"
    whole = run("status", "--socket", tmp_path / "none", "--data-dir", tmp_path, "--all").output
    assert whole.count("doubtful") == 25


def test_status_waits_for_an_agent_that_is_starting(data_dir: Path, tmp_path: Path) -> None:
    words = [UNIPAM, "status", "--socket", tmp_path / "agent.sock", "--data-dir", data_dir, "--wait", "60"]
    start = [UNIPAM, "agent", "--socket", tmp_path / "agent.sock", "--metrics", ""]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as status, subprocess.Popen(start) as agent:
        try:
            assert "answers" in status.communicate(timeout=60)[0]
        finally:
            agent.terminate()
    assert status.returncode == 0


def test_adoption_is_shown_done_and_taken_back(tmp_path: Path) -> None:
    network = tmp_path / "net"
    network.mkdir()
    files = {"10.1.2.2": "c1\r\neth0", "10.1.2.3": "old", "10.1.2.4": "", "last_reserved_ip.0": "10.1.2.4", "lock": ""}
    for name, content in files.items():
        (network / name).write_bytes(content.encode())
    words = ("adopt", "host-local", "--data-dir", tmp_path, "-o", "json")
    wanted = {"network": "net", "leases": 2, "cursors": 1, "empty": 1, "odd": 0}
    assert items(run(*words, "--dry-run").output) == [{**wanted, "action": "would adopt"}]
    assert not (tmp_path / "unipam.db").exists()
    assert items(run(*words).output) == [{**wanted, "action": "adopted"}]
    assert {path.name for path in network.iterdir()} == {*files, "unipam.adopted"}
    back = items(run(*words, "--rollback").output)
    assert back == [{**wanted, "empty": 0, "action": "gave back"}]
    now = {path.name: path.read_bytes().decode() for path in network.iterdir()}
    assert "unipam adopt host-local --data-dir" in now.pop("unipam.given-back")
    assert now == {name: content for name, content in files.items() if name != "10.1.2.4"}
    assert run("lease", "list", "--data-dir", tmp_path).output == "no leases\n"


def test_run_proves_itself_says_ready_and_ends_in_order(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    state = tmp_path / "s"
    words = [UNIPAM, "run", "--state-dir", state, "--metrics", "", "--register", str(port), "--sample"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout
            told = [process.stdout.readline() for _ in range(9)]
            assert told[0].startswith("ADD gave 10.77.0.2/24, CHECK found it, DEL released it")
            assert told[1] == "unipam is ready. Pages:\n"
            assert told[2].startswith(f"  http://127.0.0.1:{port}/auth/once?code=")
            assert told[3].startswith(f"  http://127.0.0.1:{port} (afterwards; the token to sign in with is in {state}")
            opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(), urllib.request.ProxyHandler({}))
            with opener.open(told[2].split()[0], timeout=20) as page:
                assert b"<h1>Overview</h1>" in page.read()
            assert stat.S_IMODE((state / "admin-token").stat().st_mode) == 0o600
            listed = run("space", "list", "--database", state / "register.db", "-o", "json")
            assert "corp" in [space["name"] for space in items(listed.output)]
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert not (state / "agent.sock").exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port))


def test_what_is_typed_counts_before_what_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("register", "init", "--database", tmp_path / "register.db").exit_code == 0
    monkeypatch.setenv("UNIPAM_SERVER", "http://127.0.0.1:1")
    assert run("space", "list", "--database", tmp_path / "register.db").exit_code == 0
    monkeypatch.setenv("UNIPAM_DATABASE", str(tmp_path / "register.db"))
    assert run("space", "list").exit_code == 2


def test_a_database_that_is_not_there_is_not_made_by_mistake(tmp_path: Path) -> None:
    mistyped = tmp_path / "registre.db"
    for words in (("space", "list"), ("space", "add", "prod", "--desc", "d"), ("register", "migrate")):
        told = run(*words, "--database", mistyped)
        assert told.exit_code == 1
        assert f"there is no register at {mistyped}" in str(told.exception)
        assert not mistyped.exists()
    assert run("register", "init", "--database", mistyped).output == f"an empty register is at {mistyped}\n"
    assert run("register", "init", "--database", mistyped).output == f"there is a register at {mistyped} already\n"
    assert run("space", "list", "--database", mistyped).exit_code == 0


def test_no_command_leaves_a_ledger_open(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: opened.append(connect(*a, **k)) or opened[-1])
    for words in (("lease", "list"), ("pool", "list"), ("explain", "one"), ("status", "--socket", tmp_path / "none")):
        run(*words, "--data-dir", data_dir)
    assert len(opened) == 4
    for connection in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")


def test_findings_without_a_cloud_agree_with_nothing(tmp_path: Path) -> None:
    database = tmp_path / "register.db"
    run("register", "init", "--database", database)
    told = run("plan", "findings", "--database", database)
    assert (told.exit_code, told.stdout) == (3, "")
    assert told.stderr.startswith("nothing was compared: no cloud is connected")
    assert run("plan", "findings", "--database", database, "-o", "json").exit_code == 3
