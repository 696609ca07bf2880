"""What Calico's documents are called here, whatever a datastore calls them (spec calico-ipam §1.1)."""

from __future__ import annotations

import msgspec

HOST, VIRTUAL = "host", "virtual"
"""The kinds of owner of a block: a node, or something that has no node (`load-balancer`)."""


class BlockKey(msgspec.Struct, frozen=True):
    """An IPAMBlock, by its CIDR in canonical form (`10.0.0.0/26`, `fd00::/122`)."""

    cidr: str

    def __str__(self) -> str:
        return f"block {self.cidr}"


class AffinityKey(msgspec.Struct, frozen=True):
    """A BlockAffinity: the claim of an owner, a `host` of a kind, on a block."""

    host: str
    cidr: str
    kind: str = HOST

    def __str__(self) -> str:
        return f"affinity of {self.kind}:{self.host} to {self.cidr}"


class HandleKey(msgspec.Struct, frozen=True):
    """An IPAMHandle, by its id in the letter case that it was made with."""

    id: str

    def __str__(self) -> str:
        return f"handle {self.id}"


class ConfigKey(msgspec.Struct, frozen=True):
    """The one configuration of IPAM: IPAMConfig, or IPAMConfiguration of projectcalico.org/v3."""

    def __str__(self) -> str:
        return "IPAM configuration"


class PoolKey(msgspec.Struct, frozen=True):
    """An IPPool."""

    name: str

    def __str__(self) -> str:
        return f"pool {self.name}"


class ReservationKey(msgspec.Struct, frozen=True):
    """An IPReservation."""

    name: str

    def __str__(self) -> str:
        return f"reservation {self.name}"


class NodeKey(msgspec.Struct, frozen=True):
    """A Node, as Calico sees it."""

    name: str

    def __str__(self) -> str:
        return f"node {self.name}"


class ClusterKey(msgspec.Struct, frozen=True):
    """The one ClusterInformation: the cluster's GUID, and whether its datastore is locked (`datastoreReady`)."""

    def __str__(self) -> str:
        return "cluster information"


class ControllersKey(msgspec.Struct, frozen=True):
    """The one KubeControllersConfiguration: whether Services of type LoadBalancer have addresses of Calico's."""

    def __str__(self) -> str:
        return "configuration of kube-controllers"


class WorkloadKey(msgspec.Struct, frozen=True):
    """A WorkloadEndpoint: of a pod, whose name is `name` on Kubernetes; on etcd, `name` is the endpoint's own.

    On Kubernetes it is read out of the pod, and not written.
    """

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"workload {self.namespace}/{self.name}"


Key = (
    BlockKey
    | AffinityKey
    | HandleKey
    | ConfigKey
    | PoolKey
    | ReservationKey
    | NodeKey
    | ClusterKey
    | ControllersKey
    | WorkloadKey
)
