"""Pods that wait make a node ask for more at once; addresses of pods that Cilium does not run are left to them."""

from __future__ import annotations

from typing import Any

from tests.controllers.cilium.simulation import Simulation

from unipam.controllers.cilium.pods import Name, Pod, Pods, pod_of
from unipam.dialects.cilium.foreign import told
from unipam.model.errors import SourceFailed


class Cluster:
    """Pods in memory, and which of them Cilium runs."""

    def __init__(self) -> None:
        self.pods: dict[Name, Pod] = {}
        self.of_cilium: set[Name] | None = set()
        self.away = False
        self.events: list[tuple[str, dict[str, Any]]] = []

    def snapshot(self) -> dict[Name, Pod]:
        if self.away:
            raise SourceFailed("pods: forbidden", source="kubernetes")
        return dict(self.pods)

    def close(self) -> None:
        """Nothing to let go of."""

    def seen(self) -> Pods:
        return Pods(self, lambda: self.of_cilium, lambda event, **facts: self.events.append((event, facts)))


def waiting(cluster: Cluster, node: str, count: int) -> None:
    cluster.pods |= {("default", f"{node}-{index}"): Pod(node, (), waits=True) for index in range(count)}


def test_surge_pods_that_wait_are_counted_besides_what_is_needed() -> None:
    """32713: thirty pods wait on a node that needs eight: thirty in one write."""
    cluster = Cluster()
    waiting(cluster, "n0", 30)
    operator = Simulation(2, pods=cluster.seen())
    assert operator.run(30, operator.ready)
    assert (len(operator.pool("n0")), len(operator.pool("n1"))) == (30, 8)
    assert len(operator.azure.asked("PUT")) == 2


def test_surge_nobody_who_has_enough_asks_for_more() -> None:
    cluster = Cluster()
    operator = Simulation(1, pods=cluster.seen())
    assert operator.run(30, operator.ready)
    waiting(cluster, "n0", 4)
    operator.run(120)
    assert len(operator.pool("n0")) == 8


def occupied(cluster: Cluster, count: int = 3) -> tuple[Simulation, list[str]]:
    """A node whose interface has ten addresses already; pods of azure-vnet have some of them."""
    operator = Simulation(1, pods=cluster.seen())
    assert operator.run(30, operator.ready)
    addresses = sorted(operator.compute.addresses(operator.ids[0]))
    taken = addresses[:count]
    cluster.pods |= {("shop", f"web-{index}"): Pod("n0", (ip,), waits=False) for index, ip in enumerate(taken)}
    operator.cluster.remove("n0")
    operator.node("n0", operator.ids[0])
    operator.pods = cluster.seen()
    operator.start()
    return operator, taken


def test_addresses_that_something_else_has_are_told_and_not_offered() -> None:
    """14655: installed over azure-vnet; as many others are asked for instead."""
    operator, taken = occupied(Cluster())
    assert operator.run(30, operator.ready)
    assert not operator.pool("n0") & set(taken)
    assert len(operator.pool("n0")) == 8
    assert "shop/web-0" in operator.error("n0")
    (interface,) = operator.cluster.documents["n0"]["status"]["azure"]["interfaces"]
    states = {each["ip"]: each["state"] for each in interface["addresses"]}
    assert {states[ip] for ip in taken} == {"in-use-elsewhere"}
    assert [reason for _, reason, _ in operator.cluster.events] == ["AddressesShort"]


def test_they_are_offered_when_the_pod_is_gone() -> None:
    cluster = Cluster()
    operator, taken = occupied(cluster)
    assert operator.run(30, operator.ready)
    cluster.pods.clear()
    assert operator.run(10, lambda: set(taken) <= operator.pool("n0"))
    operator.run(1)
    assert operator.error("n0") == ""


def test_a_pod_that_cilium_runs_keeps_its_address_in_the_pool() -> None:
    """A CiliumNode that was made anew: the agent has not said yet what it uses."""
    cluster = Cluster()
    cluster.of_cilium = {("shop", "web-0"), ("shop", "web-1")}
    operator, taken = occupied(cluster)
    assert operator.run(30, lambda: len(operator.pool("n0")) >= 8)
    assert set(taken) & operator.pool("n0") == set(taken[:2])


def test_where_cilium_has_no_list_of_its_pods_nothing_is_held_back() -> None:
    cluster = Cluster()
    cluster.of_cilium = None
    operator, taken = occupied(cluster)
    assert operator.run(30, operator.ready)
    assert set(taken) <= operator.pool("n0")


def test_pods_that_cannot_be_read_are_told_and_waited_for_in_vain() -> None:
    cluster = Cluster()
    cluster.away = True
    operator = Simulation(1, pods=cluster.seen())
    begun = operator.world.now
    assert operator.run(60, operator.ready)
    assert operator.world.now - begun <= 20
    operator.run(60)
    assert [event for event, _ in cluster.events] == ["pods not read"]


def test_what_is_kept_of_a_pod() -> None:
    pod = {"spec": {"nodeName": "n"}, "status": {"phase": "Pending"}}
    assert pod_of(pod) == Pod("n", (), waits=True)
    assert pod_of({"spec": {"nodeName": "n", "hostNetwork": True}, "status": {"phase": "Pending"}}) == Pod(
        "", (), False
    )
    running = {"phase": "Pending", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}
    assert pod_of({"spec": {"nodeName": "n"}, "status": running}) == Pod("n", ("10.0.0.1", "fd00::1"), False)
    assert pod_of({"spec": {"nodeName": "n"}, "status": {"phase": "Failed", "podIPs": [{"ip": "10.0.0.1"}]}}).node == ""


def test_many_are_not_all_named() -> None:
    said = told({f"10.0.0.{each}": f"shop/web-{each}" for each in range(5)})
    assert said.endswith("10.0.0.2 (shop/web-2) and 2 more; recreate these pods")
