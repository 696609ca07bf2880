"""The sample plan and its year: spaces, blocks, networks that come and go, reservations in every state, externals.

Told through the same use cases that people work with, at moments of the past year, so that the journal is as it would
be. One transaction; nothing is made where there is a plan already.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from unipam.addr.prefix import parse_prefix
from unipam.model.objects import Block
from unipam.plan import blocks, externals, networks, reservations, tree
from unipam.plan.cloud.sync import SYSTEM, sync
from unipam.plan.externals import NewEndpoint, NewPrefix, Place
from unipam.plan.free import FreeSpace, next_free
from unipam.plan.reservations import Reserved
from unipam.plan.reserve import ReservationRequest, reserve
from unipam.plan.sample.cloud import Kept, SampleCloud, decode, encode, kept, snapshot_of
from unipam.plan.tree import Author, Node, Plan
from unipam.store.api import Tx

NOTE = "sample/networks"
DAY = 86_400.0
_PEOPLE = ("ada@example.org", "grace@example.org", "edsger@example.org", "pipeline-network")
_REASONS = ("", "", "CHG-{n}", "requested by the team", "landing zone {n}", "migration wave {n}")
_SPACES = (("corp", "everything that routes to everything"), ("sandbox", "not routed"), ("partner", "behind NAT"))


class _Region(NamedTuple):
    """A block, and the networks that come into it within the year. `sizes` are prefix lengths to choose from."""

    space: str
    name: str
    prefix: str
    desc: str
    short: str
    networks: int
    sizes: tuple[int, ...] = (22, 23, 24, 24, 25)
    parent: str = ""


_REGIONS = (
    _Region("corp", "westeurope", "10.0.0.0/12", "West Europe", "we", 150, (21, 22, 22, 23, 24)),
    _Region("corp", "northeurope", "10.16.0.0/13", "North Europe", "ne", 90, (20, 21, 22, 23)),
    _Region("corp", "uksouth", "10.32.0.0/17", "UK South", "uks", 60, (22, 24, 24, 24)),
    _Region("corp", "hubs", "10.63.0.0/20", "hubs and firewalls", "hub", 0),
    _Region("corp", "datacentre", "10.96.0.0/12", "what is not in Azure", "dc", 0),
    _Region("corp", "pods", "100.64.0.0/12", "Pod Subnets of AKS", "pod", 18, (16, 17, 18)),
    _Region("corp", "corp-v6", "fd00:10::/32", "dual stack", "v6", 10, (48,)),
    _Region("corp", "we-aks", "10.12.0.0/14", "nodes of AKS in West Europe", "we-aks", 26, (19, 20, 21), "westeurope"),
    _Region("sandbox", "dev", "10.0.0.0/18", "developers", "dev", 20, (23, 24, 24)),
    _Region("sandbox", "test", "10.1.0.0/18", "testers", "test", 14, (23, 24)),
    _Region("sandbox", "sandbox-v6", "fd00:20::/40", "dual stack experiments", "sbx6", 3, (48,)),
    _Region("partner", "northwind", "172.16.0.0/18", "leased lines", "nw", 11, (24, 25, 26)),
)
_WORKS = ("pay", "shop", "ledger", "search", "ml", "iot", "portal", "batch", "auth", "reports", "crm", "edge")


class _Story:
    """What has happened so far. Time only moves on."""

    def __init__(self, tx: Tx, now: float) -> None:
        self.tx = tx
        self.start, self.now = now - 365 * DAY, now - 365 * DAY
        self.end = now
        self.dice = random.Random(4)  # noqa: S311 (for looks)
        self.seen: dict[str, Kept] = {}
        self.hubs: list[str] = []

    def by(self, reason: str | None = None) -> Author:
        """Return somebody who does something now."""
        name = self.dice.choice(_PEOPLE)
        words = self.dice.choice(_REASONS) if reason is None else reason
        return Author(name, f"sample:{name}", self.now, words.format(n=self.dice.randint(100, 999)))

    def block(self, region: _Region) -> Node[Block]:
        """Return a region's block."""
        return tree.find_block(self.tx, tree.find_space(self.tx, region.space).id, region.name)

    def add(self, network: Kept) -> Kept:
        """Let a network be in the cloud."""
        self.seen[network.id] = network
        return network

    def follow(self) -> None:
        """Bring the plan up to the cloud, as a register does every minute."""
        sync(self.tx, SYSTEM._replace(now=self.now), snapshot_of(self.seen.values(), self.now))

    def reserve(self, region: _Region, bits: int, desc: str, days: float | None = None) -> Reserved:
        """Reserve the next prefix of a region, for so many days."""
        until = None if days is None else self.now + days * DAY
        wanted = ReservationRequest(self.by(), region.space, (region.name,), bits, desc=desc, until=until)
        return reserve(self.tx, wanted, self.now)[0]


def tell(tx: Tx, now: float) -> None:
    """Make the sample plan, unless there is a plan already."""
    if tx.spaces():
        return
    story = _Story(tx, now)
    _found(story)
    _grow(story)
    _trouble(story)
    _open_reservations(story)
    tx.set_note(NOTE, encode(story.seen))


def _found(story: _Story) -> None:
    for name, desc in _SPACES:
        blocks.create_space(story.tx, story.by("first plan"), name, desc)
    for region in _REGIONS:
        story.now += DAY / 4
        new = blocks.NewBlock(region.name, parse_prefix(region.prefix), region.parent, region.desc)
        blocks.create_block(story.tx, story.by("first plan"), region.space, new)
    hubs = _REGIONS[3]
    for number, short in enumerate(("we", "ne", "uks")):
        prefix = next_free(FreeSpace(story.tx), story.block(hubs), 23)
        assert prefix is not None
        hub = story.add(kept(f"hub-{short}", [prefix], 0, hub=number == 0))
        story.hubs.append(hub.id)
        _associate(story, hubs, hub)
    _externals(story)


_SITES = (("frankfurt", 16), ("dublin", 17), ("london", 18), ("warehouse", 20), ("branches", 16))


def _externals(story: _Story) -> None:
    for number, (site, bits) in enumerate(_SITES):
        story.now += DAY
        at = Place("corp", "datacentre")
        externals.create(story.tx, story.by(), at.find(story.tx), NewPrefix(site, f"site {site}", bits=bits))
        for part in ("servers", "printers", "voice")[: 1 + number % 3]:
            inner = Place("corp", "datacentre", (site,)).find(story.tx)
            externals.create(story.tx, story.by(), inner, NewPrefix(part, f"{part} of {site}", bits=24))
            subnet = Place("corp", "datacentre", (site, part)).find(story.tx)
            for each in range(1 + number):
                externals.create(story.tx, story.by(), subnet, NewEndpoint(f"{part}-{each}", f"device {each}"))
    externals.create(
        story.tx, story.by(), Place("partner", "northwind").find(story.tx), NewPrefix("lines", "leased lines", bits=24)
    )


def _associate(story: _Story, region: _Region, network: Kept) -> None:
    seen = snapshot_of([network], story.now)
    found = seen.network(network.id)
    assert found is not None
    networks.associate(story.tx, story.by(), region.space, region.name, found)


def _grow(story: _Story) -> None:
    """Let networks come over the year, in the order of chance; every fifth by a reservation that it is tagged with."""
    coming = [region for region in _REGIONS for _ in range(region.networks)]
    story.dice.shuffle(coming)
    step = (story.end - 12 * DAY - story.now) / len(coming)
    for number, region in enumerate(coming):
        story.now += step
        _come(story, region, number)
        if number % 50 == 0:
            story.follow()
        if number % 40 == 20:
            _give_back(story, region)
    story.follow()


def _come(story: _Story, region: _Region, number: int) -> None:
    bits = story.dice.choice(region.sizes)
    kind = "sbx" if region.space == "sandbox" else story.dice.choice(("prod", "prod", "dev", "stage"))
    name = f"vnet-{story.dice.choice(_WORKS)}-{kind}-{region.short}-{number:03}"
    peers = [story.hubs[{"ne": 1, "uks": 2}.get(region.short, 0)]] if region.space == "corp" else []
    if number % 5 == 0:
        made = story.reserve(region, bits, name)
        story.now += 600
        story.add(kept(name, [parse_prefix(made.prefix)], number % 6, reservation=made.facts.id, peers=peers))
        return
    prefix = next_free(FreeSpace(story.tx), story.block(region), bits, reverse=number % 7 == 0)
    if prefix is not None:
        _associate(story, region, story.add(kept(name, [prefix], number % 6, peers=peers)))


def _give_back(story: _Story, region: _Region) -> None:
    """Reserve something, and give it up; or let it run out."""
    made = story.reserve(region, region.sizes[-1], "not built after all")
    story.now += 3600
    reservations.cancel(story.tx, story.by("not built"), region.space, region.name, [made.facts.id], lambda _: None)
    story.reserve(region, region.sizes[-1], "a proof of concept", days=1)


def _trouble(story: _Story) -> None:
    """Let plan and cloud differ in every way that a finding tells of."""
    we, ne = _REGIONS[0], _REGIONS[1]
    story.now = story.end - 10 * DAY
    ours = [each for each in story.seen.values() if "-we-" in each.name and "aks" not in each.name and not each.hub]
    for gone in ours[3:5]:  # deleted in the cloud, still in the plan
        del story.seen[gone.id]
    story.follow()
    story.now += 3600
    story.follow()
    for name, prefix, subscription in (("vnet-skunkworks", "10.7.200.0/22", 3), ("vnet-poc-vision", "10.23.16.0/23", 5),
                                       ("vnet-temp-migration", "10.6.64.0/24", 2)):  # fmt: skip
        story.add(kept(name, [parse_prefix(prefix)], subscription))
    for number in range(8):  # nobody's concern
        story.add(kept(f"vnet-isolated-{number}", [parse_prefix(f"192.168.{number * 8}.0/21")], 5))
    first, second = ours[10], ours[11]  # two overlaps: with what a hub is peered with
    for number, each in enumerate((first, second)):
        story.add(kept(f"vnet-legacy-{number}", [parse_prefix(each.prefixes[0])], 4, peers=[story.hubs[0]]))
    hub = story.seen[story.hubs[0]]
    legacy = [each.id for each in story.seen.values() if "legacy" in each.name]
    story.add(kept(hub.name, [parse_prefix(hub.prefixes[0])], 0, hub=True, peers=[*hub.peers, *legacy]))
    story.add(kept("vnet-mistagged", [parse_prefix("192.168.200.0/24")], 1, reservation="oBsoLete2345678923456A"))
    wrong = story.reserve(we, 23, "checkout in another size")
    story.add(kept("vnet-checkout", [parse_prefix(wrong.prefix.replace("/23", "/24"))], 1, reservation=wrong.facts.id))
    taken = story.reserve(ne, 22, "vnet-billing")
    story.add(kept("vnet-billing", [parse_prefix(taken.prefix)], 1, reservation=taken.facts.id))
    other = next(each for each in story.seen.values() if "-ne-" in each.name)
    part = parse_prefix(taken.prefix.replace("/22", "/24"))
    grown = kept(other.name, [parse_prefix(other.prefixes[0]), part], other.subscription, peers=other.peers)
    story.add(grown)
    story.now += 600
    story.follow()


def _open_reservations(story: _Story) -> None:
    wishes = (
        (0, 22, "shop, next region", 3.0), (0, 24, "payments vNET", None), (1, 21, "data platform", 30.0),
        (2, 24, "branch office", 12.0), (5, 17, "pods of aks-shop", 60.0), (7, 20, "aks-shop nodes", None),
        (6, 48, "dual stack pilot", None), (8, 24, "hackathon", 7.5),
    )  # fmt: skip
    for number, (region, bits, desc, days) in enumerate(wishes):
        story.now = story.end - (9 - number) * DAY + 7200
        story.reserve(_REGIONS[region], bits, desc, None if days is None else days + 8)


def cloud_of(plan: Plan, now: float) -> SampleCloud:
    """Make the sample plan, unless there is a plan already, and return its cloud."""
    plan.write(lambda tx, _: tell(tx, now), SYSTEM)
    note = plan.read(lambda tx: tx.note(NOTE))
    return SampleCloud(decode(note).values() if note else ())
