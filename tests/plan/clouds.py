"""A cloud in memory: it holds what tests put into it, shows it with a time, and lets each person see its part."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping

from unipam.addr.prefix import parse_prefix
from unipam.model.cloud import VHUB, VNET, CloudNetwork, CloudSubnet, Endpoint, Peering, Snapshot, Subscription, key

SUBSCRIPTION = "11111111-1111-4111-8111-111111111111"
TENANT = "22222222-2222-4222-8222-222222222222"


class MemoryCloud:
    """Networks by id; who may see which subscription, by credential."""

    def __init__(self, subscriptions: Iterable[str] = (SUBSCRIPTION,)) -> None:
        self.networks: dict[str, CloudNetwork] = {}
        self.subscriptions = tuple(Subscription(each, f"sub {each[:4]}", TENANT) for each in subscriptions)
        self.endpoints: list[Endpoint] = []
        self.rights: dict[str, set[str]] = {}
        self.looks = 0

    def snapshot(self, *, newer_than: float = 0.0) -> Snapshot:
        self.looks += 1
        return Snapshot(dict(self.networks), self.subscriptions, tuple(self.endpoints), max(time.time(), newer_than))

    def visible_to(self, credential: str, *, newer_than: float = 0.0) -> Snapshot:
        seen = self.rights.get(credential, set())
        everything = self.snapshot()
        return everything._replace(
            networks={k: n for k, n in everything.networks.items() if n.subscription in seen},
            subscriptions=tuple(s for s in everything.subscriptions if s.id in seen),
            endpoints=tuple(e for e in everything.endpoints if e.subscription in seen),
        )

    def close(self) -> None:
        self.looks = -1

    def put(
        self,
        name: str,
        *prefixes: str,
        subnets: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        peerings: Iterable[Peering] = (),
        hub: bool = False,
        subscription: str = SUBSCRIPTION,
    ) -> str:
        """Make or replace a network; its id."""
        kind = "virtualHubs" if hub else "virtualNetworks"
        resource_id = f"/subscriptions/{subscription}/resourceGroups/rg/providers/Microsoft.Network/{kind}/{name}"
        inner = tuple(
            CloudSubnet(f"{resource_id}/subnets/{n}", n, (parse_prefix(p),), 5) for n, p in (subnets or {}).items()
        )
        self.networks[key(resource_id)] = CloudNetwork(
            resource_id, name, VHUB if hub else VNET, tuple(map(parse_prefix, prefixes)), "rg", subscription, TENANT,
            inner, tuple(peerings), dict(tags or {}), "wan" if hub else None, "/wan" if hub else None,
        )  # fmt: skip
        return resource_id

    def drop(self, resource_id: str) -> None:
        """A network is deleted."""
        del self.networks[key(resource_id)]

    def may_see(self, credential: str, *subscriptions: str) -> None:
        """What the bearer of a token may see."""
        self.rights[credential] = set(subscriptions)


def some_uuid(number: int) -> str:
    """A UUID that is the same in every run."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))
