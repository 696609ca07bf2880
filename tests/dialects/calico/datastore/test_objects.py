"""Documents as Kubernetes has them (spec calico-ipam §4.3, §4.4): what today's real programs wrote, and older ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.dialects.calico.datastore.documents import EXAMPLES, SEQUENCE, affinity, block, handle

from unipam.dialects.calico.datastore import metadata, nodes
from unipam.dialects.calico.datastore.api import Item
from unipam.dialects.calico.datastore.keys import (
    AffinityKey,
    BlockKey,
    ClusterKey,
    ConfigKey,
    HandleKey,
    Key,
    NodeKey,
    PoolKey,
)
from unipam.dialects.calico.datastore.resources import NATIVE, STORED, Objects

HASH = "7DS2CCNJGGLTHBDQLLFO6SX24SY2YDDEG3W2VN556FA2W4DLLV5A"
LABELS = {
    "projectcalico.org/affinity-type": "host", "projectcalico.org/hostname-hash": HASH,
    "projectcalico.org/ip-version": "4",
}  # fmt: skip
AFFINITY = {
    "apiVersion": "crd.projectcalico.org/v1", "kind": "BlockAffinity",
    "metadata": {
        "annotations": {"projectcalico.org/metadata": json.dumps({"labels": LABELS}, separators=(",", ":"))},
        "creationTimestamp": "2026-11-26T08:10:28Z", "generation": 2, "labels": LABELS,
        "name": "node1-192-168-166-128-26", "resourceVersion": "17144", "uid": "6395f9ec-a762-452a-8b07-6638fd1db29e",
    },
    "spec": {"cidr": "192.168.166.128/26", "deleted": "false", "node": "node1", "state": "confirmed", "type": "host"},
}  # fmt: skip
POOL = {
    "apiVersion": "crd.projectcalico.org/v1", "kind": "IPPool",
    "metadata": {
        "annotations": {"projectcalico.org/metadata": '{"creationTimestamp":"2026-11-26T08:10:25Z"}'},
        "creationTimestamp": "2026-11-26T08:10:26Z", "generation": 1, "name": "default-ipv4-ippool",
        "resourceVersion": "17138", "uid": "bd007e8d-f955-48e3-8ae9-94ebf613ea0f",
        "managedFields": [{"manager": "calicoctl"}],
    },
    "spec": {"blockSize": 26, "cidr": "192.168.0.0/16", "nodeSelector": "all()"},
}  # fmt: skip


def stored(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    about = {
        "name": name,
        "resourceVersion": "7",
        "uid": "6395f9ec-a762-452a-8b07-6638fd1db29e",
        "creationTimestamp": "t",
    }
    return {"apiVersion": STORED, "kind": kind, "metadata": about, "spec": spec}


@pytest.mark.parametrize("group", [STORED, NATIVE])
@pytest.mark.parametrize("key", EXAMPLES, ids=str)
def test_every_document_is_an_object_and_back(key: Key, group: str) -> None:
    objects = Objects(group)
    written = objects.write(Item(key, EXAMPLES[key], "7"))
    written["metadata"] |= {"uid": "6395f9ec-a762-452a-8b07-6638fd1db29e", "creationTimestamp": "2026-11-26T08:20:49Z"}
    read = objects.read(type(key), json.loads(json.dumps(written)))
    assert (read.key, read.revision) == (key, "7")
    shown = {**read.document, "metadata": {"name": "x"}} if "metadata" in read.document else read.document
    assert shown == ({**EXAMPLES[key], "metadata": {"name": "x"}} if "metadata" in read.document else EXAMPLES[key])


def test_an_affinity_as_the_real_program_wrote_it() -> None:
    read = Objects(STORED).read(AffinityKey, AFFINITY)
    assert (read.key, read.document) == (AffinityKey("node1", "192.168.166.128/26"), affinity())
    assert Objects(STORED).write(read) == AFFINITY
    made = Objects(STORED).write(Item(read.key, affinity("pending"), ""))
    assert made["metadata"] == {
        "name": "node1-192-168-166-128-26", "labels": LABELS, "annotations": AFFINITY["metadata"]["annotations"],
    }  # fmt: skip
    assert made["spec"] == {**AFFINITY["spec"], "state": "pending"}


def test_an_affinity_of_an_older_calico() -> None:
    spec = {"cidr": "10.0.0.0/26", "node": "node1", "state": "", "deleted": ""}
    old = stored("BlockAffinity", "node1-10-0-0-0-26", spec)
    read = Objects(STORED).read(AffinityKey, old)
    assert (read.key, read.document) == (AffinityKey("node1", "10.0.0.0/26"), {"state": "", "deleted": False})
    written = Objects(STORED).write(read)
    assert written["metadata"]["labels"] == LABELS
    assert written["spec"] == {**spec, "deleted": "false", "type": "host"}


@pytest.mark.parametrize(
    ("text", "deleted"), [("true", True), ("T", True), ("1", True), ("0", False), ("False", False)]
)
def test_deleted_may_be_a_text(text: str, deleted: bool) -> None:
    spec = {"cidr": "10.0.0.0/26", "node": "node1", "state": "pendingDeletion", "deleted": text}
    assert Objects(STORED).read(AffinityKey, stored("BlockAffinity", "x", spec)).document["deleted"] is deleted


def test_deleted_is_a_truth_value_in_native_resources() -> None:
    written = Objects(NATIVE).write(Item(AffinityKey("node1", "10.0.0.0/26"), affinity(), "3"))
    assert written["spec"]["deleted"] is False
    assert written["metadata"] == {"name": "node1-10-0-0-0-26", "labels": LABELS, "resourceVersion": "3"}


def test_a_block_s_fields_have_other_names() -> None:
    written = Objects(STORED).write(Item(BlockKey("10.0.0.0/30"), block(), "7"))
    assert written["metadata"] == {
        "name": "10-0-0-0-30", "annotations": {"projectcalico.org/metadata": "{}"}, "resourceVersion": "7",
        "managedFields": [{}],
    }  # fmt: skip
    spec = written["spec"]
    assert (spec["affinityClaimTime"], spec["strictAffinity"], "affinity_claim_time" in spec) == (
        "2026-09-01T12:00:00Z", False, False,
    )  # fmt: skip
    assert spec["sequenceNumber"] == SEQUENCE
    none = Objects(STORED).write(Item(BlockKey("10.0.0.4/30"), block("10.0.0.4/30", None), ""))["spec"]
    assert "affinity" not in none


def test_what_is_not_known_is_kept() -> None:
    for key, document in ((BlockKey("10.0.0.0/30"), block()), (HandleKey("a"), handle()), (ConfigKey(), {"new": 5})):
        item = Item(key, {**document, "fieldOfTomorrow": {"a": [1]}}, "")
        written = Objects(STORED).write(item)
        assert written["spec"]["fieldOfTomorrow"] == {"a": [1]}
        written["metadata"] |= {"resourceVersion": "1"}
        assert Objects(STORED).read(type(key), written).document["fieldOfTomorrow"] == {"a": [1]}


def test_what_stands_beside_a_document_is_kept() -> None:
    made = stored("IPAMBlock", "10-0-0-0-30", Objects(STORED).write(Item(BlockKey("10.0.0.0/30"), block(), ""))["spec"])
    managed = [{"manager": "calico-node", "operation": "Update"}]
    made["metadata"] |= {"annotations": {"mine": "1"}, "labels": {"mine": "2"}, "managedFields": managed}
    written = Objects(STORED).write(Objects(STORED).read(BlockKey, made))
    assert written["metadata"]["labels"] == {"mine": "2"}
    assert written["metadata"]["annotations"] == {"projectcalico.org/metadata": "{}", "mine": "1"}
    assert written["metadata"]["uid"] == made["metadata"]["uid"]


def test_nobody_finds_out_whose_field_is_which_of_a_block() -> None:
    """It would take the API server a quarter of a write's time; of other kinds, which are hardly written, it may."""
    managed = [{"manager": "calico-node", "operation": "Update"}]
    for key, document, expected in ((BlockKey("10.0.0.0/30"), block(), [{}]), (HandleKey("a"), handle(), None)):
        item = Item(key, document, "7", {"name": "x", "managedFields": managed})
        assert Objects(STORED).write(item)["metadata"].get("managedFields") == expected
        assert "managedFields" not in Objects(STORED).write(item._replace(revision=""))["metadata"]


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        (BlockKey, {"affinity": "host:a"}),
        (BlockKey, {"cidr": "ten"}),
        (AffinityKey, {"cidr": "10.0.0.0/26", "deleted": "false", "state": "confirmed"}),
        (AffinityKey, {"cidr": "10.0.0.0/26", "node": "a", "deleted": "maybe"}),
        (HandleKey, {"block": {}}),
        (HandleKey, {"handleID": "a", "block": []}),
    ],
)
def test_what_is_not_what_its_kind_must_be_is_refused(kind: type[Key], spec: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        Objects(STORED).read(kind, stored("X", "x", spec))


# Metadata ----------------------------------------------------------------------------------------------------


def test_a_pool_shows_the_metadata_that_is_hidden_in_it() -> None:
    read = Objects(STORED).read(PoolKey, POOL)
    assert read.document == {
        "apiVersion": "projectcalico.org/v3", "kind": "IPPool", "spec": POOL["spec"],
        "metadata": {
            "name": "default-ipv4-ippool", "uid": "bd007eb1-9faa-48c7-8a97-29d76fc857f0",
            "creationTimestamp": "2026-11-26T08:10:25Z",
        },
    }  # fmt: skip
    written = Objects(STORED).write(read)
    assert written["metadata"] == {
        "name": "default-ipv4-ippool", "resourceVersion": "17138",
        "annotations": {"projectcalico.org/metadata": '{"creationTimestamp":"2026-11-26T08:10:25Z"}'},
    }  # fmt: skip


def test_labels_and_annotations_of_others_are_hidden_and_ours_are_not() -> None:
    shown = {
        "name": "p", "uid": "u", "resourceVersion": "9",
        "annotations": {"b": "2", "a": "1", "projectcalico.org/x": "y"},
        "creationTimestamp": "t", "labels": {"mine": "1", "operator.tigera.io/z": "2"}, "generation": 4,
    }  # fmt: skip
    hidden = metadata.hide(shown, "p")
    annotation = hidden["annotations"].pop("projectcalico.org/metadata")
    assert annotation == (
        '{"creationTimestamp":"t","labels":{"mine":"1","operator.tigera.io/z":"2"},'
        '"annotations":{"a":"1","b":"2","projectcalico.org/x":"y"}}'
    )
    assert hidden == {"name": "p", "annotations": {"projectcalico.org/x": "y"}, "labels": {"operator.tigera.io/z": "2"}}


def test_the_uid_that_is_shown_is_another_s() -> None:
    for uid in ("bd007e8d-f955-48e3-8ae9-94ebf613ea0f", "6395f9ec-a762-452a-8b07-6638fd1db29e"):
        assert metadata.show_uid(metadata.show_uid(uid)) == uid
        assert metadata.show_uid(uid) != uid


def test_the_cluster_s_information_is_a_resource() -> None:
    made = stored("ClusterInformation", "default", {"clusterGUID": "c0ffee", "datastoreReady": False})
    read = Objects(STORED).read(ClusterKey, made)
    assert read.key == ClusterKey()
    assert read.document["spec"]["datastoreReady"] is False


# Nodes -------------------------------------------------------------------------------------------------------

NODE = {
    "metadata": {
        "name": "aks-1", "uid": "u", "creationTimestamp": "t", "resourceVersion": "8",
        "labels": {"kubernetes.io/os": "linux", "zone": "b"},
        "annotations": {
            "projectcalico.org/labels": '{"zone":"a","rack":"7"}', "projectcalico.org/annotations": '{"note":"x"}',
            "projectcalico.org/IPv4IPIPTunnelAddr": "10.0.0.1", "projectcalico.org/IPv4VXLANTunnelAddr": "10.0.0.2",
            "projectcalico.org/IPv6WireguardInterfaceAddr": "fd00::3", "volumes.kubernetes.io/x": "true",
        },
    },
    "spec": {"podCIDRs": ["10.244.1.0/24"]},
    "status": {"conditions": []},
}  # fmt: skip


def test_a_node_is_what_its_annotations_say() -> None:
    read = Objects(STORED).read(NodeKey, NODE)
    assert (read.key, read.revision) == (NodeKey("aks-1"), "8")
    assert read.document == {
        "kind": "Node", "apiVersion": "projectcalico.org/v3",
        "metadata": {
            "name": "aks-1", "uid": "u", "creationTimestamp": "t", "annotations": {"note": "x"},
            "labels": {"zone": "b", "rack": "7", "kubernetes.io/os": "linux"},
        },
        "spec": {
            "orchRefs": [{"nodeName": "aks-1", "orchestrator": "k8s"}],
            "bgp": {"ipv4IPIPTunnelAddr": "10.0.0.1"}, "ipv4VXLANTunnelAddr": "10.0.0.2",
            "wireguard": {"interfaceIPv6Address": "fd00::3"},
        },
        "status": {"podCIDRs": ["10.244.1.0/24"]},
    }  # fmt: skip


def test_what_is_changed_in_a_node_is_an_annotation() -> None:
    before, after = nodes.show(NODE), nodes.show(NODE)
    after["spec"]["bgp"]["ipv4IPIPTunnelAddr"] = "10.0.0.9"
    del after["spec"]["ipv4VXLANTunnelAddr"]
    after["spec"]["ipv6VXLANTunnelAddr"] = "fd00::9"
    assert nodes.changes(before, after) == {
        "projectcalico.org/IPv4IPIPTunnelAddr": "10.0.0.9",
        "projectcalico.org/IPv4VXLANTunnelAddr": None,
        "projectcalico.org/IPv6VXLANTunnelAddr": "fd00::9",
    }
    assert nodes.changes(before, nodes.show(NODE)) == {}


def test_a_node_whose_annotations_are_broken_is_a_node() -> None:
    bare = {
        "metadata": {
            "name": "a",
            "annotations": {"projectcalico.org/labels": "{", "projectcalico.org/annotations": "5"},
        }
    }
    assert nodes.show(bare)["metadata"] == {"name": "a"}
