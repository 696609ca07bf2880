"""Where the plan and the cloud disagree: each rule where it holds and where it does not, and all against an oracle."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import oracle
from tests.plan.clouds import SUBSCRIPTION, MemoryCloud

from unipam.addr.prefix import BITS, V4_FIRST, Prefix, parse_prefix
from unipam.model.cloud import Peering, Snapshot
from unipam.plan.cloud import drift
from unipam.plan.cloud.drift import Finding, PlannedBlock, PlannedNetwork, PlannedReservation, findings
from unipam.plan.cloud.overlap import Taken, TakenIndex

P = parse_prefix
OTHER = "33333333-3333-4333-8333-333333333333"


def planned(resource: str, *prefixes: str) -> PlannedNetwork:
    return PlannedNetwork(resource, resource.rpartition("/")[2], tuple(map(P, prefixes)))


def reserved(name: str, prefix: str) -> PlannedReservation:
    return PlannedReservation(name, P(prefix))


def block(
    prefix: str = "10.0.0.0/16", *networks: PlannedNetwork, name: str = "b", space: str = "s", **rest: object
) -> PlannedBlock:
    return PlannedBlock(space, name, P(prefix), networks, **rest)  # type: ignore[arg-type]


@dataclasses.dataclass
class Found:
    """Findings, to be asked about."""

    all: list[Finding]

    def rules(self) -> list[str]:
        return [finding.rule for finding in self.all]

    def only(self, rule: str) -> Finding:
        assert self.rules() == [rule]
        return self.all[0]


def look(cloud: MemoryCloud, *blocks: PlannedBlock) -> Found:
    return Found(findings(blocks, cloud.snapshot()))


@pytest.fixture
def cloud() -> MemoryCloud:
    return MemoryCloud()


def test_where_both_agree_there_is_nothing_to_find(cloud: MemoryCloud) -> None:
    a = cloud.put("a", "10.0.0.0/24", "fd00::/64")
    b = cloud.put("b", "10.0.1.0/24", peerings=[Peering("p", a, "Connected")], tags={"x-ipam-res-id": "done"})
    v6 = PlannedBlock("s", "six", P("fd00::/48"), (planned(a, "fd00::/64"),))
    here = block("10.0.0.0/16", planned(b, "10.0.1.0/24"), fulfilled=(reserved("done", "10.0.1.0/24"),))
    both = look(cloud, here._replace(networks=(*here.networks, planned(a, "10.0.0.0/24"))), v6)
    assert set(both.rules()) == {drift.DOUBLE}, "the network with two families is in a block for each"


def test_nothing_is_found_before_anything_was_seen() -> None:
    assert findings([block("10.0.0.0/16", planned("/gone", "10.0.0.0/24"))], Snapshot()) == []


@pytest.mark.parametrize("seen", [True, False])
def test_a_reservation_overlaps_a_peered_network(cloud: MemoryCloud, seen: bool) -> None:
    far = f"/subscriptions/{OTHER}/resourceGroups/r/providers/Microsoft.Network/virtualNetworks/far"
    if seen:
        far = cloud.put("far", "10.0.8.0/22")
    peering = Peering("p", far.upper(), "Connected", () if seen else (P("10.0.8.0/22"),))
    near = cloud.put("near", "10.0.0.0/24", peerings=[peering])
    pending = (reserved("r1", "10.0.9.0/24"), reserved("r2", "10.0.12.0/24"))
    found = look(cloud, block("10.0.0.0/16", planned(near, "10.0.0.0/24"), pending=pending))
    overlaps = [f for f in found.all if f.rule == drift.PEER_OVERLAP]
    assert [(f.severity, f.block, f.subject, f.prefixes, f.other) for f in overlaps] == [
        (drift.ERROR, "b", "r1", ("10.0.9.0/24",), far.upper())
    ]
    assert overlaps[0].message.lower() == "10.0.9.0/24 of reservation r1 overlaps far, which near is peered with"


def test_a_peer_that_is_itself_in_the_plan_does_not_overlap_itself(cloud: MemoryCloud) -> None:
    far = cloud.put("far", "10.0.8.0/22")
    near = cloud.put("near", "10.0.0.0/24", peerings=[Peering("p", far.upper(), "Connected")])
    assert look(cloud, block("10.0.0.0/16", planned(near, "10.0.0.0/24"), planned(far, "10.0.8.0/22"))).all == []


def test_what_is_peered_in_another_space_does_not_matter(cloud: MemoryCloud) -> None:
    far = cloud.put("far", "10.9.0.0/24")
    near = cloud.put("near", "10.0.0.0/24", peerings=[Peering("p", far, "Connected")])
    one = block("10.0.0.0/16", planned(near, "10.0.0.0/24"))
    two = block("10.9.0.0/16", space="other", pending=(reserved("r", "10.9.0.0/24"),))
    assert look(cloud, one, two).rules() == [drift.UNASSOCIATED]


def test_external_networks_and_networks_overlap_peers_too(cloud: MemoryCloud) -> None:
    far = cloud.put("far", "10.0.0.0/20")
    near = cloud.put("near", "10.0.0.0/24", peerings=[Peering("p", far, "Connected")])
    here = block("10.0.0.0/16", planned(near, "10.0.0.0/24"), others=(("dc", P("10.0.4.0/24")),))
    found = look(cloud, here)
    assert {(f.subject, f.prefixes) for f in found.all if f.rule == drift.PEER_OVERLAP} == {
        ("dc", ("10.0.4.0/24",)), (near.lower(), ("10.0.0.0/24",)),
    }  # fmt: skip


def test_a_network_outside_its_block(cloud: MemoryCloud) -> None:
    a = cloud.put("a", "10.0.0.0/24", "172.16.0.0/24")
    found = look(cloud, block("10.0.0.0/16", planned(a, "10.0.0.0/24"))).only(drift.OUTSIDE)
    assert (found.severity, found.subject, found.prefixes) == (drift.WARNING, a, ("172.16.0.0/24",))
    assert found.message == "172.16.0.0/24 of a lies in no block that it is associated with (b: 10.0.0.0/16)"


def test_a_prefix_that_was_added_where_something_else_is(cloud: MemoryCloud) -> None:
    a = cloud.put("a", "10.0.0.0/24", "10.0.4.0/22")
    here = block("10.0.0.0/16", planned(a.upper(), "10.0.0.0/24"), pending=(reserved("r", "10.0.5.0/24"),))
    found = look(cloud, here).only(drift.CONTESTED)
    assert (found.severity, found.subject, found.prefixes, found.other) == (
        drift.ERROR,
        a.upper(),
        ("10.0.4.0/22",),
        "r",
    )


def test_a_network_that_vanished_and_the_reservation_that_it_fulfilled(cloud: MemoryCloud) -> None:
    gone = cloud.put("gone", "10.0.0.0/24")
    cloud.drop(gone)
    here = block("10.0.0.0/16", planned(gone, "10.0.0.0/24"), fulfilled=(reserved("r", "10.0.0.0/24"),))
    found = look(cloud, here)
    assert set(found.rules()) == {drift.VANISHED, drift.LOST}
    assert {f.subject for f in found.all} == {gone, "r"}
    after_grace = here._replace(networks=(planned(gone),))
    assert set(look(cloud, after_grace).rules()) == {drift.VANISHED, drift.LOST}
    dissociated = here._replace(networks=())
    assert look(cloud, dissociated).only(drift.LOST).subject == "r"


def test_a_network_out_of_sight_has_not_vanished(cloud: MemoryCloud) -> None:
    hidden = f"/subscriptions/{OTHER}/resourceGroups/r/providers/Microsoft.Network/virtualNetworks/v"
    here = block("10.0.0.0/16", planned(hidden, "10.0.0.0/24"), fulfilled=(reserved("r", "10.0.0.0/24"),))
    found = look(cloud, here).only(drift.UNSEEN)
    assert (found.severity, found.subject) == (drift.INFO, hidden)


def test_a_network_in_several_blocks(cloud: MemoryCloud) -> None:
    a = cloud.put("a", "10.0.0.0/24")
    one = block("10.0.0.0/16", planned(a, "10.0.0.0/24"))
    two = block("10.0.0.0/16", planned(a.upper(), "10.0.0.0/24"), name="c", space="t")
    found = look(cloud, one, two)
    assert found.rules() == [drift.DOUBLE] * 2
    assert {(f.space, f.block, f.other) for f in found.all} == {("s", "b", "s/b, t/c"), ("t", "c", "s/b, t/c")}


def test_tags_that_do_not_fit(cloud: MemoryCloud) -> None:
    cloud.put("larger", "10.0.0.0/23", tags={"X-IPAM-RES-ID": "r1"})
    cloud.put("first", "10.0.4.0/24", tags={"X-IPAM-RES-ID": "r2"})
    cloud.put("second", "10.0.4.0/24", tags={"ipam-res-id": "x, r2"})
    here = block("10.0.0.0/16", pending=(reserved("r1", "10.0.0.0/24"), reserved("r2", "10.0.4.0/24")))
    found = look(cloud, here)
    assert [(f.rule, f.subject.rpartition("/")[2]) for f in found.all] == [
        (drift.TAG_TWICE, "r2"), (drift.TAG_MISMATCH, "r1"), (drift.TAG_UNKNOWN, "second"),
    ]  # fmt: skip
    assert found.all[1].message == "larger is tagged for 10.0.0.0/24, and has 10.0.0.0/23"


def test_a_network_that_nobody_planned(cloud: MemoryCloud) -> None:
    wild = cloud.put("wild", "10.0.1.0/24", "192.168.0.0/24")
    outer, inner = block("10.0.0.0/8", name="outer"), block("10.0.0.0/16", name="inner")
    found = look(cloud, outer, inner).only(drift.UNASSOCIATED)
    assert (found.block, found.subject, found.prefixes) == ("inner", wild, ("10.0.1.0/24",))


def test_a_network_larger_than_the_block_is_found_too(cloud: MemoryCloud) -> None:
    cloud.put("huge", "10.0.0.0/8")
    found = look(cloud, block("10.0.0.0/16"), block("10.1.0.0/16", name="c"), block("10.0.0.0/16", name="d", space="t"))
    assert {(f.space, f.block) for f in found.all} == {("s", "b"), ("s", "c"), ("t", "d")}
    assert set(found.rules()) == {drift.UNASSOCIATED}


def test_findings_are_the_same_every_time_and_the_worst_come_first(cloud: MemoryCloud) -> None:
    cloud.put("a", "10.0.0.0/24", tags={"x-ipam-res-id": "r"})
    cloud.put("b", "10.0.0.0/24", tags={"x-ipam-res-id": "r,unknown"})
    here = block("10.0.0.0/16", planned(cloud.put("c", "10.9.0.0/16")), pending=(reserved("r", "10.0.0.0/24"),))
    first, second = look(cloud, here).all, look(cloud, here).all
    assert first == second
    assert [f.severity for f in first] == sorted((f.severity for f in first), key=["error", "warning", "info"].index)
    assert len(set(first)) == len(first)


BASE = V4_FIRST + (10 << 24)
prefixes = st.tuples(st.integers(0, oracle.SPAN - 1), st.integers(BITS - 6, BITS)).map(
    lambda pair: Prefix((BASE + pair[0]) & ~((1 << (BITS - pair[1])) - 1), pair[1])
)


def overlapping(all_of: Iterable[Prefix], prefix: Prefix) -> list[Prefix]:
    return [each for each in all_of if oracle.block(each) & oracle.block(prefix)]


@given(st.lists(prefixes, max_size=12), prefixes)
def test_overlaps_are_those_of_plain_sets(taken: list[Prefix], prefix: Prefix) -> None:
    index = TakenIndex([Taken(each, str(number), "", None) for number, each in enumerate(taken)])
    found = list(index.overlapping(prefix))
    assert sorted(each.prefix for each in found) == sorted(overlapping(taken, prefix))
    assert len({each.subject for each in found}) == len(found)


@given(st.lists(prefixes, max_size=6, unique=True), st.lists(prefixes, max_size=6))
def test_unplanned_networks_are_those_that_share_an_address_with_a_block(
    blocks: list[Prefix], networks: list[Prefix]
) -> None:
    cloud = MemoryCloud()
    for number, prefix in enumerate(networks):
        cloud.put(f"n{number}", str(prefix))
    spaces = [PlannedBlock(f"s{number}", "b", prefix) for number, prefix in enumerate(blocks)]
    found = {(f.space, f.subject.rpartition("/")[2]) for f in findings(spaces, cloud.snapshot())}
    assert found == {
        (each.space, f"n{number}")
        for each in spaces
        for number, prefix in enumerate(networks)
        if oracle.block(each.prefix) & oracle.block(prefix)
    }


def test_subscription_is_the_one_that_is_seen() -> None:
    assert MemoryCloud().snapshot().sees(SUBSCRIPTION.upper())
