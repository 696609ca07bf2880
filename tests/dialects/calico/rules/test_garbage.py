"""What is garbage, by one look at a cluster (spec §3.5, AC-19); and a property against a slow, obvious oracle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.dialects.calico.seen import NOW, block, pod, running, seen, tunnel

from unipam.dialects.calico.datastore.keys import AffinityKey
from unipam.dialects.calico.documents.block import Attribute
from unipam.dialects.calico.documents.times import SECOND, rfc3339
from unipam.dialects.calico.rules.garbage import Garbage, Policy, Seen, Suspect, look, still_garbage
from unipam.dialects.calico.rules.leases import Kind, Lease, SeenBlock, of_block
from unipam.dialects.calico.rules.liveness import Living, Pod, why_gone

POLICY = Policy(grace=60.0, writes=300.0, vms=300.0)


def convicted(found: Seen, policy: Policy = POLICY) -> Garbage:
    """What is garbage when nothing changes for long."""
    first = look(found, {}, policy, 0.0, NOW * SECOND)
    assert first.nothing or first.cooled, "what is seen for the first time is a suspect at most"
    return look(found, first.suspects, policy, 10_000.0, NOW * SECOND)


def leaked(found: Seen) -> set[str]:
    return {leak.lease.handle for leak in convicted(found).leaks}


ONE = block("10.0.0.0/30", "host:n1", ("10.0.0.1", pod("a")))


@pytest.mark.parametrize(
    ("pods", "why"),
    [
        ({}, "its pod is gone"),
        ({"a": running("10.0.0.1")}, ""),
        ({"a": running("10.0.0.1", node="other")}, ""),
        ({"a": running("10.0.0.1", "fd00::1")}, ""),
        ({"a": running()}, ""),
        ({"a": running(node="other")}, ""),
        ({"a": running(node="")}, "its pod is gone, and another one of that name waits for a node"),
        ({"a": running("10.0.0.2")}, "its pod has other addresses"),
        ({"a": running("10.0.0.1", finished=True)}, "its pod has ended"),
    ],
)
def test_a_lease_is_its_pods_as_long_as_that_may_use_it(pods: dict[str, Pod], why: str) -> None:
    found = seen(ONE, pods=pods)
    (lease,) = found.blocks["10.0.0.0/30"].leases  # type: ignore[union-attr]
    assert why_gone(lease, found.living) == why
    assert leaked(found) == ({"net.a"} if why else set())


def test_a_leak_is_a_suspect_until_it_has_been_one_for_long_enough() -> None:
    found = seen(ONE)
    first = look(found, {}, POLICY, 100.0, NOW * SECOND)
    assert not first.leaks
    assert len(first.candidates) == 1
    assert first.due == 60.0
    assert not look(found, first.suspects, POLICY, 159.9, NOW * SECOND).leaks
    assert look(found, first.suspects, POLICY, 160.0, NOW * SECOND).leaks


def test_a_suspect_that_lives_again_begins_anew() -> None:
    found, alive = seen(ONE), seen(ONE, pods={"a": running("10.0.0.1")})
    first = look(found, {}, POLICY, 0.0, NOW * SECOND)
    second = look(alive, first.suspects, POLICY, 50.0, NOW * SECOND)
    assert not second.candidates
    assert not look(found, second.suspects, POLICY, 70.0, NOW * SECOND).leaks


def test_an_address_that_was_handed_out_anew_is_another_suspect() -> None:
    first = look(seen(ONE), {}, POLICY, 0.0, NOW * SECOND)
    again = block("10.0.0.0/30", "host:n1", ("10.0.0.2", pod("b")), ("10.0.0.1", pod("a")))
    again.sequences[1] += 5
    assert not look(seen(again, pods={"b": running("10.0.0.2")}), first.suspects, POLICY, 99.0, NOW * SECOND).leaks


def test_leases_of_one_handle_go_together_or_not_at_all() -> None:
    v4 = block("10.0.0.0/30", "host:n1", ("10.0.0.1", pod("a")))
    v6 = block("fd00::/126", "host:n1", ("fd00::1", pod("a")))
    assert leaked(seen(v4, v6)) == {"net.a"}
    assert len(convicted(seen(v4, v6)).leaks) == 2
    assert leaked(seen(v4, v6, pods={"a": running("fd00::1")})) == set()


def test_a_lease_without_a_handle_or_a_sequence_number_is_never_released() -> None:
    nameless: Attribute = {"secondary": {"namespace": "ns", "pod": "a", "node": "n1"}}
    assert not convicted(seen(block("10.0.0.0/30", "host:n1", ("10.0.0.1", nameless)))).leaks
    old = block("10.0.0.0/30", "host:n1", ("10.0.0.1", pod("a")))
    old.sequences.clear()
    assert not convicted(seen(old)).leaks


def test_what_nobody_can_tell_is_kept_and_keeps_its_node() -> None:
    service: Attribute = {"handle_id": "lb-x", "secondary": {"node": "gone", "service": "s"}}
    found = convicted(seen(block("10.0.0.0/30", "host:gone", ("10.0.0.1", service), ("10.0.0.2", tunnel("gone")))))
    assert found.nothing


def test_a_tunnels_address_goes_with_its_node_when_nothing_else_keeps_it() -> None:
    own = [("10.0.0.0", tunnel("gone")), ("10.0.0.1", pod("a", "gone"))]
    holding = block("10.0.0.0/30", "host:gone", *own)
    assert leaked(seen(holding)) == {"vxlan-tunnel-addr-gone", "net.a"}
    assert leaked(seen(holding, pods={"a": running("10.0.0.1")})) == set()
    assert leaked(seen(holding, nodes=["gone"])) == {"net.a"}


def test_the_claims_of_a_node_that_is_gone_go_when_their_blocks_are_empty() -> None:
    empty, used = block("10.0.0.0/30", "host:gone"), block("10.0.0.4/30", "host:gone", ("10.0.0.5", pod("a", "n1")))
    found = convicted(seen(empty, used, pods={"a": running("10.0.0.5")}))
    assert [(each.node, each.cidr) for each in found.abandoned] == [("gone", "10.0.0.0/30")]
    assert not convicted(seen(empty, nodes=["gone"])).abandoned


def test_nodes_that_are_none_of_kubernetes_are_left_alone() -> None:
    found = seen(block("10.0.0.0/30", "host:vm", ("10.0.0.1", tunnel("vm"))), block("10.0.0.4/30", "host:vm"))
    foreign = found._replace(living=found.living._replace(foreign=frozenset(["vm"])))
    assert not convicted(foreign).abandoned
    assert not convicted(foreign).leaks


def test_a_node_keeps_one_block_also_when_all_are_empty() -> None:
    empty = [block(f"10.0.0.{at}/30", "host:n1") for at in (0, 4, 8)]
    assert [each.cidr for each in convicted(seen(*empty)).empty] == ["10.0.0.4/30", "10.0.0.8/30"]
    used = block("10.0.0.12/30", "host:n1", ("10.0.0.13", pod("a")))
    alive = {"a": running("10.0.0.13")}
    assert len(convicted(seen(*empty, used, pods=alive)).empty) == 3
    assert not convicted(seen(empty[0], pods=alive)).empty


def test_a_block_that_was_written_meanwhile_has_not_been_empty_for_long() -> None:
    empty, other = block("10.0.0.4/30", "host:n1"), block("10.0.0.0/30", "host:n1")
    first = look(seen(empty, other), {}, POLICY, 0.0, NOW * SECOND)
    empty.sequence += 1
    assert not look(seen(empty, other), first.suspects, POLICY, 99.0, NOW * SECOND).empty


def test_windows_reservations_are_no_leases_and_leave_a_block_empty() -> None:
    reserved: Attribute = {"handle_id": "windows-reserved-ipam-handle", "secondary": {"note": "x"}}
    found = seen(block("10.0.0.0/30", "host:n1", ("10.0.0.1", reserved)), block("10.0.0.4/30", "host:n1"))
    assert found.blocks["10.0.0.0/30"].leases == ()  # type: ignore[union-attr]
    assert [each.cidr for each in convicted(found).empty] == ["10.0.0.4/30"]


def test_empty_blocks_that_nobody_owns_go() -> None:
    orphan, used = block("10.0.0.0/30", None), block("10.0.0.4/30", None, ("10.0.0.5", pod("a")))
    unclaimed = block("10.0.0.8/30", "host:gone")
    found = seen(orphan, used, unclaimed, pods={"a": running("10.0.0.5")}, affinities=[])
    assert convicted(found).ownerless == ("10.0.0.0/30", "10.0.0.8/30")


def test_claims_on_blocks_that_are_not_there_are_stray() -> None:
    found = seen(affinities=[("n1", "10.0.0.0/30"), ("gone", "10.0.0.4/30")])
    assert {key.host for key, _ in convicted(found).stray} == {"n1", "gone"}


def test_a_block_of_cooled_addresses_is_tidied_when_their_time_is_over() -> None:
    cooling = block("10.0.0.0/30", "host:n1", ("10.0.0.1", pod("a")))
    cooling.attributes = [{"releasedAt": rfc3339((NOW - 100) * SECOND)}]
    assert convicted(seen(cooling)).cooled == ("10.0.0.0/30",)
    assert not convicted(seen(cooling, cooldown=120)).cooled
    assert of_block(cooling).leases == ()
    assert not of_block(cooling).empty


@pytest.mark.parametrize(
    ("counts", "surplus"),
    [
        ({"10.0.0.0/30": 1}, False),
        ({"10.0.0.0/30": 2}, True),
        ({"10.0.0.0/30": 1, "10.9.0.0/30": 1}, True),
        ({}, True),
    ],
)
def test_a_handle_that_counts_too_much_is_surplus(counts: dict[str, int], surplus: bool) -> None:
    found = seen(ONE, pods={"a": running("10.0.0.1")}, handles={"net.a": counts})
    assert bool(convicted(found).surplus) == surplus


def test_a_handle_of_a_broken_block_is_left_alone() -> None:
    found = seen(ONE, pods={"a": running("10.0.0.1")}, handles={"net.b": {"10.0.0.8/30": 1}})
    assert convicted(found).surplus
    for name in ("10.0.0.8/30", "who knows what"):
        broken = found._replace(blocks={**found.blocks, name: None})
        assert not convicted(broken).surplus


def test_a_handle_is_not_judged_while_a_call_may_be_writing() -> None:
    found = seen(handles={"net.a": {"10.0.0.0/30": 1}})
    first = look(found, {}, POLICY, 0.0, NOW * SECOND)
    assert not look(found, first.suspects, POLICY, 299.0, NOW * SECOND).surplus
    assert look(found, first.suspects, POLICY, 300.0, NOW * SECOND).surplus


def vm(name: str, handle: str) -> Attribute:
    return {"handle_id": handle, "secondary": {"namespace": "ns", "vmi-name": name, "node": "n1"} if name else {}}


@pytest.mark.parametrize("noted", ["web.1", ""])
def test_a_vm_keeps_its_addresses_while_it_is_there_or_nobody_knows(noted: str) -> None:
    own = block("10.0.0.0/30", "host:n1", ("10.0.0.1", vm(noted, "net.vmi.ns.web.1")))
    assert leaked(seen(own)) == set()
    assert leaked(seen(own, vms=frozenset([("ns", "web.1")]))) == set()
    assert leaked(seen(own, vms=frozenset())) == {"net.vmi.ns.web.1"}
    first = look(seen(own, vms=frozenset()), {}, POLICY, 0.0, NOW * SECOND)
    assert first.due == 300.0


def test_a_vm_whose_name_is_hashed_and_not_noted_is_kept() -> None:
    own = block("10.0.0.0/30", "host:n1", ("10.0.0.1", vm("", "net.vmi._hEIV3nmUgg")))
    assert leaked(seen(own, vms=frozenset())) == set()


def test_what_is_looked_at_live_lets_live_who_lives() -> None:
    v4 = block("10.0.0.0/30", "host:gone", ("10.0.0.1", pod("a", "gone")), ("10.0.0.2", tunnel("gone")))
    v6 = block("fd00::/126", "host:gone", ("fd00::1", pod("a", "gone")))
    leaks = convicted(seen(v4, v6)).leaks
    assert len(still_garbage(leaks, Living({}, frozenset()))) == 3
    back = Living({}, frozenset(["gone"]))
    assert {leak.lease.kind for leak in still_garbage(leaks, back)} == {Kind.POD}
    resurrected = Living({("ns", "a"): running("fd00::1")}, frozenset())
    assert {leak.lease.kind for leak in still_garbage(leaks, resurrected)} == {Kind.TUNNEL}


def test_a_broken_block_is_nobodys_garbage() -> None:
    found = seen(affinities=[("gone", "10.0.0.0/30")])._replace(blocks={"10.0.0.0/30": None})
    assert convicted(found).nothing


# Against an oracle ----------------------------------------------------------------------------------------------------

NAMES, NODES = ("a", "b", "c"), ("n1", "n2", "gone")
leases = st.builds(
    lambda address, handle, kind, node, name: Lease(address, handle, 1, kind, node, "ns", name),
    st.integers(1, 60), st.sampled_from(("", "h1", "h2", "h3", "h4")),
    st.sampled_from((Kind.POD, Kind.TUNNEL, Kind.OTHER)), st.sampled_from((*NODES, "")), st.sampled_from(NAMES),
)  # fmt: skip
pods = st.dictionaries(
    st.tuples(st.just("ns"), st.sampled_from(NAMES)),
    st.builds(Pod, st.sampled_from(("", "n1")), st.lists(st.integers(1, 60), max_size=9).map(tuple), st.booleans()),
)
owners = st.sampled_from((None, "host:n1", "host:n2", "host:gone"))
clusters = st.builds(
    lambda several, there: Seen(
        {
            str(number): SeenBlock(str(number), affinity, 1, tuple(held), None, empty=not held)
            for number, (affinity, held) in enumerate(several)
        },
        {}, {AffinityKey(affinity[5:], str(at)): "1" for at, (affinity, _) in enumerate(several) if affinity},
        Living(there, frozenset(("n1", "n2"))),
    ),
    st.lists(st.tuples(owners, st.lists(leases, max_size=6)), max_size=5), pods,
)  # fmt: skip


def may_be_used(lease: Lease, found: Seen, everything: list[Lease]) -> bool:
    """Whether somebody may use a lease, said as plainly as can be."""
    if lease.kind is Kind.OTHER:
        return True
    if lease.kind is Kind.POD:
        own = found.living.pods.get(("ns", lease.name))
        return own is not None and not own.finished and own.node != "" and (
            own.addresses == () or lease.address in own.addresses
        )  # fmt: skip
    if lease.node in ("", "n1", "n2"):
        return True
    others = [each for each in everything if each.node == lease.node and each.kind is not Kind.TUNNEL]
    return any(not goes(each, found, everything) for each in others)


def goes(lease: Lease, found: Seen, everything: list[Lease]) -> bool:
    """Whether a lease of a pod or of anybody else is released."""
    fellows = [each for each in everything if each.handle == lease.handle and each.kind is not Kind.TUNNEL]
    staying = [
        each for each in everything
        if each.handle == lease.handle and each.kind is Kind.TUNNEL and each.node in ("", "n1", "n2")
    ]  # fmt: skip
    return bool(lease.handle) and not staying and not any(may_be_used(each, found, everything) for each in fellows)


@given(clusters)
def test_nothing_that_may_be_used_is_released_and_everything_else_is(found: Seen) -> None:
    everything = [lease for each in found.blocks.values() if each for lease in each.leases]
    released = [leak.lease for leak in convicted(found).leaks]
    for lease in released:
        assert not may_be_used(lease, found, everything)
        assert lease.handle
    kept_pods = [each for each in everything if each.kind is Kind.POD and each not in released]
    for lease in kept_pods:
        assert not goes(lease, found, everything)


@given(clusters, st.lists(st.floats(0, 100), max_size=5))
def test_suspects_are_no_more_than_what_there_is_and_no_older_than_when_they_were_seen(
    found: Seen, pauses: list[float]
) -> None:
    at, before = 0.0, dict[Suspect, float]()
    for pause in pauses:
        result = look(found, before, POLICY, at, NOW * SECOND)
        assert len(result.suspects) <= 3 * (sum(len(each.leases) + 1 for each in found.blocks.values() if each) + 3)
        assert all(since <= at for since in result.suspects.values())
        before = dict(result.suspects)
        at += pause
