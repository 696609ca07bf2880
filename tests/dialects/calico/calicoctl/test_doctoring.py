"""Whether a cluster is fit: what is found, what is named, and that nothing is changed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner
from tests.dialects.calico.cluster import Cluster

from unipam.cli import calico_doctor
from unipam.cli.main import unipam
from unipam.dialects.calico.calicoctl import doctoring
from unipam.dialects.calico.datastore.keys import BlockKey, ClusterKey, HandleKey, NodeKey, PoolKey, WorkloadKey
from unipam.dialects.calico.where import Where

ETCD = Where("etcdv3")


@pytest.fixture
def site(cluster: Cluster) -> Cluster:
    """A cluster in order."""
    spec = {"clusterGUID": "g", "calicoVersion": "v3.30.0", "datastoreReady": True}
    cluster.store.put(ClusterKey(), json.dumps({"metadata": {"name": "default"}, "spec": spec}).encode())
    cluster.pool("p", "10.0.0.0/24")
    cluster.ask(2, "host-a", handle="h")
    return cluster


def examined(site: Cluster) -> list[doctoring.Finding]:
    return doctoring.examine(site.session, ETCD)


def told(site: Cluster, verdict: str) -> list[str]:
    return [f"{each.about}: {each.what}" for each in examined(site) if each.verdict == verdict]


def put(site: Cluster, key: Any, document: dict[str, Any]) -> None:
    site.store.put(key, json.dumps(document).encode())


def test_a_cluster_in_order_is_fit(site: Cluster) -> None:
    before = site.everything()
    found = examined(site)
    assert doctoring.is_fit(found)
    assert told(site, "mend") == told(site, "unfit") == []
    assert "etcd, Calico v3.30.0, cluster g" in [each.what for each in found]
    assert site.everything() == before


def test_what_is_no_cluster(cluster: Cluster) -> None:
    assert [each.verdict for each in examined(cluster)] == ["unfit"]


def lock(site: Cluster) -> None:
    put(site, ClusterKey(), {"metadata": {"name": "default"}, "spec": {"datastoreReady": False}})


def overlapping_pools(site: Cluster) -> None:
    site.pool("q", "10.0.0.0/16")


def bad_pool(site: Cluster) -> None:
    site.pool("q", "10.9.0.0/24", ipipMode="Always", vxlanMode="Always")


def broken_pool(site: Cluster) -> None:
    put(site, PoolKey("q"), {"metadata": {"name": "q"}, "spec": {"cidr": 7}})


def broken_block(site: Cluster) -> None:
    put(site, BlockKey("10.0.1.0/30"), {"cidr": "10.0.1.0/30", "allocations": []})


def other_size(site: Cluster) -> None:
    site.pool("p", "10.0.0.0/24", blockSize=28)


def leaked_handle(site: Cluster) -> None:
    put(site, HandleKey("x"), {"block": {"10.0.0.0/26": 1}})


def gone_node(site: Cluster) -> None:
    site.node("gone")
    site.ask(1, "gone", handle="g", attributes={"node": "gone"})
    site.store.delete(NodeKey("gone"), None, float("inf"))


def unassigned(site: Cluster) -> None:
    spec = {"pod": "w", "ipNetworks": ["10.0.0.99/32"]}
    put(site, WorkloadKey("d", "w"), {"metadata": {"name": "w"}, "spec": spec})


def odd_configuration(site: Cluster) -> None:
    site.configure(strict=False, auto=False)


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lock, "the datastore is locked"),
        (overlapping_pools, "10.0.0.0/24 overlaps 10.0.0.0/16 of q"),
        (bad_pool, "ipipMode and vxlanMode cannot both be enabled"),
        (broken_pool, "cidr is 7"),
        (broken_block, "it has 4 addresses and 0 allocations"),
        (other_size, "its pool p has blocks of /28 by now"),
        (leaked_handle, "1 leaked or count wrongly"),
        (gone_node, "gone, and still hold addresses: gone"),
        (unassigned, "1 addresses of pools are used unassigned"),
        (odd_configuration, "Cannot disable 'StrictAffinity' and 'AutoAllocateBlocks'"),
    ],
)
def test_what_is_to_be_put_right_is_named(site: Cluster, spoil: Any, what: str) -> None:
    spoil(site)
    assert any(what in each for each in told(site, "mend")), told(site, "mend")
    assert doctoring.is_fit(examined(site))


def test_overlapping_blocks_are_not_worked_with(site: Cluster) -> None:
    """Blocks of two sizes in one place: addresses are given twice."""
    (prefix,) = (block.prefix for block in site.blocks().values())
    inside = str(prefix).replace("/26", "/28")
    block = next(iter(site.blocks().values())).document()
    put(site, BlockKey(inside), {
        **block, "cidr": inside, "allocations": [None] * 16, "unallocated": list(range(16)), "attributes": [],
        "sequenceNumberForAllocation": {},
    })  # fmt: skip
    assert any(f"it overlaps {prefix}" in each for each in told(site, "unfit"))


def test_the_command(site: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calico_doctor, "open_session", lambda where: site.session)
    monkeypatch.setattr(calico_doctor, "find", lambda config: ETCD)
    done = CliRunner().invoke(unipam, ["calico", "doctor", "-o", "json"])
    assert done.exit_code == 0, done.output
    assert {each["verdict"] for each in json.loads(done.stdout)["items"]} == {"fit", "note"}
    site.store.delete(ClusterKey(), None, float("inf"))
    assert CliRunner().invoke(unipam, ["calico", "doctor"]).exit_code == 1
