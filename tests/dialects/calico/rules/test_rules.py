"""The smaller rules: configurations, limits, names, tunnels, owners, what is wrong with a block."""

from __future__ import annotations

import pytest
from tests.dialects.calico.cluster import BEGAN, cidr

from unipam.dialects.calico.documents import reservation
from unipam.dialects.calico.documents.block import Attribute, Block
from unipam.dialects.calico.documents.configuration import Configuration
from unipam.dialects.calico.documents.pool import Pool
from unipam.dialects.calico.documents.times import SECOND, go_text, parse_rfc3339, rfc3339
from unipam.dialects.calico.rules import checking, configuring, limits, names, owners, tunnels
from unipam.dialects.calico.rules.blocks import create
from unipam.dialects.calico.rules.names import Tunnel
from unipam.dialects.calico.rules.owners import Owners, Pod
from unipam.dialects.calico.rules.reserving import reserved
from unipam.dialects.calico.rules.tunnels import Standing
from unipam.model.errors import BadValue, Conflict, Mismatch, Missing, Unreadable


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        (Configuration(), ""),
        (Configuration(strict=True, max_blocks=4), ""),
        (Configuration(strict=True, auto_allocate=False), ""),
        (
            Configuration(auto_allocate=False),
            "Cannot disable 'StrictAffinity' and 'AutoAllocateBlocks' at the same time",
        ),
        (Configuration(max_blocks=1), "MaxBlocksPerHost requires StrictAffinity to be enabled"),
    ],
)
def test_which_configurations_make_sense(wanted: Configuration, problem: str) -> None:
    if not problem:
        configuring.check(wanted)
        return
    with pytest.raises(BadValue) as refused:
        configuring.check(wanted)
    assert str(refused.value) == problem


@pytest.mark.parametrize(("configured", "requested", "found"), [(0, 0, 20), (3, 0, 3), (0, 2, 2), (3, 2, 2), (2, 3, 2)])
def test_limits(configured: int, requested: int, found: int) -> None:
    """AC-7."""
    assert limits.effective(configured, requested) == found


def test_names() -> None:
    """Spec §4.6."""
    assert names.vm("", "default", "vm1") == "k8s-pod-network.vmi.default.vm1"
    long = names.vm("", "default", "v" * 120)
    assert long == "k8s-pod-network.vmi._hEIV3nmUggrLuUyLs7jvHib9JwzqCwd6uuVB143lp2U"
    assert len(names.vm("n", "d", "v" * 120)) == 128  # what fits stays as it is
    assert names.pod("k8s-pod-network", "c1") == "k8s-pod-network.c1"
    assert Tunnel.WIREGUARD_V6.handle("n") == "wireguard-v6-tunnel-addr-n"
    assert [each.attribute for each in Tunnel] == [
        "ipipTunnelAddress", "vxlanTunnelAddress", "vxlanV6TunnelAddress", "wireguardTunnelAddress",
        "wireguardV6TunnelAddress",
    ]  # fmt: skip


POOL = Pool("p", cidr("10.0.0.0/24"), 26, vxlan="CrossSubnet")


@pytest.mark.parametrize(
    ("tunnel", "pool", "eligible"),
    [
        (Tunnel.VXLAN, POOL, True),
        (Tunnel.IPIP, POOL, False),
        (Tunnel.WIREGUARD, POOL, True),
        (Tunnel.VXLAN_V6, POOL, False),
        (Tunnel.VXLAN, Pool("p", POOL.prefix, 26, vxlan="Always", uses=("Workload",)), False),
        (Tunnel.VXLAN, Pool("p", POOL.prefix, 26, vxlan="Always", enabled=False), False),
        (Tunnel.VXLAN, Pool("p", POOL.prefix, 26, vxlan="Always", node_selector="has(x)"), False),
    ],
)
def test_pools_for_tunnels(tunnel: Tunnel, pool: Pool, eligible: bool) -> None:
    assert bool(tunnels.eligible([pool], tunnel, {})) == eligible


def holder(node: str, kind: str = "vxlanTunnelAddress", handle: str = "h") -> Attribute:
    """Who holds a tunnel's address."""
    return {"handle_id": handle, "secondary": {"node": node, "type": kind}}


@pytest.mark.parametrize(
    ("pools", "found", "step"),
    [
        ([], None, "none"),
        ([], Standing(POOL.prefix.first, holder("n")), "clear"),
        ([POOL], None, "assign"),
        ([POOL], Standing(POOL.prefix.first, holder("n")), "keep"),
        ([POOL], Standing(POOL.prefix.last + 1, holder("n")), "reassign"),
        ([POOL], Standing(POOL.prefix.first, None), "reassign"),
        ([POOL], Standing(POOL.prefix.first, {"handle_id": "h"}), "adopt"),
        ([POOL], Standing(POOL.prefix.first, holder("n", handle="")), "adopt"),
        ([POOL], Standing(POOL.prefix.first, holder("other")), "assign"),
        ([POOL], Standing(POOL.prefix.first, holder("n", "ipipTunnelAddress")), "assign"),
    ],
)
def test_what_becomes_of_a_tunnels_address(pools: list[Pool], found: Standing | None, step: str) -> None:
    assert tunnels.decide(Tunnel.VXLAN, "n", found, pools) == step


SOURCE, TARGET = {"namespace": "d", "pod": "source"}, {"namespace": "d", "pod": "target"}


def test_the_pods_of_a_vm_that_moved() -> None:
    moved = Owners(TARGET, SOURCE)
    assert owners.without(Pod("d", "source"), moved) == Owners(TARGET, None)
    assert owners.without(Pod("d", "third"), moved) == moved
    with pytest.raises(Conflict) as refused:
        owners.require(Pod("d", "third"), TARGET, "10.0.0.1", "AlternateOwnerAttrs")
    assert refused.value.facts["details"] == (
        "cannot set AlternateOwnerAttrs: expected pod=third namespace=d but found pod=target namespace=d"
    )


def test_owners_in_a_block() -> None:
    block = create(cidr("10.0.0.0/30"), "host:a", BEGAN)
    block.allocations[1], block.unallocated = 0, [0, 2, 3]
    block.attributes = [{"handle_id": "vm", "secondary": SOURCE, "later": 1}]  # type: ignore[typeddict-unknown-key]
    first = block.prefix.first
    owners.set_owners(block, first + 1, "vm", lambda found: Owners(found.active, TARGET))
    assert block.attributes == [{"handle_id": "vm", "secondary": SOURCE, "alternateOwnerAttrs": TARGET, "later": 1}]
    owners.set_owners(block, first + 1, "vm", lambda _found: Owners(None, None))
    assert block.attributes == [{"handle_id": "vm", "later": 1}]
    with pytest.raises(Mismatch, match=r"IP 10\.0\.0\.1 is not assigned to handle other"):
        owners.set_owners(block, first + 1, "other", lambda found: found)
    with pytest.raises(Missing, match="IP is unassigned"):
        owners.set_owners(block, first, "vm", lambda found: found)


def broken(**fields: object) -> Block:
    """A block of two with something wrong."""
    block = create(cidr("10.0.0.0/31"), "host:a", BEGAN)
    for name, value in fields.items():
        setattr(block, name, value)
    return block


@pytest.mark.parametrize(
    ("block", "found"),
    [
        (broken(), []),
        (broken(attributes=[{}]), ["attribute index 0 exists but is not indexed by an allocation"]),
        (
            broken(unallocated=[0]),
            ["expected 2 addresses in this block, but Unallocated (1) + Allocated (0) = 1"],
        ),
        (
            broken(unallocated=[0], allocations=[None, 0], attributes=[{"releasedAt": "2030-01-01T00:00:00Z"}]),
            ["attribute index 0 has releasedAt in the future, suggesting clock skew"],
        ),
    ],
)
def test_what_is_wrong_with_a_block(block: Block, found: list[str]) -> None:
    """AC-18, in part: those with which a block can still be worked with."""
    assert checking.problems(block, BEGAN) == found


def test_a_reservation_whose_name_cannot_be_read() -> None:
    with pytest.raises(Unreadable, match="metadata is True, which is no object"):
        reservation.read({"metadata": True})


def test_reservations() -> None:
    document = {"spec": {"reservedCIDRs": [" 192.168.2.3 ", "10.0.2.3/32", "cafe:f00d::/123", "10.0.0.7/24", "nope"]}}
    good, bad = reservation.read(document)
    assert list(map(str, good)) == ["192.168.2.3/32", "10.0.2.3/32", "cafe:f00d::/123", "10.0.0.0/24"]
    assert bad == ["nope"]
    assert reserved([document]).size == 1 + 1 + 32 + 256


def test_times() -> None:
    moment = 1_795_681_061_411_655_690
    assert rfc3339(moment) == "2026-11-26T08:17:41Z"
    assert go_text(moment) == "2026-11-26 08:17:41.41165569 +0000 UTC"
    assert go_text(moment // SECOND * SECOND) == "2026-11-26 08:17:41 +0000 UTC"
    assert parse_rfc3339("2026-11-26T09:17:41.41165569+01:00") == moment
    with pytest.raises(ValueError, match="offset"):
        parse_rfc3339("2026-11-26T08:17:41")
