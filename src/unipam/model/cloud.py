"""What is seen of a cloud: networks with their subnets and peerings, endpoints, subscriptions, at one time.

Values only. Who fetches them is in `clients`, what they mean for the plan in `service`. Resource ids are compared
without regard to letter case (spec azure-ipam-application §3.5, D8): `key` is the one way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from unipam.addr.prefix import Prefix

VNET = "vnet"
VHUB = "vhub"

RESERVATION_TAGS = ("x-ipam-res-id", "ipam-res-id")
"""Tags (lower case) that name the reservations a network fulfils; the first that is there counts."""

_NONE: Mapping[str, Any] = MappingProxyType({})


def key(resource_id: str) -> str:
    """Return a resource id as it is compared and looked up."""
    return resource_id.lower()


class CloudSubnet(NamedTuple):
    """A subnet of a virtual network.

    `used` counts the addresses in use, the five that Azure keeps included; None: not known. `kind` is AFW, VGW, BAS
    or AGW for the subnets of gateways and firewalls, else None.
    """

    id: str
    name: str
    prefixes: tuple[Prefix, ...]
    used: int | None = None
    kind: str | None = None


class Peering(NamedTuple):
    """One end of a peering; `remote` is the resource id of the network at the other end.

    `prefixes` are those that this end believes the other to have; empty: it does not say.
    """

    name: str
    remote: str
    state: str
    prefixes: tuple[Prefix, ...] = ()


class CloudNetwork(NamedTuple):
    """A virtual network (`kind` vnet) or a virtual hub (vhub), with every prefix of both families."""

    id: str
    name: str
    kind: str
    prefixes: tuple[Prefix, ...]
    resource_group: str
    subscription: str
    tenant: str
    subnets: tuple[CloudSubnet, ...] = ()
    peerings: tuple[Peering, ...] = ()
    tags: Mapping[str, str] = _NONE
    vwan_name: str | None = None
    vwan_id: str | None = None

    @property
    def reservations(self) -> tuple[str, ...]:
        """Return the reservation ids in its tag: comma-separated, white space around them ignored, each once."""
        if not self.tags:  # as most have none, and all are asked
            return ()
        tags = {name.lower(): value for name, value in self.tags.items()}
        text = next((tags[name] for name in RESERVATION_TAGS if tags.get(name)), "")
        return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


class Subscription(NamedTuple):
    """A subscription that can be read. `id` is its UUID."""

    id: str
    name: str
    tenant: str
    kind: str = "Unknown"
    management_group: str | None = None
    management_group_name: str | None = None


class Endpoint(NamedTuple):
    """Something with a private address in a network: a machine, a gateway, a private endpoint.

    `source` names the listing it comes from: pe, df, vm, vmss, fwvnet, bastion, vnetgw, appgw, apim, lb, vhub_ep.
    `metadata` is what that kind tells besides, as the Azure IPAM application words it.
    """

    source: str
    id: str
    name: str
    private_ip: str | None
    resource_group: str
    subscription: str
    tenant: str
    vnet_name: str | None = None
    vnet_id: str | None = None
    subnet_name: str | None = None
    subnet_id: str | None = None
    metadata: Mapping[str, Any] = _NONE


class Snapshot(NamedTuple):
    """Everything seen at one time.

    `networks` by `key(id)`. `taken` is when, in seconds since the epoch; 0: nothing has been seen yet. A network that
    is absent while its subscription is present was not there; one whose subscription is absent was out of sight.
    `problems` say what could not be read, for people.
    """

    networks: Mapping[str, CloudNetwork] = MappingProxyType({})
    subscriptions: tuple[Subscription, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    taken: float = 0.0
    problems: tuple[str, ...] = ()

    def network(self, resource_id: str) -> CloudNetwork | None:
        """Return the network of this id, in any letter case."""
        return self.networks.get(key(resource_id))

    def sees(self, subscription: str) -> bool:
        """Return whether this subscription's networks are in it."""
        return any(s.id.lower() == subscription.lower() for s in self.subscriptions)

    def without(self, excluded: Collection[str]) -> Snapshot:
        """Return what is left to show when subscriptions are excluded (spec azure-ipam-application P12)."""
        hidden = {each.lower() for each in excluded}
        return self._replace(
            networks={k: n for k, n in self.networks.items() if n.subscription.lower() not in hidden},
            endpoints=tuple(e for e in self.endpoints if e.subscription.lower() not in hidden),
        )


def subscription_of(resource_id: str) -> str:
    """Return the subscription in a resource id; empty when there is none."""
    parts = resource_id.split("/")
    return parts[2] if len(parts) > 2 and parts[1].lower() == "subscriptions" else ""
