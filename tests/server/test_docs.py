"""The documentation's pages are whole without anybody else's server; JSON that does not say so is read."""

from __future__ import annotations

import contextlib
import http.client
import re

import pytest
from tests.server.live import Live


def ask(port: int, method: str, path: str, body: bytes | None = None, token: str = "") -> tuple[int, str]:
    """One request as written, without a header that nobody named."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, path, body, {"Authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")


@pytest.mark.parametrize("page", ["/api/docs", "/api/redoc"])
def test_pages_bring_their_own_scripts(live: Live, page: str) -> None:
    assets = re.findall(r'(?:src|href)="([^"]+)"', ask(live.admin.port, "GET", page)[1])
    assert assets
    for asset in assets:
        assert asset.startswith("/api/assets/")
        status, content = ask(live.admin.port, "GET", asset)
        assert (status, bool(content)) == (200, True)


def test_json_that_does_not_say_so_is_read(live: Live) -> None:
    body = b'{"name": "untyped", "desc": "from Go"}'
    assert ask(live.admin.port, "POST", "/api/spaces", body, live.admin.token)[0] == 201
