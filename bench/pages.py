"""The pages of a large register: how long the server takes for each, how large they are, and how people fare who click.

On SQLite with one server process, then on PostgreSQL with two, one of which is killed while people click.
`UNIPAM_BENCH_PAGES` sets how many thousand reservations there are (60 unless set: then 10,000 networks, 10,000
externals and a million lines of journal), `UNIPAM_BENCH_CLICKING` for how many seconds people click (120).

What else this machine does is part of every time but those of a processor: the load stands above each table.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import shutil
import statistics
import tempfile
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.real.postgres import binaries, cluster
from tests.server.live import Answer, Client, serve

from bench.browsing.people import Person, Seen
from bench.browsing.plan import YEAR, Size, cloud, fill
from bench.browsing.scans import Explained, Looked, scans, statements
from bench.browsing.servers import DIRECTORY, ServerProcess, servers
from bench.needs import Need, program
from unipam.plan.access import sessions
from unipam.plan.open import open_store
from unipam.plan.tree import Author, Plan
from unipam.server.code_flow import Tokens
from unipam.server.pages.credentials import fields_of

POSTGRESQL = Need("PostgreSQL (Debian: postgresql)", lambda: binaries() is not None, "the rows on it")
CHROMIUM = program("chromium", "chromium", "first paint and the map as drawn")
NEEDS = (POSTGRESQL, CHROMIUM)
Look = Callable[[str], Answer]
THOUSANDS = int(os.environ.get("UNIPAM_BENCH_PAGES", "60"))
CLICKING = float(os.environ.get("UNIPAM_BENCH_CLICKING", "120"))
PEOPLE = 50
CROWD = 1000
TIMES = 5
EVERY = (
    "/", "/overview/findings", "/plan", "/plan?open=S,S/many", "/plan?open=S,S/many&from=S/many@10.0.64.0",
    "/plan?open=S,S/nets", "/map", "/map?under=S/many", "/map?under=S/many&view=areas", "/map?under=S/nets",
    "/map?under=S/out",
    "/spaces/S", "/spaces/S/blocks/many", "/spaces/S/blocks/many?bits=28", "/spaces/S/blocks/nets",
    "/spaces/S/blocks/out/externals/x77", "/reservations", "/reservations?sort=-created", "/reservations?q=no%201000",
    "/reservations?q=10.0.3.0/24&sort=desc", "/networks", "/networks?plan=unplanned", "/networks?tab=findings",
    "/externals", "/externals?q=x77", "/reserve", "/reserve?space=S&block=many&size=28",
    "/reserve?space=S&block=nets&size=9", "/journal", "/journal?verb=settle",
    "/journal?actor=person7@example.org", "/journal?under=10.0.3.0/24", "/search?q=x77", "/search?q=10.0.3.1",
    "/search?q=net-77", "/addresses/10.0.3.1", "/access", "/access/grants", "/access/sessions", "/sizing",
    "/diagnose", "/status", "/me", "/forecast", "/overview/forecast", "/spaces/S/forecast",
    "/spaces/S/blocks/many/forecast",
)  # fmt: skip
SERVER_TIME, WEIGHT, CLICK, PAINT, DRAWN, SESSION = 200.0, 60.0, 500.0, 600.0, 1500.0, 50.0
"""What is to be kept: ms of the server, kB of a page; ms of a click (p99), first paint, the map; kB for each person."""


def main() -> None:
    """Print the tables."""
    size = Size.of(THOUSANDS)
    print(f"\npages with {size}")
    with tempfile.TemporaryDirectory(prefix="unipam-bench-") as name:
        _on_sqlite(Path(name), size)
    if POSTGRESQL.met():
        with tempfile.TemporaryDirectory(prefix="unipam-bench-") as name, cluster(fsync="on") as server:
            _on_postgresql(server.create(), Path(name), size)


def _on_sqlite(directory: Path, size: Size) -> None:
    database = str(directory / "register.db")
    _fill(database, size)
    with servers(database, directory, THOUSANDS, 1) as ([server], token):
        _pages("SQLite", server, token)
        _in_chromium("SQLite", server.port, token)
        _memory("SQLite", database, server, token)
    _scanned("SQLite", _scans_of_sqlite(database, directory, token, size))
    with servers(database, directory, THOUSANDS, 1) as (running, _):
        _clicking("SQLite, one process", running, token, lambda: None)


def _on_postgresql(database: str, directory: Path, size: Size) -> None:
    _fill(database, size)
    with servers(database, directory, THOUSANDS, 2) as (running, token):
        _pages("PostgreSQL", running[0], token)
        _in_chromium("PostgreSQL", running[0].port, token)
        _clicking("PostgreSQL, two processes, one killed half-way", running, token, running[1].kill)
    explained = Explained(database)
    with servers(database, directory, THOUSANDS, 1) as ([server], _):
        _scanned("PostgreSQL", _by_page(_signed_in(server.port, token), explained.scans))


def _fill(database: str, size: Size) -> None:
    begun = time.monotonic()
    fill(database, size)
    print(f"filled in {time.monotonic() - begun:.0f} s", flush=True)


def _title(text: str) -> None:
    print(f"\n{text}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)


def _row(what: str, value: float, unit: str, most: float | None = None) -> None:
    limit = "" if most is None else f"≤ {most:,.6g}"
    missed = "" if most is None or value <= most else "  MISSED"
    print(f"{what:<72} {value:>10,.1f} {unit:<4} {limit:>8}{missed}", flush=True)


def _signed_in(port: int, token: str) -> Look:
    """Open a session; return how a page is got with it. Raises RuntimeError."""
    client, form = Client(port, base=""), urllib.parse.urlencode({"token": token}).encode()
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://127.0.0.1:{port}"}
    answer = client.ask("POST", "/auth/token", form, kind)
    if answer.status != 303:
        raise RuntimeError(f"cannot sign in: {answer.status} {answer.body[:300]!r}")
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    return lambda page: client.ask("GET", page, None, {"Accept": "text/html", "Cookie": cookie})


class Measured(NamedTuple):
    """A page: milliseconds until it was there, those of the server's processor, and kB."""

    wall: float
    processor: float
    weight: float


def _pages(name: str, server: ServerProcess, token: str) -> None:
    """Measure each page when it was asked for before: the median of some times."""
    _title(f"{name}: ms until a page is there, ms of the server's processor, kB")
    look = _signed_in(server.port, token)
    all_of_them = {page: _measure(server, look, page) for page in EVERY}
    for page, (wall, processor, weight) in all_of_them.items():
        missed = "  MISSED" if min(wall, processor) > SERVER_TIME or weight > WEIGHT else ""
        print(f"{page:<72} {wall:>8.0f} {processor:>8.0f} {weight:>8.1f}{missed}", flush=True)
    for what, unit, most, place in (
        ("slowest page", "ms", SERVER_TIME, 0), ("most of the server's processor", "ms", SERVER_TIME, 1),
        ("largest page", "kB", WEIGHT, 2),
    ):  # fmt: skip
        page = max(EVERY, key=lambda each: all_of_them[each][place])
        _row(f"{name}: {what} ({page})", all_of_them[page][place], unit, most)

    for when, page in _past().items():
        wall, processor, _ = _measure(server, look, page)
        _row(f"{name}: the plan {when}", wall, "ms", SERVER_TIME)
        _row(f"{name}: the same, the server's processor", processor, "ms", SERVER_TIME)


def _past() -> dict[str, str]:
    """Return pages of the plan as it was: the one long ago, when most was different, and the one with all of it."""
    ages = {"half a year ago": YEAR / 2, "two seconds ago": 2.0}
    form = "%Y-%m-%dT%H:%M:%S"
    at = {when: time.strftime(form, time.gmtime(time.time() - age)) for when, age in ages.items()}
    return {
        f"{when}{what}": f"/plan?at={moment}{query}"
        for when, moment in at.items()
        for what, query in (("", ""), (", a large block open", "&open=S,S/many"))
    }


def _measure(server: ServerProcess, look: Look, page: str, times: int = TIMES) -> Measured:
    answer = look(page)
    if answer.status != 200:
        raise RuntimeError(f"{page}: {answer.status} {answer.body[:300]!r}")
    walls, processor = [], server.processor
    for _ in range(times):
        begun = time.perf_counter()
        look(page)
        walls.append(time.perf_counter() - begun)
    spent = (server.processor - processor) / times
    return Measured(1000 * statistics.median(walls), 1000 * spent, len(answer.body) / 1000)


def _by_page(look: Look, found: Callable[[], Looked]) -> dict[str, Looked]:
    """Return, for each page, what reading it once has left behind."""
    found()
    scanned = {}
    for page in (*EVERY, *_past().values()):
        look(page)
        scanned[page] = found()
    return scanned


def _scans_of_sqlite(database: str, directory: Path, token: str, size: Size) -> dict[str, Looked]:
    with statements() as asked, serve(database, directory, cloud=cloud(size)) as running:

        def found() -> Looked:
            since = asked.copy()
            asked.clear()
            return scans(database, since)

        return _by_page(_signed_in(running.admin.port, token), found)


def _scanned(name: str, found: dict[str, Looked]) -> None:
    _title(f"{name}: statements that read claims or the journal whole")
    for page, looked in found.items():
        for statement in looked.whole:
            print(f"{page}: {' '.join(statement.split())[:300]}")
    number = sum(looked.statements for looked in found.values())
    if not number:
        raise RuntimeError(f"{name}: no statement was seen")
    _row(f"{name}: of {number:,} statements, scans", sum(len(looked.whole) for looked in found.values()), "", 0)


def _in_chromium(name: str, port: int, token: str) -> None:
    found = shutil.which("chromium")
    if found is None:
        return
    from bench.browsing.screen import painted  # without Chromium nobody needs Playwright

    _title(f"{name}: in Chromium, the median of {TIMES}")
    pages = ("/", "/plan", "/map", "/map?under=S/many", "/reservations", "/networks", "/journal")
    for page, (first, drawn) in painted(found, port, token, pages, TIMES).items():
        _row(f"{name}: first contentful paint of {page}", first, "ms", PAINT)
        if page.startswith("/map"):
            _row(f"{name}: the map drawn, {page}", drawn, "ms", DRAWN)


def _memory(name: str, database: str, server: ServerProcess, token: str) -> None:
    """Tell how much more a server holds after many people, each of whom has looked at a page, for each of them."""
    _title(f"{name}: memory for each person who signed in, of {CROWD:,}")
    plan = Plan(open_store(database))
    people: dict[str, Callable[[], Look]] = {
        "with a token": lambda: _signed_in(server.port, token),
        "with Entra ID, who sees every network": lambda: _by_entra(plan, server.port),
    }
    for how, sign_in in people.items():
        _come(sign_in, CROWD // 4)  # until what is there for all is there
        before = server.memory
        _come(sign_in, CROWD)
        _row(f"{name}: memory a person, {how}", (server.memory - before) / CROWD / 1000, "kB", SESSION)
    plan.store.close()


def _come(sign_in: Callable[[], Look], amount: int) -> None:
    for _ in range(amount):
        answer = sign_in()("/networks?q=net-77")
        if answer.status != 200:
            raise RuntimeError(f"{answer.status} {answer.body[:300]!r}")


def _by_entra(plan: Plan, port: int) -> Look:
    """Put a session into the database, as signing in with Entra ID leaves it; return how a page is got with it."""
    key, oid, ends = sessions.make_key(), str(uuid.uuid4()), plan.clock() + 3600
    claims = {"oid": oid, "tid": DIRECTORY.tenant, "preferred_username": oid, "scp": "access_as_user", "exp": ends}
    tokens = Tokens(secrets.token_urlsafe(1500), secrets.token_urlsafe(900))  # as long as Entra ID's
    now = plan.clock()
    made = sessions.WebSession(sessions.make_id(), oid, oid, now, now, **fields_of(key, tokens, claims))
    plan.write(lambda tx, _: sessions.store_session(tx, key, made), Author("bench"))
    client, cookie = Client(port, base=""), f"unipam-{port}={key}"
    return lambda page: client.ask("GET", page, None, {"Accept": "text/html", "Cookie": cookie})


def _clicking(name: str, running: list[ServerProcess], token: str, half_way: Callable[[], None]) -> None:
    seen = Seen()
    busy = [each.processor for each in running]
    asyncio.run(_click(seen, [each.port for each in running], token, half_way))
    _title(f"{name}: {PEOPLE} people click for {CLICKING:.0f} s, a click every 1 to 5 s")
    print(f"answers by status: {dict(sorted(seen.statuses.items()))}; slowest: ", end="")
    print(", ".join(f"{1000 * took:.0f} ms {place}" for took, place in sorted(seen.took)[-5:]))
    for line in sorted(set(seen.failed))[:10]:
        print(f"refused: {line}")
    spent = sum(e.processor - b for e, b in zip(running, busy, strict=True) if e.process.poll() is None)
    _row(f"{name}: clicks", len(seen.took), "")
    _row(f"{name}: processor of who lives, a click", 1000 * spent / len(seen.took), "ms")
    _row(f"{name}: median", 1000 * seen.quantile(0.5), "ms")
    _row(f"{name}: p99", 1000 * seen.quantile(0.99), "ms", CLICK)
    _row(f"{name}: answers of 5xx", sum(n for status, n in seen.statuses.items() if status >= 500), "", 0)
    _row(f"{name}: clicks that one retry helped", seen.retried, "")
    _row(f"{name}: clicks that needed more", seen.lost, "", 0)


async def _click(seen: Seen, ports: list[int], token: str, half_way: Callable[[], None]) -> None:
    people = list(_people(ports, seen))
    for each in people:
        await each.sign_in(token)
    begun = time.monotonic()
    clicking = [asyncio.create_task(each.click_until(begun + CLICKING, EVERY)) for each in people]
    await asyncio.sleep(CLICKING / 2)
    half_way()
    await asyncio.gather(*clicking)


def _people(ports: list[int], seen: Seen) -> Iterator[Person]:
    """Yield people, of whom each process has its part."""
    for number in range(PEOPLE):
        first = number % len(ports)
        yield Person([*ports[first:], *ports[:first]], random.Random(number), seen)
