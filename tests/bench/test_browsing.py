"""What the bench of the pages makes of them: scans are found, and who clicks tries the other process once."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing

import pytest
from bench.browsing.people import Person, Seen
from bench.browsing.plan import Size, fill
from bench.browsing.scans import Explained, scans, statements
from tests.real.postgres import needs_postgres, shared

from unipam.plan.open import open_store
from unipam.plan.reads import counts
from unipam.plan.tree import Plan

SMALL = Size(networks=10, reservations=60, externals=10, entries=1000)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("bench") / "register.db")
    fill(path, SMALL)
    return path


def test_the_plan_has_the_size_that_is_said(database: str) -> None:
    plan = Plan(open_store(database))
    found = plan.read(counts)
    lines = plan.read(lambda tx: tx.last_entry())
    plan.store.close()
    assert (found["network"], found["reservation"], found["external"]) == (9, 60, 10), "one of ten drifts"
    assert SMALL.entries - 10 <= lines <= SMALL.entries + 10


def test_a_scan_is_found_and_a_walk_along_an_index_is_none(database: str) -> None:
    whole = ["SELECT * FROM journal WHERE reason = 'x'", "SELECT count(*) FROM claim", "SELECT * FROM claim LIMIT 5"]
    part = [
        "SELECT * FROM journal WHERE id = 7",
        "SELECT * FROM journal ORDER BY at DESC, id DESC LIMIT 11",
        "SELECT id, holder FROM claim WHERE kind = 'space' ORDER BY holder",
    ]
    looked = scans(database, whole + part + ["COMMIT"])
    assert looked.statements == 6
    assert looked.whole == set(whole)


def test_connections_write_down_what_they_are_asked() -> None:
    with statements() as asked, closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("SELECT ?", ("x",))
    assert asked == ["SELECT 'x'"]


@needs_postgres
@pytest.mark.real
def test_postgresql_tells_of_a_scan() -> None:
    database = shared().create()
    fill(database, SMALL)
    explained = Explained(database)
    plan = Plan(open_store(database))
    plan.read(lambda tx: list(tx.details(text="nothing")))
    plan.store.close()
    looked = explained.scans()
    assert looked.statements
    assert any("strpos" in each for each in looked.whole), looked


def test_who_clicks_tries_the_other_process_once() -> None:
    seen = Seen()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage")
        writer.close()

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npa")
        writer.close()

    async def click() -> list[str]:
        async with (
            await asyncio.start_server(serve, "127.0.0.1", 0) as lives,
            await asyncio.start_server(break_off, "127.0.0.1", 0) as dies,
        ):
            ports = [server.sockets[0].getsockname()[1] for server in (dies, lives)]
            person = Person(ports, random.Random(1), seen)
            pages = [await person.click("/"), await person.click("/")]
            return [*pages, await Person([ports[0]], random.Random(1), seen).click("/")]

    assert asyncio.run(click()) == ["page", "page", ""]
    assert (seen.retried, seen.lost, seen.statuses) == (2, 1, {200: 2})
