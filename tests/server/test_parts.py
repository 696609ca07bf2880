"""What belongs to the APIs alone: answers that nobody stores, errors as JSON. Elsewhere are pages and their assets."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.responses import Response
from tests.server.live import Client, serve

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize("path", ["/nope", "/apis", "/pages/<script>"])
def test_a_browser_gets_a_page_for_a_page_that_is_none(api: Client, path: str) -> None:
    answer = api.at("").get(path, **BROWSER)
    assert (answer.status, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert b"Nothing is at " in answer.body
    assert b"/<script>" not in answer.body


@pytest.mark.parametrize("path", ["/api", "/api/nope", "/api/v1/nope", "/healthz/nope"])
def test_an_api_speaks_json_to_a_browser_too(api: Client, path: str) -> None:
    answer = api.at("").get(path, **BROWSER)
    assert (answer.status, answer.headers["Cache-Control"]) == (404, "no-store")
    assert "json" in answer.headers["Content-Type"]


def test_whoever_takes_no_page_gets_json_everywhere(api: Client) -> None:
    answer = api.at("").get("/nope", Accept="application/json")
    assert (answer.status, answer.error) == (404, "Invalid API path.")


async def asset() -> Response:
    return Response("x", headers={"Cache-Control": "max-age=60"})


@pytest.mark.parametrize(("path", "kept"), [("/elsewhere/x", "max-age=60"), ("/api/x", "max-age=60, no-store")])
def test_only_what_is_outside_of_the_apis_may_be_kept(tmp_path: Path, path: str, kept: str) -> None:
    with serve(str(tmp_path / "register.db"), tmp_path) as live:
        live.app.add_api_route(path, asset)
        answer = live.admin.at("").get(path)
        assert ", ".join(answer.headers.get_all("Cache-Control") or []) == kept
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert live.admin.at("").get("/healthz").headers["Cache-Control"] == "no-store"
