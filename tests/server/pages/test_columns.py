"""Columns of lists, kept per person; keys; pages that ask again by themselves."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect
from tests.server.live import Client, Live
from tests.server.pages.chromium import accessible, needs_chromium, no_sideways_scrolling, origin, sign_in, tab, tab_to
from tests.server.pages.test_plan_pages import small, visitor
from tests.server.pages.visitor import Answer, Visitor

from unipam.plan.access.preferences import LISTS, USUAL
from unipam.server.pages.columns import HEADINGS

PLACES = {
    "plan": "/plan?open=S,S/B", "reservations": "/reservations", "networks": "/networks", "externals": "/externals",
}  # fmt: skip
ALWAYS = {
    "plan": ["Prefix", "Actions"], "reservations": ["Choose", "Prefix"], "networks": ["Network"],
    "externals": ["Prefix"],
}  # fmt: skip
"""Columns that nobody can leave out, by how their headings read."""


def test_every_column_has_a_heading_and_the_usual_ones_are_columns() -> None:
    assert {column for columns in LISTS.values() for column in columns} == set(HEADINGS)
    assert all(set(USUAL[name]) <= set(LISTS[name]) for name in LISTS)
    assert set(USUAL) == set(LISTS)


@pytest.mark.parametrize("name", PLACES)
def test_each_list_has_the_columns_that_its_reader_chose(live: Live, name: str) -> None:
    small(live)
    who = visitor(live, "admin")
    usual = who.get(PLACES[name]).rows()[0]
    for chosen in ((), LISTS[name], LISTS[name][-1:]):
        page = who.post("/me/columns", {**form(who.get(PLACES[name])), "list": name, "column": chosen})
        assert page.status == 200
        assert page.place.partition("?")[0] == PLACES[name].partition("?")[0], "one comes back to the list"
        shown = [cell for cell in page.rows()[0] if cell not in ALWAYS[name]]
        assert shown == [HEADINGS[column][0] for column in chosen]
        assert {len(row) for row in page.rows()} == {len(chosen) + len(ALWAYS[name])}, "a cell for each"
    assert who.post("/me/columns", {**form(page), "list": name, "usual": "yes"}).rows()[0] == usual


def form(page: Answer) -> dict[str, str]:
    """The hidden fields of the form that chooses columns."""
    given = page.fields("/me/columns")
    return {name: given[name] for name in ("form", "page")}


def test_columns_that_there_are_not_are_refused(admin: Visitor, api: Client) -> None:
    hidden = form(admin.get("/plan"))
    for wrong in ({"list": "planet"}, {"list": "plan", "column": "colour"}, {"list": ""}):
        assert admin.post("/me/columns", {**hidden, **wrong}).status == 400
    native = api.at("/api/v1")
    assert native.put("/me/preferences", {"columns": {"plan": ["colour"]}}).status == 400
    assert native.put("/me/preferences", {"columns": {"planet": []}}).status == 400
    assert native.put("/me/preferences", {"columns": {"plan": ["kind", "name"]}}).json["columns"] == {
        "plan": ["kind", "name"]
    }
    assert admin.get("/plan").rows()[0] == ["Prefix", "Name", "Kind", "Actions"], "in the list's order"
    assert admin.send(admin.get("/me"), "/me", theme="dark").status == 200
    assert native.get("/me/preferences").json["columns"] == {"plan": ["kind", "name"]}, "kept when colours change"


class TestKeys:
    """In Debian's Chromium, as they are pressed."""

    pytestmark = needs_chromium

    def test_n_makes_something_new_and_x_chooses(self, browser: Browser, sample: Live) -> None:
        with tab(browser) as page:
            sign_in(page, origin(sample), sample.admin.token)
            page.goto(origin(sample) + "/reservations")
            tab_to(page, "10.0.13.0/24")
            page.keyboard.press("x")
            expect(page.get_by_role("checkbox", name="Choose 10.0.13.0/24")).to_be_checked()
            page.keyboard.press("ArrowDown")
            page.keyboard.press("x")
            expect(page.get_by_role("checkbox", checked=True, name="Choose")).to_have_count(2)
            page.keyboard.press("n")
            expect(page.get_by_role("heading", level=1)).to_have_text("Reserve")
            page.goto(origin(sample) + "/plan")
            page.keyboard.press("n")
            expect(page.get_by_role("heading", level=1)).to_have_text("New space")

    def test_the_question_mark_lists_the_keys_and_esc_closes_them(self, browser: Browser, sample: Live) -> None:
        with tab(browser) as page:
            sign_in(page, origin(sample), sample.admin.token)
            page.goto(origin(sample) + "/plan")
            page.keyboard.press("?")
            dialog = page.get_by_role("dialog", name="Keys")
            expect(dialog.get_by_text("chooses the row")).to_be_visible()
            accessible(page)
            page.keyboard.press("Escape")
            expect(dialog).to_be_hidden()

    def test_the_map_is_walked_by_arrows(self, browser: Browser, sample: Live) -> None:
        with tab(browser, viewport={"width": 1280, "height": 900}) as page:
            sign_in(page, origin(sample), sample.admin.token)
            page.goto(origin(sample) + "/map?under=corp/hubs")
            first = page.locator(".drawing svg a").first
            first.focus()
            page.keyboard.press("ArrowDown")
            page.keyboard.press("ArrowUp")
            expect(first).to_be_focused()
            page.keyboard.press("Backspace")
            expect(page.get_by_role("heading", level=1)).to_have_text("corp")

    def test_columns_are_chosen_by_hand(self, browser: Browser, sample: Live) -> None:
        with tab(browser) as page:
            sign_in(page, origin(sample), sample.admin.token)
            page.goto(origin(sample) + "/networks")
            page.get_by_text("Columns", exact=True).click()
            page.get_by_role("checkbox", name="Resource group").check()
            page.get_by_role("checkbox", name="Overlapping?").uncheck()
            accessible(page)
            page.get_by_role("button", name="Show these").click()
            expect(page.get_by_role("columnheader", name="Resource group")).to_be_visible()
            expect(page.get_by_role("columnheader", name="Overlapping?")).to_have_count(0)
            page.get_by_text("Columns", exact=True).click()
            page.get_by_role("button", name="The usual ones").click()
            expect(page.get_by_role("columnheader", name="Overlapping?")).to_be_visible()

    def test_pages_reflow_at_400_per_cent_and_hold_still_for_who_wants_that(
        self, browser: Browser, sample: Live
    ) -> None:
        """1280 pixels at 400 % are 320 (WCAG 1.4.10); nothing moves by itself (2.3.3)."""
        with tab(browser, viewport={"width": 320, "height": 256}, reduced_motion="reduce") as page:
            sign_in(page, origin(sample), sample.admin.token)
            for place in ("/", "/plan", "/map", "/map?view=areas", "/networks", "/networks?tab=findings", "/reserve",
                          "/reservations", "/sizing", "/journal", "/me", "/leases", "/keys"):  # fmt: skip
                page.goto(origin(sample) + place)
                no_sideways_scrolling(page)
                moving = page.evaluate("document.getAnimations().length")
                assert not moving, place
