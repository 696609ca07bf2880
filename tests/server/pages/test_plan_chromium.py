"""The plan's pages in Chromium: as they look, and as a planner works with them, by keyboard and by mouse."""

from __future__ import annotations

import urllib.parse

import pytest
from playwright.sync_api import Browser, expect
from tests.server.live import Client, Live
from tests.server.pages.chromium import look, look_all, needs_chromium, origin, sign_in, tab, tab_to

pytestmark = needs_chromium


def hub(live: Live) -> str:
    networks = live.admin.at("/api/v1").get("/cloud/networks?q=hub-we").json["items"]
    return urllib.parse.quote(next(row["id"] for row in networks if row["name"] == "hub-we"), safe="")


PLACES = {
    "plan": "/plan?open=corp,corp/uksouth", "map": "/map", "map-block": "/map?under=corp/westeurope",
    "map-areas": "/map?under=corp/westeurope&view=areas", "space": "/spaces/corp",
    "block": "/spaces/corp/blocks/uksouth?bits=24", "external": "/spaces/corp/blocks/datacentre/externals/dublin",
    "reserve": "/reserve?space=corp&block=westeurope&size=22", "no-room": "/reserve?space=corp&block=uksouth&size=18",
    "reservations": "/reservations", "reservations-over": "/reservations?status=over", "networks": "/networks",
    "findings": "/networks?tab=findings", "externals": "/externals?kind=endpoint", "endpoints": "/networks/endpoints",
    "sizing": "/sizing?variant=pod-subnet&nodes=30&max_pods=50", "diagnose": "/diagnose",
    "new": "/new/block?space=corp", "map-use": "/map?colour=use", "map-owner": "/map?colour=owner&under=corp/pods",
    "unplanned": "/networks?plan=unplanned", "leases": "/leases", "keys": "/keys",
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_a_page_is_sound(browser: Browser, sample: Live, name: str) -> None:
    look(browser, origin(sample), sample.admin.token, PLACES[name], name)


def test_the_peerings_of_a_hub_are_drawn(browser: Browser, sample: Live) -> None:
    look(browser, origin(sample), sample.admin.token, f"/network?id={hub(sample)}", "network")


def test_an_endpoint_and_its_subnet_are_sound(browser: Browser, sample: Live) -> None:
    api = sample.admin.at("/api/v1")
    found = api.get("/cloud/endpoints?q=pe-").json["items"][0]
    named = {"id": found["id"], "address": found["private_ip"]}
    within = {"id": found["vnet_id"], "name": found["subnet_name"]}
    places = {
        "endpoint": f"/networks/endpoint?{urllib.parse.urlencode(named)}",
        "subnet": f"/networks/subnet?{urllib.parse.urlencode(within)}",
    }
    look_all(browser, origin(sample), sample.admin.token, places)


def test_the_tree_opens_where_it_is_and_back_goes_back(browser: Browser, sample: Live) -> None:
    with tab(browser) as page:
        sign_in(page, origin(sample), sample.admin.token)
        page.goto(origin(sample) + "/plan")
        page.get_by_role("link", name="Open uksouth").click()
        expect(page.get_by_role("link", name="Close uksouth")).to_be_visible()
        assert "open=" in page.url
        assert page.get_by_text("10.32.0.0/24").or_(page.get_by_text("10.32.0.0/23")).count() > 0
        page.reload()
        expect(page.get_by_role("link", name="Close uksouth")).to_be_visible()
        page.go_back()
        expect(page.get_by_role("link", name="Open uksouth")).to_be_visible()


def test_what_is_around_the_tree_knows_what_is_open(browser: Browser, sample: Live) -> None:
    with tab(browser) as page:
        sign_in(page, origin(sample), sample.admin.token)
        page.goto(origin(sample) + "/plan?space=corp")
        page.get_by_role("link", name="Open hubs").click()
        expect(page.get_by_role("link", name="Close hubs")).to_be_focused()
        links = page.locator("[data-copy]")
        assert urllib.parse.unquote(links.nth(0).get_attribute("data-copy") or "") == urllib.parse.unquote(page.url)
        assert "corp/hubs" in (links.nth(1).get_attribute("data-copy") or "")
        page.get_by_label("Show", exact=True).select_option("used")
        page.get_by_role("button", name="Filter").click()
        expect(page.get_by_role("link", name="Close hubs")).to_be_visible()


def test_a_row_that_is_opened_stays_where_it_was(browser: Browser, sample: Live) -> None:
    with tab(browser, viewport={"width": 1280, "height": 800}) as page:
        sign_in(page, origin(sample), sample.admin.token)
        page.goto(origin(sample) + "/plan")
        page.get_by_role("link", name="Open uksouth").click()
        expect(page.get_by_role("link", name="Close uksouth")).to_be_visible()
        assert page.evaluate("scrollY") == 0


def test_the_tree_is_walked_by_arrows(browser: Browser, sample: Live) -> None:
    with tab(browser, permissions=["clipboard-read", "clipboard-write"]) as page:
        sign_in(page, origin(sample), sample.admin.token)
        page.goto(origin(sample) + "/plan?open=corp")
        tab_to(page, "Open westeurope")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("link", name="Close westeurope")).to_be_focused()
        page.keyboard.press("c")
        expect(page.get_by_role("status").get_by_text("Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == "10.0.0.0/12"
        page.keyboard.press("ArrowLeft")
        expect(page.get_by_role("link", name="Open westeurope")).to_be_focused()


def test_files_are_dropped_on_the_page(browser: Browser, api: Client, live: Live) -> None:
    with tab(browser) as page:
        sign_in(page, origin(live), api.token)
        page.goto(origin(live) + "/diagnose")
        page.get_by_label("Logs, states, dumps").set_input_files(
            [{"name": "kubelet.log", "mimeType": "text/plain", "buffer": b"I1126 a line of nobody's\n" * 5}]
        )
        page.get_by_role("button", name="Diagnose").click()
        expect(page.get_by_role("heading", name="What is wrong")).to_be_visible()
        expect(page.get_by_text("kubelet.log").first).to_be_visible()


def test_every_state_of_a_page_works_without_scripts(browser: Browser, sample: Live) -> None:
    with tab(browser, java_script_enabled=False) as page:
        sign_in(page, origin(sample), sample.admin.token)
        page.goto(origin(sample) + "/plan")
        page.get_by_role("link", name="Open hubs").click()
        assert page.get_by_role("link", name="Close hubs").count() == 1
        page.goto(origin(sample) + "/reserve")
        page.get_by_label("Prefix length").fill("24")
        page.get_by_label("Blocks, in this order").fill("uksouth")
        page.get_by_role("button", name="Preview").click()
        assert page.get_by_role("button", name="Reserve 10.32").count() == 1
