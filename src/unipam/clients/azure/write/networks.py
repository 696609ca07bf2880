"""What a virtual network and its peers span, read once by whoever hands out ranges beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from unipam.addr.prefix import Prefix, parse_prefix
from unipam.clients.azure.write.jobs import Ask, Job
from unipam.clients.azure.write.route_tables import VERSION


def spans(network: str) -> Job[dict[str, list[Prefix]]]:
    """Read a network; return its prefixes and those of its peers, by what they are. Raises SourceFailed."""
    properties = (yield Ask(path=network, version=VERSION)).read(dict[str, Any]).get("properties") or {}
    found = {f"the network {network.rpartition('/')[2]}": _prefixes(properties.get("addressSpace"))}
    for each in properties.get("virtualNetworkPeerings") or ():
        found[f"the peer {each.get('name', '')}"] = _prefixes((each.get("properties") or {}).get("remoteAddressSpace"))
    return found


def _prefixes(space: Mapping[str, Iterable[str]] | None) -> list[Prefix]:
    found = []
    for text in (space or {}).get("addressPrefixes") or ():
        try:
            found.append(parse_prefix(text))
        except ValueError:
            continue
    return found
