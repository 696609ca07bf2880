"""A plan to try things on: a store, a cloud, and a clock that stands still until it is moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.plan.clouds import SUBSCRIPTION, MemoryCloud, some_uuid

from unipam.addr.prefix import parse_prefix
from unipam.plan import blocks as plan_blocks
from unipam.plan import networks as plan_networks
from unipam.plan import reservations
from unipam.plan.cloud.sync import sync
from unipam.plan.externals import Place
from unipam.plan.reservations import Reserved
from unipam.plan.reserve import ReservationRequest, reserve
from unipam.plan.tree import Author, Plan, find_block, find_space
from unipam.store.api import Store

ME = Author("me@example.org", "me")


class World:
    """A plan, a cloud, and a clock that stands still until it is moved."""

    def __init__(self, store: Store) -> None:
        self.now = 1_000_000.0
        self.plan = Plan(store, lambda: self.now)
        self.cloud = MemoryCloud((SUBSCRIPTION, some_uuid(2)))

    def do(self, work: Callable[..., Any], *args: Any, by: Author = ME, **rest: Any) -> Any:
        return self.plan.write(lambda tx, b: work(tx, b, *args, **rest), by)

    def ask(self, work: Callable[..., Any], *args: Any, **rest: Any) -> Any:
        return self.plan.read(lambda tx: work(tx, *args, **rest))

    def block(self, name: str, prefix: str, parent: str = "", space: str = "S") -> Any:
        new = plan_blocks.NewBlock(name, parse_prefix(prefix), parent)
        return self.do(plan_blocks.create_block, space, new)

    def at(self, *names: str, block: str = "B") -> Any:
        return self.ask(Place("S", block, names).find)

    def reserve(self, *blocks: str, **wish: Any) -> list[Reserved]:
        wanted = ReservationRequest(ME, "S", blocks or ("B",), **wish)
        return self.plan.write(lambda tx, b: reserve(tx, wanted._replace(by=b), b.now), ME)

    def sync(self) -> int:
        return int(self.do(lambda tx, by: sync(tx, by, self.cloud.snapshot(), grace=300), by=Author("AzureIPAM")))

    def associate(self, resource_id: str, block: str = "B") -> None:
        network = self.cloud.snapshot().network(resource_id)
        self.do(plan_networks.associate, "S", block, network)

    def networks(self, block: str = "B") -> dict[str, tuple[list[str], bool]]:
        rows = self.ask(lambda tx: plan_networks.associated(tx, find_block(tx, find_space(tx, "S").id, block)))
        return {each.facts.name: (list(map(str, each.prefixes)), each.active) for each in rows}

    def status(self, reservation: str) -> str:
        return str(self.ask(reservations.find, "S", "B", reservation).facts.status)

    def prefixes(self) -> list[str]:
        return sorted(row.prefix for row in self.ask(reservations.reservations, "S", "B"))
