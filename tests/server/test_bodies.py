"""Bodies: read once it is known who sent them, and only if they are text; misshapen ones are never our fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.server.live import Client, serve

LONE = "\ud800"
NATIVE, AZURE = "/api/v1", "/api"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """An administrator of a register with a space S and a block B, which these tests leave as they are."""
    place = tmp_path_factory.mktemp("bodies")
    with serve(str(place / "r.db"), place, failures=10**6) as live:
        live.admin.post("/spaces", {"name": "S", "desc": "d"})
        live.admin.post("/spaces/S/blocks", {"name": "B", "cidr": "10.0.0.0/16"})
        yield live.admin


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b'{"name": "x"}', b"x" * (3 << 20)], ids=lambda b: str(b[:9]))
def test_nobody_s_body_is_not_read(api: Client, body: bytes) -> None:
    for base, path in ((AZURE, "/spaces"), (AZURE, "/spaces/S/blocks/B/reservations"), (NATIVE, "/import")):
        assert api.as_("").at(base).ask("POST", path, body).status == 401
        assert api.as_("wrong").at(base).ask("POST", path, body).status == 401


@pytest.mark.parametrize(
    ("base", "method", "path", "body"),
    [
        (NATIVE, "POST", "/spaces/S/reservations", {"blocks": [LONE], "size": 24}),
        (AZURE, "POST", "/spaces/S/reservations", {"blocks": [LONE], "size": 24}),
        (AZURE, "POST", "/spaces/S/blocks/B/networks", {"id": LONE}),
        (AZURE, "PUT", "/spaces/S/blocks/B/networks", [LONE]),
        (NATIVE, "POST", "/spaces/S/blocks/B/networks", {"id": LONE}),
        (AZURE, "POST", "/spaces", {"name": LONE, "desc": "d"}),
        (AZURE, "PATCH", "/spaces/S", [{"op": "replace", "path": "/name", "value": LONE}]),
        (AZURE, "PATCH", "/spaces/S", [{"op": LONE, "path": LONE, "value": 1}]),
        (NATIVE, "PATCH", "/spaces/S", {"name": LONE}),
        (NATIVE, "POST", "/tokens", {"name": LONE, "role": "admin"}),
        (NATIVE, "POST", "/grants", {"name": "x", "role": "admin", "app_role": LONE}),
        (AZURE, "PUT", "/admin/exclusions", [LONE]),
        (AZURE, "POST", "/tools/nextAvailableVNet", {"space": "S", "blocks": [LONE], "size": 24}),
        (AZURE, "POST", "/spaces", b'{"name": "\xed\xa0\x80", "desc": "d"}'),
        (AZURE, "POST", "/spaces", b'{"name": "\xff", "desc": "d"}'),
        (AZURE, "POST", "/spaces", b'{"name": NaN, "desc": "d"}'),
        (AZURE, "POST", "/spaces", b"[" * 100_000),
    ],
)
def test_what_is_no_text_is_refused(api: Client, base: str, method: str, path: str, body: Any) -> None:
    before = api.at(NATIVE).get("/export").json["items"]
    answer = api.at(base).ask(method, path, body)
    assert answer.status == 422, answer.body
    assert api.at(NATIVE).get("/export").json["items"] == before


def test_a_surrogate_pair_is_a_character(api: Client) -> None:
    made = api.post("/spaces/S/blocks/B/reservations", {"size": 24, "desc": "\N{GRINNING FACE}"})
    assert (made.status, made.json["desc"]) == (201, "\N{GRINNING FACE}")


@pytest.mark.parametrize("name", [None, 1, ["x"], {"a": 1}, True, LONE], ids=str)
@pytest.mark.parametrize("where", ["space", "desc", "block", "network", "external", "reservation"])
def test_an_import_of_the_wrong_shape_is_refused(api: Client, where: str, name: Any) -> None:
    block: dict[str, Any] = {"name": "b", "cidr": "10.0.0.0/8"}
    space: dict[str, Any] = {"name": "imported", "desc": "d", "blocks": [block]}
    if where in ("space", "desc"):
        space["name" if where == "space" else "desc"] = name
    elif where == "block":
        block["name"] = name
    else:
        block[{"network": "vnets", "external": "externals", "reservation": "resv"}[where]] = [
            {"id": name, "name": name, "desc": name, "cidr": name, "createdBy": name}
        ]
    native = api.at(NATIVE)
    before = native.get("/export").json["items"]
    answer = native.post("/import", [space])
    assert 400 <= answer.status < 500, answer.body
    assert native.get("/export").json["items"] == before


def test_a_large_body_is_read_all_the_same(api: Client) -> None:
    names = [f"block-{number}" for number in range(1000)]
    body = {"blocks": [name.ljust(100, "x") for name in names], "size": 24}
    assert api.post("/spaces/S/reservations", body).status == 400, "it was read, and none is there"
