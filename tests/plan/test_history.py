"""The plan at past moments: whatever happened since, each shows what was shown then. On every store."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from tests.plan.plans import World

from unipam.addr.prefix import parse_prefix
from unipam.model.cloud import Snapshot
from unipam.model.errors import Missing, UnipamError
from unipam.plan import blocks, externals, networks, reservations
from unipam.plan.access.callers import Caller
from unipam.plan.branches import Branch, Filter, Tree
from unipam.plan.history import PastPlan
from unipam.plan.permissions import Visibility
from unipam.store.api import Tx

ADMIN = Visibility(Caller("admin", "admin", admin=True))


def shown(world: World, at: float | None = None) -> list[Branch]:
    """Every row of the tree, in small parts, but for since when it is so: of now that is another time."""

    def work(tx: Tx) -> list[Branch]:
        tree = Tree(tx, ADMIN, Snapshot(), at)
        return [each for space in tree.spaces() for each in _below(tree, space)]

    return [msgspec.structs.replace(row, since=0.0) for row in world.ask(work)]


def _below(tree: Tree, row: Branch) -> Iterator[Branch]:
    yield row
    start: str | None = "" if row.holds else None
    while start is not None:
        part = tree.under(row.path, Filter(limit=9, start=start))
        for each in part.rows:
            yield from _below(tree, each)
        start = part.next


class Story:
    """Changes by chance to everything that a plan has."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.dice = random.Random(seed)

    def step(self) -> None:
        steps: list[Callable[[], Any]] = [
            self.reserve, self.reserve, self.reserve, self.cancel, self.associate, self.dissociate, self.add_block,
            self.change_block, self.resize, self.remove_block, self.add_external, self.drop_external, self.rename_space,
            self.space,
        ]  # fmt: skip
        with contextlib.suppress(UnipamError):  # what does not fit is refused
            self.dice.choice(steps)()

    def reserve(self) -> None:
        self.world.reserve(bits=self.dice.choice((22, 24, 28)), amount=self.dice.choice((1, 1, 5)))

    def cancel(self) -> None:
        held = [claim for claim in self.claims() if claim.kind == "reservation"]
        if held:
            reservation = self.dice.choice(held).owner.holder
            self.world.do(reservations.cancel, "S", "B", [reservation], lambda _: None)

    def claims(self) -> list[Any]:
        block = self.world.ask(lambda tx: blocks.blocks(tx, tx.space("s"))[0])
        return list(self.world.ask(lambda tx: list(tx.claims(block.id))))

    def associate(self) -> None:
        place = f"10.0.{self.dice.randrange(256)}.0/{self.dice.choice((24, 25))}"
        self.world.associate(self.world.cloud.put(f"n{self.dice.randrange(9)}", place))

    def dissociate(self) -> None:
        held = [claim for claim in self.claims() if claim.kind == "network"]
        if held:
            self.world.do(networks.dissociate, "S", "B", [self.dice.choice(held).owner.holder])

    def add_block(self) -> None:
        self.world.block(f"i{self.dice.randrange(4)}", f"10.0.{16 * self.dice.randrange(16)}.0/20", "B")

    def change_block(self) -> None:
        new = blocks.BlockChange(f"i{self.dice.randrange(4)}", desc=f"text {self.dice.random()}")
        self.world.do(blocks.change_block, "S", f"i{self.dice.randrange(4)}", new)

    def resize(self) -> None:
        prefix = parse_prefix(f"10.0.{16 * self.dice.randrange(16)}.0/{self.dice.choice((20, 21))}")
        name = f"i{self.dice.randrange(4)}"
        self.world.do(blocks.change_block, "S", name, blocks.BlockChange(name, prefix))

    def remove_block(self) -> None:
        self.world.do(blocks.remove_block, "S", f"i{self.dice.randrange(4)}", force=True)

    def add_external(self) -> None:
        name = f"e{self.dice.randrange(4)}"
        made = self.world.do(externals.create, self.world.at(), externals.NewPrefix(name, name, bits=24))
        self.world.do(externals.create, made, externals.NewPrefix("web", "web", bits=26))

    def drop_external(self) -> None:
        found = self.world.at(f"e{self.dice.randrange(4)}")
        self.world.do(externals.remove, found, force=True)

    def rename_space(self) -> None:
        self.world.do(blocks.change_space, "T", name="T", desc=f"text {self.dice.random()}")

    def space(self) -> None:
        if self.dice.random() < 0.5:
            self.world.do(blocks.create_space, "T", "another")
        else:
            self.world.do(blocks.remove_space, "T", force=True)


@pytest.mark.parametrize("seed", range(2))
def test_every_past_moment_shows_what_was_shown_then(world: World, seed: int) -> None:
    story, moments = Story(world, seed), [(world.now, shown(world))]
    for _ in range(40):
        world.now += 10
        story.step()
        moments.append((world.now, shown(world)))
    assert len({len(rows) for _, rows in moments}) > 5
    for at, rows in story.dice.sample(moments, 8):
        assert shown(world, at + 9) == rows
        whole = world.ask(lambda tx, at=at: PastPlan(tx, at).everything())
        assert sum(map(len, whole.values())) == len([row for row in rows if row.kind != "free"])
    assert shown(world, moments[0][0] - 1) == []


def test_what_is_not_there_yet_is_missing(world: World) -> None:
    before = world.now
    world.now += 10
    world.block("inner", "10.0.16.0/20", "B")
    path = ("S", "B", "inner")
    assert world.ask(lambda tx: Tree(tx, ADMIN, Snapshot(), world.now).row(path)).cidr == "10.0.16.0/20"
    with pytest.raises(Missing):
        world.ask(lambda tx: Tree(tx, ADMIN, Snapshot(), before).row(path))
