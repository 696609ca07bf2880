"""What a planner comes for, done in Chromium: each task by keyboard alone, and by mouse."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Download, Page, expect
from tests.server.live import Client, Live
from tests.server.pages.chromium import needs_chromium, origin, sign_in, tab, tab_to

pytestmark = needs_chromium

SPACE = "/spaces/corp"
MARCH = "2026-03-15T12:00"


@pytest.fixture(scope="module")
def full(sample: Live) -> Live:
    """The sample, with the only /16 of we-aks that was free given away by the API."""
    wanted = {"blocks": ["we-aks"], "size": 16, "desc": "the landing zone"}
    assert sample.admin.at("/api/v1").post(f"{SPACE}/reservations", wanted).status == 201
    return sample


@pytest.fixture
def page(browser: Browser, full: Live) -> Iterator[Page]:
    """A tab of an administrator's."""
    with tab(browser, viewport={"width": 1280, "height": 800}) as opened:
        sign_in(opened, origin(full), full.admin.token)
        yield opened


# ---- reserve a /22 in westeurope


def test_a_22_is_reserved_by_keyboard(page: Page) -> None:
    page.keyboard.press("g")
    page.keyboard.press("+")
    expect(page.get_by_label("Prefix length")).to_be_focused()
    page.keyboard.type("22")
    tab_to(page, "Blocks, in this order")
    page.keyboard.type("westeurope")
    expect(page.get_by_role("button", name="Reserve 10.")).to_be_visible()
    tab_to(page, "What it is for")
    page.keyboard.type("by keyboard")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("by keyboard")
    expect(page.get_by_text("az network vnet create")).to_be_visible()


def test_a_22_is_reserved_by_mouse(page: Page) -> None:
    page.get_by_role("link", name="Reserve").click()
    page.get_by_label("Prefix length").fill("22")
    page.get_by_role("button", name="westeurope 10.0.0.0/12").click()
    page.get_by_label("What it is for").fill("by mouse")
    page.get_by_role("button", name="Reserve 10.").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("by mouse")
    expect(page.get_by_text("az network vnet create")).to_be_visible()


def test_after_the_preview_the_keyboard_is_at_what_it_shows(page: Page, full: Live) -> None:
    page.goto(origin(full) + "/reserve")
    page.get_by_label("Prefix length").fill("22")
    page.get_by_role("button", name="uksouth 10.32.0.0/17").click()
    expect(page.get_by_role("heading", name="3 What it would be")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("What it is for")).to_be_focused()
    page.get_by_role("button", name="northeurope 10.16.0.0/13").click()  # another one may be chosen as before
    expect(page.get_by_role("button", name="Reserve 10.1")).to_be_visible()


# ---- see why a /16 does not fit, and who holds the rest


def no_room_is_explained(page: Page) -> None:
    expect(page.get_by_text("There is no room for a /16 in we-aks: 10.")).to_be_visible()
    expect(page.get_by_role("heading", name="Who holds the rest")).to_be_visible()
    rows = page.get_by_role("table", name="The largest holders").get_by_role("row")
    expect(rows.filter(has_text="the landing zone")).to_contain_text("10.14.0.0/16")


def test_why_a_16_does_not_fit_is_seen_by_keyboard(page: Page) -> None:
    page.keyboard.press("g")
    page.keyboard.press("+")
    expect(page.get_by_label("Prefix length")).to_be_focused()
    page.keyboard.type("16")
    tab_to(page, "Blocks, in this order")
    page.keyboard.type("we-aks")
    no_room_is_explained(page)
    tab_to(page, "the landing zone")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("the landing zone")


def test_why_a_16_does_not_fit_is_seen_by_mouse(page: Page) -> None:
    page.get_by_role("link", name="Reserve").click()
    page.get_by_label("Prefix length").fill("16")
    page.get_by_role("button", name="we-aks 10.12.0.0/14").click()
    no_room_is_explained(page)
    page.get_by_role("link", name="All that lies in we-aks").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("we-aks")
    page.go_back()
    page.get_by_role("link", name="the landing zone").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("the landing zone")


def test_what_is_larger_than_its_block_is_said_to_be(page: Page, full: Live) -> None:
    page.goto(origin(full) + "/reserve?space=corp&block=uksouth&size=16")
    expect(page.get_by_text("A /16 is larger than uksouth (10.32.0.0/17).")).to_be_visible()


# ---- who has an address, and who had it last March?


def test_who_has_an_address_and_who_had_it_is_found_by_keyboard(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("10.12.4.7")
    expect(page.locator("#found").get_by_text("who has it")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("In corp, 10.12.4.7 is in the network vnet-iot-prod-we-aks-002.")).to_be_visible()
    expect(page.get_by_role("heading", name="Now in Azure")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("10.0.13.7")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search*")
    tab_to(page, "10.0.13.7: who has it, who had it, why?")
    page.keyboard.press("Enter")
    expect(page.get_by_text("In corp, 10.0.13.7 is in the reservation")).to_be_visible()
    tab_to(page, "Time")
    page.keyboard.press("Enter")
    tab_to(page, "Show the plan as it was at")
    page.keyboard.type("031520261200PM")
    page.keyboard.press("Enter")
    had_in_march(page)


def had_in_march(page: Page) -> None:
    page.wait_for_url("**at=2026-03-15**")
    then = "At 2026-03-15 12:00:00 UTC, 10.0.13.7 was in the network vnet-ml-prod-we-011 in corp / westeurope."
    expect(page.get_by_text(then)).to_be_visible()
    expect(page.get_by_text("was in the block dev in sandbox.")).to_be_visible()


def test_who_has_an_address_and_who_had_it_is_found_by_mouse(page: Page) -> None:
    page.get_by_role("searchbox").fill("10.0.13.7")
    page.locator("#found").get_by_text("who has it").click()
    row = page.get_by_role("row", name="vnet-ml-prod-we-011")
    expect(row).to_contain_text("vanish")
    page.get_by_text("Time", exact=True).first.click()
    page.get_by_label("Show the plan as it was at").fill(MARCH)
    page.get_by_role("button", name="Show").click()
    had_in_march(page)


# ---- associate a drifting network


def test_a_drifting_network_is_associated_by_keyboard(page: Page) -> None:
    page.keyboard.press("g")
    page.keyboard.press("n")
    page.wait_for_url("**/networks")
    tab_to(page, "In the plan?")
    page.keyboard.type("not in")
    tab_to(page, "Overlapping?")
    page.keyboard.type("not")
    tab_to(page, "Filter")
    page.keyboard.press("Enter")
    page.wait_for_url("**plan=unplanned*")
    tab_to(page, "Associate with...")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").get_by_text(" now.")).to_be_visible()


def test_a_drifting_network_is_associated_by_mouse(page: Page) -> None:
    page.get_by_role("link", name="Networks & drift").click()
    page.get_by_role("combobox", name="In the plan?").select_option("not in the plan")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("row", name="vnet-skunkworks").get_by_role("button", name="Associate with westeurope").click()
    expect(page.get_by_text("vnet-skunkworks is in westeurope now")).to_be_visible()


# ---- make a planner's token


def plans(page: Page, full: Live) -> None:
    """The token that the page shows is a planner's of corp, and of nothing else."""
    made = Client(full.admin.port, page.locator("#fresh").inner_text(), "/api/v1")
    assert made.post(f"{SPACE}/reservations?dry_run=true", {"blocks": ["hubs"], "size": 28}).status == 201
    assert made.post("/spaces/sandbox/blocks", {"name": "x", "cidr": "10.200.0.0/16"}).status == 403


def test_a_planner_s_token_is_made_by_keyboard(page: Page, full: Live) -> None:
    page.keyboard.press("g")
    page.keyboard.press("a")
    page.wait_for_url("**/access")
    tab_to(page, "Name")
    page.keyboard.type("pipeline-by-keyboard")
    tab_to(page, "corp")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The token pipeline-by-keyboard is made.")).to_be_visible()
    plans(page, full)


def test_a_planner_s_token_is_made_by_mouse(page: Page, full: Live) -> None:
    page.get_by_role("link", name="Access").click()
    page.get_by_label("Name", exact=True).fill("pipeline-by-mouse")
    page.get_by_role("checkbox", name="corp", exact=True).click()
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_text("The token pipeline-by-mouse is made.")).to_be_visible()
    plans(page, full)


# ---- export all free /24


def exported(file: Download) -> None:
    lines = file.path().read_text().splitlines()
    assert lines[0].startswith("kind,cidr")
    assert len(lines) > 100
    assert all(line.startswith("free,") and "/24," in line for line in lines[1:])


def test_all_free_24_are_exported_by_keyboard(page: Page) -> None:
    page.keyboard.press("g")
    page.keyboard.press("p")
    page.wait_for_url("**/plan")
    tab_to(page, "Show")
    page.keyboard.type("free")
    tab_to(page, "Free as")
    page.keyboard.type("24")
    page.keyboard.press("Enter")
    page.wait_for_url("**size=24*")
    tab_to(page, "Share")
    page.keyboard.press("Enter")
    tab_to(page, "Export CSV")
    with page.expect_download() as waiting:
        page.keyboard.press("Enter")
    exported(waiting.value)


def test_all_free_24_are_exported_by_mouse(page: Page) -> None:
    page.get_by_role("link", name="Plan", exact=True).click()
    page.get_by_label("Show", exact=True).select_option("free")
    page.get_by_label("Free as").fill("24")
    page.get_by_role("button", name="Filter").click()
    page.get_by_text("Share", exact=True).click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Export CSV").click()
    exported(waiting.value)
