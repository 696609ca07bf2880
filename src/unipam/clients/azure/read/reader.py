"""One look at all of Azure that one identity may see: ask, politely and side by side, and make a snapshot.

Subscriptions are asked about in batches. What cannot be read this time keeps what was read last time, and is named
among the snapshot's problems; a subscription whose networks could not be read is not among those that are seen, so
that nothing in it is taken for gone (spec azure-ipam-application §9, D11).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from azure.core.credentials import TokenCredential

from unipam.clients.azure.arm import Arm
from unipam.clients.azure.pace import AT_ONCE, Time
from unipam.clients.azure.read import details, graph
from unipam.clients.azure.read import endpoint_queries as q
from unipam.clients.azure.read.endpoints import Rows, endpoints
from unipam.clients.azure.read.networks import networks
from unipam.clients.azure.read.queries import (
    GROUPS,
    HUBS,
    PEERINGS,
    SUBNETS,
    VNETS,
    GroupRow,
    HubRow,
    PeeringRow,
    SubnetRow,
    VnetRow,
)
from unipam.clients.azure.read.subscriptions import PATH, VERSION, SubscriptionRow, subscriptions
from unipam.clients.azure.settings import Settings
from unipam.model.cloud import CloudNetwork, Endpoint, Snapshot
from unipam.model.errors import SourceFailed

NETWORKS = "networks"
"""What a listing is for when it is for networks and not for endpoints of some source."""


class Listing(NamedTuple):
    """A query, its rows, and what would be incomplete without its answer."""

    query: str
    into: Any
    serves: tuple[str, ...]


_PRIVATE = ("pe", "df")
_ADDRESSED = ("vm", "fwvnet", "bastion", "vnetgw", "appgw", "lb")

LISTINGS = {
    "vnets": Listing(VNETS, list[VnetRow], (NETWORKS,)),
    "subnets": Listing(SUBNETS, list[SubnetRow], (NETWORKS,)),
    "peerings": Listing(PEERINGS, list[PeeringRow], (NETWORKS,)),
    "hubs": Listing(HUBS, list[HubRow], (NETWORKS,)),
    "groups": Listing(GROUPS, list[GroupRow], ()),
    "configurations": Listing(q.CONFIGURATIONS, list[q.ConfigurationRow], (*_PRIVATE, *_ADDRESSED)),
    "public": Listing(q.PUBLIC, list[q.PublicRow], _ADDRESSED),
    "machines": Listing(q.MACHINES, list[q.MachineRow], ("vm",)),
    "instances": Listing(q.INSTANCES, list[q.InstanceRow], ("vmss",)),
    "services": Listing(q.SERVICES, list[q.ServiceRow], ("apim",)),
    "owners": Listing(q.OWNERS, list[q.OwnerRow], _PRIVATE),
    "factories": Listing(q.FACTORIES, list[q.OwnerRow], _PRIVATE),
    "hub_things": Listing(q.HUB_THINGS, list[q.HubThingRow], ("vhub_ep",)),
}
SCALE_SETS = Listing(q.SCALE_SETS, list[q.OwnerRow], ("vmss",))


class Answers:
    """The rows of every listing, and what is missing from them."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Any]] = {name: [] for name in LISTINGS}
        self.lost: set[tuple[str, str]] = set()
        """Subscription (lower case) and what of it is incomplete: NETWORKS, or a source of endpoints."""
        self.problems: list[str] = []
        self.failures: list[SourceFailed] = []

    def fail(self, error: SourceFailed, what: str, batch: Sequence[str], serves: Sequence[str]) -> None:
        """Note that part of the answer could not be had."""
        self.failures.append(error)
        self.problems.append(f"{what} of {_named(batch)}: {error.message}")
        self.lost |= {(subscription.lower(), each) for subscription in batch for each in serves}


class Reader:
    """Looks at Azure as one identity."""

    def __init__(
        self,
        settings: Settings,
        credential: TokenCredential,
        clock: Time | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._arm = Arm(settings, credential, clock)
        self._now = now
        self._listings = dict(LISTINGS)
        if settings.environment != "AZURE_PUBLIC":
            # Only the public cloud's Resource Graph knows the instances of scale sets (spec §3.2, "Post-processing").
            self._listings["instances"] = SCALE_SETS

    def close(self) -> None:
        """Give the connections back."""
        self._arm.close()

    def read(self, previous: Snapshot) -> Snapshot:
        """Read everything as it is now. Raises SourceFailed when nothing at all could be read."""
        taken = self._now()
        known = [row for row in self._arm.every(PATH, VERSION, list[SubscriptionRow]) if row.readable]
        ids = [row.id for row in known]
        with ThreadPoolExecutor(AT_ONCE, "azure") as pool:
            answers = self._ask(pool, ids)
            seen = {each for each in ids if (each.lower(), NETWORKS) not in answers.lost}
            if ids and not seen:
                raise answers.failures[0]
            found = self._complete(pool, answers, previous)
        return Snapshot(
            _kept_networks(found, previous, answers.lost),
            tuple(each for each in subscriptions(known, answers.rows["groups"]) if each.id in seen),
            tuple(_kept_endpoints(answers, previous)),
            taken,
            tuple(answers.problems) or (() if ids else (details.NOTHING_READABLE,)),
        )

    def _ask(self, pool: ThreadPoolExecutor, ids: Sequence[str]) -> Answers:
        """Return every listing of every batch."""
        answers = Answers()
        asked: list[tuple[str, Sequence[str], Future[list[Any]]]] = []
        for start in range(0, len(ids), graph.BATCH):
            batch = ids[start : start + graph.BATCH]
            for name, listing in self._listings.items():
                query = pool.submit(graph.rows, self._arm, listing.query, batch, listing.into)
                asked.append((name, batch, query))
        for name, batch, answer in asked:
            try:
                answers.rows[name] += answer.result()
            except SourceFailed as error:
                answers.fail(error, name.replace("_", " "), batch, self._listings[name].serves)
        return answers

    def _complete(self, pool: ThreadPoolExecutor, answers: Answers, previous: Snapshot) -> dict[str, CloudNetwork]:
        """Return what only the Resource Manager tells: connections of hubs, subnets of large networks, and the like."""
        rows = answers.rows
        found = networks(rows["vnets"], rows["subnets"], rows["peerings"], rows["hubs"])
        counts = {row.id: row.subnet_count or 0 for row in rows["vnets"]}
        more = details.Details(self._arm, pool, answers.problems)
        more.all_subnets(found, counts)
        more.hub_connections(found, previous)
        rows["factories"] = more.factory_connections(rows["factories"], answers.lost)
        if self._listings["instances"] is SCALE_SETS:
            rows["instances"] = more.instances(rows["instances"], answers.lost)
        return found


def _kept_networks(
    fresh: dict[str, CloudNetwork], previous: Snapshot, lost: set[tuple[str, str]]
) -> dict[str, CloudNetwork]:
    """Return the networks read now, and those of before in subscriptions that could not be read."""

    def is_lost(network: CloudNetwork) -> bool:
        return (network.subscription.lower(), NETWORKS) in lost

    kept = {key: network for key, network in previous.networks.items() if is_lost(network)}
    return kept | {key: network for key, network in fresh.items() if not is_lost(network)}


def _kept_endpoints(answers: Answers, previous: Snapshot) -> Iterator[Endpoint]:
    """Yield the endpoints read now, and those of before where a listing that they need could not be read.

    What a private endpoint leads to may be anywhere: without all answers none can be told from an orphaned one.
    """
    unsure = _PRIVATE if any(source in _PRIVATE for _, source in answers.lost) else ()

    def is_lost(each: Endpoint) -> bool:
        return each.source in unsure or (each.subscription.lower(), each.source) in answers.lost

    kinds = {name: answers.rows[name] for name in Rows._fields}
    yield from (each for each in endpoints(Rows(**kinds)) if not is_lost(each))
    yield from filter(is_lost, previous.endpoints)


def _named(batch: Sequence[str]) -> str:
    return f"subscription {batch[0]}" if len(batch) == 1 else f"{len(batch)} subscriptions from {batch[0]} on"
