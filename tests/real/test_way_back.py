"""The way back to the real host-local: whatever happens on it, no address is held by two pods."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from tests.faults.aftermath import environment
from tests.real.node import PLUGINS, UNIPAM, Node, missing

from unipam.cni.install import install

_MISSING = missing({"containernetworking-plugins": str(PLUGINS / "host-local")})
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(_MISSING), reason=_MISSING)]

BUSY = 11


@pytest.fixture(params=["agent", "cold"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    """A node on which host-local has served two pods before unipam came."""
    made = original(tmp_path)
    with made.agent() if request.param == "agent" else nullcontext():
        yield made


def original(root: Path) -> Node:
    """A node with the real host-local, two pods of its, and the launcher put in its place."""
    made = Node(root)
    made.bin_dir.mkdir()
    shutil.copy2(PLUGINS / "host-local", made.bin_dir)
    for container in ("first", "second"):
        assert made.call("ADD", conf(made), container).code == 0
    install(made.bin_dir, made.socket, ["host-local"])
    return made


def conf(node: Node, name: str = "net") -> dict[str, Any]:
    return {"cniVersion": "1.0.0", "name": name, "ipam": node.ipam("10.1.0.0/24")}


def unipam(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([UNIPAM, *map(str, words)], capture_output=True, text=True, check=False)


def leases(node: Node, network: str = "net") -> dict[str, str]:
    """What host-local's directory says: the holder of each address."""
    files = (node.data_dir / network).glob("10.*")
    return {file.name: file.read_bytes().decode().partition("\r\n")[0] for file in files}


def back(node: Node, *more: str) -> list[str]:
    where = ["--bin-dir", node.bin_dir, "--data-dir", node.data_dir]
    return [UNIPAM, "cni", "uninstall", "--give-back", *map(str, where), *more]


def picture(*places: Path) -> dict[str, tuple[bytes, int, int]]:
    """Every file with its content, mode and time; of our own files beside it only what is not a lock or SQLite's."""
    files = [file for place in places for file in sorted(place.iterdir()) if file.is_file()]
    kept = [file for file in files if not file.name.startswith(("lock", "unipam.db"))]
    return {str(f): (f.read_bytes(), stat.S_IMODE(f.stat().st_mode), f.stat().st_mtime_ns) for f in kept}


def test_a_pod_that_starts_on_the_way_back_does_not_get_what_another_will(node: Node) -> None:
    third = node.call("ADD", conf(node), "third").addresses
    assert unipam("adopt", "host-local", "--rollback", "--data-dir", node.data_dir).returncode == 0
    early = node.call("ADD", conf(node), "early")
    assert unipam("cni", "uninstall", "--bin-dir", node.bin_dir).returncode == 0
    late = node.call("ADD", conf(node), "late").addresses
    assert early.code == 1, "or the address that it gets is handed out again by host-local"
    assert (early.document["code"], early.document["msg"].count("--network net")) == (BUSY, 1)
    assert node.call("ADD", conf(node), "early").addresses not in ([*third], late)
    assert sorted(leases(node).values()) == ["early", "first", "late", "second", "third"]


def test_one_command_gives_back_and_puts_the_original_in_place(node: Node) -> None:
    modes = {file.stat().st_mode for file in (node.data_dir / "net").glob("10.*")}
    third = node.call("ADD", conf(node), "third").addresses
    assert node.call("DEL", conf(node), "second").code == 0
    done = subprocess.run(back(node, "-o", "json"), capture_output=True, check=True)
    told = json.loads(done.stdout)
    assert told["given_back"] == [
        {"plugin": "host-local", "network": "net", "action": "gave back", "leases": 2, "cursors": 1}
    ]
    assert [(row["plugin"], row["action"]) for row in told["items"]] == [("host-local", "restore")]
    assert os.listdir(node.bin_dir) == ["host-local"]
    assert (node.bin_dir / "host-local").read_bytes() == (PLUGINS / "host-local").read_bytes()
    assert node.call("ADD", conf(node), "late").addresses != third
    assert sorted(leases(node).values()) == ["first", "late", "third"]
    assert {file.stat().st_mode for file in (node.data_dir / "net").glob("10.*")} == modes, "host-local's own"
    assert node.held() == {}
    before = picture(node.bin_dir, node.data_dir / "net")
    again = subprocess.run(back(node), capture_output=True, text=True, check=True)
    assert again.stdout == "nothing of unipam's there\n"
    assert picture(node.bin_dir, node.data_dir / "net") == before


def test_a_dry_run_shows_it_and_changes_nothing(node: Node) -> None:
    node.call("ADD", conf(node), "third")
    before = picture(node.bin_dir, node.data_dir, node.data_dir / "net")
    done = subprocess.run(back(node, "--dry-run"), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "would give back  host-local net: 3 leases"
    assert picture(node.bin_dir, node.data_dir, node.data_dir / "net") == before
    assert node.call("ADD", conf(node), "fourth").code == 0


def test_back_again_takes_a_word_by_name(node: Node) -> None:
    node.call("ADD", conf(node), "third")
    subprocess.run(back(node), check=True, stdout=subprocess.DEVNULL)
    late = node.call("ADD", conf(node), "late").addresses
    install(node.bin_dir, node.socket, ["host-local"])
    for network in ("net", "never-seen"):
        said = node.call("ADD", conf(node, network), "waiting")
        assert (said.code, said.document["code"]) == (1, BUSY)
        assert f"--network {network}" in said.document["msg"]
        status = node.call("STATUS", conf(node, network) | {"cniVersion": "1.1.0"}, "")
        assert (status.document["code"], "given back" in status.document["msg"]) == (50, True)
    listed = unipam("adopt", "host-local", "--data-dir", node.data_dir).stdout
    assert "given back: --network net takes it over again" in listed
    assert node.call("ADD", conf(node), "waiting").code == 1
    assert unipam("adopt", "host-local", "--data-dir", node.data_dir, "--network", "net").returncode == 0
    assert node.call("ADD", conf(node), "waiting").addresses != late
    assert node.call("ADD", conf(node, "never-seen"), "waiting").code == 0
    assert {claim.owner.holder for claim in node.claims()} == {"first", "second", "third", "late", "waiting"}


def test_a_ledger_that_is_lost_does_not_lose_the_mark(node: Node) -> None:
    node.call("ADD", conf(node), "third")
    unipam("adopt", "host-local", "--rollback", "--data-dir", node.data_dir)
    for file in node.data_dir.glob("unipam.db*"):
        file.unlink()
    for verb in ("ADD", "DEL"):
        said = node.call(verb, conf(node), "fourth")
        assert (said.code, said.document["code"]) == (1, BUSY)
    assert unipam("adopt", "host-local", "--data-dir", node.data_dir, "--network", "net").returncode == 0
    assert node.call("ADD", conf(node), "fourth").code == 0
    assert len(node.held()) == 4


def test_what_host_local_has_handed_out_since_is_named_and_kept(node: Node) -> None:
    node.call("ADD", conf(node), "third")
    unipam("cni", "uninstall", "--bin-dir", node.bin_dir)  # without giving back
    behind = {node.call("ADD", conf(node, "net"), f"behind-{n}").addresses[0]: f"behind-{n}" for n in range(2)}
    install(node.bin_dir, node.socket, ["host-local"])
    before = picture(node.bin_dir, node.data_dir / "net")
    for way in (back(node), [UNIPAM, "adopt", "host-local", "--rollback", "--data-dir", str(node.data_dir)]):
        refused = subprocess.run(way, capture_output=True, text=True, check=False)
        assert refused.returncode == 1
        assert all(f"{address} ({name}/eth0)" in refused.stderr for address, name in behind.items())
        assert refused.stderr.count("\n") == 1
        assert picture(node.bin_dir, node.data_dir / "net") == before
    assert node.call("ADD", conf(node), "fourth").code == 0, "it is served as before"


def test_an_original_that_began_before_the_launcher_came_is_waited_for(tmp_path: Path) -> None:
    """It reads its configuration late, and hands out an address when others are served by unipam already."""
    node = Node(tmp_path)
    node.bin_dir.mkdir()
    shutil.copy2(PLUGINS / "host-local", node.bin_dir)
    env = environment("ADD", "slow")
    slow = subprocess.Popen([node.bin_dir / "host-local"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
    install(node.bin_dir, node.socket, ["host-local"])
    with node.agent():
        early = node.call("ADD", conf(node), "early")
        told = json.loads(slow.communicate(json.dumps(conf(node)).encode())[0])
        late = node.call("ADD", conf(node), "late").addresses
    assert early.code == 1, "or both get the same"
    assert f"the former host-local still runs (process {slow.pid})" in early.document["msg"]
    assert [told["ips"][0]["address"], *late] == ["10.1.0.2/24", "10.1.0.3"]


FAILURES = {
    "a draft": ("openat", "ENOSPC", "net/.10.1.0.4.new"),
    "a lease": ("rename", "EIO", "net/.10.1.0.4.new"),
    "the mark": ("rename", "EIO", "net/.unipam.given-back.new"),
    "the ledger": ("pwrite64", "ENOSPC", "unipam.db-wal"),
    "the binary": ("rename", "EROFS", "../bin/host-local.before-unipam"),
    "the directory of binaries": ("fsync", "EIO", "../bin"),
}


@pytest.mark.skipif(not shutil.which("strace"), reason="missing Debian packages: strace")
@pytest.mark.parametrize("step", FAILURES)
def test_a_step_that_fails_undoes_all(node: Node, step: str) -> None:
    third = node.call("ADD", conf(node), "third").addresses
    assert third == ["10.1.0.4"]
    node.call("DEL", conf(node), "first")
    call, error, path = FAILURES[step]
    place = os.path.normpath(node.data_dir / path)
    before = picture(node.bin_dir, node.data_dir / "net")
    held = node.held()
    inject = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", place, "-e", f"inject={call}:error={error}:when=1"]
    failed = subprocess.run([*inject, *back(node)], capture_output=True, text=True, check=False)
    assert failed.returncode == 1, failed.stdout
    assert failed.stderr.startswith("Error: ")
    assert failed.stderr.count("\n") == 1
    assert picture(node.bin_dir, node.data_dir / "net") == before
    assert node.held() == held
    assert node.call("ADD", conf(node), "fourth").code == 0
    assert subprocess.run(back(node), check=False, stdout=subprocess.DEVNULL).returncode == 0
    assert sorted(leases(node).values()) == ["fourth", "second", "third"]
