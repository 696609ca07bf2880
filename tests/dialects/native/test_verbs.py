"""unipam's own plugin through the launcher, warm and cold, by the pool of a CiliumNode."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import UNIPAM, Agent, Plugin
from tests.dialects.native.cluster import Cluster
from tests.dialects.native.cluster import cluster as running

from unipam.cni.install import install

POOL = [f"10.240.0.{10 + i}" for i in range(8)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with running(tmp_path, *POOL) as made:
        yield made


@pytest.fixture
def placed(short_dir: Callable[[], Path]) -> Callable[[Path], Plugin]:
    def placed(socket: Path) -> Plugin:
        (change,) = install(short_dir(), socket, ["unipam"])
        return Plugin(change.path)

    return placed


@pytest.fixture
def agent_plugin(start_agent: Callable[..., Agent], placed: Callable[[Path], Plugin]) -> Plugin:
    return placed(start_agent().socket)


@pytest.fixture(params=["warm", "cold"])
def plugin(
    request: pytest.FixtureRequest,
    start_agent: Callable[..., Agent],
    short_dir: Callable[[], Path],
    placed: Callable[[Path], Plugin],
) -> Plugin:
    return placed(start_agent().socket if request.param == "warm" else short_dir() / "none.sock")


def network(cluster: Cluster, tmp_path: Path, version: str = "1.0.0", **ipam: Any) -> dict[str, Any]:
    inner = {"type": "unipam", "source": "ciliumnode", "dataDir": str(tmp_path / "state"), **ipam}
    access = {"node_name": "n1", "kubeconfig": str(cluster.server.kubeconfig)}
    return {"cniVersion": version, "name": "pods", "type": "bridge", "ipam": inner, "kubernetes": access}


def pod(name: str) -> str:
    return f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={name}"


def explain(*words: str) -> str:
    """What a person is told."""
    return " ".join(
        subprocess.run([UNIPAM, "explain", *words], capture_output=True, text=True, check=True).stdout.split()
    )


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_a_pod_gets_an_address_of_the_pool_with_what_belongs_to_it(
    cluster: Cluster, plugin: Plugin, tmp_path: Path
) -> None:
    given = network(cluster, tmp_path)
    added = plugin("ADD", given, "c1", args=pod("web"))
    assert added.result == {
        "cniVersion": "1.0.0",
        "interfaces": [{"name": "", "mac": "00:22:48:aa:bb:cc"}],
        "ips": [{"address": "10.240.0.10/16", "gateway": "10.240.0.1"}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "10.240.0.1"}],
    }
    assert plugin("CHECK", {**given, "prevResult": added.result}, "c1").silent
    assert plugin("ADD", given, "c2").addresses == ["10.240.0.11/16"]
    assert plugin("DEL", given, "c1").silent
    assert plugin("DEL", given, "c1").silent, "and once more"
    assert plugin("ADD", given, "c3").addresses == ["10.240.0.12/16"], "what was given back rests as long as it can"


def test_what_is_used_is_told(cluster: Cluster, agent_plugin: Plugin, tmp_path: Path) -> None:
    given = network(cluster, tmp_path)
    assert agent_plugin("ADD", given, "c1", args=pod("web")).code == 0
    nic = cluster.document["spec"]["ipam"]["pool"][POOL[0]]["resource"]
    until(lambda: cluster.ipam.get("used") == {POOL[0]: {"owner": "default/web", "resource": nic}})
    assert cluster.refused == 0


def test_what_bridge_and_ptp_are_told_differs_in_the_gateway(cluster: Cluster, plugin: Plugin, tmp_path: Path) -> None:
    """ptp gives the gateway's address to the node itself: the subnet's own would cut it off."""
    given = network(cluster, tmp_path)
    assert plugin("ADD", {**given, "type": "ptp"}, "c1").result["ips"] == [
        {"address": "10.240.0.10/16", "gateway": "10.240.0.3"}
    ]
    own = network(cluster, tmp_path, gateway="10.240.255.254", routes=[{"dst": "10.0.0.0/8"}])
    result = plugin("ADD", own, "c2").result
    assert (result["ips"][0]["gateway"], result["routes"]) == ("10.240.255.254", [{"dst": "10.0.0.0/8"}])


@pytest.mark.parametrize("version", ["0.2.0", "0.4.0", "1.1.0"])
def test_each_shape_of_a_result(cluster: Cluster, plugin: Plugin, tmp_path: Path, version: str) -> None:
    result = plugin("ADD", network(cluster, tmp_path, version), "c1").result
    assert result["cniVersion"] == version
    assert ("interfaces" in result) is (version >= "0.3.0")
    shown = result["ip4"] if version < "0.3.0" else result["ips"][0]
    assert shown["gateway"] == "10.240.0.1"


def test_a_short_pool_is_told_with_the_way_out_and_fills_again(
    cluster: Cluster, agent_plugin: Plugin, tmp_path: Path
) -> None:
    given = network(cluster, tmp_path)
    for number in range(8):
        assert agent_plugin("ADD", given, f"c{number}").code == 0
    error = agent_plugin("ADD", given, "c8").error
    assert error["code"] == 11
    assert error["msg"].startswith("no IP addresses available in range set: 10.240.0.10-10.240.0.17")
    assert error["details"] == f"what fills it: unipam explain ciliumnode --data-dir {tmp_path}/state"
    until(lambda: set(cluster.ipam.get("used") or ()) == set(POOL))
    nic = cluster.document["spec"]["ipam"]["pool"][POOL[0]]
    cluster.merge({"spec": {"ipam": {"pool": {"10.240.0.99": nic}}}})
    until(lambda: agent_plugin("ADD", given, "c8").code == 0)


def test_what_is_to_be_taken_is_given_up_if_nobody_has_it(
    cluster: Cluster, agent_plugin: Plugin, tmp_path: Path
) -> None:
    given = network(cluster, tmp_path)
    assert agent_plugin("ADD", given, "c1").addresses == ["10.240.0.10/16"]
    asked = {"10.240.0.10": "marked-for-release", "10.240.0.11": "marked-for-release", "10.9.9.9": "marked-for-release"}
    cluster.merge({"status": {"ipam": {"release-ips": asked}}})
    answered = {"10.240.0.10": "do-not-release", "10.240.0.11": "ready-for-release", "10.9.9.9": "do-not-release"}
    until(lambda: cluster.ipam.get("release-ips") == answered)
    given_out = [agent_plugin("ADD", given, f"d{number}") for number in range(7)]
    assert [each.code for each in given_out] == [0] * 6 + [1]
    assert all("10.240.0.11/16" not in each.addresses for each in given_out[:6])
    assert agent_plugin("ADD", given, "e", args="IP=10.240.0.11").code == 1, "not even to who asks for it"
    cluster.merge({"spec": {"ipam": {"pool": {"10.240.0.11": None}}}})
    cluster.merge({"status": {"ipam": {"release-ips": {"10.240.0.11": "released"}}}})
    until(lambda: "10.240.0.11" not in cluster.ipam["release-ips"])


def test_what_cools_is_given_up_only_when_it_is_cool(cluster: Cluster, agent_plugin: Plugin, tmp_path: Path) -> None:
    given = network(cluster, tmp_path, cooldown=3)
    assert agent_plugin("ADD", given, "c1").code == 0
    assert agent_plugin("DEL", given, "c1").silent
    marked = dict.fromkeys(POOL[:2], "marked-for-release")
    cluster.merge({"status": {"ipam": {"release-ips": marked}}})
    until(lambda: cluster.ipam["release-ips"][POOL[1]] == "ready-for-release")
    assert cluster.ipam["release-ips"][POOL[0]] == "marked-for-release"
    until(lambda: agent_plugin("STATUS", {**given, "cniVersion": "1.1.0"}).silent)
    until(lambda: cluster.ipam["release-ips"][POOL[0]] == "ready-for-release")


def test_an_address_that_leaves_the_pool_stays_with_its_pod_and_is_told(
    cluster: Cluster, start_agent: Callable[..., Agent], placed: Callable[[Path], Plugin], tmp_path: Path
) -> None:
    agent = start_agent()
    plugin, given = placed(agent.socket), network(cluster, tmp_path)
    added = plugin("ADD", given, "c1", args=pod("web"))
    cluster.merge({"spec": {"ipam": {"pool": {POOL[0]: None}}}})
    (told,) = agent.await_lines("finding", 1)
    assert told["message"].startswith("10.240.0.10 (default/web) is not the node's any more")
    assert plugin("CHECK", {**given, "prevResult": added.result}, "c1").silent
    assert POOL[0] in cluster.ipam["used"]
    explained = explain("10.240.0.10", "--data-dir", given["ipam"]["dataDir"])
    assert "is held by c1/eth0 (pod default/web)" in explained
    assert "10.240.0.10 is in no pool of ciliumnode any more: it stays with its holder" in explained
    assert plugin("DEL", given, "c1").silent
    rest = [plugin("ADD", given, f"d{number}") for number in range(8)]
    assert [each.code for each in rest] == [0] * 7 + [1], "nobody gets it again"


def test_a_node_starts_pods_while_the_api_server_is_away(
    cluster: Cluster,
    plugin: Plugin,
    tmp_path: Path,
    start_agent: Callable[..., Agent],
    placed: Callable[[Path], Plugin],
) -> None:
    given = network(cluster, tmp_path)
    assert plugin("ADD", given, "c1").addresses == ["10.240.0.10/16"]
    cluster.away = True
    assert plugin("ADD", given, "c2").addresses == ["10.240.0.11/16"]
    restarted = placed(start_agent("--data-dir", str(tmp_path / "state")).socket)
    assert restarted("ADD", given, "c3").addresses == ["10.240.0.12/16"]
    assert restarted("DEL", given, "c1").silent
    assert restarted("STATUS", {**given, "cniVersion": "1.1.0"}).silent


def test_what_nobody_knows_is_said_with_the_cause(cluster: Cluster, plugin: Plugin, tmp_path: Path) -> None:
    cluster.away = True
    given = network(cluster, tmp_path)
    error = plugin("ADD", given, "c1").error
    assert error["code"] == 11
    assert error["msg"].startswith("the pool of CiliumNode n1 is not known: ")
    assert "away" in error["msg"]
    assert plugin("STATUS", {**given, "cniVersion": "1.1.0"}).error["code"] == 50
    assert plugin("DEL", given, "c1").silent


def test_without_a_ciliumnode_pods_wait_and_nothing_is_remembered_in_its_place(
    cluster: Cluster, plugin: Plugin, tmp_path: Path
) -> None:
    given = network(cluster, tmp_path)
    assert plugin("ADD", given, "c1").code == 0
    cluster.remove()
    until(lambda: plugin("ADD", given, "c2").code == 1 or not plugin("DEL", given, "c2").silent)
    error = plugin("ADD", given, "c3").error
    assert (error["code"], error["msg"][:31]) == (11, "CiliumNode n1 is not there: the")
    assert plugin("DEL", given, "c1").silent


def test_what_others_use_is_left_to_them_until_their_pod_ends(cluster: Cluster, plugin: Plugin, tmp_path: Path) -> None:
    used = {POOL[0]: {"owner": "router"}, POOL[1]: {"owner": "default/old"}}
    cluster.merge({"status": {"ipam": {"used": used}}})
    given = network(cluster, tmp_path)
    assert plugin("ADD", given, "c1").addresses == ["10.240.0.12/16"]
    assert plugin("DEL", given, "unknown", args=pod("old")).silent
    taken = [plugin("ADD", given, f"d{number}") for number in range(7)]
    assert [each.code for each in taken] == [0] * 6 + [1]
    assert "10.240.0.11/16" in [each.addresses[0] for each in taken[:6]]


def test_gc_lets_go_of_its_own_networks_leases_only(cluster: Cluster, plugin: Plugin, tmp_path: Path) -> None:
    given = network(cluster, tmp_path, "1.1.0")
    other = {**given, "name": "others"}
    assert [plugin("ADD", each, name).code for each, name in ((given, "c1"), (given, "c2"), (other, "c3"))] == [0] * 3
    valid = [{"containerID": "c2", "ifname": "eth0"}]
    assert plugin("GC", {**given, "cni.dev/valid-attachments": valid}).silent
    assert [plugin("CHECK", given, name).code for name in ("c1", "c2")] == [1, 0]
    assert plugin("CHECK", other, "c3").silent


@pytest.mark.parametrize(
    ("ipam", "said"),
    [
        ({"source": "nodes"}, 'ipam.source is "nodes": it must be "ciliumnode" or "podcidr"'),
        ({"source": None}, 'ipam.source is "": it must be "ciliumnode" or "podcidr"'),
        ({"pre-allocate": -1}, "ipam.pre-allocate is -1: a whole number, 0 or more"),
        ({"cooldown": -5}, "invalid cooldown -5: seconds from 0 (off) to 86400 (a day)"),
    ],
)
def test_what_makes_no_sense_is_refused_and_a_del_succeeds(
    cluster: Cluster, plugin: Plugin, tmp_path: Path, ipam: dict[str, Any], said: str
) -> None:
    given = network(cluster, tmp_path, **ipam)
    error = plugin("ADD", given, "c1").error
    assert (error["code"], error["msg"]) == (7, said)
    assert plugin("DEL", given, "c1").silent


def test_all_networks_of_a_node_share_one_ledger(cluster: Cluster, agent_plugin: Plugin, tmp_path: Path) -> None:
    given = network(cluster, tmp_path)
    assert agent_plugin("ADD", given, "c1").code == 0
    error = agent_plugin("ADD", network(cluster, tmp_path, dataDir=str(tmp_path / "other")), "c2").error
    assert error["code"] == 7
    assert error["msg"].endswith("give all networks that share it the same")


# "source": "podcidr" --------------------------------------------------------------------------------------------------


def by_ranges(cluster: Cluster, tmp_path: Path, **ipam: Any) -> dict[str, Any]:
    return network(cluster, tmp_path, source="podcidr", **ipam)


def test_podcidrs_of_both_families_serve_as_host_local_does(
    cluster: Cluster, plugin: Plugin, short_dir: Callable[[], Path], tmp_path: Path
) -> None:
    cluster.merge({"spec": {"podCIDRs": ["fd00:10:1::/64", "10.244.3.0/24"]}})
    given = by_ranges(cluster, tmp_path)
    added = plugin("ADD", given, "c1")
    assert added.addresses == ["fd00:10:1::2/64", "10.244.3.2/24"]
    assert [ip["gateway"] for ip in added.result["ips"]] == ["fd00:10:1::1", "10.244.3.1"]
    assert added.result["routes"] == [{"dst": "::/0"}, {"dst": "0.0.0.0/0"}]
    assert plugin("CHECK", {**given, "prevResult": added.result}, "c1").silent
    (change,) = install(short_dir(), short_dir() / "none.sock", ["host-local"])
    host_local = {**given, "ipam": {**given["ipam"], "type": "host-local", "ranges": [[{"subnet": "10.244.3.0/24"}]]}}
    assert Plugin(change.path)("ADD", host_local, "c2").addresses == ["10.244.3.3/24"], "it is the same network"
    assert plugin("DEL", given, "c2").silent
    assert plugin("DEL", given, "c1").silent
    assert plugin("CHECK", {**given, "prevResult": added.result}, "c1").code == 1
    assert plugin("STATUS", {**given, "cniVersion": "1.1.0"}).silent
    assert plugin("GC", {**given, "cniVersion": "1.1.0", "cni.dev/valid-attachments": []}).silent
    own = by_ranges(cluster, tmp_path, routes=[{"dst": "10.0.0.0/8"}])
    assert plugin("ADD", own, "c3").result["routes"] == [{"dst": "10.0.0.0/8"}]


def test_a_node_without_podcidrs_is_told_so(cluster: Cluster, plugin: Plugin, tmp_path: Path) -> None:
    error = plugin("ADD", by_ranges(cluster, tmp_path), "c1").error
    assert error["msg"] == "no podCidr for node n1"
    assert plugin("DEL", by_ranges(cluster, tmp_path), "c1").silent


def test_a_ciliumnode_of_a_cluster_pool_has_ranges(cluster: Cluster, plugin: Plugin, tmp_path: Path) -> None:
    cluster.merge({"spec": {"ipam": {"pool": None, "podCIDRs": ["10.200.1.0/24", "fd00:200::/112"]}}})
    result = plugin("ADD", network(cluster, tmp_path), "c1").result
    assert [ip["address"] for ip in result["ips"]] == ["10.200.1.2/24", "fd00:200::2/112"]
    assert [ip["gateway"] for ip in result["ips"]] == ["10.200.1.1", "fd00:200::1"]
    assert "interfaces" not in result


def test_without_access_of_its_own_the_cold_path_serves_what_an_agent_has_learned(
    cluster: Cluster, agent_plugin: Plugin, placed: Callable[[Path], Plugin], short_dir: Callable[[], Path],
    tmp_path: Path,
) -> None:  # fmt: skip
    given = network(cluster, tmp_path)
    cold, pathless = placed(short_dir() / "none.sock"), {**given, "kubernetes": {"node_name": "n1"}}
    error = cold("ADD", pathless, "c0").error
    assert error["code"] == 7
    assert "no kubeconfig is named" in error["msg"]
    assert agent_plugin("ADD", given, "c1").addresses == ["10.240.0.10/16"]
    assert cold("ADD", pathless, "c2").addresses == ["10.240.0.11/16"]
