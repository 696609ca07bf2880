"""What holders are called: handles, and the attributes that are written down with them (spec §1.10, §4.6)."""

from __future__ import annotations

import base64
import hashlib
from enum import StrEnum

_LONGEST_VM = 128


def pod(network: str, container: str) -> str:
    """Return the handle of a container's addresses in a network."""
    return f"{network}.{container}"


def vm(network: str, namespace: str, name: str) -> str:
    """Return the handle of a KubeVirt VM, whatever pod it runs in; longer than 128 characters, it is a hash."""
    prefix, suffix = f"{network or 'k8s-pod-network'}.vmi.", f"{namespace}.{name}"
    if len(prefix + suffix) <= _LONGEST_VM:
        return prefix + suffix
    return f"{prefix}_{_hash(suffix)}"[:_LONGEST_VM]


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


class Tunnel(StrEnum):
    """The kinds of tunnel that have an address on each node; the value begins their handles."""

    IPIP = "ipip-tunnel-addr"
    VXLAN = "vxlan-tunnel-addr"
    VXLAN_V6 = "vxlan-v6-tunnel-addr"
    WIREGUARD = "wireguard-tunnel-addr"
    WIREGUARD_V6 = "wireguard-v6-tunnel-addr"

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if "-v6-" in self.value else 4

    @property
    def attribute(self) -> str:
        """What stands under `type` in the attributes of such an address: `vxlanV6TunnelAddress`."""
        first, *others = self.value.removesuffix("-tunnel-addr").split("-")
        return first + "".join(map(str.capitalize, others)) + "TunnelAddress"

    def handle(self, node: str) -> str:
        """Return the handle of a node's address."""
        return f"{self.value}-{node}"
