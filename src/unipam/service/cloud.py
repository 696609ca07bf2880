"""What the register sees of a cloud: records, and the protocol of whoever fetches them.

The register reads snapshots; how they are fetched, cached and refreshed is the source's affair (`unipam.clients`).
Resource ids are compared without regard to letter case (spec azure-ipam-application §3.5, D8): `key` is the one way.
No rule about the plan belongs here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from unipam.addr.prefix import Prefix

VNET = "vnet"
VHUB = "vhub"

RESERVATION_TAGS = ("x-ipam-res-id", "ipam-res-id")
"""Tags (lower case) that name the reservations a network fulfils; the first that is there counts."""

_NONE: Mapping[str, Any] = MappingProxyType({})


def key(resource_id: str) -> str:
    """A resource id as it is compared and looked up."""
    return resource_id.lower()


class Subnet(NamedTuple):
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
    """One end of a peering; `remote` is the resource id of the network at the other end."""

    name: str
    remote: str
    state: str


class Network(NamedTuple):
    """A virtual network (`kind` vnet) or a virtual hub (vhub), with every prefix of both families."""

    id: str
    name: str
    kind: str
    prefixes: tuple[Prefix, ...]
    resource_group: str
    subscription: str
    tenant: str
    subnets: tuple[Subnet, ...] = ()
    peerings: tuple[Peering, ...] = ()
    tags: Mapping[str, str] = _NONE
    vwan_name: str | None = None
    vwan_id: str | None = None

    @property
    def reservations(self) -> tuple[str, ...]:
        """The reservation ids in its tag: comma-separated, white space around them ignored, each once."""
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

    networks: Mapping[str, Network] = MappingProxyType({})
    subscriptions: tuple[Subscription, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    taken: float = 0.0
    problems: tuple[str, ...] = ()

    def network(self, resource_id: str) -> Network | None:
        """The network of this id, in any letter case."""
        return self.networks.get(key(resource_id))

    def sees(self, subscription: str) -> bool:
        """Whether this subscription's networks are in it."""
        return any(s.id.lower() == subscription.lower() for s in self.subscriptions)


class Cloud(Protocol):
    """A source of snapshots. Both calls may be made from any thread, never inside a transaction."""

    def snapshot(self, *, newer_than: float = 0.0) -> Snapshot:
        """What the register's own identity sees: the truth for allocation, not for showing to everybody.

        Returns at once with the last snapshot when that was taken after `newer_than` (epoch seconds), else waits for
        one refresh; a source that is throttled may still answer with an older one. Raises SourceFailed when nothing
        was ever seen.
        """

    def visible_to(self, credential: str) -> Snapshot:
        """What the bearer of this access token may see by the cloud's own rules. Raises SourceFailed."""


class Unconnected:
    """No cloud: nothing is ever seen, and nothing is missed."""

    def snapshot(self, *, newer_than: float = 0.0) -> Snapshot:  # noqa: ARG002 (the protocol's)
        """An empty snapshot."""
        return Snapshot()

    def visible_to(self, credential: str) -> Snapshot:  # noqa: ARG002 (the protocol's)
        """An empty snapshot."""
        return Snapshot()


def subscription_of(resource_id: str) -> str:
    """The subscription in a resource id; empty when there is none."""
    parts = resource_id.split("/")
    return parts[2] if len(parts) > 2 and parts[1].lower() == "subscriptions" else ""
