"""`unipam controller --kubenet` as a process, against a genuine kube-apiserver and a fake Azure over TLS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.real import kube_apiserver
from tests.real.kubenet import Running, kubenet

pytestmark = pytest.mark.skipif(bool(kube_apiserver.WHY), reason=kube_apiserver.WHY)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with kubenet(tmp_path) as made:
        yield made


def test_nodes_get_ranges_routes_and_conditions(running: Running) -> None:
    for index in range(5):
        running.add(f"n{index}", f"10.240.0.{index + 4}")
    running.start()
    running.await_(lambda: all(running.reason(f"n{i}") == "RouteCreated" for i in range(5)))
    ranges = [running.node(f"n{i}")["spec"]["podCIDRs"] for i in range(5)]
    assert sorted(ranges) == [[f"10.244.{i}.0/24"] for i in range(5)]
    assert running.hops() == {cidrs[0]: f"10.240.0.{i + 4}" for i, cidrs in enumerate(ranges)}
    assert len([call for call in running.fake.calls if call.method == "PUT"]) == 1
    others = [each["type"] for each in running.node("n0")["status"]["conditions"]]
    assert others.count("Ready") == 1, "other conditions are left alone"
    running.remove("n0")
    running.await_(lambda: len(running.hops()) == 4)
    assert running.stop() == 0


def test_a_killed_one_is_followed_by_another_that_changes_nothing(running: Running) -> None:
    running.add("n0", "10.240.0.4")
    running.start()
    running.await_(lambda: running.reason("n0") == "RouteCreated")
    assert running.process is not None
    running.process.kill()
    running.process.wait()
    before = running.hops()
    running.forget_lease()
    running.start()
    running.add("n1", "10.240.0.5")
    running.await_(lambda: running.reason("n1") == "RouteCreated")
    assert running.hops() == {**before, running.node("n1")["spec"]["podCIDR"]: "10.240.0.5"}


def test_events_are_written_to_the_node(running: Running) -> None:
    """K3 against the genuine API server: the second node of a cluster of one."""
    running.start("--node-cidr-mask-size", "16")
    running.add("n0", "10.240.0.4")
    running.await_(lambda: bool(running.node("n0")["spec"].get("podCIDR")))
    running.add("n1", "10.240.0.5")
    running.await_(
        lambda: ("n1", "Node n1 status is now: CIDRNotAvailable") in running.events("CIDRNotAvailable"),
    )
