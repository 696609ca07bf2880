"""What has addresses in the cloud: which of it has a given address, and which was left behind. Pure."""

from __future__ import annotations

from typing import NamedTuple

from unipam.addr.prefix import Prefix
from unipam.model.cloud import CloudNetwork, CloudSubnet, Endpoint, Snapshot
from unipam.model.errors import BadValue
from unipam.model.objects import parse_place
from unipam.plan.listing import place_in
from unipam.plan.parts import has_text


class Seat(NamedTuple):
    """Where an address lies in the cloud; `endpoints` have it, and are empty where nothing is seen to have it."""

    network: CloudNetwork
    subnet: CloudSubnet | None
    endpoints: tuple[Endpoint, ...]


def is_orphaned(endpoint: Endpoint) -> bool:
    """Return whether a private endpoint leads to nothing that can be seen (spec azure-ipam-application §5)."""
    return bool(endpoint.metadata.get("orphaned"))


def is_wanted(endpoint: Endpoint, text: str, orphaned: bool | None = None) -> bool:
    """Return whether an endpoint is asked for: by a text, or an address or prefix; as an orphan, or as none."""
    if orphaned not in (None, is_orphaned(endpoint)):
        return False
    place = place_in(text)
    address = address_of(endpoint)
    if place is not None:
        return address is not None and place.first <= address.first <= place.last
    told = (endpoint.name, endpoint.id, endpoint.private_ip or "", endpoint.vnet_name or "", endpoint.subnet_name or "")
    return has_text([*told, str(endpoint.metadata.get("kind", ""))], text.lower())


def seats(snapshot: Snapshot, prefix: Prefix) -> list[Seat]:
    """Return every network with a prefix around this one: networks of one cloud may overlap."""
    return [_seat(snapshot, network, prefix) for network in snapshot.networks.values() if _holds(network, prefix)]


def _holds(place: CloudNetwork | CloudSubnet, prefix: Prefix) -> bool:
    return any(each.contains(prefix) for each in place.prefixes)


def _seat(snapshot: Snapshot, network: CloudNetwork, prefix: Prefix) -> Seat:
    subnet = next((each for each in network.subnets if _holds(each, prefix)), None)
    own = network.id.lower()
    found = (each for each in snapshot.endpoints if (each.vnet_id or "").lower() == own)
    return Seat(network, subnet, tuple(each for each in found if address_of(each) == prefix))


def address_of(endpoint: Endpoint) -> Prefix | None:
    """Return an endpoint's address; what Azure may write in place of one is none."""
    try:
        return parse_place(endpoint.private_ip) if endpoint.private_ip else None
    except BadValue:
        return None
