"""IPv6 pools out of the node's own pod ranges (environment `ipv6NodeIpam`; spec azure-vnet-ipam §1.9)."""

from __future__ import annotations

import socket

from unipam.addr.prefix import Prefix, Range, parse_interface
from unipam.clients import kubelet
from unipam.ledger.learned import LearnedPool
from unipam.model.errors import SourceFailed

KUBECONFIG = "/var/lib/kubelet/kubeconfig"
_LENGTH = 120
_RESERVED = 2
"""Addresses kept back at the beginning: the network's own, and the gateway."""


def pools() -> tuple[LearnedPool, ...]:
    """Return one pool: the first /120 of the node's first IPv6 range. Raises SourceFailed."""
    name = socket.gethostname().lower()
    ranges = kubelet.pod_ranges(KUBECONFIG, name)
    return (carve(ranges, name),)


def carve(ranges: tuple[str, ...], name: str) -> LearnedPool:
    """Return the pool that a node's ranges make. Raises SourceFailed when none of them is IPv6."""
    for text in ranges:
        try:
            _, prefix = parse_interface(text)
        except ValueError as error:
            raise SourceFailed(f"node {name}: {error}", source=KUBECONFIG) from None
        if prefix.family == 6:
            network = Prefix(prefix.first, max(prefix.length, _LENGTH))
            addresses = (Range(network.first + _RESERVED, network.last),) if network.size > _RESERVED else ()
            return LearnedPool(network, network.first + 1, "", 0, addresses)
    listed = ", ".join(ranges) or "none"
    raise SourceFailed(f"node {name} has no IPv6 range in spec.podCIDRs ({listed})", source=KUBECONFIG)
