"""The pages on what runs dry: with a past of a year, without any, for every role, and what they must not take."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.server.live import Live, serve
from tests.server.pages.chromium import look_all, needs_chromium, origin, sign_in, tab
from tests.server.pages.test_plan_pages import native, small, visitor

from unipam.model.objects import parse_cidr
from unipam.plan import blocks as tree_blocks
from unipam.plan.blocks import NewBlock
from unipam.plan.forecast import Forecast, Period
from unipam.plan.open import open_store
from unipam.plan.reserve import ReservationRequest, reserve
from unipam.plan.tree import Author, Plan
from unipam.server.pages.growth import HEIGHT, WIDTH, drawn
from unipam.store.api import Tx

DAY = 86_400.0
PLACES = {
    "forecast": "/forecast", "forecast-block": "/spaces/corp/blocks/uksouth/forecast",
    "forecast-space": "/spaces/corp/forecast", "forecast-open": "/spaces/corp/blocks/pods/forecast?horizon=3650",
    "overview-forecast": "/overview/forecast", "block": "/spaces/corp/blocks/uksouth",
}  # fmt: skip


@pytest.mark.parametrize("role", ["admin", "reader"])
def test_everybody_sees_what_runs_dry_first(sample: Live, role: str) -> None:
    who = visitor(sample, role)
    for place in PLACES.values():
        answer = who.get(place)
        assert answer.status == 200, (place, answer.words[:300])
        assert len(answer.text.encode()) < 60_000
    words = who.get("/forecast").words
    assert words.index("uksouth") < words.index("we-aks") < words.index("datacentre")
    assert "3 full within 365 days" in words
    one = who.get("/spaces/corp/blocks/uksouth/forecast").words
    assert re.search(
        r"full about 20\d\d-\d\d-\d\d in \d mo, four times in five between 20\d\d-\d\d-\d\d and 20", one
    ), one
    assert "90 whole days" in one
    assert "uksouth corp" in who.get("/overview/forecast").words


def test_the_overview_and_the_pages_of_blocks_and_spaces_lead_there(sample: Live) -> None:
    who = visitor(sample, "admin")
    parts = {"/": "/overview/forecast", "/spaces/corp": "/spaces/corp/forecast",
             "/spaces/corp/blocks/uksouth": "/spaces/corp/blocks/uksouth/forecast"}  # fmt: skip
    for page, part in parts.items():
        assert f'hx-get="{part}"' in who.get(page).text
        assert who.part(part).status == 200
    assert "<svg" in who.part("/spaces/corp/blocks/uksouth/forecast").text


def test_what_a_page_says_the_api_and_the_command_say_too(sample: Live) -> None:
    text = visitor(sample, "admin").get("/spaces/corp/blocks/uksouth/forecast?horizon=200").text
    assert "unipam block forecast corp uksouth --horizon=200" in text
    assert "/api/v1/spaces/corp/blocks/uksouth/forecast?horizon=200" in text
    said = native(sample).get("/spaces/corp/blocks/uksouth/forecast?horizon=200").json
    assert f"full about {said['why'].split()[2].rstrip(',')}" in text
    text = visitor(sample, "admin").get("/forecast?space=corp").text
    assert "unipam plan forecast --space=corp" in text
    assert "/api/v1/forecast?space=corp" in text


def test_all_rows_are_exported(sample: Live) -> None:
    who = visitor(sample, "admin")
    rows = list(csv.DictReader(io.StringIO(who.raw("GET", "/forecast?format=csv").text)))
    assert (len(rows), rows[0]["name"], rows[0]["verdict"]) == (12, "corp/uksouth", "dated")
    found = json.loads(who.raw("GET", "/forecast?space=sandbox&format=json").text)
    assert {row["space"] for row in found} == {"sandbox"}


@pytest.mark.parametrize("text", ["0", "-1", "3651", "x", "1e3", "9" * 30, "%D9%A3"])
def test_days_that_are_none_are_refused_by_name(sample: Live, text: str) -> None:
    answer = visitor(sample, "admin").get(f"/forecast?horizon={text}")
    assert answer.status == 400
    assert "is no number of days from 1 to 3650" in answer.words


def test_what_is_not_there_has_no_forecast(sample: Live) -> None:
    who = visitor(sample, "admin")
    for place in ("/spaces/none/forecast", "/spaces/corp/blocks/none/forecast", "/forecast?space=none"):
        assert who.get(place).status == 404


def test_an_empty_plan_and_a_young_one_say_what_they_lack(live: Live) -> None:
    who = visitor(live, "admin")
    assert "There are no blocks" in who.get("/forecast").words
    assert "No block is full within a year" in who.get("/overview/forecast").words
    small(live)
    assert "too little past" in who.get("/forecast").words
    assert "1 of 1 blocks have too little past" in who.get("/overview/forecast").words
    assert "There is too little past: 0 whole days, and 14 are needed" in who.get("/spaces/S/blocks/B/forecast").words
    native(live).post("/spaces", {"name": "T", "desc": "empty"})
    assert "It has no blocks" in who.get("/spaces/T/forecast").words
    native(live).post("/spaces/S/blocks", {"name": "full", "cidr": "10.1.0.0/24"})
    native(live).post("/spaces/S/reservations", {"blocks": ["full"], "size": 24})
    assert "No address is left" in who.get("/spaces/S/blocks/full/forecast").words
    assert "full" in who.get("/overview/forecast").words


def test_a_page_of_fifty_blocks_with_a_past_is_small(tmp_path: Path) -> None:
    now = time.time()
    moment = now - 100 * DAY
    database = str(tmp_path / "register.db")
    plan = Plan(open_store(database), lambda: moment)

    def fill(tx: Tx, by: Author) -> None:
        tree_blocks.create_space(tx, by, "S" * 40, "many")
        for number in range(60):
            new = NewBlock(f"block-with-a-long-name-{number}", parse_cidr(f"10.{number}.0.0/16"))
            tree_blocks.create_block(tx, by, "S" * 40, new)
        for day in range(100):
            at = by._replace(now=by.now + day * DAY)
            for number in range(60):
                if (day + number) % (3 + number % 4) == 0:
                    names = (f"block-with-a-long-name-{number}",)
                    reserve(tx, ReservationRequest(at, "S" * 40, names, 24 + day % 4), at.now)

    plan.write(fill, Author("test"))
    plan.store.close()
    with serve(database, tmp_path) as live:
        answer = visitor(live, "admin").get("/forecast?horizon=3650")
    assert answer.text.count('<tr><th scope="row"') == 50
    assert "50 of 60 blocks" in answer.words
    assert len(answer.text.encode()) < 60_000


# ---- the picture


def forecast(**changed: object) -> Forecast:
    now = 100 * DAY
    given = {
        "name": "S/B", "space": "S", "block": "B", "cidr": "10.0.0.0/24", "size": 256, "taken": 128, "free": 128,
        "verdict": "dated", "why": "", "rate": 1.0, "likely": now + 128 * DAY, "earliest": now + 100 * DAY,
        "latest": now + 200 * DAY, "spread": 3.0, "since": now - 90 * DAY, "days": 90, "changes": 1, "claimed": 1,
        "freed": 0, "past": [38 + day for day in range(91)],
    }  # fmt: skip
    return Forecast(**{**given, **changed})  # type: ignore[arg-type]


def numbers(path: str) -> list[float]:
    return [float(each) for each in re.findall(r"-?\d+\.?\d*", path)]


@pytest.mark.parametrize("row", [
    forecast(), forecast(rate=500.0), forecast(rate=-500.0), forecast(likely=None, earliest=None, latest=None),
    forecast(size=2**96, taken=2**95, past=[2**95] * 91, rate=2.0**70, spread=2.0**80),
    forecast(spread=0.0), forecast(past=[5], days=0, rate=None, spread=None, likely=None, earliest=None, latest=None),
])  # fmt: skip
def test_a_picture_stays_within_its_frame(row: Forecast) -> None:
    growth = drawn(row, Period(100 * DAY))
    assert growth.until > 100 * DAY
    assert 0 <= growth.now <= WIDTH
    for path in (growth.past, growth.under, growth.ahead, growth.range):
        assert all(0 <= each <= WIDTH for each in numbers(path)), path
        assert len(path) < 1500
    assert bool(growth.ahead) == (row.rate is not None)
    assert bool(growth.range) == bool(row.spread)


def test_a_picture_begins_in_the_past_and_ends_where_nothing_is_left() -> None:
    growth = drawn(forecast(), Period(100 * DAY))
    assert numbers(growth.past)[:2] == [0, round(HEIGHT * (1 - 38 / 256), 1)]
    assert numbers(growth.past)[-2:] == [growth.now, HEIGHT / 2]
    assert numbers(growth.ahead) == [growth.now, HEIGHT / 2, growth.likely, 0]


class TestInChromium:
    pytestmark = needs_chromium

    def test_every_page_light_and_dark_on_a_desk_and_a_telephone(self, browser: Browser, sample: Live) -> None:
        look_all(browser, origin(sample), sample.admin.token, PLACES)

    def test_from_the_overview_to_the_block_by_keys_and_clicks(self, browser: Browser, sample: Live) -> None:
        with tab(browser) as page:
            sign_in(page, origin(sample), sample.admin.token)
            page.goto(origin(sample) + "/")
            page.locator(
                'a[href="/spaces/corp/blocks/uksouth/forecast"]'
            ).click()  # the other one is of the fullest blocks
            expect(page.get_by_role("heading", name="Forecast of uksouth", level=1)).to_be_visible()
            expect(page.get_by_role("img", name="full about")).to_be_visible()
            page.get_by_role("link", name="uksouth", exact=True).click()
            expect(page.get_by_role("img", name="full about")).to_be_visible()
            page.keyboard.press("g")
            page.keyboard.press("f")
            page.wait_for_url("**/forecast")
