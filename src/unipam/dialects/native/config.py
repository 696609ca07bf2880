"""The configuration of unipam's own plugin: which source, and otherwise the keys that host-local has."""

from __future__ import annotations

from typing import Any, NamedTuple

from unipam.addr.prefix import family
from unipam.dialects.host_local import config as host_local
from unipam.dialects.host_local import pod_cidr
from unipam.dialects.host_local.pod_cidr import Node
from unipam.dialects.native import making
from unipam.model.errors import BadConfig

CILIUM_NODE, POD_CIDR = "ciliumnode", "podcidr"
SOURCES = (CILIUM_NODE, POD_CIDR)
DATA_DIR = "/var/lib/cni/unipam"
"""Where the leases of a CiliumNode's pool are, unless somebody says otherwise; those of podCIDRs are host-local's."""


class Network(NamedTuple):
    """A configuration that makes sense. `typed` has what host-local reads out of it, `terms` what that means.

    `gateways` by family stand in results in the place of the subnets' own; with `apart` that is another one in any case
    (`dialect.apart`). `asked` is for a CiliumNode that is made.
    """

    node: Node
    typed: dict[str, Any]
    terms: host_local.Network
    gateways: dict[int, int]
    apart: bool
    asked: dict[str, Any]


def source(document: dict[str, Any]) -> str:
    """Return where the addresses come from. Raises BadConfig."""
    found = host_local.text(document, "source")
    if found not in SOURCES:
        known = " or ".join(f'"{each}"' for each in SOURCES)
        raise BadConfig(f'ipam.source is "{found}": it must be {known}', source=found)
    return found


def place(document: dict[str, Any]) -> str:
    """Return the data directory of a CiliumNode's leases, however broken the rest."""
    return host_local.text(document, "dataDir") or DATA_DIR


def load(document: dict[str, Any]) -> Network:
    """Return a configuration as a Network. Raises BadConfig."""
    typed = host_local.typed(document)
    gateway = typed["ipam"].get("gateway")
    gateways = {} if gateway is None else {family(gateway): gateway}
    apart = document.get("type") == "ptp"
    terms = host_local.of_pools(typed, ())
    return Network(pod_cidr.named(document), typed, terms, gateways, apart, making.wanted(document))
