"""`check --fix`: what a crash, a hand or a leak left is put right, and nothing that lives is touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.dialects.calico.cluster import Cluster

from unipam.addr.prefix import parse_prefix
from unipam.dialects.calico.calicoctl import repairing
from unipam.dialects.calico.calicoctl.checking import Checked, check
from unipam.dialects.calico.calicoctl.observing import observe
from unipam.dialects.calico.datastore.api import Selection
from unipam.dialects.calico.datastore.keys import (
    AffinityKey,
    BlockKey,
    ClusterKey,
    HandleKey,
    Key,
    NodeKey,
    WorkloadKey,
)
from unipam.dialects.calico.documents.times import go_text
from unipam.dialects.calico.engine import counting
from unipam.dialects.calico.engine.counting import Count
from unipam.model.errors import NotFound


@pytest.fixture
def site(cluster: Cluster) -> Cluster:
    """A cluster with a pool of four blocks of four, and a name of its own."""
    cluster.pool("p", "10.0.0.0/28", blockSize=30)
    cluster.store.put(ClusterKey(), b'{"metadata": {"name": "default"}, "spec": {"clusterGUID": "g"}}')
    return cluster


def checked(site: Cluster) -> Checked:
    return check(observe(site.session, list), site.now)


def fix(site: Cluster) -> dict[str, str]:
    """What came of each repair."""
    session = site.session
    return {
        each.what: outcome for each, outcome in repairing.carry_out(session, repairing.plan(session, checked(site)))
    }


def in_order(site: Cluster) -> bool:
    """Whether there is nothing to repair, and handles count what blocks hold (AC-14)."""
    return repairing.plan(site.session, checked(site)) == [] and site.handles() == site.recounted()


def put(site: Cluster, key: Key, document: dict[str, Any]) -> None:
    site.store.put(key, json.dumps(document).encode())


def remove(site: Cluster, key: Key) -> None:
    site.store.delete(key, None, float("inf"))


def pod_attributes(site: Cluster, pod: str = "web", node: str = "host-a") -> dict[str, str]:
    return {"namespace": "d", "pod": pod, "node": node, "timestamp": go_text(site.now)}


def workload(site: Cluster, pod: str, *addresses: str, **more: Any) -> None:
    spec = {"node": more.pop("node", "host-a"), "pod": pod, "ipNetworks": [f"{address}/32" for address in addresses]}
    put(site, WorkloadKey("d", pod), {"metadata": {"name": pod, "namespace": "d"}, "spec": spec, **more})


def overcount(site: Cluster) -> None:
    site.ask(2, "host-a", handle="h", attributes={})
    counting.add(site.session, Count("h", next(iter(site.blocks())), 3))


def count_of_nothing(site: Cluster) -> None:
    put(site, HandleKey("h"), {"block": {"10.0.0.0/30": 1}, "deleted": False})


def empty_handle(site: Cluster) -> None:
    put(site, HandleKey("h"), {"block": {}, "deleted": False})


def missing_handle(site: Cluster) -> None:
    site.ask(2, "host-a", handle="h")
    remove(site, HandleKey("h"))


def undercount(site: Cluster) -> None:
    site.ask(2, "host-a", handle="h")
    site.ask(3, "host-b", handle="h")
    put(site, HandleKey("h"), {"block": {next(iter(site.blocks())): 1}, "deleted": False})


def affinity_without_block(site: Cluster) -> None:
    put(site, AffinityKey("host-a", "10.0.0.12/30"), {"state": "confirmed", "deleted": False})


def affinity_to_a_foreign_block(site: Cluster) -> None:
    site.ask(1, "host-a", handle="h")
    put(site, AffinityKey("host-b", next(iter(site.blocks()))), {"state": "pendingDeletion", "deleted": False})


def pending_affinity_of_a_gone_node(site: Cluster) -> None:
    put(site, AffinityKey("gone", "10.0.0.12/30"), {"state": "pending", "deleted": False})


def block_without_affinity(site: Cluster) -> None:
    site.ask(1, "host-a", handle="h")
    remove(site, AffinityKey("host-a", next(iter(site.blocks()))))


def block_of_a_gone_node(site: Cluster) -> None:
    site.ask(1, "host-a", handle="h")
    remove(site, AffinityKey("host-a", next(iter(site.blocks()))))
    remove(site, NodeKey("host-a"))


def block_of_nobody(site: Cluster) -> None:
    site.ask(1, "host-a", handle="h")
    cidr, block = next(iter(site.blocks().items()))
    remove(site, AffinityKey("host-a", cidr))
    remove(site, HandleKey("h"))
    document = block.document()
    empty = {"allocations": [None] * 4, "unallocated": [0, 1, 2, 3], "attributes": [], "affinity": None}
    put(site, BlockKey(cidr), {**document, **empty})


WRONG = [
    overcount, count_of_nothing, empty_handle, missing_handle, undercount, affinity_without_block,
    affinity_to_a_foreign_block, pending_affinity_of_a_gone_node, block_without_affinity, block_of_a_gone_node,
    block_of_nobody,
]  # fmt: skip


@pytest.mark.parametrize("spoil", WRONG)
def test_what_is_wrong_is_put_right(site: Cluster, spoil: Callable[[Cluster], None]) -> None:
    """AC-14, AC-12: nobody loses an address by it."""
    spoil(site)
    held = site.recounted()
    assert not in_order(site)
    outcomes = fix(site)
    assert outcomes
    assert not any("failed" in text or "left alone" in text for text in outcomes.values()), outcomes
    assert in_order(site)
    assert site.recounted() == held


@pytest.mark.parametrize("spoil", WRONG)
def test_a_plan_changes_nothing(site: Cluster, spoil: Callable[[Cluster], None]) -> None:
    spoil(site)
    before = site.everything()
    assert repairing.plan(site.session, checked(site))
    assert site.everything() == before


@pytest.mark.parametrize("spoil", WRONG)
def test_what_somebody_else_has_put_right_is_left_alone(site: Cluster, spoil: Callable[[Cluster], None]) -> None:
    spoil(site)
    plan = repairing.plan(site.session, checked(site))
    fix(site)
    before = site.everything()
    outcomes = [outcome for _, outcome in repairing.carry_out(site.session, plan)]
    assert all("left alone" in each for each in outcomes), outcomes
    assert site.everything() == before


def test_a_claim_that_is_under_way_is_left_alone(site: Cluster) -> None:
    """AC-12."""
    put(site, AffinityKey("host-a", "10.0.0.12/30"), {"state": "pending", "deleted": False})
    assert repairing.plan(site.session, checked(site)) == []


def test_a_count_of_an_add_that_is_under_way_goes_only_with_its_block_written(site: Cluster) -> None:
    """Whoever has counted an address, and has read the block before the repair, is overtaken."""
    site.ask(1, "host-a", handle="other")
    cidr = next(iter(site.blocks()))
    read = site.session.block(parse_prefix(cidr))
    counting.add(site.session, Count("h", cidr, 1))
    assert fix(site) == {"handle h": "counts 0"}
    assert site.session.block(parse_prefix(cidr)).item.revision != read.item.revision


# Leaks ------------------------------------------------------------------------------------------------------------


def leak(site: Cluster, **more: Any) -> str:
    """An address of a pod that is gone, long ago."""
    site.ask(1, "host-a", handle="h", attributes=pod_attributes(site), **more)
    site.sleep(600)
    (block,) = site.blocks().values()
    return next(str(each.text) for each in _allocations(block))


def _allocations(block: Any) -> Any:
    from unipam.dialects.calico.calicoctl.allocations import of_blocks

    return of_blocks([block])


def test_a_leak_is_released(site: Cluster) -> None:
    address = leak(site)
    assert fix(site) == {"handle h": "released"}
    assert site.handles() == {}
    assert address


def test_an_address_of_a_pod_on_its_way_up_is_left_alone(site: Cluster) -> None:
    """Its pod is not to be seen yet: the address is younger than five minutes."""
    site.ask(1, "host-a", handle="h", attributes=pod_attributes(site))
    assert len(checked(site).leaked) == 1
    assert repairing.plan(site.session, checked(site)) == []


@pytest.mark.parametrize("addresses", [(), ("this",)], ids=["no address yet", "this address"])
def test_a_pod_that_came_meanwhile_keeps_its_address(site: Cluster, addresses: tuple[str, ...]) -> None:
    address = leak(site)
    plan = repairing.plan(site.session, checked(site))
    workload(site, "web", *(address for _ in addresses))
    assert [outcome for _, outcome in repairing.carry_out(site.session, plan)] == ["left alone: it is used"]
    assert site.handles() == site.recounted() != {}


def test_a_pod_that_waits_for_a_node_is_another_one(site: Cluster) -> None:
    """As for the controller: whose address it was is gone, and this one has none before it has a node."""
    leak(site)
    workload(site, "web", node="")
    assert fix(site) == {"handle h": "released"}


def test_an_address_that_only_multus_notes_is_used(site: Cluster) -> None:
    """As for the controller; calicoctl does not look there, and so calls it leaked."""
    address = leak(site)
    workload(site, "web", "10.0.0.99", status={"ended": False, "addresses": [address]})
    assert len(checked(site).leaked) == 1
    assert repairing.plan(site.session, checked(site)) == []


def test_a_pod_that_has_ended_uses_nothing(site: Cluster) -> None:
    leak(site)
    workload(site, "web", status={"ended": True})
    assert fix(site) == {"handle h": "released"}


def test_a_pod_with_another_address_does_not_use_this_one(site: Cluster) -> None:
    leak(site)
    workload(site, "web", "10.0.0.99")
    assert fix(site)["handle h"] == "released"


def test_an_address_that_was_handed_out_anew_is_left_alone(site: Cluster) -> None:
    """Handle and sequence number are those of the leak, or nothing is released."""
    leak(site)
    plan = repairing.plan(site.session, checked(site))
    site.drop("h")
    for _ in range(4):
        site.ask(1, "host-a", handle="h", attributes=pod_attributes(site))
    assert [outcome for _, outcome in repairing.carry_out(site.session, plan)] == ["left alone: it was handed out anew"]
    assert sum(site.handles()["h"].values()) == 4


def test_all_addresses_of_a_handle_go_or_none(site: Cluster) -> None:
    """AC-19: one of two families in use keeps the other."""
    site.pool("six", "fd00::/120", blockSize=122)
    attributes = pod_attributes(site)
    site.ask(1, "host-a", handle="h", attributes=attributes)
    site.ask(1, "host-a", family=6, handle="h", attributes=attributes)
    site.sleep(600)
    six = next(block for cidr, block in site.blocks().items() if ":" in cidr)
    workload(site, "web", next(_allocations(six)).text)
    assert len(checked(site).leaked) == 1
    assert repairing.plan(site.session, checked(site)) == []


def test_what_nobody_can_tell_is_left_alone(site: Cluster) -> None:
    """An address without a handle, and one that no pod has: of a service, or put there by hand."""
    site.give("10.0.0.1", "host-a", None, attributes=pod_attributes(site))
    site.give("10.0.0.2", "host-a", "by-hand")
    site.sleep(600)
    assert len(checked(site).leaked) == 2
    assert repairing.plan(site.session, checked(site)) == []


@pytest.mark.parametrize("gone", [True, False])
def test_a_tunnel_goes_with_its_node(site: Cluster, gone: bool) -> None:
    attributes = {"node": "host-a", "type": "ipipTunnelAddress"}
    site.ask(1, "host-a", handle="ipip-tunnel-addr-host-a", attributes=attributes)
    if gone:
        remove(site, NodeKey("host-a"))
    assert fix(site) == ({"handle ipip-tunnel-addr-host-a": "released"} if gone else {})


def test_a_broken_block_is_named_and_nothing_else_affected(site: Cluster) -> None:
    site.ask(1, "host-a", handle="h", attributes=pod_attributes(site))
    cidr, block = next(iter(site.blocks().items()))
    put(site, BlockKey(cidr), {**block.document(), "unallocated": [9]})
    found = checked(site)
    ((name, why),) = found.invalid
    assert (name, found.leaked, found.unassigned) == (cidr, [], [])
    assert "ordinal 9 appears in the Unallocated array but is out of the block" in why
    assert repairing.plan(site.session, found) == []
    assert len(site.store.list(Selection(HandleKey), float("inf")).items) == 1


def test_a_released_address_that_cools_is_no_leak(site: Cluster) -> None:
    """AC-11."""
    site.configure(cooldown=60)
    leak(site)
    site.drop("h")
    assert checked(site).leaked == []
    assert checked(site).problems == 0


def test_a_handle_that_went_meanwhile(site: Cluster) -> None:
    count_of_nothing(site)
    plan = repairing.plan(site.session, checked(site))
    remove(site, HandleKey("h"))
    assert [outcome for _, outcome in repairing.carry_out(site.session, plan)] == ["left alone: it is in order by now"]
    with pytest.raises(NotFound):
        site.session.handle("h")
