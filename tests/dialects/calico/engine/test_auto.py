"""AutoAssign: the numbers of spec §1.7 and §1.12, and what is said when they cannot be had."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.dialects.calico.cluster import Cluster, cidr, texts

from unipam.addr.prefix import format_address
from unipam.dialects.calico.datastore.keys import BlockKey
from unipam.dialects.calico.documents.block import WINDOWS_HANDLE
from unipam.dialects.calico.rules.pools import Reserve
from unipam.model.errors import BadValue, Exhausted, Missing

LIMIT = "cannot allocate new block due to per host block limit"
WINDOWS = Reserve(3, 1, WINDOWS_HANDLE, "windows host rsvd")


@pytest.mark.parametrize(("number", "found"), [(256, 256), (257, 256)])
def test_a_pool_gives_all_it_has(cluster: Cluster, number: int, found: int) -> None:
    """AC-4, AC-6: 256 of a /24 in both families; one more is a shortfall, and no error."""
    cluster.pool("v4", "10.0.0.0/24")
    cluster.pool("v6", "fd80:24e2:f998:72d6::/120")
    for family, pool in ((4, "10.0.0.0/24"), (6, "fd80:24e2:f998:72d6::/120")):
        assigned = cluster.ask(number, "host-a", family=family)
        assert len(set(texts(assigned))) == len(assigned.addresses) == found
        assert assigned.error is None
        said = f"Assigned 256 out of 257 requested IPv{family} addresses; No IPs available in pools: [{pool}]"
        assert assigned.shortfall == ("" if number == found else said)


@pytest.mark.parametrize(("limit", "found"), [(1, 64), (2, 128)])
def test_a_host_has_no_more_blocks_than_it_may(cluster: Cluster, limit: int, found: int) -> None:
    """AC-7: what was found stays, and nothing is borrowed."""
    cluster.pool("v4", "10.0.0.0/24")
    cluster.ask(1, "host-b")
    assigned = cluster.ask(256, "host-a", max_blocks=limit)
    assert len(assigned.addresses) == found
    assert str(assigned.error) == LIMIT
    assert assigned.messages == [
        f"Need to allocate an IPAM block but could not - limit of {limit} blocks reached for this node"
    ]


def test_small_blocks_up_to_the_limit(cluster: Cluster) -> None:
    """AC-4."""
    cluster.pool("v4", "10.0.0.0/24", blockSize=30)
    assert len(cluster.ask(256, "host-a", max_blocks=256).addresses) == 256


def test_without_a_limit_there_is_one_of_twenty(cluster: Cluster) -> None:
    """AC-7: effective default."""
    cluster.pool("v4", "10.0.0.0/16", blockSize=30)
    assigned = cluster.ask(100, "host-a")
    assert len(assigned.addresses) == 80
    assert str(assigned.error) == LIMIT


def test_strict_affinity_keeps_to_the_pool_asked_for(cluster: Cluster) -> None:
    """AC-4, AC-6: two /26 pools, strict, the first asked for."""
    cluster.configure(strict=True)
    cluster.pool("a", "10.0.0.0/26")
    cluster.pool("b", "10.0.1.0/26")
    assigned = cluster.ask(256, "host-a", pools=[cidr("10.0.0.0/26")])
    assert len(assigned.addresses) == 64
    assert assigned.messages == ["No more free affine blocks and strict affinity enabled"]
    assert assigned.error is None


def test_what_is_lacking_is_borrowed(cluster: Cluster) -> None:
    """AC-4: /25 in blocks of 64; 63 of the own block and one of the other host's."""
    cluster.pool("v4", "10.0.0.0/25")
    own, others = cluster.ask(1, "host-a"), cluster.ask(1, "host-b")
    assert own.addresses[0][1] != others.addresses[0][1]
    more = cluster.ask(64, "host-a")
    assert Counter(prefix for _, prefix in more.addresses) == {own.addresses[0][1]: 63, others.addresses[0][1]: 1}


def test_only_pools_that_select_the_node(cluster: Cluster) -> None:
    """AC-4: one of two /24."""
    cluster.node("host-a", rack="1")
    cluster.pool("a", "10.0.0.0/24", nodeSelector="rack == '1'")
    cluster.pool("b", "10.0.1.0/24", nodeSelector="rack == '2'")
    found = texts(cluster.ask(300, "host-a"))
    assert len(found) == 256
    assert all(address.startswith("10.0.0.") for address in found)


def test_two_pools_until_both_are_full(cluster: Cluster) -> None:
    """AC-4: 300 of 512, then 212 of 300."""
    cluster.pool("a", "192.168.0.0/24")
    cluster.pool("b", "192.168.1.0/24")
    assert len(cluster.ask(300, "host-a").addresses) == 300
    rest = cluster.ask(300, "host-a")
    assert len(rest.addresses) == 212
    assert rest.messages == ["No IPs available in pools: [192.168.0.0/24 192.168.1.0/24]"]


@pytest.mark.parametrize(("reserve", "found"), [(None, 58), (WINDOWS, 55)])
def test_reserved_addresses_are_not_handed_out(cluster: Cluster, reserve: Reserve | None, found: int) -> None:
    """AC-4, AC-22: 6 of 64 reserved; a Windows host keeps 4 for itself, of which one is reserved."""
    cluster.pool("v4", "10.0.0.0/26")
    cluster.reserve("10.0.0.1/32", "10.0.0.32/30", "10.0.0.17/32")
    addresses = texts(cluster.ask(64, "host-a", reserve=reserve))
    assert len(addresses) == found
    assert not {"10.0.0.1", "10.0.0.17", *(f"10.0.0.{32 + at}" for at in range(4))} & set(addresses)


def test_a_windows_host_keeps_four_of_each_block(cluster: Cluster) -> None:
    """AC-22: 240 of 256; no handle counts what it keeps."""
    cluster.configure(strict=True)
    cluster.pool("v4", "10.0.0.0/24")
    assigned = cluster.ask(256, "host-a", reserve=WINDOWS, handle="h")
    assert len(assigned.addresses) == 240
    assert assigned.shortfall == (
        "Assigned 240 out of 256 requested IPv4 addresses; No more free affine blocks and strict affinity enabled"
        "; HostReservedAttr: windows-reserved-ipam-handle"
    )
    assert set(cluster.handles()) == {"h"}


def test_blocks_too_small_for_what_a_host_keeps_are_no_use(cluster: Cluster) -> None:
    """AC-22: 4 kept, so no blocks beyond /29."""
    cluster.pool("v4", "10.0.0.0/24", blockSize=30)
    assert str(cluster.ask(1, "host-a", reserve=WINDOWS).error) == "cannot find a qualified ippool"
    cluster.pool("larger", "10.0.1.0/24", blockSize=29)
    assert len(cluster.ask(5, "host-a", reserve=WINDOWS).addresses) == 5


@pytest.mark.parametrize(
    ("configured", "asked", "ends"), [(2, 0, True), (2, 3, True), (3, 2, True), (3, 0, False), (3, 3, False)]
)
def test_the_smaller_limit_counts(cluster: Cluster, configured: int, asked: int, ends: bool) -> None:
    """AC-7: strict, /28 in blocks of 4; eight fit into two blocks, the ninth needs a third."""
    cluster.configure(strict=True, max_blocks=configured)
    cluster.pool("v4", "10.0.0.0/28", blockSize=30)
    assert len(cluster.ask(8, "host-a").addresses) == 8
    ninth = cluster.ask(1, "host-a", max_blocks=asked)
    assert (str(ninth.error) == LIMIT, len(ninth.addresses)) == (ends, int(not ends))


@pytest.mark.parametrize("strict", [False, True])
def test_more_hosts_than_blocks_at_once(strict: bool, cluster: Cluster) -> None:
    """AC-5: 32 hosts race for 16 blocks; strict, half of them get none, and are told why."""
    cluster.configure(strict=strict)
    cluster.pool("v4", "10.0.0.0/26", blockSize=30)
    hosts = [f"host-{number}" for number in range(32)]
    for host in hosts:
        cluster.node(host)
    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(lambda host: cluster.ask(1, host, handle=host), hosts))
    found = [address for answer in answers for address in texts(answer)]
    assert len(set(found)) == len(found) == (16 if strict else 32)
    assert Counter(answer.error for answer in answers) == {None: 32}
    for answer in answers:
        if not answer.addresses:
            assert answer.messages == ["No more free affine blocks and strict affinity enabled"]
    assert Counter(cluster.affinities().values()) == {"confirmed": 16}
    owners = {cidr: block.affinity for cidr, block in cluster.blocks().items()}
    assert {(owner, cidr) for cidr, owner in owners.items()} == set(cluster.affinities())
    assert cluster.handles() == cluster.recounted()


def test_pools_asked_for_are_used_whatever_they_select(cluster: Cluster) -> None:
    """AC-8: neither selectors nor the mode matter, being disabled and the uses do."""
    cluster.pool("manual", "10.0.0.0/26", assignmentMode="Manual", nodeSelector="has(nothing)")
    cluster.pool("off", "10.0.1.0/26", disabled=True)
    cluster.pool("tunnels", "10.0.2.0/26", allowedUses=["Tunnel"], assignmentMode="Manual")
    assert len(cluster.ask(1, "host-a", pools=[cidr("10.0.0.0/26")]).addresses) == 1
    off = cluster.ask(1, "host-a", pools=[cidr("10.0.1.0/26")])
    assert str(off.error) == "the given pool (10.0.1.0/26) does not exist, or is not enabled"
    tunnels = cluster.ask(1, "host-a", pools=[cidr("10.0.2.0/26")])
    assert str(tunnels.error) == "cannot find a qualified ippool, no pools match the required use (Workload)"
    assert str(cluster.ask(1, "host-a").error) == "no configured Calico pools for node host-a"


def test_pools_are_used_in_the_order_asked_for(cluster: Cluster) -> None:
    cluster.pool("a", "10.0.0.0/30", blockSize=30)
    cluster.pool("b", "10.0.1.0/30", blockSize=30)
    found = texts(cluster.ask(6, "host-a", pools=[cidr("10.0.1.0/30"), cidr("10.0.0.0/30")]))
    assert [address.rpartition(".")[0] for address in found] == ["10.0.1"] * 4 + ["10.0.0"] * 2


def test_namespaces_select_pools(cluster: Cluster) -> None:
    cluster.pool("a", "10.0.0.0/26", namespaceSelector="team == 'red'")
    cluster.pool("b", "10.0.1.0/26", namespaceSelector="!has(team)")
    assert texts(cluster.ask(1, "host-a", namespace={"team": "red"}))[0].startswith("10.0.0.")
    assert texts(cluster.ask(1, "host-a"))[0].startswith("10.0.1.")


@pytest.mark.parametrize(
    ("more", "kind", "message"),
    [
        ({"use": ""}, BadValue, "must specify the intended use when assigning an IP"),
        ({"pools": [cidr("fd00::/64")]}, BadValue, "provided IPv4 IPPools list contains one or more IPv6 IPPools"),
        ({}, Exhausted, "cannot find a qualified ippool"),
    ],
)
def test_what_cannot_be_asked(cluster: Cluster, more: dict[str, object], kind: type, message: str) -> None:
    assigned = cluster.ask(1, "host-a", **more)
    assert (type(assigned.error), str(assigned.error)) == (kind, message)


def test_a_node_that_is_not_there(cluster: Cluster) -> None:
    cluster.pool("v4", "10.0.0.0/24")
    assigned = cluster.ask(1, "ghost")
    assert isinstance(assigned.error, Missing)
    assert str(assigned.error) == "resource does not exist: Node(ghost) with error: <nil>"


def test_a_selector_that_makes_no_sense_stops_everything(cluster: Cluster) -> None:
    cluster.pool("a", "10.0.0.0/24", nodeSelector="kind = 'x'")
    cluster.pool("b", "10.0.1.0/24")
    assert str(cluster.ask(1, "host-a").error) == "expected =="


def test_addresses_wander_through_a_block(cluster: Cluster) -> None:
    """AC-2: every address counts, the first one is the block's own, and what is freed comes last."""
    cluster.pool("v4", "10.0.0.0/30", blockSize=30)
    found = []
    for turn in range(6):
        found += texts(cluster.ask(1, "host-a", handle=f"h{turn}"))
        cluster.drop(f"h{turn}")
    assert found == ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.0", "10.0.0.1"]


def test_services_have_blocks_of_their_own(cluster: Cluster) -> None:
    cluster.pool("services", "10.0.0.0/24", allowedUses=["LoadBalancer"])
    found = cluster.ask(1, "load-balancer", use="LoadBalancer", handle="lb-1")
    assert cluster.affinities() == {("virtual:load-balancer", str(found.addresses[0][1])): "confirmed"}
    cluster.drop("lb-1")
    assert (cluster.blocks(), cluster.affinities(), cluster.handles()) == ({}, {}, {})


# Blocks that are in the way --------------------------------------------------------------------------------------


def test_an_empty_block_is_taken_over_after_a_minute(cluster: Cluster) -> None:
    """AC-13: only when no block is free, and the claim is old."""
    cluster.configure(strict=True)
    cluster.pool("v4", "10.0.0.0/30", blockSize=30)
    cluster.ask(1, "host-b", handle="h")
    cluster.drop("h")
    cluster.sleep(59)
    assert cluster.ask(1, "host-a").messages == ["No more free affine blocks and strict affinity enabled"]
    cluster.sleep(2)
    assert len(cluster.ask(1, "host-a").addresses) == 1
    assert cluster.affinities() == {("host:host-a", "10.0.0.0/30"): "confirmed"}


def test_no_block_is_taken_over_while_another_is_free(cluster: Cluster) -> None:
    """AC-13: however old the claim is."""
    cluster.pool("v4", "10.0.0.0/29", blockSize=30)
    theirs = str(cluster.ask(1, "host-b", handle="h").addresses[0][1])
    cluster.drop("h")
    cluster.sleep(1000)
    assert str(cluster.ask(1, "host-a").addresses[0][1]) != theirs
    assert cluster.affinities()["host:host-b", theirs] == "confirmed"


def test_no_block_is_taken_over_where_none_is_claimed_by_itself(cluster: Cluster) -> None:
    """AC-13."""
    cluster.configure(strict=True, auto=False)
    cluster.pool("v4", "10.0.0.0/30", blockSize=30)
    assert str(cluster.ask(1, "host-a").error) == "failed to find or claim a block"


def test_a_block_in_use_is_nobody_elses(cluster: Cluster) -> None:
    """AC-13."""
    cluster.configure(strict=True)
    cluster.pool("v4", "10.0.0.0/30", blockSize=30)
    cluster.ask(1, "host-b")
    cluster.sleep(1000)
    assert cluster.ask(1, "host-a").addresses == []


def test_blocks_of_another_size_are_not_overlapped(cluster: Cluster) -> None:
    """The real one would: a pool made anew with another block size then hands addresses out twice (spec §7)."""
    cluster.pool("v4", "10.0.0.0/29", blockSize=30)
    held = texts(cluster.ask(8, "host-a", handle="old"))
    cluster.pool("v4", "10.0.0.0/28", blockSize=29)
    assert not set(texts(cluster.ask(8, "host-b"))) & set(held)
    assert cluster.ask(1, "host-b").shortfall


def test_a_block_broken_by_hand_spoils_nothing_else(cluster: Cluster) -> None:
    cluster.pool("v4", "10.0.0.0/29", blockSize=30)
    first = cluster.ask(1, "host-a").addresses[0][1]
    cluster.store.put(BlockKey(str(first)), b'{"cidr": "%s", "allocations": [7]}' % str(first).encode())
    found = cluster.ask(4, "host-a").addresses
    assert len(found) == 4
    assert first not in {prefix for _, prefix in found}


def test_a_pool_broken_by_hand_spoils_nothing_else(cluster: Cluster) -> None:
    """It is named where it is missed."""
    cluster.pool("a", "10.0.0.1/24")
    missed = cluster.ask(1, "host-a").error
    assert missed is not None
    assert str(missed) == "cannot find a qualified ippool"
    assert str(missed.facts["details"]).startswith("pool a is broken: invalid prefix 10.0.0.1/24: host bits are set")
    cluster.pool("b", "10.0.1.0/24")
    assert len(cluster.ask(1, "host-a").addresses) == 1


def test_blocks_of_pools_that_are_not_for_the_node_any_more_are_given_up(cluster: Cluster) -> None:
    cluster.pool("a", "10.0.0.0/24")
    cluster.ask(1, "host-a", handle="h")
    cluster.pool("b", "10.0.1.0/24")
    cluster.pool("a", "10.0.0.0/24", nodeSelector="has(rack)")
    held = dict(cluster.affinities().keys())
    cluster.ask(1, "host-a")
    assert ("host:host-a", held["host:host-a"]) in cluster.affinities()  # not empty yet
    cluster.drop("h")
    assert [cidr for _, cidr in cluster.affinities()] == [
        cidr for cidr in cluster.blocks() if cidr.startswith("10.0.1.")
    ]


# A handle that may have no more -------------------------------------------------------------------------------------


def test_a_handle_at_its_most_is_answered_with_what_it_has(cluster: Cluster) -> None:
    cluster.pool("v4", "10.0.0.0/24")
    cluster.pool("v6", "fd00::/120")
    first = cluster.ask(1, "host-a", handle="vm", most=1)
    again = cluster.ask(1, "host-b", handle="vm", most=1)
    assert again.addresses == first.addresses
    assert len(cluster.ask(1, "host-b", handle="vm", most=1, family=6).addresses) == 1
    assert cluster.handles() == cluster.recounted()


def test_the_first_block_of_a_host_is_where_the_real_one_begins(cluster: Cluster) -> None:
    cluster.node("node1")
    cluster.pool("v4", "192.168.0.0/16")
    address, prefix = cluster.ask(1, "node1").addresses[0]
    assert (format_address(address), str(prefix)) == ("192.168.166.128", "192.168.166.128/26")


@pytest.mark.parametrize("known", [False], ids=["cold"])  # what an agent asks is in test_combining
def test_how_much_is_asked_of_the_datastore(cluster: Cluster) -> None:
    """docs/calico.md; the real one asks 15, 10 and 9 times on etcd (spec §9)."""
    cluster.pool("v4", "10.0.0.0/24")
    asked: list[object] = []

    def count(call: object, _about: object) -> None:
        asked.append(call)

    cluster.break_down(count)
    found = []
    for handle in ("first", "steady"):
        asked.clear()
        cluster.ask(1, "host-a", handle=handle)
        found.append(len(asked))
    asked.clear()
    cluster.drop("steady")
    assert [*found, len(asked)] == ([8, 7, 4] if cluster.store.transactional else [12, 8, 5])
