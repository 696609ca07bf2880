"""The documentation's pages are whole without anybody else's server."""

from __future__ import annotations

import http.client
import re

import pytest
from tests.server.live import Live


@pytest.mark.parametrize("page", ["/api/docs", "/api/redoc"])
def test_pages_bring_their_own_scripts(live: Live, page: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", live.admin.port, timeout=30)
    connection.request("GET", page)
    text = connection.getresponse().read().decode()
    assets = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert assets
    for asset in assets:
        assert asset.startswith("/api/assets/")
        connection.request("GET", asset)
        answer = connection.getresponse()
        assert (answer.status, len(answer.read()) > 0) == (200, True)


def test_json_that_does_not_say_so_is_read(live: Live) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", live.admin.port, timeout=30)
    headers = {"Authorization": f"Bearer {live.admin.token}"}
    connection.request("POST", "/api/spaces", b'{"name": "untyped", "desc": "from Go"}', headers)
    assert connection.getresponse().status == 201
