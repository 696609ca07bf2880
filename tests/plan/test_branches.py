"""Part of the tree as rows: now, then, filtered, in parts. The sample plan is what is looked at."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from functools import partial

import msgspec
import pytest

from unipam.model.cloud import CloudNetwork, Snapshot
from unipam.model.errors import BadValue, Missing, Overlap
from unipam.model.objects import parse_cidr
from unipam.plan.access.callers import Caller
from unipam.plan.branches import FREE, Branch, Filter, Tree, split
from unipam.plan.cloud.drift import PEER_OVERLAP, findings
from unipam.plan.cloud.findings import planned
from unipam.plan.cloud.standing import APART, ASSOCIATED, EXPECTED, GONE, UNPLANNED, Spot, in_sight, standings
from unipam.plan.listing import Wish, listed
from unipam.plan.networks import associate
from unipam.plan.permissions import HIDDEN, Visibility
from unipam.plan.reads import counts
from unipam.plan.sample.cloud import SampleCloud
from unipam.plan.sample.story import cloud_of
from unipam.plan.settled import any_part
from unipam.plan.tree import Author, Plan
from unipam.store.api import Tx
from unipam.store.memory import MemoryStore

ADMIN = Visibility(Caller("admin", "admin", admin=True))
READER = Visibility(Caller("reader", "reader"))
WE = ("corp", "westeurope")


@pytest.fixture(scope="module")
def sample() -> tuple[Plan, SampleCloud]:
    plan = Plan(MemoryStore())
    return plan, cloud_of(plan, time.time())


@pytest.fixture(scope="module")
def plan(sample: tuple[Plan, SampleCloud]) -> Plan:
    return sample[0]


@pytest.fixture(scope="module")
def seen(sample: tuple[Plan, SampleCloud]) -> Snapshot:
    return sample[1].snapshot()


def rows(plan: Plan, path: tuple[str, ...] = WE, at: float | None = None, **wanted: object) -> list[Branch]:
    """Every row under a path, part by part."""
    found: list[Branch] = []
    start: str | None = ""
    while start is not None:
        asked = Filter(**{"limit": 7, **wanted, "start": start})  # type: ignore[arg-type]
        part = plan.read(lambda tx, asked=asked: Tree(tx, ADMIN, Snapshot(), at).under(path, asked))  # type: ignore[misc]
        found += part.rows
        start = part.next
    return found


def test_the_sample_is_worth_looking_at(plan: Plan, seen: Snapshot) -> None:
    found = plan.read(counts)
    assert (found["space"], found["block"]) == (3, 12)
    assert 390 <= found["network"] <= 420
    assert len(seen.networks) >= 400
    assert min(found["reservation"], found["external"], found["subnet"], found["endpoint"]) >= 6
    blocks = plan.read(lambda tx: planned(tx, seen).blocks)
    assert len([b for b in blocks if b.prefix.family == 6]) == 2
    assert len([f for f in findings(blocks, seen) if f.rule == PEER_OVERLAP]) == 2
    over = plan.read(lambda tx: any_part(tx, Wish("reservation", status="over", limit=1000), ADMIN)).rows
    waiting = plan.read(lambda tx: listed(tx, Wish("reservation", limit=1000), ADMIN)).rows
    statuses = {row.status for row in (*over, *waiting)}
    assert statuses == {
        "wait",
        "fulfilled",
        "cancelledByUser",
        "cancelledByTimeout",
        "warnCIDRMismatch",
        "errCIDRExists",
    }
    first = plan.read(lambda tx: min(entry.at for entry in tx.entries(time.time())))
    assert 360 * 86_400 < time.time() - first < 370 * 86_400


def test_used_and_free_rows_fill_a_block_in_address_order(plan: Plan) -> None:
    found = [parse_cidr(row.cidr) for row in rows(plan)]
    block = parse_cidr("10.0.0.0/12")
    assert found[0].first == block.first
    assert found[-1].last == block.last
    assert all(one.last + 1 == other.first for one, other in itertools.pairwise(found))


def test_what_is_free_is_cut_into_the_wanted_length(plan: Plan) -> None:
    free = [row for row in rows(plan, ("corp", "uksouth"), show="free", size=24) if row.kind == FREE]
    whole = [parse_cidr(row.cidr) for row in rows(plan, ("corp", "uksouth"), show="free") if row.kind == FREE]
    assert {parse_cidr(row.cidr).bits for row in free} == {24}
    assert len(free) == sum(1 << (24 - p.bits) for p in whole if p.bits <= 24)


def test_rows_are_filtered_by_length_but_for_what_may_be_opened(plan: Plan) -> None:
    found = rows(plan, shortest=23, longest=23)
    assert {parse_cidr(row.cidr).bits for row in found if row.kind != "block"} == {23}
    assert [row.name for row in found if row.kind == "block"] == ["we-aks"]
    assert {row.kind for row in rows(plan, show="used")} == {"network", "reservation", "block"}


def test_the_plan_of_a_moment_ago_is_the_plan_of_now(plan: Plan) -> None:
    paths = [("corp",), WE, (*WE, "we-aks"), ("corp", "datacentre"), ("corp", "datacentre", "frankfurt"),
             ("corp", "datacentre", "dublin", "printers"), ("sandbox",), ("corp", "corp-v6")]  # fmt: skip
    for path in paths:
        now, then = rows(plan, path), rows(plan, path, at=time.time() + 60)
        assert [msgspec.structs.replace(row, since=0.0) for row in now] == [
            msgspec.structs.replace(row, since=0.0, status="" if row.kind == "network" else row.status) for row in then
        ]


def test_a_past_moment_shows_less(plan: Plan) -> None:
    then = time.time() - 200 * 86_400
    assert 0 < len(rows(plan, at=then, show="used")) < len(rows(plan, show="used"))


def test_deeper_levels_come_along(plan: Plan) -> None:
    found = plan.read(lambda tx: Tree(tx, ADMIN, Snapshot()).under(("corp",), Filter(limit=20), 2))
    (west,) = [row for row in found.rows if row.name == "westeurope"]
    assert len(west.items) == 20
    assert all(row.items == () for row in west.items)


def test_a_network_holds_its_subnets_and_what_is_free_between_them(plan: Plan, seen: Snapshot) -> None:
    network = next(n for n in seen.networks.values() if n.subnets and "-we-" in n.name and "aks" not in n.name)
    path = (*WE, str(network.prefixes[0]))
    found = plan.read(lambda tx: Tree(tx, ADMIN, seen).under(path, Filter()))
    assert [row.name for row in found.rows if row.kind != FREE] == [subnet.name for subnet in network.subnets]
    assert sum(row.size for row in found.rows) == network.prefixes[0].size


def test_a_reader_does_not_see_whose_networks_there_are(plan: Plan, seen: Snapshot) -> None:
    found = plan.read(lambda tx: Tree(tx, READER, seen).under(WE, Filter(limit=50)))
    networks = [row for row in found.rows if row.kind == "network"]
    assert networks
    assert {(row.name, row.id, row.holds) for row in networks} == {(HIDDEN, HIDDEN, False)}
    part = plan.read(lambda tx: listed(tx, Wish("network"), READER))
    assert {row.name for row in part.rows} == {HIDDEN}


@pytest.mark.parametrize("path", [(), ("nothing",), ("corp", "nothing"), (*WE, "nothing", "more")])
def test_what_is_not_there_is_missing(plan: Plan, path: tuple[str, ...]) -> None:
    with pytest.raises(Missing):
        rows(plan, path)


def test_a_part_cannot_begin_at_no_address(plan: Plan) -> None:
    with pytest.raises(BadValue, match="after"):
        plan.read(lambda tx: Tree(tx, ADMIN, Snapshot()).under(WE, Filter(start="nonsense")))


@pytest.mark.parametrize(("text", "path"), [
    ("", ()), ("a/b", ("a", "b")), ("a/b/10.0.0.0/24", ("a", "b", "10.0.0.0/24")),
    ("a/b/10.0.0.0/24/sub", ("a", "b", "10.0.0.0/24", "sub")), ("a/fd00::/48", ("a", "fd00::/48")),
    ("/a//b/", ("a", "b")),
])  # fmt: skip
def test_a_path_is_split_into_names(text: str, path: tuple[str, ...]) -> None:
    assert split(text) == path


def pages(plan: Plan, wish: Wish) -> Iterator[str]:
    after: str | None = ""
    while after is not None:
        wanted = wish._replace(after=after)
        part = plan.read(lambda tx, wanted=wanted: any_part(tx, wanted, ADMIN))  # type: ignore[misc]
        yield from (row.cidr for row in part.rows)
        after = part.next


@pytest.mark.parametrize("sort", ["cidr", "-created", "name", "-desc", "by", "status", "until"])
@pytest.mark.parametrize("kind", ["network", "reservation", "external"])
def test_a_listing_in_parts_is_the_whole_listing(plan: Plan, kind: str, sort: str) -> None:
    wish = Wish(kind, sort=sort, limit=9)
    whole = plan.read(lambda tx: listed(tx, wish._replace(limit=1000), ADMIN))
    assert list(pages(plan, wish)) == [row.cidr for row in whole.rows]
    assert whole.total == len(whole.rows)


@pytest.mark.parametrize("sort", ["cidr", "-created", "desc", "until"])
def test_reservations_that_are_over_come_in_parts_too(plan: Plan, sort: str) -> None:
    wish = Wish("reservation", status="over", sort=sort, limit=9)
    assert sorted(pages(plan, wish)) == sorted(pages(plan, wish._replace(limit=1000)))


def test_a_listing_is_of_a_space_a_block_a_text_or_a_place(plan: Plan) -> None:
    def names(kind: str, **wanted: str) -> set[str]:
        part = plan.read(lambda tx: listed(tx, Wish(kind, limit=1000, **wanted), ADMIN))  # type: ignore[arg-type]
        return {row.name for row in part.rows}

    assert names("external", space="partner") == {"lines"}
    assert names("external", text="LONDON") == {"london"}
    assert names("endpoint", space="corp", block="datacentre", text="printers-0") == {"printers-0"}
    assert names("endpoint", space="sandbox") == set()
    assert names("block", text="10.12.0.1") == {"westeurope", "we-aks"}
    with pytest.raises(BadValue, match="sort"):
        names("block", sort="colour")
    with pytest.raises(BadValue, match="kind"):
        names("planet")
    with pytest.raises(BadValue, match="after"):
        names("block", after="!!")


def test_every_network_stands_somehow_to_the_plan(plan: Plan, seen: Snapshot) -> None:
    found = standings(plan.read(lambda tx: planned(tx, seen).blocks), seen)
    assert {row.plan for row in found} == {ASSOCIATED, EXPECTED, UNPLANNED, APART, GONE}
    by_name = {row.name: row for row in found}
    legacy, lost = by_name["vnet-legacy-0"], by_name["vnet-skunkworks"]
    assert legacy.overlaps
    assert legacy.plan == UNPLANNED
    assert [(spot.space, spot.block) for spot in lost.fits] == [("corp", "westeurope")]
    assert lost.overlaps == ()
    assert lost.fits[0].taken == ""


def test_what_would_be_refused_is_said_where_a_network_fits(plan: Plan, seen: Snapshot) -> None:
    """What `associate` says of every block that has addresses of a network, and what the listing says of it, agree."""
    found = standings(plan.read(lambda tx: planned(tx, seen).blocks), seen)
    tried = 0
    for row in found:
        for spot in row.fits:
            network = seen.network(row.id)
            assert network is not None
            try:
                plan.write(partial(undone, spot=spot, network=network), Author("test"))
            except Overlap:
                assert spot.taken, (row.name, spot)
            except Undone:
                assert not spot.taken, (row.name, spot)
            tried += 1
    assert tried > 5
    assert {bool(spot.taken) for row in found for spot in row.fits} == {True, False}


class Undone(Exception):
    """What was done was possible, and shall not be kept."""


def undone(tx: Tx, by: Author, *, spot: Spot, network: CloudNetwork) -> None:
    associate(tx, by, spot.space, spot.block, network)
    raise Undone


def test_others_networks_are_not_named_as_what_overlaps(plan: Plan, seen: Snapshot) -> None:
    found = standings(plan.read(lambda tx: planned(tx, seen).blocks), seen)
    (legacy,) = [row for row in found if row.name == "vnet-legacy-1"]
    only = Visibility(Caller("some", "some"), {legacy.id.lower()})
    (shown,) = in_sight(found, only)
    assert any(spot.taken for spot in legacy.fits)
    fits = tuple(msgspec.structs.replace(spot, taken=f"network {HIDDEN}" if spot.taken else "") for spot in legacy.fits)
    assert shown == msgspec.structs.replace(legacy, overlaps=(HIDDEN,) * len(legacy.overlaps), fits=fits)
