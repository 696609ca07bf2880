"""What the register answers to requests that it does not know, whichever API they are for."""

from __future__ import annotations

import pytest
from tests.server.live import Client


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/api/spaces/", "/api/spaces"),
        ("/api/spaces/?expand=true&utilization=true", "/api/spaces?expand=true&utilization=true"),
        ("/api/v1/spaces/S/blocks//", "/api/v1/spaces/S/blocks"),
        ("/api/spaces/a%0D%0Ab/", "/api/spaces/a%0D%0Ab"),
        ("/healthz/", "/healthz"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_slash_too_many_leads_to_a_place_on_this_server(api: Client, method: str, path: str, place: str) -> None:
    """Whatever host the request names: that is anybody's word, and a cache may keep the answer."""
    answer = api.at("").ask(method, path, headers={"Host": "evil.example"})
    assert (answer.status, answer.headers["Location"]) == (307, place)


@pytest.mark.parametrize("path", ["//evil.example/", "/nope/", "/api/nope/", "//", "/api/spaces//evil.example//"])
def test_a_place_that_is_none_is_not_led_to(api: Client, path: str) -> None:
    answer = api.at("").ask("GET", path, headers={"Host": "evil.example"})
    assert (answer.status, answer.headers["Location"]) == (404, None)


def test_a_page_is_for_who_signed_in(api: Client) -> None:
    """A browser is sent to sign in; a program is told so in the application's words."""
    answer = api.at("").ask("GET", "/", headers={"Host": "evil.example"})
    assert (answer.status, answer.headers["Location"]) == (401, None)
    answer = api.at("").ask("GET", "/", headers={"Host": "evil.example", "Accept": "text/html"})
    assert (answer.status, answer.headers["Location"]) == (303, "/auth/sign-in")
