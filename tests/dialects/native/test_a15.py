"""A15 of Cilium's spec (§7), as far as a CNI plugin has a part in it.

Not for a plugin: waiting for a first pool (an ADD is told, and tried again by the kubelet), expiration timers (there is
a DEL), `cilium status`, and a second family (an interface of Azure has IPv4 alone in this mode).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.clients.fake_api_server import FakeApiServer, fake_api_server
from tests.conftest import Agent, Plugin
from tests.dialects.native.cluster import NIC, Cluster, cilium_node
from tests.dialects.native.test_verbs import network, pod, until

from unipam.cni.install import install


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeApiServer]:
    with fake_api_server(tmp_path) as made:
        yield made


@pytest.fixture
def plugin(start_agent: Callable[..., Agent], short_dir: Callable[[], Path]) -> Plugin:
    (change,) = install(short_dir(), start_agent().socket, ["unipam"])
    return Plugin(change.path)


def serve(server: FakeApiServer, document: Any) -> Cluster:
    made = Cluster(server, document)
    server._then = made
    return made


def test_a15_an_entry_with_an_owner_is_nobody_elses(server: FakeApiServer, plugin: Plugin, tmp_path: Path) -> None:
    """A15: an address that a pool keeps for somebody by name is not handed to whoever comes."""
    document = cilium_node("10.240.0.10", "10.240.0.11")
    document["spec"]["ipam"]["pool"]["10.240.0.10"]["owner"] = "default/db-0"
    given = network(serve(server, document), tmp_path)
    assert plugin("ADD", given, "c1", args=pod("web")).addresses == ["10.240.0.11/16"]
    assert plugin("ADD", given, "c2", args=pod("web-2")).code != 0


def test_a15_a_failed_add_marks_nothing(server: FakeApiServer, plugin: Plugin, tmp_path: Path) -> None:
    """A15 (18352): the interface is not told yet: the ADD fails, and the address is free when it is."""
    document = cilium_node("10.240.0.10")
    interfaces = document["status"]["azure"].pop("interfaces")
    cluster = serve(server, document)
    given = network(cluster, tmp_path)
    for container in ("c1", "c2", "c3"):
        assert plugin("ADD", given, container, args=pod("web")).code != 0
    assert "used" not in cluster.ipam
    cluster.merge({"status": {"azure": {"interfaces": interfaces}}})
    until(lambda: plugin("ADD", given, "c4", args=pod("web")).code == 0)
    resource = {"owner": "default/web", "resource": NIC}
    until(lambda: cluster.ipam.get("used") == {"10.240.0.10": resource})
