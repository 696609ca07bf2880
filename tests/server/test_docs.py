"""The documentation: its pages are whole without anybody else's server, and what it tells of the Azure IPAM API."""

from __future__ import annotations

import contextlib
import http.client
import re
from collections.abc import Iterator
from typing import Any

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


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The operations of the Azure IPAM API, by method and path."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if not path.startswith("/api/v1/"):
                yield f"{method} {path}", operation


EMPTY = {
    "post /api/admin/admins", "put /api/admin/admins", "delete /api/admin/admins/{object_id}",
    "put /api/admin/exclusions", "post /api/admin/exclusions", "delete /api/admin/exclusions/{subscription_id}",
}  # fmt: skip
"""Operations besides every other DELETE that answer nothing (spec §2.6)."""


def test_every_answer_of_the_azure_api_has_a_schema(live: Live) -> None:
    found = dict(operations(live.admin.get("/openapi.json").json))
    assert found
    for name, operation in found.items():
        (answer,) = (answer for status, answer in operation["responses"].items() if status.startswith("2"))
        schema = answer.get("content", {}).get("application/json", {}).get("schema")
        empty = name in EMPTY or name.startswith("delete ")
        assert bool(schema) is not empty, name


def test_an_externals_description_is_optional(live: Live) -> None:
    body = live.admin.get("/openapi.json").json["components"]["schemas"]["ExternalBody"]
    assert body["required"] == ["name"]


def test_the_two_apis_are_told_apart(live: Live) -> None:
    document = live.admin.get("/openapi.json").json
    ours, theirs = document["x-tagGroups"]
    assert (ours["name"], theirs["name"]) == ("unipam", "Azure IPAM application")
    assert [tag["name"] for tag in document["tags"]] == ours["tags"] + theirs["tags"]
    for path, methods in document["paths"].items():
        group = ours if path.startswith("/api/v1/") else theirs
        for operation in methods.values():
            assert set(operation["tags"]) <= set(group["tags"]), path
    assert "/api/v1" in document["info"]["description"]
