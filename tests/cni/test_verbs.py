"""DEL, CHECK, GC and STATUS of host-local, and what the configuration may add to ADD.

Spec cni-and-host-local §1.5, §1.9, §5.5, §5.6; the acceptance criteria B8 to B11, B14, B18 of §6.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Plugin, host_local

from unipam.model.records import Entry
from unipam.store.sqlite import SqliteStore

POOL = {"subnet": "10.1.2.0/29"}
VALID = "cni.dev/valid-attachments"
FORMER = "cni.dev/attachments"


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    """A network with five addresses."""
    return host_local(tmp_path, "1.1.0", [POOL])


def journal(data_dir: Path) -> list[Entry]:
    """What the ledger says happened, oldest first."""
    store = SqliteStore(str(data_dir / "unipam.db"))
    try:
        with store.reading() as tx:
            return tx.journal()[::-1]
    finally:
        store.close()


def held(cni: Plugin, config: dict[str, Any], *containers: str) -> list[str]:
    """Which of the containers have a lease, as CHECK says."""
    return [container for container in containers if cni("CHECK", config, container).code == 0]


# ---- DEL


@pytest.mark.parametrize(
    ("change", "args", "netns"),
    [
        ({}, "", ""),
        ({}, "", "/gone"),
        ({}, "FOO=BAR", ""),
        ({}, "IP=nonsense;;=", ""),
        ({"ranges": []}, "", ""),
        ({"ranges": [[{"subnet": "nonsense"}]]}, "", ""),
        ({"ranges": "nonsense"}, "", ""),
        ({"ranges": [[{"subnet": "192.168.0.0/16"}]]}, "", ""),
        ({"resolvConf": "/missing"}, "", ""),
        ({"cooldown": "nonsense", "duplicateAdd": 5}, "", ""),
    ],
)
def test_del_releases_whatever_else_is_wrong(
    cni: Plugin, tmp_path: Path, config: dict[str, Any], change: dict[str, Any], args: str, netns: str
) -> None:
    assert cni("ADD", config).addresses == ["10.1.2.2/29"]
    assert cni("DEL", {**config, "ipam": {**config["ipam"], **change}}, args=args, netns=netns).silent
    assert held(cni, config, "dummy") == []
    assert [entry.verb for entry in journal(tmp_path)] == ["allocate", "release"]


def test_del_finds_the_data_directory_that_add_found(warm: Plugin, tmp_path: Path) -> None:
    one, other = (json.dumps(str(tmp_path / name)) for name in ("one", "other"))
    ipam = f'"ipam": {{"subnet": "10.1.2.0/29", "dataDir": {one}, "DATADIR": {other}}}'
    twice = f'{{"name": "n", "cniVersion": "1.0.0", "Ipam": {{"dataDir": {one}}}, {ipam}}}'.encode()
    assert warm("ADD", twice).code == 0
    assert not (tmp_path / "one").exists()
    assert warm("CHECK", twice).silent
    assert warm("DEL", twice).silent
    assert warm("CHECK", twice).code == 1


def test_del_of_nothing_makes_nothing(cni: Plugin, tmp_path: Path) -> None:
    config = host_local(tmp_path / "never", "1.0.0", [POOL])
    assert cni("DEL", config).silent
    assert not list(tmp_path.iterdir())
    assert cni("ADD", config).code == 0
    assert cni("DEL", config).silent
    assert cni("DEL", config).silent, "and again"


def test_del_takes_every_address_of_the_attachment_and_no_other(cni: Plugin, tmp_path: Path) -> None:
    config = host_local(tmp_path, "1.0.0", [POOL], [{"subnet": "fd00::/64"}])
    for container, ifname in (("a", "eth0"), ("a", "eth1"), ("b", "eth0")):
        assert len(cni("ADD", config, container, ifname).addresses) == 2
    assert cni("DEL", config, "a", "eth0").silent
    assert cni("CHECK", config, "a", "eth0").error["msg"] == "host-local: Failed to find address added by container a"
    assert cni("CHECK", config, "a", "eth1").silent
    assert cni("CHECK", config, "b", "eth0").silent


def spoil(data_dir: Path) -> None:
    """Put something else in the ledger's place."""
    for file in data_dir.glob("unipam.db*"):
        file.unlink()
    (data_dir / "unipam.db").write_bytes(b"This is not a ledger." * 4096)


def test_del_fails_when_the_lease_stays(cni: Plugin, tmp_path: Path, config: dict[str, Any]) -> None:
    assert cni("ADD", config).code == 0
    spoil(tmp_path)
    error = cni("DEL", config).error
    assert error["code"] == 5
    assert str(tmp_path) in error["msg"]
    assert "no such file or directory" not in error["msg"], "go-cni takes that for a success"
    assert "not found" not in error["msg"]


# ---- CHECK


def test_check_of_nothing_makes_nothing(cni: Plugin, tmp_path: Path) -> None:
    config = host_local(tmp_path / "never", "1.0.0", [POOL])
    assert cni("CHECK", config).error["msg"] == "host-local: Failed to find address added by container dummy"
    assert not list(tmp_path.iterdir())


def test_check_believes_what_add_said(cni: Plugin, tmp_path: Path) -> None:
    config = host_local(tmp_path, "1.0.0", [POOL], [{"subnet": "fd00::/64"}])
    result = cni("ADD", config).result
    chain = {**result, "interfaces": [{"name": "eth0"}], "ips": [{**ip, "interface": 0} for ip in result["ips"]]}
    previous: Any
    for previous in (result, chain, {**result, "ips": result["ips"][:1]}, {"ips": []}, {}, None):
        assert cni("CHECK", {**config, "prevResult": previous}).silent


@pytest.mark.parametrize("address", ["10.1.2.3/29", "10.1.2.77/29", "fd00::2/64"])
def test_check_refuses_an_address_that_is_not_the_containers(cni: Plugin, config: dict[str, Any], address: str) -> None:
    result = cni("ADD", config, "a").result
    assert cni("ADD", config, "b").addresses == ["10.1.2.3/29"]
    wrong = {**result, "ips": [*result["ips"], {"address": address}]}
    error = cni("CHECK", {**config, "prevResult": wrong}, "a").error
    assert error["msg"] == f"container a does not hold {address.partition('/')[0]}, it holds 10.1.2.2"


@pytest.mark.parametrize(
    "previous", [5, "x", [1], {"ips": 5}, {"ips": [5]}, {"ips": [{}]}, {"ips": [{"address": "x"}]}]
)
def test_check_refuses_a_previous_result_that_is_none(warm: Plugin, config: dict[str, Any], previous: Any) -> None:
    assert warm("ADD", config).code == 0
    error = warm("CHECK", {**config, "prevResult": previous}).error
    assert error["msg"] == "cannot read prevResult: it must be the result of an ADD"


def test_check_wants_a_configuration_that_makes_sense(warm: Plugin, config: dict[str, Any]) -> None:
    assert warm("ADD", config).code == 0
    assert warm("CHECK", config, args="FOO=BAR").error["msg"] == 'ARGS: unknown args ["FOO=BAR"]'
    config["ipam"]["ranges"] = []
    assert warm("CHECK", config).error["msg"] == "no IP ranges specified"


# ---- GC


def attachments(*names: str) -> list[dict[str, str]]:
    return [{"containerID": container, "ifname": ifname} for container, ifname in (n.split("/") for n in names)]


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({VALID: attachments("a/eth0", "c/eth0")}, ["a", "c"]),
        ({VALID: attachments("a/eth0", "b/eth9")}, ["a"]),
        ({VALID: []}, []),
        ({VALID: None}, []),
        ({VALID.upper(): attachments("a/eth0")}, ["a"]),
        ({FORMER: attachments("b/eth0")}, ["b"]),
        ({FORMER: None}, []),
        ({VALID: attachments("a/eth0"), FORMER: attachments("a/eth0")}, ["a"]),
        ({}, ["a", "b", "c"]),
    ],
    ids=["array", "other interface", "empty", "null", "any case", "former name", "former null", "both", "absent"],
)
def test_gc_spares_what_is_valid(warm: Plugin, config: dict[str, Any], given: dict[str, Any], left: list[str]) -> None:
    other = {**config, "name": "other"}
    for container in "abc":
        assert warm("ADD", config, container).code == 0
    assert warm("ADD", other, "stranger").code == 0
    assert warm("GC", {**config, **given}, "", "", netns="").silent
    assert held(warm, config, *"abc") == left
    assert held(warm, other, "stranger") == ["stranger"], "another network is none of its business"


def test_gc_cold(cold: Plugin, config: dict[str, Any]) -> None:
    for container in "ab":
        assert cold("ADD", config, container).code == 0
    assert cold("GC", {**config, VALID: attachments("b/eth0")}).silent
    assert held(cold, config, *"ab") == ["b"]


def test_gc_without_a_list_frees_all_where_that_is_wanted(cni: Plugin, config: dict[str, Any]) -> None:
    assert cni("ADD", config, "a").code == 0
    config["ipam"]["gcWithoutList"] = True
    assert cni("GC", config).silent
    assert held(cni, config, "a") == []


@pytest.mark.parametrize("key", [VALID, FORMER])
@pytest.mark.parametrize(
    "listed",
    [{}, "", "x", 0, False, 5, [5], [None], [{}], [{"containerID": "a"}], [{"containerID": 5, "ifname": "eth0"}]],
)
def test_gc_frees_nothing_by_a_list_that_is_none(warm: Plugin, config: dict[str, Any], key: str, listed: Any) -> None:
    assert warm("ADD", config, "a").code == 0
    config["ipam"]["gcWithoutList"] = True
    error = warm("GC", {**config, key: listed}).error
    assert error["msg"].startswith(f"cannot read {key}: ")
    assert held(warm, config, "a") == ["a"]


def test_gc_frees_nothing_by_a_broken_configuration(cni: Plugin, config: dict[str, Any]) -> None:
    assert cni("ADD", config, "a").code == 0
    broken = {**config, "ipam": {**config["ipam"], "ranges": []}, VALID: None}
    assert cni("GC", broken).error["msg"] == "no IP ranges specified"
    assert cni("GC", {**config, VALID: None}, args="FOO=BAR").error["msg"] == 'ARGS: unknown args ["FOO=BAR"]'
    assert held(cni, config, "a") == ["a"]


def test_gc_is_journalled(warm: Plugin, tmp_path: Path, config: dict[str, Any]) -> None:
    assert warm("ADD", config, "a").code == 0
    assert warm("GC", {**config, VALID: None}).silent
    last = journal(tmp_path)[-1]
    assert (last.verb, last.reason, last.owner.holder) == ("release", "GC: not among the valid attachments", "a")


# ---- STATUS


def test_status_is_silent_while_addresses_can_be_served(cni: Plugin, config: dict[str, Any]) -> None:
    assert cni("STATUS", config, "", "", netns="").silent
    count = 0
    while cni("ADD", config, f"c{count}").code == 0:
        count += 1
    assert count == 5
    assert cni("STATUS", config).silent, "a full pool is not the node's failure"


def test_status_reports_exhaustion_where_that_is_wanted(cni: Plugin, config: dict[str, Any]) -> None:
    config["ipam"]["statusOnExhaustion"] = True
    for n in range(5):
        assert cni("STATUS", config).silent
        assert cni("ADD", config, f"c{n}").code == 0
    error = cni("STATUS", config).error
    assert (error["code"], error["msg"]) == (50, "no IP addresses available in range set: 10.1.2.1-10.1.2.6")
    assert cni("DEL", config, "c3").silent
    assert cni("STATUS", config).silent


def test_status_fails_when_nothing_could_be_served(cni: Plugin, tmp_path: Path, config: dict[str, Any]) -> None:
    spoil(tmp_path)
    error = cni("STATUS", config).error
    assert error["code"] == 50
    assert error["msg"].startswith("no address can be served: ")


def test_status_says_where_a_ledger_cannot_be(cni: Plugin, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = cni("STATUS", host_local(tmp_path / "file" / "below", "1.1.0", [POOL])).error
    assert error["code"] == 50
    assert f"mkdir {tmp_path}/file/below: not a directory" in error["msg"]


# ---- the namespace


@pytest.mark.parametrize("verb", ["ADD"])
def test_the_plugins_own_namespace_is_refused_before_anything_is_given(
    cni: Plugin, config: dict[str, Any], verb: str
) -> None:
    error = cni(verb, config, netns="/proc/self/ns/net").error
    assert (error["code"], error["msg"]) == (8, "plugin's netns and netns from CNI_NETNS should not be the same")
    assert cni("ADD", config).addresses == ["10.1.2.2/29"], "it took nothing"


@pytest.mark.parametrize("word", ["1", "true", "TRUE"])
def test_the_own_namespace_may_be_insisted_on(cni: Plugin, config: dict[str, Any], word: str) -> None:
    assert cni("ADD", config, netns="/proc/self/ns/net", env={"CNI_NETNS_OVERRIDE": word}).code == 0


def test_del_with_the_own_namespace_releases(cni: Plugin, config: dict[str, Any]) -> None:
    assert cni("ADD", config).code == 0
    assert cni("DEL", config, netns="/proc/self/ns/net").silent
    assert held(cni, config, "dummy") == []


@pytest.mark.real
def test_another_namespace_is_no_objection(warm: Plugin, config: dict[str, Any]) -> None:
    try:
        holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo ready; exec cat"], stdin=-1, stdout=-1)
    except FileNotFoundError:
        pytest.skip("needs the Debian package util-linux")
    assert holder.stdin is not None
    assert holder.stdout is not None
    with holder:
        if holder.stdout.readline() != b"ready\n":
            pytest.skip("needs the right to make network namespaces")
        assert warm("ADD", config, netns=f"/proc/{holder.pid}/ns/net").code == 0
        holder.stdin.close()


# ---- keys of our own


def test_a_second_add_may_be_answered_again(cni: Plugin, tmp_path: Path) -> None:
    config = host_local(tmp_path, "1.0.0", [POOL], [{"subnet": "fd00::/64"}], duplicateAdd="return")
    first = cni("ADD", config)
    assert first.addresses == ["10.1.2.2/29", "fd00::2/64"]
    assert cni("ADD", config) == first
    assert cni("ADD", config, "other").addresses == ["10.1.2.3/29", "fd00::3/64"]
    assert [entry.verb for entry in journal(tmp_path)].count("repeat") == 2


def test_what_is_answered_again_outlives_a_change_of_ranges(cni: Plugin, tmp_path: Path) -> None:
    config = host_local(tmp_path, "1.0.0", [POOL], duplicateAdd="return")
    assert cni("ADD", config).addresses == ["10.1.2.2/29"]
    config["ipam"]["ranges"] = [[{"subnet": "192.168.7.0/24"}]]
    assert cni("ADD", config).result["ips"] == [{"address": "10.1.2.2/32"}]


def test_a_released_address_cools(cni: Plugin, tmp_path: Path, config: dict[str, Any]) -> None:
    config["ipam"]["cooldown"] = 3600
    order = [cni("ADD", config, f"c{n}").addresses[0] for n in range(5)]
    assert order == [f"10.1.2.{n}/29" for n in (2, 3, 4, 5, 6)]
    for n in (3, 1):
        assert cni("DEL", config, f"c{n}").silent
    assert held(cni, config, "c1", "c3") == []
    assert cni("ADD", config, "late").addresses == ["10.1.2.5/29"], (
        "the glass is broken for the one that cooled longest"
    )
    breaking = [entry for entry in journal(tmp_path) if entry.verb == "break-glass"]
    assert len(breaking) == 1
    assert "no other address was free" in breaking[0].reason
    assert cni("ADD", config, "asks", args="IP=10.1.2.3").error["msg"] == (
        "failed to allocate for range 0: requested IP address 10.1.2.3 is not available in range set 10.1.2.1-10.1.2.6"
    )
    assert cni("ADD", config, "c1", args="IP=10.1.2.3").addresses == ["10.1.2.3/29"], "its former holder may return"


def test_without_a_cooldown_an_address_is_free_at_once(warm: Plugin, tmp_path: Path) -> None:
    config = host_local(tmp_path, "1.0.0", [{"subnet": "10.1.2.0/30"}])
    for n in range(3):
        assert warm("ADD", config, f"c{n}").addresses == ["10.1.2.2/30"]
        assert warm("DEL", config, f"c{n}").silent
    assert "break-glass" not in [entry.verb for entry in journal(tmp_path)]


# ---- IPv6


def test_ipv6_alone_and_with_ipv4(cni: Plugin, tmp_path: Path) -> None:
    six = host_local(tmp_path, "1.0.0", [{"subnet": "2001:DB8::/126"}], name="six")
    assert [cni("ADD", six, f"c{n}").addresses for n in range(2)] == [["2001:db8::2/126"], ["2001:db8::3/126"]]
    assert cni("ADD", six, "late").error["msg"].endswith("in range set: 2001:db8::1-2001:db8::3")
    both = host_local(tmp_path, "1.0.0", [{"subnet": "2001:db8::/126"}], [{"subnet": "10.1.2.0/24"}], name="both")
    for n in range(2):
        assert cni("ADD", both, f"c{n}").addresses == [f"2001:db8::{n + 2}/126", f"10.1.2.{n + 2}/24"]
    assert cni("ADD", both, "late").code == 1
    assert cni("DEL", both, "c0").silent
    assert cni("ADD", both, "late").addresses == ["2001:db8::2/126", "10.1.2.4/24"], (
        "the failed ADD took no IPv4 address"
    )
