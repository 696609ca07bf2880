"""Somebody at a register's pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from tests.server.live import Client, Live
from tests.server.pages.chromium import chromium
from tests.server.pages.visitor import Visitor


@pytest.fixture
def stranger(live: Live) -> Visitor:
    """Who has not signed in."""
    return Visitor(live.admin.port)


@pytest.fixture
def admin(live: Live, api: Client) -> Visitor:
    """The administrator, of a register with a space S and in it a block B."""
    visitor = Visitor(live.admin.port)
    assert visitor.sign_in(api.token).status in (200, 404)
    return visitor


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, started once a file: while it runs its event loop is the thread's, and asyncio.run() is refused."""
    with chromium() as started:
        yield started
