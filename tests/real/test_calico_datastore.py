"""The datastore of Calico judged by the real calicoctl and calico-ipam, on etcd and on Kubernetes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.dialects.calico.datastore.documents import affinity, handle
from tests.real import calico_original as original
from tests.real.calico_original import SITES, Site, brought, calico_ipam, calicoctl, resource
from tests.real.etcd import soon

from unipam.dialects.calico.datastore.api import Item, Selection
from unipam.dialects.calico.datastore.keys import (
    AffinityKey,
    BlockKey,
    ClusterKey,
    ConfigKey,
    HandleKey,
    NodeKey,
    PoolKey,
    ReservationKey,
)

pytestmark = brought

KINDS = (BlockKey, AffinityKey, HandleKey, ConfigKey, PoolKey, ReservationKey, ClusterKey)
V4, V6 = {"cidr": "192.168.0.0/16", "natOutgoing": True}, {"cidr": "fd80:24e2:f998:72d6::/112"}
NUMBER = 1_795_680_628_653_596_249


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """A datastore of each kind with two pools, a reservation and a node."""
    made = SITES[request.param](tmp_path)
    for document in (
        resource("IPPool", "default-ipv4-ippool", V4),
        resource("IPPool", "default-ipv6-ippool", V6),
        resource("IPReservation", "infra", {"reservedCIDRs": ["192.168.166.130/32"]}),
    ):
        original.apply(made, tmp_path, document)
    made.add_node("node1")
    yield made
    made.close()


def everything(site: Site) -> list[Item]:
    """Every item of every kind."""
    listings = [site.store.list(Selection(kind), soon()) for kind in KINDS]
    assert not any(listing.broken for listing in listings)
    return [item for listing in listings for item in listing.items]


def test_what_the_originals_write_is_read_and_written_back_unchanged(site: Site, tmp_path: Path) -> None:
    for container in "abc":
        calico_ipam(site, tmp_path, "ADD", container, assign_ipv6="true")
    calico_ipam(site, tmp_path, "DEL", "b")
    calicoctl(site, "ipam", "configure", "--strictaffinity=true", "--max-blocks-per-host=4")
    before = site.stored()
    items = everything(site)
    found = {type(item.key) for item in items}
    assert found == set(KINDS)
    assert {item.key for item in items if isinstance(item.key, HandleKey)} == {
        HandleKey("k8s-pod-network.a"), HandleKey("k8s-pod-network.c"),
    }  # fmt: skip
    for item in items:
        assert site.store.get(item.key, soon()) == item
        site.store.update(item, soon())
    assert site.stored() == before
    assert NodeKey("node1") in [item.key for item in site.store.list(Selection(NodeKey), soon()).items]


def test_the_originals_go_on_with_what_was_written_back(site: Site, tmp_path: Path) -> None:
    first = calico_ipam(site, tmp_path, "ADD", "a")["ips"][0]["address"]
    for item in everything(site):
        site.store.update(item, soon())
    second = calico_ipam(site, tmp_path, "ADD", "b")["ips"][0]["address"]
    assert (first, second) == ("192.168.166.128/26", "192.168.166.129/26")
    calico_ipam(site, tmp_path, "DEL", "a")
    handles = [item.key for item in site.store.list(Selection(HandleKey), soon()).items]
    assert handles == [HandleKey("k8s-pod-network.b")]


def lease(site: Site) -> None:
    """A block with one lease, written by unipam as Calico would have."""
    cidr, owner = "192.168.166.128/26", {"namespace": "default", "node": "node1", "pod": "web-0"}
    block = {
        "cidr": cidr, "affinity": "host:node1", "affinity_claim_time": "2026-11-26T08:10:28Z",
        "allocations": [0, *[None] * 63], "unallocated": list(range(1, 64)),
        "attributes": [{"handle_id": "k8s-pod-network.ours", "secondary": owner}],
        "sequenceNumber": NUMBER + 1, "sequenceNumberForAllocation": {"0": NUMBER}, "deleted": False,
    }  # fmt: skip
    site.store.create(AffinityKey("node1", cidr), affinity(), soon())
    site.store.create(HandleKey("k8s-pod-network.ours"), {**handle(), "block": {cidr: 1}}, soon())
    site.store.create(BlockKey(cidr), block, soon())
    site.store.create(ConfigKey(), {"strict_affinity": True, "auto_allocate_blocks": True}, soon())


def test_what_unipam_writes_is_shown_and_found_in_order(site: Site, tmp_path: Path) -> None:
    lease(site)
    rows = [re.split(r"\s*\|\s*", row)[1:-1] for row in calicoctl(site, "ipam", "show", "--show-blocks").splitlines()]
    assert ["Block", "192.168.166.128/26", "64", "1 (2%)", "1 (2%)", "62 (97%)"] in rows
    shown = calicoctl(site, "ipam", "show", "--ip=192.168.166.128")
    assert "IP 192.168.166.128 is in use\nHandle ID: k8s-pod-network.ours" in shown
    assert "pod: web-0" in shown
    assert re.search(r"StrictAffinity\s*\|\s*true", calicoctl(site, "ipam", "show", "--show-configuration"))
    checked = calicoctl(site, "ipam", "check", "--show-all-ips")
    assert " IPAM block 192.168.166.128/26 affinity=host:node1:" in checked
    assert "192.168.166.128 allocated; attrs Main:k8s-pod-network.ours" in checked
    for expected in (
        "Found 0 handles with no matching IPs (and 1 handles with matches).",
        "Found 0 handles mentioned in blocks with no matching handle resource.",
        "Found 0 invalid IPAMBlocks.",
        "found 1 problems",  # no pod has the address
    ):
        assert expected in checked


def test_the_original_allocates_from_a_block_of_unipam_s_and_releases_its_lease(site: Site, tmp_path: Path) -> None:
    lease(site)
    given = calico_ipam(site, tmp_path, "ADD", "theirs")["ips"][0]["address"]
    assert given == "192.168.166.129/26"
    item = site.store.get(BlockKey("192.168.166.128/26"), soon())
    assert item.document["sequenceNumber"] == NUMBER + 2
    assert item.document["sequenceNumberForAllocation"] == {"0": NUMBER, "1": NUMBER + 1}
    calico_ipam(site, tmp_path, "DEL", "ours")
    assert site.store.get(BlockKey("192.168.166.128/26"), soon()).document["allocations"][0] is None
    handles = [found.key for found in site.store.list(Selection(HandleKey), soon()).items]
    assert handles == [HandleKey("k8s-pod-network.theirs")]


def test_pools_and_the_lock_of_the_datastore_are_calicoctl_s(site: Site, tmp_path: Path) -> None:
    pool = site.store.get(PoolKey("default-ipv4-ippool"), soon())
    shown = json.loads(calicoctl(site, "get", "ippool", "default-ipv4-ippool", "-o", "json"))
    shown["metadata"] = {name: value for name, value in shown["metadata"].items() if name in pool.document["metadata"]}
    assert pool.document == shown
    pool.document["spec"]["disabled"] = True
    site.store.update(pool, soon())
    listed = calicoctl(site, "get", "ippool", "default-ipv4-ippool", "-o", "wide")
    assert re.search(r"default-ipv4-ippool\s+192\.168\.0\.0/16\s+true\s+Never\s+Never\s+true", listed), listed
    assert site.store.get(ClusterKey(), soon()).document["spec"]["datastoreReady"] is True
    calicoctl(site, "datastore", "migrate", "lock")
    assert site.store.get(ClusterKey(), soon()).document["spec"]["datastoreReady"] is False
    calicoctl(site, "datastore", "migrate", "unlock")
