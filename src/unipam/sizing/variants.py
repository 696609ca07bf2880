"""The network variants of AKS: where each takes node and pod addresses from, and what it cannot do.

Here: one row a variant (section 2 of docs/sizing-rules.md). Not here: how many addresses that makes (`needs`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from unipam.addr.prefix import Prefix
from unipam.sizing import limits
from unipam.sizing.limits import Limit


class PodSource(Enum):
    """Where a pod's address comes from."""

    NODE_SUBNET = "secondary addresses of the node's NIC, from the node subnet"
    DYNAMIC_SUBNET = "batches of 16 addresses from the pod subnet"
    STATIC_SUBNET = "/28 blocks from the pod subnet"
    NODE_RANGES = "a /24 a node from the pod range, outside the network"
    CALICO_BLOCKS = "Calico /26 blocks from the pod range"
    PLUGIN = "the plugin's own business"

    @property
    def has_pod_subnet(self) -> bool:
        """Return whether pods live in a subnet of their own."""
        return self in (PodSource.DYNAMIC_SUBNET, PodSource.STATIC_SUBNET)

    @property
    def has_pod_range(self) -> bool:
        """Return whether a pod CIDR must be named, outside the network."""
        return self in (PodSource.NODE_RANGES, PodSource.CALICO_BLOCKS, PodSource.PLUGIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One variant.

    `section`: of docs/sizing-rules.md. `default_max_pods`: None if it must be given. `pod_range`: the default, if any.
    `windows`, `auto_provisioning`: whether such nodes are allowed. `expandable`: the pod range can grow later.
    """

    name: str
    section: str
    pods: PodSource
    default_max_pods: Limit | None
    pod_range: Prefix | None = None
    windows: bool = False
    auto_provisioning: bool = False
    expandable: bool = False

    @property
    def kubenet(self) -> bool:
        """Return whether nodes need routes, and subnet and route table are the cluster's alone."""
        return self.name.startswith("kubenet")

    @property
    def overlay(self) -> bool:
        """Return whether it is Azure's own overlay: the target of migrations, and the only one with dual stack here."""
        return self.name in ("overlay", "cilium-overlay")


def _kubenet(name: str, section: str) -> Variant:
    return Variant(
        name=name,
        section=section,
        pods=PodSource.NODE_RANGES,
        default_max_pods=limits.KUBENET_MAX_PODS,
        pod_range=limits.DEFAULT_POD_RANGE,
    )


def _node_subnet(name: str, section: str, *, windows: bool) -> Variant:
    return Variant(
        name=name,
        section=section,
        pods=PodSource.NODE_SUBNET,
        default_max_pods=limits.NODE_SUBNET_MAX_PODS,
        windows=windows,
        auto_provisioning=True,
    )


def _pod_subnet(name: str, section: str, pods: PodSource, *, windows: bool) -> Variant:
    return Variant(name=name, section=section, pods=pods, default_max_pods=limits.POD_SUBNET_MAX_PODS, windows=windows)


def _overlay(name: str, section: str, *, windows: bool) -> Variant:
    return Variant(
        name=name,
        section=section,
        pods=PodSource.NODE_RANGES,
        default_max_pods=limits.OVERLAY_MAX_PODS,
        pod_range=limits.DEFAULT_POD_RANGE,
        windows=windows,
        auto_provisioning=True,
        expandable=True,
    )


def _byo(name: str, pods: PodSource, pod_range: Prefix | None) -> Variant:
    # No page names a default of max pods for BYO: it must be given.
    return Variant(name=name, section="2.10", pods=pods, default_max_pods=None, pod_range=pod_range)


VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        _kubenet("kubenet", "2.1"),
        _kubenet("kubenet-calico", "2.2"),
        _node_subnet("node-subnet", "2.3", windows=True),
        _node_subnet("node-subnet-calico", "2.4", windows=True),
        _node_subnet("node-subnet-cilium", "2.5", windows=False),
        _pod_subnet("pod-subnet", "2.6", PodSource.DYNAMIC_SUBNET, windows=True),
        _pod_subnet("pod-subnet-static", "2.7", PodSource.STATIC_SUBNET, windows=True),
        _overlay("overlay", "2.8", windows=True),
        _overlay("cilium-overlay", "2.9", windows=False),
        _pod_subnet("cilium-pod-subnet", "2.9", PodSource.DYNAMIC_SUBNET, windows=False),
        _pod_subnet("cilium-pod-subnet-static", "2.9", PodSource.STATIC_SUBNET, windows=False),
        _byo("byo", PodSource.PLUGIN, None),
        _byo("byo-calico", PodSource.CALICO_BLOCKS, limits.DEFAULT_CALICO_RANGE),
        _byo("byo-cilium", PodSource.NODE_RANGES, limits.DEFAULT_CILIUM_RANGE),
    )
}
