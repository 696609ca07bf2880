"""How soon a page is on the screen, in Chromium, which has its scripts and styles from an earlier page."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from playwright.sync_api import Page, sync_playwright


class Painted(NamedTuple):
    """Milliseconds from the click to the first contentful paint, and until everything that was sent is drawn."""

    first: float
    drawn: float


_FIRST = """() => new Promise(done => new PerformanceObserver(list => {
    const first = list.getEntriesByName('first-contentful-paint')[0];
    if (first) done(first.startTime);
}).observe({type: 'paint', buffered: true}))"""
_DRAWN = """() => new Promise(done =>
    requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"""
"""The second frame after the page was loaded begins when the first one, which shows all of it, is on the screen."""


def painted(program: str, port: int, token: str, pages: Sequence[str], times: int) -> dict[str, Painted]:
    """Return for each page the median of some visits."""
    origin = f"http://127.0.0.1:{port}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{origin}/auth/sign-in?next=/status")
        page.get_by_label("API token").fill(token)
        page.get_by_role("button", name="Sign in with the token").click()
        page.wait_for_url("**/status")
        return {place: _median([_visit(page, origin + place) for _ in range(times)]) for place in pages}


def _visit(page: Page, address: str) -> Painted:
    page.goto(address, wait_until="load")
    drawn = float(page.evaluate(_DRAWN))
    return Painted(float(page.evaluate(_FIRST)), drawn)


def _median(visits: list[Painted]) -> Painted:
    return Painted(*(statistics.median(some) for some in zip(*visits, strict=True)))
