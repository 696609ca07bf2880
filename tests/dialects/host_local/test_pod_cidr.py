"""usePodCidr and usePodCidrIPv6 (spec calico-ipam §2.1, §2.4, AC-17): what they become, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.clients.fake_api_server import Asked, FakeApiServer, Say, fake_api_server, status
from tests.conftest import Agent, Plugin

from unipam.cni.install import install
from unipam.dialects.host_local.pod_cidr import Node, replaced, wanted
from unipam.model.errors import BadConfig

V4, V6 = "10.10.0.0/24", "dead:beef::/96"


def config(ipam: Any, **more: Any) -> dict[str, Any]:
    return {"cniVersion": "1.0.0", "name": "k8s", "type": "bridge", "ipam": ipam, **more}


def ipam_with(*ranges: str, **ipam: Any) -> Any:
    found, said = replaced(config(ipam), "n1", lambda: ranges)
    return found["ipam"], said


@pytest.mark.parametrize("text", ["usePodCidr", "usepodcidr", "USEPODCIDR"])
def test_a_subnet_becomes_the_nodes_range(text: str) -> None:
    found, said = ipam_with(V4, V6, type="host-local", subnet=text, other=[1])
    assert found == {"type": "host-local", "subnet": V4, "other": [1]}
    assert said == (f"Calico CNI passing podCidr to host-local IPAM: {V4}",)


def test_each_range_is_replaced_for_itself() -> None:
    ranges = [
        [{"subnet": "usePodCidr", "gateway": "10.10.0.9"}, {"subnet": "10.5.0.0/24"}],
        [{"subnet": "usePodCidrIPv6"}],
    ]
    found, said = ipam_with(V6, V4, ranges=ranges)
    assert found["ranges"] == [
        [{"subnet": V4, "gateway": "10.10.0.9"}, {"subnet": "10.5.0.0/24"}], [{"subnet": V6}],
    ]  # fmt: skip
    assert said[1] == f"Calico CNI passing podCidrv6 to host-local IPAM: {V6}"
    assert ranges[0][0]["subnet"] == "usePodCidr", "what was given is not changed"


@pytest.mark.parametrize(
    ("ranges", "ipam", "problem"),
    [
        ((), {"subnet": "usePodCidr"}, "no podCidr for node n1"),
        ((V4, "10.11.0.0/24"), {"subnet": "usePodCidr"}, "ClusterCIDR contains two ranges of the same type"),
        ((V6,), {"subnet": "usePodCidr"}, "usePodCidr found but there is no IPv4 CIDR configured"),
        ((V4,), {"subnet": "usePodCidrIPv6"}, "usePodCidrIPv6 found but there is no IPv6 CIDR configured"),
        ((V4,), "usePodCidr", "failed to parse host-local IPAM data; was expecting a dict, not: usePodCidr"),
        (
            (V4,), {"ranges": "usePodCidr"},
            "failed to parse host-local IPAM ranges section; was expecting a list, not: usePodCidr",
        ),
        (
            (V4,), {"ranges": ["usePodCidr"]},
            "failed to parse host-local IPAM range set; was expecting a list, not: usePodCidr",
        ),
        (("no/24",), {"subnet": "usePodCidr"}, "node n1 has a podCIDR that is none: invalid IP address: no"),
    ],
)  # fmt: skip
def test_what_is_refused(ranges: tuple[str, ...], ipam: Any, problem: str) -> None:
    with pytest.raises(BadConfig, match=f"^{problem}$"):
        replaced(config(ipam), "n1", lambda: ranges)


@pytest.mark.parametrize("ipam", [{"subnet": "10.0.0.0/24"}, None, "x", {"ranges": [[{"subnet": "10.0.0.0/24"}]]}])
def test_most_configurations_want_nothing(ipam: Any) -> None:
    assert wanted(config(ipam)) is None
    assert wanted({}) is None


def test_the_node_is_the_one_that_is_named() -> None:
    ipam = {"subnet": "usePodCidr"}
    assert wanted(config(ipam, kubernetes={"node_name": "a", "kubeconfig": "/k"}, nodename="b")) == Node("a", "/k")
    assert wanted(config(ipam, kubernetes={}, nodename="b")) == Node("b", "")
    assert wanted(config(ipam, kubernetes=7)) is not None


# Through the plugin ---------------------------------------------------------------------------------------------------


class Cluster:
    """An API server with one node, which can be away."""

    def __init__(self, server: FakeApiServer) -> None:
        self.server = server
        self.ranges: list[str] | None = [V4, V6]
        self.away = False

    @property
    def reads(self) -> int:
        """How often the node was asked for."""
        return sum("watch=1" not in asked.target for asked in self.server.asked)

    def __call__(self, asked: Asked) -> Say:
        if self.away:
            return status(503, "ServiceUnavailable", "away")
        if "watch=1" in asked.target:
            return Say(200, [])
        node = {"metadata": {"name": "n1", "resourceVersion": "1"}, "spec": {"podCIDRs": self.ranges}}
        if "fieldSelector" in asked.target:
            return Say(200, {"metadata": {"resourceVersion": "1"}, "items": [] if self.ranges is None else [node]})
        return status(404, "NotFound", 'nodes "n1" not found', "n1") if self.ranges is None else Say(200, node)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with fake_api_server(tmp_path) as server:
        made = Cluster(server)
        server._then = made
        yield made


@pytest.fixture(params=["warm", "cold"])
def plugin(request: pytest.FixtureRequest, start_agent: Callable[..., Agent], short_dir: Callable[[], Path]) -> Plugin:
    socket = start_agent().socket if request.param == "warm" else short_dir() / "none.sock"
    (change,) = install(short_dir(), socket, ["host-local"])
    return Plugin(change.path)


def network(cluster: Cluster, tmp_path: Path, subnet: str = "usePodCidr", **ipam: Any) -> dict[str, Any]:
    ipam = {"type": "host-local", "dataDir": str(tmp_path / "state"), "subnet": subnet, **ipam}
    return config(ipam, kubernetes={"node_name": "n1", "kubeconfig": str(cluster.server.kubeconfig)})


def test_pods_get_addresses_of_the_nodes_range_and_give_them_back(
    cluster: Cluster, plugin: Plugin, tmp_path: Path
) -> None:
    """K32: in the old form's `subnet`."""
    given = network(cluster, tmp_path, args_of="x")
    added = plugin("ADD", given, "c1")
    assert added.addresses == ["10.10.0.2/24"]
    assert plugin("ADD", given, "c2", args="IP=10.10.0.42").addresses == ["10.10.0.42/24"]
    assert plugin("CHECK", {**given, "prevResult": added.result}, "c1").silent
    asked = cluster.reads
    assert plugin("DEL", given, "c1").silent
    assert cluster.reads == asked, "to release needs no node"
    assert plugin("DEL", network(cluster, tmp_path, "0.0.0.0/0"), "c2").silent, "as Calico's plugin releases"
    assert plugin("ADD", given, "c3", args="IP=10.10.0.42").addresses == ["10.10.0.42/24"]


def test_both_families_and_ranges_of_ones_own(cluster: Cluster, plugin: Plugin, tmp_path: Path) -> None:
    """K32: `usePodCidr` and `usePodCidrIPv6` in `ranges`."""
    sets = [[{"subnet": "usePodCidr"}], [{"subnet": "usePodCidrIPv6"}], [{"subnet": "10.123.0.0/24"}]]
    given = network(cluster, tmp_path)
    del given["ipam"]["subnet"]
    given["ipam"]["ranges"] = sets
    assert plugin("ADD", given, "c1").addresses == ["10.10.0.2/24", "dead:beef::2/96", "10.123.0.2/24"]
    dummies = [[{"subnet": "0.0.0.0/0"}], [{"subnet": "::/0"}]]
    assert plugin("DEL", {**given, "ipam": {**given["ipam"], "ranges": dummies}}, "c1").silent


def test_a_node_starts_pods_while_the_server_is_away(
    cluster: Cluster, plugin: Plugin, tmp_path: Path, start_agent: Callable[..., Agent], short_dir: Callable[[], Path]
) -> None:
    given = network(cluster, tmp_path)
    assert plugin("ADD", given, "c1").addresses == ["10.10.0.2/24"]
    cluster.away = True
    assert plugin("ADD", given, "c2").addresses == ["10.10.0.3/24"]
    (change,) = install(short_dir(), start_agent().socket, ["host-local"])
    assert Plugin(change.path)("ADD", given, "c3").addresses == ["10.10.0.4/24"], "an agent that was started meanwhile"
    kept = tmp_path / "state" / "unipam-podcidrs.json"
    assert json.loads(kept.read_bytes()) == {"n1": [V4, V6]}
    assert kept.stat().st_mode & 0o777 == 0o600


def test_what_nobody_knows_is_said_with_the_cause(cluster: Cluster, plugin: Plugin, tmp_path: Path) -> None:
    cluster.away = True
    error = plugin("ADD", network(cluster, tmp_path), "c1").error
    assert error["code"] == 11
    assert error["msg"].startswith("the podCIDRs of node n1 are not known: ")
    assert "away" in error["msg"]


@pytest.mark.parametrize(("ranges", "said"), [([], "no podCidr for node n1"), (None, 'nodes "n1" not found')])
def test_a_node_without_a_range_starts_nothing_whatever_is_remembered(
    cluster: Cluster, plugin: Plugin, tmp_path: Path, ranges: list[str] | None, said: str
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "unipam-podcidrs.json").write_text('{"n1":["10.99.0.0/24"]}')
    cluster.ranges = ranges
    assert plugin("ADD", network(cluster, tmp_path), "c1").error["msg"] == said


def test_a_memory_that_is_broken_is_none(cluster: Cluster, plugin: Plugin, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "unipam-podcidrs.json").write_text("{")
    cluster.away = True
    assert plugin("ADD", network(cluster, tmp_path), "c1").error["code"] == 11
    cluster.away = False
    assert plugin("DEL", network(cluster, tmp_path), "c1").silent
