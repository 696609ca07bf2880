"""What every page has around it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect
from tests.server.live import Client, Live, token
from tests.server.pages.chromium import look_all, needs_chromium, sign_in, tab
from tests.server.pages.visitor import Visitor


def test_who_has_not_signed_in_is_sent_to_do_so_and_comes_back(stranger: Visitor, live: Live) -> None:
    page = stranger.get("/status")
    assert page.heading == "Sign in"
    answer = stranger.send(page, "/auth/token", token=live.admin.token)
    assert (answer.status, answer.heading, answer.place) == (200, "Status", "/status")


def test_an_address_where_nothing_is_has_a_page(stranger: Visitor, admin: Visitor) -> None:
    for who in (stranger, admin):
        answer = who.get("/nothing/here?<script>=1")
        assert (answer.status, answer.heading) == (404, "There is no such page")


def test_the_navigation_names_only_pages_that_are_there(admin: Visitor) -> None:
    page = admin.get("/status")
    (side,) = page.find("nav", id="navigation")
    for link in side.iter("a"):
        assert admin.get(str(link.get("href"))).status == 200
    (current,) = (link for link in side.iter("a") if link.get("aria-current") == "page")
    assert current.get("href") == "/status"


def test_assets_keep_for_ever_and_are_named_by_their_content(stranger: Visitor) -> None:
    page = stranger.get("/auth/sign-in")
    places = [each.get("href") for each in page.find("link")] + [each.get("src") for each in page.find("script")]
    assert len(places) >= 4
    for place in places:
        answer = stranger.raw("GET", str(place))
        assert answer.status == 200, place
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert stranger.raw("GET", "/assets/unipam.css").status == 404


def test_the_policy_lets_nothing_in_from_elsewhere(admin: Visitor) -> None:
    policy = admin.get("/status").headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "frame-ancestors 'none'; base-uri 'none'" in policy
    assert "unsafe" not in policy


PLACES = {
    "overview": "/", "journal": "/journal", "address": "/addresses/10.0.4.7", "search": "/search?q=B",
    "tokens": "/access", "grants": "/access/grants", "sessions": "/access/sessions",
    "check": "/access/check?person=x", "me": "/me", "status": "/status", "nowhere": "/nowhere",
}  # fmt: skip


class TestInChromium:
    pytestmark = needs_chromium

    def test_every_page_on_a_desk_and_a_telephone_light_and_dark(
        self, browser: Browser, live: Live, api: Client
    ) -> None:
        places = {name: place for name, place in PLACES.items() if name != "nowhere"}
        look_all(browser, f"http://127.0.0.1:{live.admin.port}", api.token, places)

    def test_the_search_answers_while_one_types_and_by_keys_alone(
        self, browser: Browser, live: Live, api: Client
    ) -> None:
        origin = f"http://127.0.0.1:{live.admin.port}"
        with tab(browser, viewport={"width": 1280, "height": 800}) as page:
            sign_in(page, origin, api.token)
            page.keyboard.press("/")
            page.keyboard.type("10.0.0")
            page.keyboard.type(".0/16")
            page.locator("#found").get_by_text("B", exact=True).wait_for()
            page.keyboard.press("Escape")
            assert page.locator("#found").inner_text() == ""
            page.locator("body").click(position={"x": 600, "y": 700})
            page.keyboard.press("g")
            page.keyboard.press("j")
            page.wait_for_url("**/journal")
            page.get_by_role("heading", name="Journal", level=1).wait_for()

    def test_arrows_lead_from_the_search_to_its_answers_and_back(
        self, browser: Browser, live: Live, api: Client
    ) -> None:
        with tab(browser) as page:
            sign_in(page, f"http://127.0.0.1:{live.admin.port}", api.token)
            page.keyboard.press("/")
            page.keyboard.type("10.0.0.0/16")
            page.locator("#found").get_by_text("B", exact=True).wait_for()
            page.keyboard.press("ArrowDown")
            page.keyboard.press("ArrowDown")
            expect(page.locator("#found a").nth(1)).to_be_focused()
            page.keyboard.press("ArrowUp")
            page.keyboard.press("ArrowUp")
            expect(page.locator("#search")).to_be_focused()
            page.keyboard.press("ArrowDown")
            page.keyboard.press("Enter")
            page.wait_for_url("**/addresses/10.0.0.0/16")

    def test_a_button_pressed_twice_sends_once_and_the_token_is_seen(
        self, browser: Browser, live: Live, api: Client
    ) -> None:
        origin = f"http://127.0.0.1:{live.admin.port}"
        with tab(browser) as page:
            sign_in(page, origin, api.token)
            page.goto(origin + "/access")
            page.locator("#f-name").fill("twice")
            page.get_by_label("S", exact=True).check()
            twice = """it => {
                const prevented = [];
                addEventListener("submit", event => prevented.push(event.defaultPrevented));
                it.click();
                it.click();
                return prevented;
            }"""
            assert page.get_by_role("button", name="Make the token").evaluate(twice) == [False, True]
            expect(page.locator("#fresh")).to_contain_text("unipam_")
            expect(page.get_by_role("rowheader", name="twice")).to_have_count(1)

    def test_a_page_says_what_it_copied(self, browser: Browser, live: Live, api: Client) -> None:
        origin = f"http://127.0.0.1:{live.admin.port}"
        with tab(browser, permissions=["clipboard-read", "clipboard-write"]) as page:
            sign_in(page, origin, api.token)
            page.goto(f"{origin}/journal?verb=create")
            page.get_by_text("Share").click()
            page.get_by_role("button", name="Copy link").click()
            page.get_by_role("status").get_by_text("Copied").wait_for()
            assert page.evaluate("navigator.clipboard.readText()") == f"{origin}/journal?verb=create"
            page.get_by_role("button", name="Copy as curl").click()
            page.wait_for_timeout(100)
            assert "/api/v1/journal?verb=create" in page.evaluate("navigator.clipboard.readText()")


@pytest.mark.parametrize("name", PLACES)
def test_every_page_keeps_its_promises_for_every_role(live: Live, api: Client, name: str) -> None:
    for role, spaces in (("admin", ()), ("planner", ("S",)), ("reader", ())):
        visitor = Visitor(live.admin.port)
        visitor.sign_in(token(api, f"a-{role}", role, *spaces).token, "/status")
        answer = visitor.get(PLACES[name])
        wanted = 404 if name == "nowhere" else 403 if name == "check" and role != "admin" else 200
        assert answer.status == wanted, (role, answer.words)
        assert len(answer.text.encode()) < 60_000
