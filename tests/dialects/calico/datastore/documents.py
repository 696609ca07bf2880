"""Documents of every kind as the real programs leave them, in the form that the datastore's interface has them in."""

from __future__ import annotations

from typing import Any

from unipam.dialects.calico.datastore.keys import (
    AffinityKey,
    BlockKey,
    ClusterKey,
    ConfigKey,
    HandleKey,
    Key,
    PoolKey,
    ReservationKey,
)

SEQUENCE = 1_795_680_628_653_596_253
"""A sequence number of a block: the nanoseconds of its making, which no double can hold."""


def block(cidr: str = "10.0.0.0/30", affinity: str | None = "host:node1", handle: str = "net.a") -> dict[str, Any]:
    owner = {"namespace": "default", "node": "node1", "pod": "web-0", "timestamp": "2026-09-01 12:00:01.1 +0000 UTC"}
    claimed = {"affinity_claim_time": "2026-09-01T12:00:00Z"} if affinity else {}
    return {
        "cidr": cidr,
        "affinity": affinity,
        **claimed,
        "allocations": [0, None, 1, None],
        "unallocated": [1, 3],
        "attributes": [{"handle_id": handle, "secondary": owner}, {"releasedAt": "2026-09-01T12:05:00Z"}],
        "sequenceNumber": SEQUENCE,
        "sequenceNumberForAllocation": {"0": SEQUENCE - 1, "2": (1 << 63) - 1},
        "deleted": False,
    }


def affinity(state: str = "confirmed") -> dict[str, Any]:
    return {"state": state, "deleted": False}


def handle(**blocks: int) -> dict[str, Any]:
    return {"block": blocks or {"10.0.0.0/30": 1}, "deleted": False}


def resource(kind: str, name: str, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "apiVersion": "projectcalico.org/v3",
        "metadata": {"name": name, "creationTimestamp": "2026-11-26T08:20:49Z", **metadata},
        "spec": spec,
    }


POOL = {
    "cidr": "192.168.0.0/16", "vxlanMode": "Never", "ipipMode": "Never", "natOutgoing": True, "blockSize": 26,
    "nodeSelector": "all()", "allowedUses": ["Workload", "Tunnel"], "assignmentMode": "Automatic",
}  # fmt: skip

EXAMPLES: dict[Key, dict[str, Any]] = {
    BlockKey("10.0.0.0/30"): block(),
    BlockKey("10.0.0.4/30"): block("10.0.0.4/30", None),
    BlockKey("fd80:24e2:f998:72d6::/126"): block("fd80:24e2:f998:72d6::/126"),
    AffinityKey("node1", "10.0.0.0/30"): affinity(),
    AffinityKey("node1.example-2", "fd80:24e2:f998:72d6::/126"): affinity("pending"),
    AffinityKey("load-balancer", "10.0.0.4/30", "virtual"): affinity("pendingDeletion"),
    HandleKey("k8s-pod-network.82bd0c"): handle(),
    HandleKey("k8s-pod-network.MixedCase"): {"block": {"10.0.0.0/30": 2, "fd00::/122": 1}, "deleted": False},
    ConfigKey(): {
        "strict_affinity": True, "auto_allocate_blocks": True, "maxBlocksPerHost": 4,
        "kubeVirtVMAddressPersistence": "Enabled", "ipCooldownSeconds": 30,
    },
    PoolKey("default-ipv4-ippool"): resource("IPPool", "default-ipv4-ippool", POOL),
    ReservationKey("infra"): resource("IPReservation", "infra", {"reservedCIDRs": ["192.168.2.3/32", "fd00::/123"]}),
    ClusterKey(): resource("ClusterInformation", "default", {"clusterGUID": "5ef171", "datastoreReady": True}),
}  # fmt: skip
