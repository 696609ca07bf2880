"""The defects of host-local (spec cni-and-host-local §2.10), each with what happens here instead.

Those not here have their test where the subject is: D5 and D13 (a DEL that must release, or fail) and D8 and D12 (the
namespace; GC and STATUS) in test_verbs.py, D6 and D11 (a full disk, a lock that is held) in test_bad_input.py.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Plugin, environment, host_local

from unipam.store.sqlite import SqliteStore

REAL = Path("/usr/lib/cni/host-local")
SMALL = {"subnet": "10.1.2.0/29"}


@pytest.fixture(params=["warm", "cold", pytest.param("real", marks=pytest.mark.real)])
def any_host_local(request: pytest.FixtureRequest) -> tuple[Plugin, bool]:
    """Ours each way; and the real one, which shows the defect, so that these tests are seen to look for it."""
    if request.param != "real":
        return request.getfixturevalue(request.param), False
    if not REAL.exists():
        pytest.skip("needs the Debian package containernetworking-plugins")
    return Plugin(REAL), True


def asking(config: dict[str, Any], *wishes: str) -> dict[str, Any]:
    return {**config, "args": {"cni": {"ips": list(wishes)}}}


def leases(data_dir: Path, name: str = "mynet") -> list[str]:
    """Who holds what, as the ledger says."""
    store = SqliteStore(str(data_dir / "unipam.db"))
    try:
        with store.reading() as tx:
            number = tx.space(name)
            return [f"{c.owner} {c.text}" for c in tx.claims(number)] if number else []
    finally:
        store.close()


def test_d1_a_failed_add_frees_no_live_lease(any_host_local: tuple[Plugin, bool], tmp_path: Path) -> None:
    cni, defective = any_host_local
    config = host_local(tmp_path, "1.0.0", [SMALL])
    assert cni("ADD", config, "a").addresses == ["10.1.2.2/29"]
    assert cni("ADD", asking(config, "10.1.2.5", "10.200.0.1"), "a").code == 1
    others = [cni("ADD", config, f"c{n}") for n in range(5)]
    given = [reply.addresses[0] for reply in others if reply.code == 0]
    assert ("10.1.2.2/29" in given) == defective
    if not defective:
        assert given == [f"10.1.2.{n}/29" for n in (3, 4, 5, 6)]
        assert cni("CHECK", config, "a").silent


def test_d1_nor_does_one_after_the_configuration_grew(any_host_local: tuple[Plugin, bool], tmp_path: Path) -> None:
    cni, defective = any_host_local
    assert cni("ADD", host_local(tmp_path, "1.0.0", [SMALL]), "a").addresses == ["10.1.2.2/29"]
    grown = host_local(tmp_path, "1.0.0", [{"subnet": "192.168.0.0/24"}], [SMALL])
    message = "failed to allocate for range 1: 10.1.2.2 has been allocated to a, duplicate allocation is not allowed"
    assert cni("ADD", grown, "a").error["msg"] == message
    assert (cni("CHECK", grown, "a").code == 1) == defective


def test_d2_an_empty_lease_file_holds_no_address(any_host_local: tuple[Plugin, bool], tmp_path: Path) -> None:
    cni, defective = any_host_local
    (tmp_path / "mynet").mkdir()
    (tmp_path / "mynet" / "10.1.2.2").touch()
    config = host_local(tmp_path, "1.0.0", [{"subnet": "10.1.2.0/30"}])
    assert (cni("ADD", config).code == 1) == defective


def test_d3_a_second_add_is_refused_also_with_a_wish(any_host_local: tuple[Plugin, bool], tmp_path: Path) -> None:
    cni, defective = any_host_local
    config = host_local(tmp_path, "1.0.0", [SMALL])
    assert cni("ADD", config, "a").addresses == ["10.1.2.2/29"]
    second = cni("ADD", config, "a", args="IP=10.1.2.5")
    assert (second.code == 0) == defective
    if not defective:
        assert "10.1.2.2 has been allocated to a, duplicate allocation" in second.error["msg"]
        assert leases(tmp_path) == ["a/eth0 10.1.2.2"]


def test_d4_an_add_that_is_overtaken_by_its_del_is_refused(cold: Plugin, tmp_path: Path) -> None:
    config = host_local(tmp_path, "1.0.0", [SMALL])
    assert cold("ADD", config, "other").code == 0
    with subprocess.Popen(
        [cold.path], env=environment("ADD", "a"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as late:
        for _ in range(2):  # a process's age is counted in ticks of 10 ms: the second begins in a later one
            assert cold("DEL", config, "a").silent
        stdout, stderr = late.communicate(json.dumps(config).encode(), timeout=10)
    error = json.loads(stdout)
    assert (late.returncode, stderr, error["code"]) == (1, b"", 11)
    assert error["msg"] == "a/eth0 was released while this request was waiting; ask again"
    assert leases(tmp_path) == ["other/eth0 10.1.2.2"]
    assert cold("ADD", config, "a").addresses == ["10.1.2.3/29"], "a new request is served"


def test_d4_an_add_whose_caller_is_killed_while_it_waits_leaves_nothing(warm: Plugin, tmp_path: Path) -> None:
    config = host_local(tmp_path, "1.0.0", [SMALL])
    assert warm("ADD", config, "other").code == 0
    lock = sqlite3.connect(tmp_path / "unipam.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    with subprocess.Popen([warm.path], env=environment("ADD", "a"), stdin=subprocess.PIPE) as caller:
        assert caller.stdin is not None
        caller.stdin.write(json.dumps(config).encode())
        caller.stdin.close()
        os.kill(caller.pid, 9)
    lock.execute("ROLLBACK")
    lock.close()
    for n in range(4):  # all there are, whoever waited
        assert warm("ADD", config, f"c{n}").code == 0
    assert not [lease for lease in leases(tmp_path) if lease.startswith("a/")]


@pytest.mark.parametrize("way", ["warm", "cold"])
def test_d7_several_sets_are_given_and_taken_together(request: pytest.FixtureRequest, way: str, tmp_path: Path) -> None:
    cni: Plugin = request.getfixturevalue(way)
    config = host_local(tmp_path, "1.0.0", [{"subnet": "10.1.0.0/16"}], [{"subnet": "fd00::/64"}])
    with ThreadPoolExecutor(4) as pool:
        for _ in range(40 if way == "warm" else 3):
            list(pool.map(lambda verb: cni(verb, config, "a"), ("ADD", "DEL", "ADD", "DEL")))
            assert len(leases(tmp_path)) in (0, 2)


def test_d9_a_range_ends_where_its_subnet_does(warm: Plugin, tmp_path: Path) -> None:
    for subnet, start in (("10.1.2.0/24", "10.1.2.255"), ("255.255.255.0/24", "255.255.255.255")):
        error = warm("ADD", host_local(tmp_path, "1.0.0", [{"subnet": subnet, "rangeStart": start}])).error
        assert error["msg"].startswith(f"invalid range set 0: RangeStart {start} is after RangeEnd ")
    for subnet, last in (("255.255.255.248/29", "255.255.255.254"), ("ffff:" * 7 + "fffc/126", "ffff:" * 7 + "ffff")):
        config = host_local(tmp_path, "1.0.0", [{"subnet": subnet, "rangeStart": last}], name="top-" + last[-1])
        assert warm("ADD", config, "a").addresses == [f"{last}/{subnet.partition('/')[2]}"]
        assert "no IP addresses available" in warm("ADD", config, "b").error["msg"]


@pytest.mark.parametrize("way", ["warm", "cold", pytest.param("real", marks=pytest.mark.real)])
def test_d10_a_container_may_be_called_like_an_address(
    request: pytest.FixtureRequest, way: str, tmp_path: Path
) -> None:
    if way == "real" and not REAL.exists():
        pytest.skip("needs the Debian package containernetworking-plugins")
    cni: Plugin = Plugin(REAL) if way == "real" else request.getfixturevalue(way)
    config = host_local(tmp_path, "1.0.0", [SMALL])
    assert cni("ADD", config, "a").addresses == ["10.1.2.2/29"]
    assert (cni("CHECK", config, "10.1.2.2").code == 0) == (way == "real")
    assert cni("DEL", config, "10.1.2.2").silent
    assert cni("DEL", config, "a").silent
    following = cni("ADD", config, "b").addresses
    assert following == (["10.1.2.2/29"] if way == "real" else ["10.1.2.3/29"]), "whether the cursor is still there"


# ---- and back again


@pytest.mark.real
def test_what_host_local_left_is_carried_on(warm: Plugin, tmp_path: Path) -> None:
    """A node that changes from the real one to ours: leases, holders and the cursor come along."""
    if not REAL.exists():
        pytest.skip("needs the Debian package containernetworking-plugins")
    real = Plugin(REAL)
    config = host_local(tmp_path, "1.0.0", [{"subnet": "10.1.2.0/24"}], [{"subnet": "fd00::/64"}])
    given = {container: real("ADD", config, container).result for container in "abcd"}
    assert real("DEL", config, "b").silent
    before = {file.name: file.read_bytes() for file in (tmp_path / "mynet").iterdir()}
    for container in "acd":
        assert warm("CHECK", {**config, "prevResult": given[container]}, container).silent
    assert warm("ADD", config, "e").addresses == ["10.1.2.6/24", "fd00::6/64"]
    assert warm("ADD", config, "a").code == 1
    assert warm("DEL", config, "c").silent
    after = {file.name: file.read_bytes() for file in (tmp_path / "mynet").iterdir()}
    assert set(after) - set(before) == {"unipam.adopted"}
    assert after.items() >= before.items()
    shutil.rmtree(tmp_path / "mynet")
    assert warm("CHECK", config, "d").silent, "the ledger has it all"
