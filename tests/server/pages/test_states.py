"""Pages on bad days: what is known of Azure is old, the database is taken away. With a real cache, real databases."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.plan.clouds import MemoryCloud
from tests.real.postgres import Cluster, cluster, needs_postgres
from tests.server.live import Live, serve
from tests.server.pages.chromium import look_all, needs_chromium, origin, sign_in, tab
from tests.server.pages.test_plan_pages import PAGES, ROLES, small, visitor
from tests.server.pages.visitor import Answer

from unipam.model.cloud import Snapshot
from unipam.model.errors import SourceFailed
from unipam.plan.cloud.cache import OLD, CachedCloud

HOURS = 7200
TELLS_OF_AZURE = ("/plan", "/map", "/networks", "/networks?tab=findings", "/spaces/S/blocks/B", "/", "/status",
                  "/addresses/10.0.200.1")  # fmt: skip


class Failing:
    """Azure as it was `age` seconds ago; whoever looks again gets no answer."""

    def __init__(self, age: float) -> None:
        self.cloud = MemoryCloud()
        self._age = age

    def look(self, last: Snapshot) -> Snapshot:
        if last.taken:
            raise SourceFailed("Azure does not answer: HTTP 503", source="azure")
        return self.cloud.snapshot()._replace(taken=time.time() - self._age)


def ageing(place: Path, age: float) -> Iterator[Live]:
    """A register with one of everything, that has not been able to look at Azure for so long."""
    azure = Failing(age)
    azure.cloud.put("seen-0", "10.0.200.0/26")
    held = CachedCloud(azure.look, lambda _, __: azure.cloud.snapshot(), every=3600.0)
    held.snapshot()
    with serve(str(place / "register.db"), place, cloud=held) as live:
        live.cloud = MemoryCloud()  # `small` puts networks there that are not seen
        small(live)
        held._renewal.round()
        yield live


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Live]:
    yield from ageing(tmp_path, HOURS)


def test_young_data_is_not_called_old(tmp_path: Path) -> None:
    for live in ageing(tmp_path, OLD / 2):
        answer = visitor(live, "admin").get("/plan")
        assert "Azure seen 2 min ago" in answer.words
        assert "Azure was last seen" not in answer.words


@pytest.mark.parametrize("role", ROLES)
def test_every_page_is_there_with_old_data_and_says_how_old(old: Live, role: str) -> None:
    who = visitor(old, role)
    for page in (*PAGES, "/", "/status", "/addresses/10.0.200.1", "/journal", "/me"):
        answer = who.get(page)
        assert answer.status == 200, (page, answer.words[:400])
        if role == "admin" and page in TELLS_OF_AZURE:
            assert "Azure was last seen 2 h ago" in answer.words, page
    assert "not renewed: Azure does not answer: HTTP 503" in who.get("/status").words


# ---- the database is taken away


def is_trouble(answer: Answer, place: str) -> None:
    """The page says that the database cannot be used, and leads back to itself."""
    assert (answer.status, answer.heading) == (503, "Not now")
    assert [link.get("href") for link in answer.find("a") if "".join(link.itertext()) == "Try again"] == [place]
    assert answer.headers["Refresh"] == "5", "it asks again by itself"


@pytest.fixture
def postgres() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


@needs_postgres
def test_pages_say_that_postgresql_is_away_and_work_when_it_is_back(postgres: Cluster, tmp_path: Path) -> None:
    with serve(postgres.create(), tmp_path) as live:
        small(live)
        who, stranger = visitor(live, "admin"), visitor(live, "reader")
        stranger.cookies.clear()
        postgres.stop("immediate")
        for page in ("/plan", "/reserve?space=S&block=B&size=24", "/networks", "/journal", "/"):
            is_trouble(who.get(page), page)
        part = who.part("/search?q=B")
        assert (part.status, "Try again" in part.text) == (503, True)
        form = {"token": live.admin.token, "next": "/plan"}
        again = stranger.post("/auth/token", form)
        assert again.heading == "Not now"
        assert "Refresh" not in again.headers, "a form is not sent again by itself"
        assert stranger.get("/auth/sign-in").heading == "Sign in"
        postgres.start()
        for page in PAGES:
            assert who.get(page).status == 200, page
        assert stranger.post("/auth/token", form).heading == "Plan"


def damage(path: Path) -> bytes:
    """Overwrite a database in use so that nothing of it can be read; return what was there."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = path.read_bytes()
    path.write_bytes(b"\x55" * len(whole))
    return whole


def test_pages_say_that_the_file_cannot_be_read_and_work_when_it_can(live: Live) -> None:
    small(live)
    who = visitor(live, "admin")
    path = Path(live.settings.database)
    whole = damage(path)
    try:
        for page in ("/plan", "/networks", "/"):
            is_trouble(who.get(page), page)
    finally:
        path.write_bytes(whole)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            # The file was written past SQLite, whose caches hear of changes by transactions only: here is one.
            connection.execute("CREATE TABLE repaired (it)")
            connection.execute("DROP TABLE repaired")
    for page in PAGES:
        answer = who.get(page)
        assert answer.status == 200, (page, answer.words[-300:])


class TestInChromium:
    pytestmark = needs_chromium

    def test_old_data_looks_old(self, old: Live, browser: Browser) -> None:
        look_all(browser, origin(old), old.admin.token, {"stale-networks": "/networks", "stale-plan": "/plan"})

    @needs_postgres
    def test_try_again_tries_again(self, postgres: Cluster, tmp_path: Path, browser: Browser) -> None:
        with serve(postgres.create(), tmp_path) as live:
            small(live)
            with tab(browser, may_fail=(503,)) as page:
                sign_in(page, origin(live), live.admin.token)
                page.goto(origin(live) + "/plan?show=free")
                postgres.stop("immediate")
                page.reload()
                expect(page.get_by_role("heading", name="Not now")).to_be_visible()
                page.get_by_role("link", name="Try again").click()
                expect(page.get_by_role("heading", name="Not now")).to_be_visible()
                postgres.start()
                page.get_by_role("link", name="Try again").click()
                expect(page.get_by_role("heading", name="Plan")).to_be_visible()
                assert page.url.endswith("/plan?show=free")
