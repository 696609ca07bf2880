"""The comparison of plan and cloud, kept while nothing that it depends on changed. The oracle: a new one each time."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.plan.plans import World

from unipam.addr.prefix import parse_prefix
from unipam.model import objects
from unipam.model.cloud import Peering, Snapshot
from unipam.model.errors import UnipamError
from unipam.plan import blocks, externals, networks, reservations, tree
from unipam.plan.access.sessions import WebSession, open_session
from unipam.server import comparison
from unipam.server.comparison import Compared, Comparison
from unipam.store.memory import MemoryStore

HANGS = 30.0


@pytest.fixture
def world() -> World:
    made = World(MemoryStore())
    made.do(blocks.create_space, "S", "space")
    made.block("B", "10.0.0.0/16")
    made.block("C", "10.1.0.0/16")
    return made


@pytest.fixture
def anew(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with every comparison that is made anew."""
    made: list[int] = []
    compared = comparison._compared

    def counted(tx: Any, entry: int, snapshot: Snapshot) -> Compared:
        made.append(entry)
        return compared(tx, entry, snapshot)

    monkeypatch.setattr(comparison, "_compared", counted)
    return made


def test_what_has_nothing_to_do_with_the_cloud_leaves_it_as_it_is(world: World, anew: list[int]) -> None:
    world.cloud.put("net", "10.0.100.0/24")
    snapshot, one = world.cloud.snapshot(), Comparison()
    before = world.ask(one.of, snapshot)
    world.do(open_session, "k" * 43, WebSession("s", "me", "me", 1.0, 1.0))
    kept = world.reserve("B", bits=24)[0].facts.id
    world.reserve("B", bits=24)
    world.do(externals.create, world.at(), externals.NewPrefix("x", "x", parse_prefix("10.0.200.0/24")))
    after = world.ask(one.of, world.cloud.snapshot())
    assert (len(anew), after.findings) == (1, before.findings)
    assert after.entry > before.entry
    assert after.taken > before.taken, "it was seen again, and is as it was"
    world.do(externals.create, world.at(), externals.NewPrefix("y", "y", parse_prefix("10.0.100.0/25")))
    (standing,) = world.ask(one.of, world.cloud.snapshot()).standings
    assert [spot.taken for spot in standing.fits] == ["external network y"]
    world.cloud.put("net", "10.0.100.0/24", tags={"ipam-res-id": kept})
    assert world.ask(one.of, world.cloud.snapshot()).findings != before.findings
    assert len(anew) == 3


def test_what_has_no_place_any_more_is_told_when_it_goes(world: World) -> None:
    gone = world.cloud.put("gone", "10.0.1.0/24")
    world.associate(gone)
    world.cloud.drop(gone)
    one = Comparison()
    for _ in range(3):
        world.now += 400
        world.sync()
    assert [each.rule for each in world.ask(one.of, world.cloud.snapshot()).findings] == ["network-vanished"]
    world.do(networks.dissociate, "S", "B", [gone])
    assert world.ask(one.of, world.cloud.snapshot()).findings == []
    assert world.ask(lambda tx: tx.journal(limit=1))[0].verb == "remove"


def test_after_anything_it_says_what_a_new_one_says(world: World) -> None:
    for seed in range(40):
        _live(world, random.Random(seed))


def _live(world: World, dice: random.Random) -> None:
    one = Comparison()
    for _ in range(12):
        try:
            dice.choice(DEEDS)(world, dice)
        except UnipamError:
            continue
        snapshot = world.cloud.snapshot()
        kept, new = world.ask(one.of, snapshot), world.ask(Comparison().of, snapshot)
        assert kept.findings == new.findings
        assert kept.standings == new.standings


Deed = Callable[[World, random.Random], Any]


def _prefix(dice: random.Random) -> str:
    length, third = dice.choice((23, 24)), dice.randrange(6)
    return f"10.{dice.randrange(2)}.{third if length == 24 else third & ~1}.0/{length}"


def _put(world: World, dice: random.Random) -> None:
    known = list(world.cloud.networks.values())
    peers = [Peering("p", dice.choice(known).id, "Connected")] if known and dice.random() < 0.5 else []
    waiting = world.ask(reservations.reservations, "S", "B", with_settled=True)
    tags = {"ipam-res-id": dice.choice(waiting).facts.id} if waiting and dice.random() < 0.5 else {}
    world.cloud.put(f"net-{dice.randrange(5)}", _prefix(dice), peerings=peers, tags=tags)


def _associate(world: World, dice: random.Random) -> None:
    known = list(world.cloud.networks.values())
    if known:
        world.associate(dice.choice(known).id, dice.choice("BC"))


def _dissociate(world: World, dice: random.Random) -> None:
    block = dice.choice("BC")
    found = world.ask(lambda tx: networks.associated(tx, tree.find_block(tx, tree.find_space(tx, "S").id, block)))
    world.do(networks.dissociate, "S", block, [dice.choice(found).facts.id] if found else ["/none"])


def _vanish(world: World, dice: random.Random) -> None:
    for each in list(world.cloud.networks.values()):
        if dice.random() < 0.3:
            world.cloud.drop(each.id)


def _sync(world: World, dice: random.Random) -> None:
    world.now += dice.choice((1, 400))
    world.sync()


def _reserve(world: World, dice: random.Random) -> None:
    world.reserve(dice.choice("BC"), bits=24)


def _cancel(world: World, dice: random.Random) -> None:
    found = world.ask(reservations.reservations, "S", "B", with_settled=True)
    ids = [dice.choice(found).facts.id] if found else []
    world.do(reservations.cancel, "S", "B", ids, lambda _: None, archive=dice.random() < 0.7)


def _external(world: World, dice: random.Random) -> None:
    new = externals.NewPrefix(f"x{dice.randrange(3)}", "x", parse_prefix(_prefix(dice)))
    world.do(externals.create, world.at(block=dice.choice("BC")), new)


def _move_external(world: World, dice: random.Random) -> None:
    found = world.at(f"x{dice.randrange(3)}", block=dice.choice("BC"))
    world.do(externals.change, found, externals.Change(f"x{dice.randrange(3)}", None, parse_prefix(_prefix(dice))))


def _drop_external(world: World, dice: random.Random) -> None:
    world.do(externals.remove, world.at(f"x{dice.randrange(3)}", block=dice.choice("BC")), force=True)


def _rename_block(world: World, dice: random.Random) -> None:
    world.do(blocks.change_block, "S", "C", blocks.BlockChange("C", None, f"d{dice.randrange(99)}"))


DEEDS: tuple[Deed, ...] = (
    _put, _put, _associate, _associate, _dissociate, _vanish, _sync, _reserve, _cancel, _external, _move_external,
    _drop_external, _rename_block,
)  # fmt: skip


def test_fulfilled_reservations_that_are_archived_are_lost_no_more(world: World) -> None:
    kept = world.reserve("B", bits=24)[0]
    tagged = world.cloud.put("net", kept.prefix, tags={"ipam-res-id": kept.facts.id})
    world.sync()
    assert world.status(kept.facts.id) == objects.FULFILLED
    world.cloud.drop(tagged)
    for _ in range(3):
        world.now += 400
        world.sync()
    one = Comparison()
    rules = {each.rule for each in world.ask(one.of, world.cloud.snapshot()).findings}
    assert "reservation-lost-its-network" in rules
    world.do(reservations.cancel, "S", "B", [kept.facts.id], lambda _: None, archive=True)
    rules = {each.rule for each in world.ask(one.of, world.cloud.snapshot()).findings}
    assert "reservation-lost-its-network" not in rules


class Asked:
    """Stands for a transaction: tells when it was asked for the journal's last entry."""

    def __init__(self) -> None:
        self.begun = threading.Event()

    def last_entry(self) -> int:
        self.begun.set()
        return 7


def test_who_asks_meanwhile_waits_for_the_same_result(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    first, second = Asked(), Asked()
    made: list[object] = []
    under_way = threading.Event()
    empty = world.ask(Comparison().of, Snapshot())

    def compared(_: object, entry: int, snapshot: Snapshot) -> Compared:
        made.append(None)
        under_way.set()
        assert second.begun.wait(HANGS)
        return Compared(entry, snapshot, [], [], empty.scope)

    monkeypatch.setattr(comparison, "_compared", compared)
    snapshot, one = Snapshot(), Comparison()
    with ThreadPoolExecutor(2) as threads:
        early = threads.submit(one.of, first, snapshot)  # type: ignore[arg-type]
        assert under_way.wait(HANGS)
        late = threads.submit(one.of, second, snapshot)  # type: ignore[arg-type]
        assert early.result(HANGS) == late.result(HANGS)
    assert len(made) == 1
