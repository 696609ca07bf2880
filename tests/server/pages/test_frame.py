"""What every page has around it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser
from tests.server.live import Client, Live
from tests.server.pages.chromium import look, needs_chromium
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


@pytest.mark.usefixtures("api")
class TestInChromium:
    pytestmark = needs_chromium

    def test_the_status_page(self, browser: Browser, live: Live, api: Client) -> None:
        for place, name in (("/", "overview"), ("/journal", "journal"), ("/status", "status")):
            look(browser, f"http://127.0.0.1:{live.admin.port}", api.token, place, name)
