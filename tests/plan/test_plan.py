"""The plan's use cases, on every store."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.plan.clouds import some_uuid
from tests.plan.plans import ME, World
from tests.store.backends import BACKENDS

from unipam.addr.prefix import parse_prefix
from unipam.model import objects
from unipam.model.errors import (
    BadValue,
    Duplicate,
    Exhausted,
    Missing,
    NameTaken,
    NotEmpty,
    Outside,
    Overlap,
    Refused,
    Stale,
    UnipamError,
)
from unipam.plan import blocks, externals, networks, reads, reservations, tree
from unipam.plan.access import callers
from unipam.plan.history import PastPlan
from unipam.plan.reserve import ReservationRequest, reserve, reserve_all
from unipam.plan.transfer.copy import copy
from unipam.plan.transfer.export import export, from_csv, read_document, to_csv
from unipam.plan.transfer.importing import move_in
from unipam.plan.tree import Plan, find_block, find_space


def test_names_are_unique_whatever_their_case(world: World) -> None:
    with pytest.raises(NameTaken):
        world.do(blocks.create_space, "s", "again")
    with pytest.raises(NameTaken):
        world.block("b", "11.0.0.0/16")
    world.do(blocks.create_space, "T", "another")
    world.block("B", "10.0.0.0/16", space="T")  # another space, the same name and prefix
    with pytest.raises(NameTaken):
        world.do(blocks.change_space, "T", name="s")
    assert world.ask(find_space, "t").facts.name == "T"


def test_blocks_lie_inside_blocks_to_any_depth(world: World) -> None:
    names = ["B"]
    for depth, length in enumerate(range(17, 25)):
        world.block(f"inner{depth}", f"10.0.0.0/{length}", names[-1])
        names.append(f"inner{depth}")
    with pytest.raises(Outside):
        world.block("out", "10.1.0.0/24", "inner0")
    with pytest.raises(Overlap):
        world.block("half", "10.0.0.0/20", "B")
    assert [row.prefix for row in world.reserve("inner7", bits=25, amount=2)] == ["10.0.0.0/25", "10.0.0.128/25"]
    held = world.ask(reads.explain, "S", parse_prefix("10.0.0.129/32"))
    assert [h.name for h in held][:-1] == names
    assert held[-1].relation == "contains"


@pytest.mark.parametrize("prefix", ["10.0.0.0/16", "10.0.128.0/17", "10.0.0.0/15", "10.0.0.7/32"])
def test_blocks_of_a_space_never_overlap(world: World, prefix: str) -> None:
    with pytest.raises(Overlap, match="the block b"):
        world.block("C", prefix)


def test_a_reservation_by_prefix_is_refused_with_what_is_in_the_way(world: World) -> None:
    (first,) = world.reserve(prefix=parse_prefix("10.0.5.0/24"))
    for prefix in ("10.0.5.0/24", "10.0.5.128/25", "10.0.4.0/23"):
        with pytest.raises(Overlap, match=first.facts.id):
            world.reserve(prefix=parse_prefix(prefix))
    with pytest.raises(Outside):
        world.reserve(prefix=parse_prefix("10.1.0.0/24"))
    assert world.prefixes() == ["10.0.5.0/24"]


def test_several_prefixes_come_all_or_none(world: World) -> None:
    world.block("small", "10.9.0.0/24")
    with pytest.raises(Exhausted, match=r"10\.9\.0\.0/24 is the largest free prefix of small"):
        world.reserve("small", bits=25, amount=3)
    assert [r.prefix for r in world.reserve("small", "B", bits=25, amount=3)] == [
        "10.9.0.0/25", "10.9.0.128/25", "10.0.0.0/25",
    ]  # fmt: skip


def test_no_room_is_told_with_what_there_is_and_what_runs_out_next(world: World) -> None:
    world.block("small", "10.9.0.0/24")
    world.reserve("small", bits=25)
    soon = world.reserve("small", bits=26, until=world.now + 60)[0]
    world.reserve("small", bits=27, until=world.now + 600)
    with pytest.raises(Exhausted) as refused:
        world.reserve("small", bits=25)
    assert str(refused.value) == (
        "no free /25 in small: 10.9.0.224/27 is the largest free prefix of small;"
        f" the reservation {soon.facts.id} (10.9.0.128/26) runs out next, at 1970-01-12T13:47:40Z"
    )
    world.reserve("small", bits=27)
    with pytest.raises(Exhausted, match="small is full; the reservation"):
        world.reserve("small", bits=25)


def test_in_a_batch_one_refusal_costs_the_others_nothing(world: World) -> None:
    world.block("tiny", "10.9.0.0/24")
    good = ReservationRequest(ME, "S", ("tiny",), 25)
    batch = [good, good._replace(amount=2), good._replace(blocks=("nope",)), good._replace(bits=77), good, good]
    outcomes = world.plan.write(lambda tx, b: reserve_all(tx, batch, b.now), ME)
    kinds = [type(o) if isinstance(o, UnipamError) else [r.prefix for r in o] for o in outcomes]
    assert kinds == [["10.9.0.0/25"], Exhausted, Missing, BadValue, ["10.9.0.128/25"], Exhausted]


def test_ipv6_is_planned_like_ipv4(world: World) -> None:
    world.block("six", "2001:db8::/48")
    assert [r.prefix for r in world.reserve("six", bits=64, amount=2)] == ["2001:db8::/64", "2001:db8:0:1::/64"]
    with pytest.raises(BadValue):
        world.reserve("six", bits=129)


def test_freed_space_is_found_again_although_searches_remember_where_they_ended(world: World) -> None:
    rows = world.reserve(bits=28, amount=400)
    gaps = [row.facts.id for row in rows[:200:2]]
    world.do(reservations.cancel, "S", "B", gaps, lambda _: None)
    assert world.reserve(bits=24)[0].prefix == "10.0.25.0/24"  # looks through a hundred holes
    assert world.reserve(bits=24)[0].prefix == "10.0.26.0/24"
    world.do(reservations.cancel, "S", "B", [row.facts.id for row in rows[1:32:2]], lambda _: None)
    assert world.reserve(bits=24)[0].prefix == "10.0.0.0/24"


def test_a_block_that_grows_downwards_gives_its_new_space(world: World) -> None:
    world.block("C", "10.3.0.0/24")
    ids = [r.facts.id for r in world.reserve("C", bits=30, amount=64)]
    world.do(reservations.cancel, "S", "C", ids[::2], lambda _: None)
    with pytest.raises(Exhausted):
        world.reserve("C", bits=29)
    world.do(blocks.change_block, "S", "C", blocks.BlockChange(prefix=parse_prefix("10.2.0.0/15")))
    assert world.reserve("C", bits=29)[0].prefix == "10.2.0.0/29"
    with pytest.raises(Outside):
        world.do(blocks.change_block, "S", "C", blocks.BlockChange(prefix=parse_prefix("10.2.0.0/16")))


def test_a_reservation_that_nobody_used_expires(world: World) -> None:
    (row,) = world.reserve(bits=24, until=world.now + 60)
    assert world.sync() == 0
    world.now += 61
    assert world.reserve(bits=24)[0].prefix == row.prefix  # the next request clears it away by itself
    assert world.status(row.facts.id) == objects.EXPIRED


def test_only_what_was_seen_is_changed(world: World) -> None:
    block = world.ask(lambda tx: find_block(tx, find_space(tx, "S").id, "B"))
    seen = ME._replace(expect=block.claim.generation)
    world.do(blocks.change_block, "S", "B", blocks.BlockChange(desc="new"), by=seen)
    for work in (blocks.change_block, blocks.remove_block):
        args = (blocks.BlockChange(desc="newer"),) if work is blocks.change_block else ()
        with pytest.raises(Stale):
            world.do(work, "S", "B", *args, by=seen)


def test_a_rehearsal_tells_all_and_changes_nothing(world: World) -> None:
    wanted = ReservationRequest(ME, "S", ("B",), 24)
    rows = world.plan.write(lambda tx, b: reserve(tx, wanted, b.now), ME, rehearse=True)
    assert rows[0].prefix == "10.0.0.0/24"
    assert world.prefixes() == []


def test_what_holds_something_goes_only_by_force(world: World) -> None:
    world.block("inner", "10.0.0.0/24", "B")
    world.reserve("inner", bits=28)
    for work, args in ((blocks.remove_space, ("S",)), (blocks.remove_block, ("S", "B"))):
        with pytest.raises(NotEmpty):
            world.do(work, *args)
    world.do(blocks.remove_block, "S", "B", force=True)
    world.do(blocks.remove_space, "S")
    assert world.ask(reads.counts) == dict.fromkeys(objects.KINDS, 0)


def test_settled_reservations_do_not_keep_a_block(world: World) -> None:
    (row,) = world.reserve(bits=24)
    world.do(reservations.cancel, "S", "B", [row.facts.id], lambda _: None)
    assert world.status(row.facts.id) == objects.CANCELLED
    world.do(reservations.cancel, "S", "B", [row.facts.id], lambda _: None)  # idempotent
    world.do(blocks.remove_block, "S", "B")
    world.block("B", "10.0.0.0/16")
    with pytest.raises(Missing):
        world.status(row.facts.id)


def test_a_tagged_network_fulfils_its_reservation(world: World) -> None:
    (row,) = world.reserve(bits=24)
    world.cloud.put("net", "10.0.0.0/23", tags={"ipam-res-id": f" {row.facts.id} ,other"})
    assert world.sync() == 1
    assert world.status(row.facts.id) == objects.MISMATCH
    assert world.sync() == 0  # D10
    world.cloud.put("net", "10.0.0.0/24", "10.0.7.0/24", tags={"X-IPAM-RES-ID": row.facts.id})
    world.sync()
    assert world.status(row.facts.id) == objects.FULFILLED
    assert world.networks() == {"net": (["10.0.0.0/24", "10.0.7.0/24"], True)}
    assert world.sync() == 0


def test_a_network_with_two_ids_is_associated_once(world: World) -> None:
    rows = world.reserve(bits=24, amount=2)
    world.cloud.put("net", *(r.prefix for r in rows), tags={"X-IPAM-RES-ID": ",".join(r.facts.id for r in rows)})
    world.sync()
    assert [world.status(r.facts.id) for r in rows] == [objects.FULFILLED] * 2
    assert world.networks() == {"net": (["10.0.0.0/24", "10.0.1.0/24"], True)}
    use = world.ask(lambda tx: reads.use_of(tx, find_block(tx, find_space(tx, "S").id, "B")))
    assert use == (65536, 512, 0, 65024)


def test_a_reservation_whose_place_another_network_took_in_part_is_not_fulfilled(world: World) -> None:
    other = world.cloud.put("other", "10.0.9.0/24")
    world.associate(other)
    (row,) = world.reserve(bits=24)
    world.cloud.put("other", "10.0.9.0/24", "10.0.0.128/25")  # moved into the reserved place, in the cloud
    world.cloud.put("net", row.prefix, tags={"X-IPAM-RES-ID": row.facts.id})
    world.sync()
    assert world.status(row.facts.id) == objects.EXISTS
    world.cloud.put("other", "10.0.9.0/24")
    world.sync()
    assert world.status(row.facts.id) == objects.FULFILLED


def test_a_network_that_vanished_gives_its_place_back_in_time(world: World) -> None:
    network = world.cloud.put("net", "10.0.0.0/24")
    world.associate(network)
    world.cloud.drop(network)
    world.sync()
    assert world.networks() == {"net": (["10.0.0.0/24"], False)}
    with pytest.raises(Overlap):
        world.reserve(prefix=parse_prefix("10.0.0.0/24"))
    world.now += 301
    world.sync()
    assert world.networks() == {"net": ([], False)}
    world.reserve(prefix=parse_prefix("10.0.0.0/25"))
    world.cloud.put("net", "10.0.0.0/24")
    assert world.sync() == 0  # its place is taken: it stays inactive, and is a finding
    world.cloud.put("net", "10.0.3.0/24")
    world.sync()
    assert world.networks() == {"net": (["10.0.3.0/24"], True)}


def test_what_cannot_be_seen_keeps_its_place(world: World) -> None:
    hidden = world.cloud.put("net", "10.0.0.0/24", subscription=some_uuid(2))
    world.associate(hidden)
    world.cloud.subscriptions = world.cloud.subscriptions[:1]  # no right to read it any more (D11)
    world.cloud.drop(hidden)
    world.now += 10_000
    assert world.sync() == 0
    assert world.networks() == {"net": (["10.0.0.0/24"], True)}


def test_ids_are_compared_whatever_their_case(world: World) -> None:
    network = world.cloud.put("net", "10.0.0.0/24")
    world.associate(network.upper())
    with pytest.raises(Duplicate):
        world.associate(network)
    world.do(networks.dissociate, "S", "B", [network.swapcase()])
    assert world.networks() == {}


def test_a_network_that_comes_back_has_the_id_that_it_had(world: World) -> None:
    network = world.cloud.put("net", "10.0.0.0/24")
    world.do(networks.replace, "S", "B", [network.upper()], world.cloud.snapshot())
    world.cloud.drop(network)
    world.sync()
    world.now += 301
    world.sync()
    world.do(networks.replace, "S", "B", [network.swapcase()], world.cloud.snapshot())  # gone, and renamed
    world.cloud.put("net", "10.0.3.0/24")
    world.sync()
    rows = world.ask(lambda tx: networks.associated(tx, find_block(tx, find_space(tx, "S").id, "B")))
    assert [(row.facts.id, list(map(str, row.prefixes))) for row in rows] == [(network.swapcase(), ["10.0.3.0/24"])]


def test_the_networks_of_a_block_are_replaced_all_or_none(world: World) -> None:
    ids = [world.cloud.put(f"n{i}", f"10.0.{i}.0/24") for i in range(3)]
    half = world.cloud.put("half", "10.0.1.0/25")
    away = world.cloud.put("away", "11.0.0.0/24")
    snapshot = world.cloud.snapshot()
    world.do(networks.replace, "S", "B", ids[:2], snapshot)
    for bad, error in (
        ([ids[0], ids[0].upper()], Duplicate),
        ([ids[0], "/nope"], Missing),
        ([ids[1], half], Overlap),
        ([away], Outside),
    ):
        with pytest.raises(error):
            world.do(networks.replace, "S", "B", bad, snapshot)
    world.do(networks.replace, "S", "B", [ids[2], ids[0]], snapshot)
    assert set(world.networks()) == {"n0", "n2"}


def test_the_past_can_be_asked_for(world: World) -> None:
    moments: list[tuple[float, list[tuple[str, str]]]] = []

    def then(at: float) -> list[tuple[str, str]]:
        whole = world.ask(lambda tx: PastPlan(tx, at).everything())
        return sorted((blocks.name_of(n), str(n.prefix)) for some in whole.values() for n in some)

    def here() -> list[tuple[str, str]]:
        return then(world.now)

    def now() -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []

        def walk(tx: Any, parent: int) -> None:
            for claim in tx.claims(parent):
                found.append((blocks.name_of(tree.node(claim)), claim.text))
                walk(tx, claim.id)

        for number, name in world.ask(lambda tx: tx.spaces()):
            found.append((name.upper(), "::/0"))
            world.ask(walk, number)
        return sorted(found)

    steps: list[Callable[[], Any]] = [
        lambda: world.reserve(bits=24, amount=3),
        lambda: world.block("inner", "10.0.128.0/17", "B"),
        lambda: world.do(blocks.change_block, "S", "inner", blocks.BlockChange("renamed")),
        lambda: world.do(blocks.change_block, "S", "B", blocks.BlockChange("big", parse_prefix("10.0.0.0/15"))),
        lambda: world.reserve("big", bits=17),
        lambda: world.do(blocks.remove_block, "S", "renamed"),
        lambda: world.do(blocks.remove_block, "S", "big", force=True),
    ]
    for step in steps:
        world.now += 10
        step()
        assert here() == now()
        moments.append((world.now, now()))
    for at, expected in moments:
        assert then(at) == expected
    assert len({len(state) for _, state in moments}) > 3


def test_every_change_is_journalled_with_its_author_and_reason(world: World) -> None:
    world.do(blocks.change_block, "S", "B", blocks.BlockChange(desc="x"), by=ME._replace(reason="ticket 7"))
    entry = world.ask(reads.history, holder="b")[0]
    assert (entry.verb, entry.actor, entry.reason) == ("change", "me@example.org", "ticket 7")
    world.do(callers.add_admin, callers.Admin("User", "Ann", some_uuid(9), "ann@example.org"))
    assert world.ask(reads.history, holder="admin/")[0].verb == "add-admin"


def filled(world: World) -> None:
    """Something of every kind."""
    world.associate(world.cloud.put("net", "10.0.8.0/24"))
    rows = world.reserve(bits=24, amount=2)
    world.do(reservations.cancel, "S", "B", [rows[1].facts.id], lambda _: None)
    external = world.do(externals.create, world.at(), externals.NewPrefix("dc", "dc", bits=24))
    subnet = world.do(externals.create, external, externals.NewPrefix("web", "web", bits=26))
    world.do(externals.create, subnet, externals.NewEndpoint("host", "host"))
    world.block("inner", "10.0.64.0/18", "B")
    world.block("six", "2001:db8::/48")


def shape(items: Any) -> list[Any]:
    return sorted((i.kind, i.name, i.prefix, i.desc, i.id, i.status, shape(i.items)) for i in items)


def test_a_plan_goes_out_and_comes_back(world: World) -> None:
    filled(world)
    document = world.ask(export, world.now)
    snapshot = world.cloud.snapshot()
    report = world.do(lambda tx, by: move_in(tx, by, document, snapshot))
    assert (report.created, report.conflicts) == (1, ())  # the settled one is written again
    world.do(blocks.remove_space, "S", force=True)
    report = world.do(lambda tx, by: move_in(tx, by, document, snapshot))
    assert report.conflicts == ()
    assert shape(world.ask(export, world.now).items) == shape(document.items)


def test_a_plan_goes_through_csv(world: World) -> None:
    filled(world)
    document = world.ask(export, world.now)
    back = from_csv(to_csv(document), world.now)
    assert [i[:4] for i in shape(back.items)] == [i[:4] for i in shape(document.items)]
    with pytest.raises(BadValue, match="line 2"):
        from_csv("kind,path,name\nblock,nowhere,x\n", 0.0)


def test_conflicts_are_reported_and_nothing_is_changed(world: World) -> None:
    text = b"""[{"name": "S", "desc": "d", "blocks": [
        {"name": "C", "cidr": "10.0.0.0/17", "vnets": [], "externals": [], "resv": []},
        {"name": "D", "cidr": "10.5.0.0/16", "vnets": [{"id": "/subscriptions/x/virtualNetworks/v"}],
         "externals": [{"name": "e", "desc": "e", "cidr": "10.5.0.0/24", "subnets": []}], "resv": []}]}]"""
    document = read_document(text)
    snapshot = world.cloud.snapshot()
    with pytest.raises(Refused) as caught:
        world.do(lambda tx, by: move_in(tx, by, document, snapshot))
    assert [c.name for c in caught.value.facts["report"].conflicts] == ["C", "v"]  # type: ignore[attr-defined]
    with pytest.raises(Missing):
        world.ask(lambda tx: find_block(tx, find_space(tx, "S").id, "D"))
    report = world.do(lambda tx, by: move_in(tx, by, document, snapshot, keep_going=True))
    assert (report.created, report.present, len(report.conflicts)) == (2, 1, 2)


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[1]", b'[{"name": 1}]', b'{"format": "x", "at": 0, "items": []}', b"\xff"]
)
def test_what_is_no_plan_is_refused(text: bytes) -> None:
    with pytest.raises(BadValue):
        read_document(text)


@pytest.mark.parametrize("kind", BACKENDS)
def test_a_register_is_copied_exactly(world: World, kind: str, tmp_path: Path) -> None:
    filled(world)
    target = BACKENDS[kind](tmp_path / "target") if kind != "sqlite" else BACKENDS[kind](_made(tmp_path / "target"))
    store = target.open()
    copy(world.plan.store, store)
    there = Plan(store, lambda: world.now)
    assert there.read(lambda tx: export(tx, 0.0)) == world.ask(export, 0.0)
    assert there.read(lambda tx: list(tx.entries(9e9))) == world.ask(lambda tx: list(tx.entries(9e9)))
    assert store.check() == []
    wanted = ReservationRequest(ME, "S", ("B",), 24)
    one, other = (p.write(lambda tx, b: reserve(tx, wanted, b.now), ME) for p in (there, world.plan))
    assert one[0].prefix == other[0].prefix
    with pytest.raises(NotEmpty):
        copy(world.plan.store, store)
    target.close()


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def test_ids_look_like_the_originals() -> None:
    ids = set(reservations.new_ids(1000))
    assert len(ids) == 1000
    assert all(reservations.is_id(each) for each in ids)
    assert not reservations.is_id("0" * 22)
    assert list(itertools.islice(sorted(map(len, ids)), 1)) == [22]
