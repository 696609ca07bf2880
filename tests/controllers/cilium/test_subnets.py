"""Several subnets: each interface in its own, and totals exact, as Cilium's own tests have it (spec cilium §4)."""

from __future__ import annotations

from tests.controllers.cilium.simulation import Simulation
from tests.fakes.azure_compute import Compute
from tests.fakes.azure_http import Refused
from tests.fakes.simulated import Bucket

from unipam.clients.azure.write.budget import Budget

NAMES = ("np0", "np1", "np2")


def made(machines: int, **wanted: int) -> tuple[Simulation, list[Compute]]:
    """So many machines in three scale sets, each of which has a subnet; nobody limits how fast Azure is asked."""
    operator = Simulation(0)
    operator.azure.arm.hooks.clear()
    operator.azure.reads = operator.azure.writes = Bucket(1e6, 1e6)
    computes = [
        Compute(
            operator.azure.arm, f"10.{240 + index}.0.0/16", subnet=f"nodes{index}",
            serves=[f"/virtualmachinescalesets/{name}/virtualmachines/"],
        )
        for index, name in enumerate(NAMES)
    ]  # fmt: skip
    for index, (name, compute) in enumerate(zip(NAMES, computes, strict=True)):
        count = len(range(index, machines, len(NAMES)))
        for number, machine in enumerate(compute.scale_set(name, count)):
            operator.node(f"{name}-{number}", machine, **wanted)
    operator.budget = lambda: Budget(1e6, 10**6)  # type: ignore[assignment]
    operator.start()
    return operator, computes


def test_a3_100_nodes_in_three_subnets_within_five_seconds() -> None:
    """A3: each has exactly ten, and the metrics say so."""
    operator, computes = made(100, pre_allocate=1, min_allocate=10)
    begun = operator.world.now
    assert operator.run(30, lambda: operator.ready(10))
    assert operator.world.now - begun <= 5.0
    operator.run(5)
    assert {len(operator.pool(each)) for each in operator.cluster.documents} == {10}
    assert sum(len(each.holders) for each in computes) == 100 * 11
    samples = {(s.name, *s.labels.values()): s.value for m in operator.operator.metrics() for s in m.samples}
    name = "cilium_operator_ipam_nodes"
    found = [samples[name, category] for category in ("total", "in-deficit", "at-capacity")]
    assert found == [100, 0, 0]


def test_a2_a_subnet_has_left_what_is_not_given() -> None:
    """A2: a /16 less what is in use and, as since 1.19, the five of Azure (65520 at 16 in use without these)."""
    operator, computes = made(3)
    assert operator.run(30, operator.ready)
    operator.run(70)
    samples = {(s.name, *s.labels.values()): s.value for m in operator.operator.metrics() for s in m.samples}
    for each in computes:
        left = samples["cilium_operator_ipam_available_ips_per_subnet", each.subnet, ""]
        assert left == 65536 - 5 - len(each.holders) == 65522


def test_a4_a_full_subnet_is_not_replaced_by_another() -> None:
    """A4: 36379, 45715: nobody falls back to a subnet that has room."""
    operator, computes = made(3)
    computes[1].fill(left=0)
    operator.run(60)
    assert len(operator.pool("np1-0")) == 0
    assert "nodes1 (10.241.0.0/16) has no free address" in operator.error("np1-0")
    assert {len(operator.pool("np0-0")), len(operator.pool("np2-0"))} == {8}
    assert [each.status for each in operator.azure.calls if each.status >= 400] == []


def test_a11_a_subnet_that_cannot_be_read_leaves_the_others_alone() -> None:
    """A11, A21: read one by one; what is known of the others stays."""
    operator, _ = made(3)
    operator.azure.fault = lambda ask: (
        Refused(403, "AuthorizationFailed", "no right") if ask.path.endswith("/nodes2") else None
    )
    operator.run(30)
    assert {len(operator.pool("np0-0")), len(operator.pool("np1-0"))} == {8}
    assert "could not be read" in operator.error("np2-0")
    operator.azure.fault = lambda _: None
    assert operator.run(120, operator.ready)


def test_a19_another_nodes_survey_does_not_have_a_node_served_twice() -> None:
    """A19: others grow and are looked at between a node's write and the look at it."""
    operator, computes = made(9)
    operator.azure.arm.takes = 4.0
    assert operator.run(60, operator.ready)
    for round_ in range(6):
        for index, name in enumerate(sorted(operator.cluster.documents)):
            if index % 3 == round_ % 3:
                operator.use(name, 4)
        operator.run(2)
    operator.run(200)
    for name in operator.cluster.documents:
        used = len(operator.agents[name].pods)
        assert len(operator.pool(name)) == used + 8, name
    assert sum(len(each.holders) for each in computes) == sum(len(operator.pool(n)) + 1 for n in operator.agents)


GENUINE = {
    "available_ips": {"target_node"}, "used_ips": {"target_node"}, "needed_ips": {"target_node"},
    "available_ips_per_subnet": {"subnet_id", "availability_zone"}, "nodes": {"category"},
    "ip_allocation_ops": {"subnet_id"}, "interface_candidates": set(), "empty_interface_slots": set(),
    "resync_total": set(), "allocation_duration_seconds_count": {"type", "status", "subnet_id"},
    "background_sync_duration_seconds_count": {"status"},
}  # fmt: skip
"""What the page of the genuine operator 1.20.2 has of addresses, less its triggers' inner workings."""


def test_a16_names_and_labels_are_those_of_the_genuine_page() -> None:
    """A16: also as Prometheus is told them, where a counter would get another name."""
    from prometheus_client import CollectorRegistry, generate_latest

    operator, _ = made(3)
    assert operator.run(30, operator.ready)

    class Page:
        def collect(self) -> object:
            return operator.operator.metrics()

    registry = CollectorRegistry()
    registry.register(Page())  # type: ignore[arg-type]
    page = generate_latest(registry).decode()
    lines = [each for each in page.splitlines() if each.startswith("cilium_operator_ipam_")]
    for name, labels in GENUINE.items():
        found = [each for each in lines if each.partition("{")[0].partition(" ")[0] == f"cilium_operator_ipam_{name}"]
        assert found, name
        inside = found[0].partition("{")[2].partition("}")[0]
        assert {each.partition("=")[0] for each in inside.split('",') if each} == labels, name
