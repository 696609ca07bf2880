"""Which pools there may be: every rule of spec §1.2, in the original's words."""

from __future__ import annotations

from typing import Any

import pytest
from tests.dialects.calico.cluster import Cluster

from unipam.dialects.calico.calicoctl import pooling
from unipam.dialects.calico.rules.pool_checking import changed, defaulted, problems
from unipam.model.errors import BadValue, Refused

LB = {"allowedUses": ["LoadBalancer"]}


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"cidr": "10.0.0.1/24"}, "IPPool CIDR is not strictly masked"),
        ({"cidr": "fd00::1/64"}, "IPPool CIDR is not strictly masked"),
        ({"cidr": "169.254.0.0/24"}, "IPPool CIDR overlaps with IPv4 link local range 169.254.0.0/16"),
        ({"cidr": "168.0.0.0/6"}, "IPPool CIDR overlaps with IPv4 link local range 169.254.0.0/16"),
        ({"cidr": "fe80::/64"}, "IPPool CIDR overlaps with IPv6 link local range fe80::/10"),
        ({"blockSize": 19}, "blockSize must be between 20 and 32 for IPv4 pools"),
        ({"blockSize": 33}, "blockSize must be between 20 and 32 for IPv4 pools"),
        ({"cidr": "fd00::/64", "blockSize": 115}, "and between 116 and 128 for IPv6 pools"),
        ({"cidr": "10.0.0.0/27"}, "It must be equal to or greater than the block size."),
        ({"cidr": "fd00::/123"}, "It must be equal to or greater than the block size."),
        ({"ipipMode": "Always", "vxlanMode": "CrossSubnet"}, "ipipMode and vxlanMode cannot both be enabled"),
        ({"cidr": "fd00::/64", "ipipMode": "Always"}, "IPIP is not supported on IPv6 pools"),
        ({"ipipMode": "Sometimes"}, "supported values: Never, Always, CrossSubnet"),
        ({"assignmentMode": "Later"}, "supported values: Automatic, Manual"),
        ({"nodeSelector": "global()"}, "global() selector is not valid for IPPool nodeSelector"),
        ({"namespaceSelector": "global()", "allowedUses": ["Workload"]}, "valid for IPPool namespaceSelector"),
        ({"nodeSelector": "a = b"}, "spec.nodeSelector"),
        ({"nodeSelector": "has(a) && " * 200 + "all()"}, "it is longer than 1024 characters"),
        ({"namespaceSelector": "all()"}, "IP Pool with AllowedUse Tunnel cannot have namespaceSelector"),
        ({"allowedUses": ["Pod"]}, "unknown use: Pod"),
        ({"allowedUses": ["LoadBalancer", "Tunnel"]}, "LoadBalancer cannot be combined with Workload or Tunnel"),
        ({**LB, "vxlanMode": "Always"}, "LoadBalancer IP pool cannot have IPIP or VXLAN enabled"),
        ({**LB, "disableBGPExport": True}, "LoadBalancer IP pools cannot disable BGP export"),
        ({**LB, "nodeSelector": "has(a)"}, "IP Pool with AllowedUse LoadBalancer must have nodeSelector set to all()"),
        ({"disabled": "yes"}, "it must be of type bool"),
        ({"blockSize": True}, "it must be of type int"),
    ],
)
def test_what_is_refused(spec: dict[str, Any], why: str) -> None:
    """AC-1."""
    found = problems({"cidr": "10.0.0.0/24", **spec})
    assert any(why in str(each) for each in found), found


@pytest.mark.parametrize(("cidr", "why"), [(None, "must be specified"), ("x", "must be a valid subnet")])
def test_a_cidr_that_is_none(cidr: object, why: str) -> None:
    """AC-1."""
    with pytest.raises(BadValue, match=why):
        problems({"cidr": cidr})


@pytest.mark.parametrize(
    "spec",
    [
        {"cidr": "10.0.0.0/24"},
        {"cidr": "10.0.0.0/26"},
        {"cidr": "10.0.0.0/27", "disabled": True},
        {"cidr": "FD00:0::/64", "blockSize": 128, "vxlanMode": "Always"},
        {"cidr": "10.0.0.0/24", "allowedUses": ["Workload"], "namespaceSelector": "a == 'b'"},
        {"cidr": "10.0.0.0/24", **LB},
        {"cidr": "10.0.0.0/32", "blockSize": 32},
    ],
)
def test_what_is_not(spec: dict[str, Any]) -> None:
    """AC-1."""
    assert problems(spec) == []


def test_defaults() -> None:
    """AC-1: CIDRs are written in one form, and what is not known is kept."""
    assert defaulted({"cidr": "FD00:0::/64", "new": 1}) == {
        "cidr": "fd00::/64", "vxlanMode": "Never", "ipipMode": "Never", "blockSize": 122, "nodeSelector": "all()",
        "allowedUses": ["Workload", "Tunnel"], "assignmentMode": "Automatic", "new": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ({}, {"cidr": "10.1.0.0/24"}, "IPPool CIDR cannot be modified"),
        ({}, {"blockSize": 27}, "IPPool BlockSize cannot be modified"),
        (LB, {}, "IPPool allowed use cannot be changed from LoadBalacer to Workload or Tunnel"),
    ],
)
def test_what_cannot_be_changed(old: dict[str, Any], new: dict[str, Any], why: str) -> None:
    """AC-1."""
    base = {"cidr": "10.0.0.0/24"}
    assert [each.why for each in changed({**base, **old}, {**base, **new})] == [why]


def test_another_form_of_the_same_cidr_is_no_change() -> None:
    """AC-1."""
    assert changed({"cidr": "FD00:0::/64"}, {"cidr": "fd00::/64", "blockSize": 122}) == []


def document(name: str, cidr: str, **spec: Any) -> dict[str, Any]:
    return {"kind": "IPPool", "metadata": {"name": name}, "spec": {"cidr": cidr, **spec}}


def test_overlaps_are_refused(cluster: Cluster) -> None:
    """AC-1: a disabled pool's, too."""
    cluster.pool("old", "10.0.0.0/16", disabled=True)
    with pytest.raises(Refused, match=r"IPPool\(new\) CIDR overlaps with IPPool\(old\) CIDR 10.0.0.0/16"):
        pooling.apply(cluster.session, document("new", "10.0.4.0/24"))


def test_blocks_of_another_size_are_refused(cluster: Cluster) -> None:
    """AC-25: their pool is gone, and they are not."""
    cluster.pool("old", "10.0.0.0/24")
    cluster.ask(1, "host-a", handle="h")
    assert pooling.delete(cluster.session, "old", lambda _: None) == [(next(iter(cluster.blocks())), 1)]
    with pytest.raises(Refused, match="conflicts with existing allocations that use a different blockSize"):
        pooling.apply(cluster.session, document("new", "10.0.0.0/24", blockSize=28))
    assert pooling.apply(cluster.session, document("new", "10.0.0.0/24")) == "created"


def test_a_pool_is_changed_or_left(cluster: Cluster) -> None:
    assert pooling.apply(cluster.session, document("p", "10.0.0.0/24"), dry_run=True) == "created"
    assert cluster.session.pools() == []
    assert pooling.apply(cluster.session, document("p", "10.0.0.0/24")) == "created"
    assert pooling.apply(cluster.session, document("p", "10.0.0.0/24")) == "unchanged"
    assert pooling.apply(cluster.session, document("p", "10.0.0.0/24", disabled=True)) == "updated"
    assert [pool.enabled for pool in cluster.session.pools()] == [False]


def test_a_deleted_pool_leaves_what_lives(cluster: Cluster) -> None:
    """AC-23: its addresses stay, in blocks of nobody, and the last one takes its block along."""
    cluster.pool("p", "10.0.0.0/24")
    cluster.ask(1, "host-a", handle="a")
    cluster.ask(1, "host-b", handle="b")
    left = pooling.delete(cluster.session, "p", lambda _: None)
    assert [count for _, count in left] == [1, 1]
    assert {block.affinity for block in cluster.blocks().values()} == {None}
    assert cluster.affinities() == {}
    cluster.drop("a")
    assert len(cluster.blocks()) == 1
    cluster.drop("b")
    assert cluster.blocks() == {}


def test_a_pool_that_would_be_deleted_is_not(cluster: Cluster) -> None:
    cluster.pool("p", "10.0.0.0/24")
    cluster.ask(1, "host-a", handle="a")
    before = cluster.everything()
    assert len(pooling.delete(cluster.session, "p", lambda _: None, dry_run=True)) == 1
    assert cluster.everything() == before


@pytest.mark.parametrize(
    ("number", "why"),
    [(0, "power of 2"), (1, "power of 2"), (3, "power of 2"), (-4, "power of 2"), (8, "smaller than")],
)
def test_what_cannot_be_split(cluster: Cluster, number: int, why: str) -> None:
    """AC-24."""
    _lock(cluster)
    cluster.pool("p", "10.0.0.0/24")
    with pytest.raises(BadValue, match=why):
        pooling.split(cluster.session, number, "p")
    assert [pool.enabled for pool in cluster.session.pools()] == [True]


def _lock(cluster: Cluster) -> None:
    from unipam.dialects.calico.datastore.keys import ClusterKey

    cluster.store.put(ClusterKey(), b'{"metadata": {"name": "default"}, "spec": {"datastoreReady": false}}')


def test_a_split_keeps_every_address(cluster: Cluster) -> None:
    """AC-24: no block, affinity or handle is written, and addresses go on coming out of them."""
    _lock(cluster)
    cluster.pool("p", "10.0.0.0/24")
    for number in range(70):
        cluster.ask(1, "host-a", handle=f"h{number}")
    before = (cluster.blocks(), cluster.affinities(), cluster.handles())
    made = pooling.split(cluster.session, 4, cidr="10.0.0.0/24")
    parts = [(f"split-p-{part}", f"10.0.0.{64 * part}/26") for part in range(4)]
    assert made == parts
    assert [(pool.name, pool.cidr, pool.enabled) for pool in cluster.session.pools()] == [
        (*each, True) for each in parts
    ]
    assert (cluster.blocks(), cluster.affinities(), cluster.handles()) == before
    assert len(cluster.ask(58, "host-a", handle="more").addresses) == 58


def test_a_long_name_is_cut(cluster: Cluster) -> None:
    """AC-24."""
    _lock(cluster)
    cluster.pool("p" * 250, "10.0.0.0/24")
    assert [len(name) for name, _ in pooling.split(cluster.session, 2, "p" * 250)] == [253, 253]


def test_a_datastore_that_is_not_locked_is_not_split(cluster: Cluster) -> None:
    from unipam.dialects.calico.calicoctl import locking
    from unipam.dialects.calico.datastore.keys import ClusterKey

    cluster.store.put(ClusterKey(), b'{"metadata": {"name": "default"}, "spec": {}}')
    cluster.pool("p", "10.0.0.0/24")
    with pytest.raises(Refused, match="datastore is not locked"):
        pooling.split(cluster.session, 2, "p")
    assert locking.set_locked(cluster.session, locked=True)
    assert not locking.set_locked(cluster.session, locked=True)
    assert len(pooling.split(cluster.session, 2, "p", dry_run=True)) == 2
    assert [pool.name for pool in cluster.session.pools()] == ["p"]
