"""Metrics by the names, labels and special values of Calico's kube-controllers (spec §3.6, AC-20)."""

from __future__ import annotations

import pytest
from tests.dialects.calico.seen import block, pod, running, seen, tunnel

from unipam.addr.prefix import parse_prefix
from unipam.controllers.calico.measures import Measures
from unipam.controllers.calico.observing import Observed
from unipam.controllers.calico.removing import Done
from unipam.dialects.calico.documents.pool import Pool
from unipam.dialects.calico.rules.garbage import Leak

P, Q = Pool("p", parse_prefix("10.0.0.0/24"), 30), Pool("q", parse_prefix("10.1.0.0/24"), 30)


def observed() -> Observed:
    own = ("10.0.0.1", pod("a")), ("10.0.0.2", pod("b", "n2"))
    found = seen(
        block("10.0.0.0/30", "host:n1", ("10.0.0.0", tunnel("n1")), *own),
        block("10.0.0.4/30", None, ("10.0.0.5", {"handle_id": "h", "secondary": {}})),
        block("10.0.0.8/30", "virtual:load-balancer"),
        block("10.9.0.0/30", "host:n2", ("10.9.0.1", pod("c", "n2"))),
        pods={"a": running("10.0.0.1"), "b": running("10.0.0.2")},
        nodes=("n1", "n2", "n3"),
    )  # fmt: skip
    return Observed(found, (P, Q), (parse_prefix("10.0.0.16/30"), parse_prefix("10.0.0.18/32")), False, {}, 0.0)


def told(*rounds: Done) -> dict[str, dict[tuple[str, ...], float]]:
    measures = Measures()
    for done in rounds:
        measures.take(observed(), done, 0.5)
    return {
        metric.name: {tuple(sample.labels.values()): sample.value for sample in metric.samples}
        for metric in measures.metrics()
    }


def test_nothing_is_told_before_the_first_round() -> None:
    assert told() == {}


def test_allocations_and_blocks_by_pool_and_node() -> None:
    found = told(Done())
    assert found["ipam_allocations_in_use"] == {
        ("p", "n1"): 2, ("p", "n2"): 1, ("p", "n3"): 0, ("p", "unknown_node"): 1,
        ("q", "n1"): 0, ("q", "n2"): 0, ("q", "n3"): 0, ("no_ippool", "n2"): 1,
    }  # fmt: skip
    assert {labels for labels, value in found["ipam_allocations_borrowed"].items() if value} == {("p", "n2")}
    assert len(found["ipam_allocations_borrowed"]) == 6
    assert found["ipam_blocks"] == {("p", "n1"): 1, ("p", "no_affinity"): 2, ("no_ippool", "n2"): 1}
    assert found["ipam_ippool_size"] == {("p",): 256, ("q",): 256}
    assert found["ipam_ippool_reserved"] == {("p",): 4, ("q",): 0}


def test_the_old_names_are_by_node_alone() -> None:
    found = told(Done())
    assert found["ipam_allocations_per_node"] == {("n1",): 2, ("n2",): 2, ("unknown_node",): 1}
    assert found["ipam_allocations_borrowed_per_node"] == {("n2",): 1}
    assert found["ipam_blocks_per_node"] == {("n1",): 1, ("n2",): 1, ("no_affinity",): 2}


def test_candidates_are_what_is_suspected_and_reclamations_add_up() -> None:
    lease = observed().seen.blocks["10.9.0.0/30"].leases[0]  # type: ignore[union-attr]
    leak = Leak("10.9.0.0/30", lease, "its pod is gone")
    found = told(Done(released=(leak,), handles=3), Done(released=(leak,), candidates=(leak,)))
    assert found["ipam_allocations_gc_reclamations"] == {("no_ippool", "n2"): 2}
    assert found["ipam_allocations_gc_candidates"]["no_ippool", "n2"] == 1
    assert found["ipam_allocations_gc_candidates"]["p", "n1"] == 0
    assert found["unipam_calico_removed"]["leases",] == 2
    assert found["unipam_calico_removed"]["handles",] == 3


@pytest.mark.parametrize("name", ["ipam_allocations_gc_reclamations", "ipam_blocks"])
def test_series_that_are_not_seeded_appear_with_their_first_value(name: str) -> None:
    assert all(told(Done())[name].values())
