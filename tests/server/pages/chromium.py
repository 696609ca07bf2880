"""Debian's Chromium, by Playwright: whatever it complains of on the console, or of the policy, fails the test."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from tests.server.live import Live

PATH = Path("/usr/bin/chromium")
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
SHOTS = os.environ.get("UNIPAM_SHOTS", "")
"""A directory for screenshots of every page that a test looks at; none are made without it."""

_FOCUSED = """(() => {
  const it = document.activeElement;
  return it.getAttribute("aria-label") || (it.labels && it.labels.length ? it.labels[0].innerText : it.innerText) || "";
})()"""

needs_chromium = [
    pytest.mark.real,
    pytest.mark.skipif(not PATH.exists(), reason="needs Debian's chromium"),
]


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; it ends with the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(PATH), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def tab(browser: Browser, *, may_fail: tuple[int, ...] = (), **options: Any) -> Iterator[Page]:
    """A tab of a profile of its own. Raises AssertionError at the end for anything on its console.

    Chromium writes there of every answer that is an error; a test that wants some names their statuses.
    """
    context = browser.new_context(**options)
    page = context.new_page()
    complaints: list[str] = []

    def told(message: ConsoleMessage) -> None:
        awaited = any(f"status of {status} " in message.text for status in may_fail)
        if message.type in ("error", "warning") and not awaited:
            complaints.append(message.text)

    page.on("console", told)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        yield page
    finally:
        context.close()
    assert not complaints, complaints


def origin(live: Live) -> str:
    """Where a register's pages are."""
    return f"http://127.0.0.1:{live.admin.port}"


def sign_in(page: Page, origin: str, token: str) -> None:
    """Sign in as a person does."""
    page.goto(f"{origin}/auth/sign-in?next=/status")
    page.get_by_label("API token").fill(token)
    page.get_by_role("button", name="Sign in with the token").click()
    page.wait_for_load_state()


def tab_to(page: Page, name: str, most: int = 150) -> None:
    """Press the tab key until what is called so has the focus: by its name, or by its beginning and `...`.

    Raises AssertionError if nothing is.
    """
    passed = []
    for _ in range(most):
        page.keyboard.press("Tab")
        passed.append(page.evaluate(_FOCUSED).strip())
        if passed[-1] == name or (name.endswith("...") and passed[-1].startswith(name[:-3])):
            return
    raise AssertionError(f"nothing called {name!r} among {list(dict.fromkeys(passed))}")


def accessible(page: Page) -> None:
    """Hold what is on the screen to WCAG 2.2 A and AA, as far as axe-core can tell."""
    # The policy forbids scripts of others, this one too: it is evaluated through the debugger.
    page.evaluate(AXE.read_text())
    kinds = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = page.evaluate("kinds => axe.run(document, {runOnly: kinds})", kinds)
    bad = [
        (each["id"], [n["html"][:200] + " " + n["failureSummary"] for n in each["nodes"][:3]])
        for each in found["violations"]
    ]
    assert not bad, bad


def no_sideways_scrolling(page: Page) -> None:
    """A page is as wide as its window; only tables scroll in their own frames."""
    wide, there = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= there, f"{page.url} is {wide} px wide in a window of {there}"


def shot(page: Page, name: str) -> None:
    """Keep a picture of the whole page, where somebody wants some."""
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def look(browser: Browser, origin: str, token: str, place: str, name: str) -> None:
    """Look at a page as people do, light and dark, on a desk and on a telephone, and hold it to what is promised."""
    look_all(browser, origin, token, {name: place})


def look_all(browser: Browser, origin: str, token: str, places: dict[str, str]) -> None:
    """Look at several pages, signing in but once for each kind of window."""
    for scheme in ("light", "dark"):
        for width in (1280, 400):
            with tab(browser, viewport={"width": width, "height": 900}, color_scheme=scheme) as page:
                sign_in(page, origin, token)
                for name, place in places.items():
                    page.goto(origin + place)
                    page.wait_for_load_state("networkidle")
                    shot(page, f"{name}-{scheme}-{width}")
                    accessible(page)
                    no_sideways_scrolling(page)
