"""What Prometheus is told of Calico's addresses (spec calico-ipam §3.6)."""

from __future__ import annotations

import json

from prometheus_client.core import Metric

from unipam.addr.prefix import parse_prefix
from unipam.addr.ranges import RangeSet
from unipam.controllers.calico.measures import Measures
from unipam.controllers.calico.observing import Observed
from unipam.controllers.calico.removing import Done
from unipam.dialects.calico.documents.block import Block
from unipam.dialects.calico.documents.pool import Pool
from unipam.dialects.calico.rules import blocks
from unipam.dialects.calico.rules.blocks import Holder
from unipam.dialects.calico.rules.garbage import Leak, Seen
from unipam.dialects.calico.rules.leases import of_block
from unipam.dialects.calico.rules.liveness import Living

NAMES = {
    "ipam_allocations_in_use": ("gauge", {"ippool", "node"}),
    "ipam_allocations_borrowed": ("gauge", {"ippool", "node"}),
    "ipam_blocks": ("gauge", {"ippool", "node"}),
    "ipam_allocations_gc_candidates": ("gauge", {"ippool", "node"}),
    "ipam_allocations_gc_reclamations": ("unknown", {"ippool", "node"}),
    "ipam_ippool_size": ("gauge", {"ippool"}),
    "ipam_ippool_reserved": ("gauge", {"ippool"}),
    "ipam_allocations_per_node": ("gauge", {"node"}),
    "ipam_allocations_borrowed_per_node": ("gauge", {"node"}),
    "ipam_blocks_per_node": ("gauge", {"node"}),
}
POOL = Pool("pool-1", parse_prefix("10.0.0.0/24"), 26)


def block(cidr: str, affinity: str, *nodes: str) -> Block:
    """A block with an address for a pod on each of the nodes."""
    made = blocks.create(parse_prefix(cidr), affinity, 1)
    for number, node in enumerate(nodes):
        noted = {"namespace": "d", "pod": f"p{number}", **({"node": node} if node else {})}
        blocks.draw(made, 1, Holder(affinity, f"h{number}", noted), RangeSet(), strict=False)
    return made


def measured(*found: Block, done: Done | None = None, pools: tuple[Pool, ...] = (POOL,)) -> dict[str, Metric]:
    """What is told of these blocks in a cluster of two nodes."""
    seen = Seen({each.cidr: of_block(each) for each in found}, {}, {}, Living({}, frozenset(("a", "b"))))
    measures = Measures()
    reserved = (parse_prefix("10.0.0.32/30"), parse_prefix("10.9.0.0/16"))
    measures.take(Observed(seen, pools, reserved, False, {}, 0.0), done or Done(), 0.1)
    return {each.name: each for each in measures.metrics()}


def values(metric: Metric) -> dict[str, float]:
    return {"/".join(sample.labels.values()): sample.value for sample in metric.samples}


def test_names_and_labels() -> None:
    """AC-20: each has its name, its kind and its labels, and words of help."""
    found = measured(block("10.0.0.0/26", "host:a", "a", "b"), done=Done(released=(leak(),)))
    for name, (kind, labels) in NAMES.items():
        metric = found[name]
        assert (metric.type, bool(metric.documentation)) == (kind, True)
        assert metric.samples, name
        assert all(set(sample.labels) == labels and sample.name == name for sample in metric.samples), name


def leak() -> Leak:
    (lease,) = of_block(block("10.0.0.0/26", "host:a", "a")).leases
    return Leak("10.0.0.0/26", lease, "its pod is gone")


def test_what_is_known_is_told_as_zero() -> None:
    """AC-20: of in_use, borrowed and gc_candidates there is a number for each node and pool; of the others not."""
    found = measured()
    for name in ("ipam_allocations_in_use", "ipam_allocations_borrowed", "ipam_allocations_gc_candidates"):
        assert values(found[name]) == {"pool-1/a": 0, "pool-1/b": 0}
    assert values(found["ipam_blocks"]) == values(found["ipam_allocations_gc_reclamations"]) == {}


def test_counts() -> None:
    """AC-20."""
    found = measured(block("10.0.0.0/26", "host:a", "a", "a", "b"), block("10.0.0.64/26", "host:b"))
    assert values(found["ipam_allocations_in_use"]) == {"pool-1/a": 2, "pool-1/b": 1}
    assert values(found["ipam_allocations_borrowed"]) == {"pool-1/a": 0, "pool-1/b": 1}
    assert values(found["ipam_blocks"]) == {"pool-1/a": 1, "pool-1/b": 1}
    assert values(found["ipam_ippool_size"]) == {"pool-1": 256}
    assert values(found["ipam_ippool_reserved"]) == {"pool-1": 4}
    assert values(found["ipam_allocations_per_node"]) == {"a": 2, "b": 1}
    assert values(found["ipam_allocations_borrowed_per_node"]) == {"b": 1}
    assert values(found["ipam_blocks_per_node"]) == {"a": 1, "b": 1}


def test_what_is_in_no_pool_or_of_no_node() -> None:
    """AC-20: also a Service's block is of no node, and a deleted pool's series are gone."""
    found = measured(block("10.0.0.0/26", "virtual:load-balancer"), block("10.9.0.0/26", "host:a", ""), pools=())
    assert values(found["ipam_blocks"]) == {"no_ippool/no_affinity": 1, "no_ippool/a": 1}
    assert values(found["ipam_allocations_in_use"]) == {"no_ippool/unknown_node": 1}
    assert "pool-1" not in json.dumps({name: values(metric) for name, metric in found.items()})


def test_what_was_reclaimed_is_counted_up() -> None:
    """AC-20."""
    assert values(measured(done=Done(candidates=(leak(),)))["ipam_allocations_gc_candidates"])["no_ippool/a"] == 1
    found = measured(block("10.0.0.0/26", "host:a"), done=Done(released=(leak(),)))
    assert values(found["ipam_allocations_gc_reclamations"]) == {"pool-1/a": 1}
