"""The plan's pages on a large register: how much they send, and that no question reads a whole table.

`UNIPAM_PAGES_SIZE` says how many thousand reservations there are (60: full size); networks and externals are a sixth.
"""

from __future__ import annotations

import html
import itertools
import os
import re
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.plan.clouds import MemoryCloud
from tests.server.live import Live, serve
from tests.server.pages.test_plan_pages import visitor
from tests.server.pages.visitor import Visitor

from unipam.model.objects import parse_cidr
from unipam.model.records import Claim, Selection
from unipam.plan import blocks, externals, networks
from unipam.plan.access import sessions
from unipam.plan.externals import NewPrefix, Place
from unipam.plan.open import open_store
from unipam.plan.reserve import ReservationRequest, reserve
from unipam.plan.tree import Author, Plan
from unipam.store import sqlite_tx
from unipam.store.api import Tx
from unipam.store.listing import query
from unipam.store.sqlite_tx import _LISTING

PEOPLE = 300
THOUSANDS = int(os.environ.get("UNIPAM_PAGES_SIZE", "3"))
PAGES = (
    "/plan", "/plan?open=S,S/many", "/plan?open=S,S/many&from=S/many@10.0.8.0", "/plan?open=S,S/nets", "/map",
    "/map?under=S/many", "/map?under=S/many&view=areas",
    "/spaces/S", "/spaces/S/blocks/many?bits=28", "/spaces/S/blocks/nets", "/reservations",
    "/reservations?sort=-created", "/reservations?q=no%201000", "/reservations?q=10.64.3.0/24&sort=desc",
    "/networks", "/networks?plan=unplanned", "/networks?tab=findings", "/externals", "/externals?q=x77",
    "/reserve?space=S&block=many&size=28", "/reserve?space=S&block=nets&size=9",
    "/forecast", "/overview/forecast", "/spaces/S/forecast", "/spaces/S/blocks/many/forecast",
)  # fmt: skip


@pytest.fixture(scope="module")
def large() -> Iterator[Live]:
    """A register with many reservations in one block, networks in another, externals in a third."""
    amount = THOUSANDS * 1000
    cloud = MemoryCloud()
    bases = [f"172.{16 + n // 4096}.{n // 16 % 256}.{n % 16 * 16}" for n in range(amount // 6)]
    ids = [cloud.put(f"net-{n}", f"{base}/28", subnets={"a": f"{base}/29"}) for n, base in enumerate(bases)]
    seen = cloud.snapshot()

    def fill(tx: Tx, by: Author) -> None:
        blocks.create_space(tx, by, "S", "large")
        for name, cidr in (("many", "10.0.0.0/8"), ("nets", "172.16.0.0/12"), ("out", "192.168.0.0/16")):
            blocks.create_block(tx, by, "S", blocks.NewBlock(name, parse_cidr(cidr)))
        for number in range(0, amount, 1000):
            reserve(tx, ReservationRequest(by, "S", ("many",), 28, amount=1000, desc=f"no {number}"), by.now)
        found = Place("S", "nets").find(tx)
        for each in ids[: len(ids) * 9 // 10]:
            network = seen.network(each)
            assert network is not None
            networks.add(tx, by, found, network)
        out = Place("S", "out").find(tx)
        for number in range(min(4000, amount // 6)):
            externals.create(tx, by, out, NewPrefix(f"x{number}", "outside", bits=28))

    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        plan = Plan(open_store(str(place / "register.db")))
        plan.write(fill, Author("test"))
        plan.write(sign_in, Author("test"))
        plan.store.close()
        with serve(str(place / "register.db"), place, cloud=cloud) as running:
            yield running


def sign_in(tx: Tx, by: Author) -> None:
    """Let many people be signed in, somehow."""
    for number in range(PEOPLE):
        session = sessions.WebSession(f"s{number}", f"p{number}", f"person-{number}", by.now, by.now)
        sessions.store_session(tx, sessions.make_key(), session)


@pytest.fixture(scope="module")
def who(large: Live) -> Visitor:
    """Its administrator."""
    return visitor(large, "admin")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_a_large_plan_is_small(who: Visitor, page: str, capsys: pytest.CaptureFixture[str]) -> None:
    who.raw("GET", page)
    begun = time.process_time()
    answer = who.raw("GET", page)
    took = 1000 * (time.process_time() - begun)
    with capsys.disabled():
        sys.stdout.write(f"\n{page}: {took:.0f} ms of processor, {len(answer.text) / 1000:.0f} kB ")
    assert answer.status == 200, answer.text[:500]
    assert len(answer.text) <= 60_000


@pytest.fixture(scope="module")
def wide() -> Iterator[Visitor]:
    """The administrator of a register with two hundred blocks in two spaces, each with many small things in it."""

    def fill(tx: Tx, by: Author) -> None:
        for space, number in itertools.product(("S", "T"), range(100)):
            if number == 0:
                blocks.create_space(tx, by, space, "wide")
            name = f"a-region-with-a-long-name-{number}"
            blocks.create_block(tx, by, space, blocks.NewBlock(name, parse_cidr(f"10.{number}.0.0/16"), desc="ours"))
            for bits in (22, 24, 23) * 3:
                reserve(tx, ReservationRequest(by, space, (name,), bits, desc="a project"), by.now)

    with tempfile.TemporaryDirectory() as directory:
        database = str(Path(directory) / "register.db")
        plan = Plan(open_store(database))
        plan.write(fill, Author("test"))
        plan.store.close()
        with serve(database, Path(directory), cloud=MemoryCloud()) as running:
            yield visitor(running, "admin")


_OPEN = ",".join(["S", *(f"S/a-region-with-a-long-name-{n}" for n in range(9)), "T"])


@pytest.mark.parametrize("page", [
    "/", "/map", "/map?colour=owner", "/map?view=areas", "/map?under=S&after=48", "/plan", "/plan?open=S",
    f"/plan?open={_OPEN}", "/spaces/S", "/reserve?space=S&size=24",
])  # fmt: skip
def test_a_page_of_a_plan_with_many_blocks_is_small(wide: Visitor, page: str) -> None:
    answer = wide.raw("GET", page)
    assert answer.status == 200, answer.text[:500]
    assert len(answer.text) <= 60_000


def test_every_block_is_on_one_part_of_the_map_and_in_the_plan(wide: Visitor) -> None:
    for page, seen in (
        ("/map", r'map-name"><a href="[^"]+">(a-region[^<]+)'),
        ("/plan?open=S", r">(a-region[^<]+)</a>"),
    ):
        found, following = list[str](), page
        while following:
            text = wide.raw("GET", following).text
            found += re.findall(seen, text)
            more = re.search(r'rel="next" href="([^"]+)"|<tr class="more">.*?href="([^"]+)">More', text)
            following = html.unescape(more[1] or more[2]) if more else ""
        assert len(found) == (200 if page == "/map" else 100)
        assert len(set(found)) == 100


def test_everybody_who_is_signed_in_is_listed_part_by_part(who: Visitor) -> None:
    page, found = "/access/sessions", set[str]()
    while page:
        answer = who.raw("GET", page)
        assert len(answer.text) <= 60_000
        found |= set(re.findall(r"person-\d+", answer.text))
        following = re.search(r'rel="next" href="([^"]+)"', answer.text)
        page = html.unescape(following[1]) if following else ""
    assert len(found) == PEOPLE


@pytest.mark.parametrize("page", ["/status", "/sizing", "/reserve"])
def test_a_page_reads_only_the_claims_that_it_tells_of(
    who: Visitor, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Claim] = []
    read_claim = sqlite_tx._claim

    def counted(row: Any) -> Claim:
        read.append(read_claim(row))
        return read[-1]

    monkeypatch.setattr(sqlite_tx, "_claim", counted)
    assert who.raw("GET", page).status == 200
    assert {claim.kind for claim in read} <= {"space", "block"}


def plans(database: str, statement: str, values: list[object]) -> list[str]:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]


@pytest.mark.parametrize("wanted", [
    Selection("reservation"), Selection("reservation", order="desc"), Selection("reservation", text="x"),
    Selection("reservation", (1, 2), order="age"), Selection(parents=(2,)), Selection("network", status="wait"),
])  # fmt: skip
def test_no_listing_scans_the_table(large: Live, wanted: Selection) -> None:
    steps = plans(large.settings.database, *query(wanted, _LISTING))
    assert not [step for step in steps if step.startswith("SCAN claim")], steps
    assert [step for step in steps if "claim_kind" in step or "claim_first" in step], steps


def test_what_lies_under_something_is_found_without_what_lies_elsewhere(large: Live) -> None:
    asked: list[str] = []
    with sqlite3.connect(f"file:{large.settings.database}?mode=ro", uri=True) as connection:
        tx = sqlite_tx.SqliteTx(connection)
        connection.set_trace_callback(asked.append)
        tx.extents([7], "reservation")
        tx.select(Selection("reservation", (7,)))
        tx.tally(Selection("reservation", (7,)))
    for statement in asked:
        steps = plans(large.settings.database, statement, [])
        assert any(re.search(r"kind=\? AND parent(=\?|>\? AND parent<\?)", step) for step in steps), (statement, steps)


def test_the_order_of_places_needs_no_sorting(large: Live) -> None:
    for wanted in (Selection("reservation", after=(2, 5)), Selection(parents=(2,), after=(2, 5))):
        steps = plans(large.settings.database, *query(wanted, _LISTING))
        assert not [step for step in steps if "TEMP B-TREE" in step], steps
