"""The Azure IPAM API beyond the original's own suite: refusals, roles, and the differences that HTTP shows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.plan.clouds import SUBSCRIPTION, some_uuid
from tests.server.live import Client, Live, refused, token

B = "/spaces/S/blocks/B"
RESERVATIONS = f"{B}/reservations"


def test_fifty_parallel_reservations_all_succeed(api: Client) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: api.post(RESERVATIONS, {"size": 24}), range(50)))
    assert [a.status for a in answers] == [201] * 50
    assert sorted(a.json["cidr"] for a in answers) == sorted(f"10.0.{i}.0/24" for i in range(50))


def test_exhaustion_is_a_conflict_with_words(api: Client) -> None:
    gone = "Network of requested size unavailable in target block."
    refused(api.post(RESERVATIONS, {"size": 15}), 409, gone)
    for how in ({}, {"smallest_cidr": True}, {"reverse_search": True, "smallest_cidr": True}):
        assert api.post(RESERVATIONS, {"size": 17, **how}).status == (201 if not how or len(how) == 1 else 409)
    refused(api.post(RESERVATIONS, {"size": 24, "smallest_cidr": True}), 409, gone)
    wanted = {"space": "S", "blocks": ["B"], "size": 24, "smallest_cidr": True}
    refused(
        api.post("/tools/nextAvailableVNet", wanted), 409, "Network of requested size unavailable in target block(s)."
    )
    refused(
        api.post("/spaces/S/reservations", {"blocks": [], "size": 24}), 409,
        "Network of requested size unavailable in target block(s).",
    )  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        {}, [], None, "x", 7, {"size": None}, {"size": "x"}, {"size": -1}, {"size": 129}, {"size": 1e400}, {"cidr": 5},
        {"cidr": "10.0.0.0"}, {"cidr": "10.0.0.0/24", "size": 24}, {"cidr": "10.0.0.0/24", "reverse_search": False},
        {"cidr": None}, {"size": [24]}, {"cidr": "\ud800"},
    ],
)  # fmt: skip
def test_a_misshapen_reservation_is_told_what_is_wrong(api: Client, body: Any) -> None:
    answer = api.post(RESERVATIONS, body)
    assert answer.status == 422, answer.body
    assert answer.json["detail"]
    assert api.get(RESERVATIONS).json == []


@pytest.mark.parametrize(
    "raw", [b"{", b"\xff\xfe", b'{"size": NaN}', b"[" * 100_000, b'{"size": 1' + b"0" * 5000 + b"}"]
)
def test_what_is_no_json_is_refused(api: Client, raw: bytes) -> None:
    assert api.ask("POST", RESERVATIONS, raw).status in (400, 422)


def test_a_size_of_the_wrong_family_is_refused(api: Client) -> None:
    answer = api.post(RESERVATIONS, {"size": 64})
    assert answer.status == 400
    assert "0 to 32" in answer.error


def test_a_null_cidr_with_a_size_is_a_size(api: Client) -> None:
    assert api.post(RESERVATIONS, {"cidr": None, "size": 24}).json["cidr"] == "10.0.0.0/24"


def test_host_bits_are_refused_everywhere(api: Client) -> None:
    hint = "Invalid CIDR value, Try '10.0.101.0/24' instead."
    refused(api.post(RESERVATIONS, {"cidr": "10.0.101.7/24"}), 400, hint)
    refused(api.post("/spaces/S/blocks", {"name": "C", "cidr": "10.0.101.7/24"}), 400, hint)
    refused(api.change(B, cidr="10.0.101.7/24"), 400, hint)
    body = {"name": "e", "desc": "e", "cidr": "10.0.101.7/24"}
    refused(api.post(f"{B}/externals", body), 400, "External network cidr invalid, should be 10.0.101.0/24")
    refused(api.change(B, cidr="nonsense"), 400, "Updated Block CIDR must be in valid CIDR notation (x.x.x.x/x).")


def test_names_are_unique_on_create_and_patch(api: Client) -> None:
    refused(api.post("/spaces", {"name": "s", "desc": "d"}), 400, "Space name must be unique.")
    refused(
        api.post("/spaces/S/blocks", {"name": "b", "cidr": "11.0.0.0/16"}), 400,
        "Block name must be unique within the Space.",
    )  # fmt: skip
    api.post("/spaces", {"name": "T", "desc": "d"})
    refused(api.change("/spaces/T", name="s"), 400, "Updated Space name must be unique.")
    for name in ("E1", "E2"):
        api.post(f"{B}/externals", {"name": name, "desc": "e", "size": 24})
    refused(
        api.post(f"{B}/externals", {"name": "e1", "desc": "e", "size": 24}), 400,
        "External network name already exists in block.",
    )  # fmt: skip
    for name in ("s1", "s2"):
        api.post(f"{B}/externals/E1/subnets", {"name": name, "desc": "e", "size": 26})
    assert api.change(f"{B}/externals/E1/subnets/s2", name="S1").status == 400


def test_lookups_and_deletes_take_any_case(api: Client) -> None:
    assert api.get("/spaces/s/blocks/b").json["name"] == "B"
    assert api.delete("/spaces/s/blocks/b").status == 200


def test_what_is_missing_is_said(api: Client) -> None:
    for path, text in (
        ("/spaces/nope", "Invalid space name."),
        ("/spaces/S/blocks/nope", "Invalid block name."),
        (f"{B}/externals/nope", "Invalid external network name."),
        (f"{RESERVATIONS}/nope", "Invalid reservation ID."),
    ):
        refused(api.get(path), 400, text)
    refused(api.get("/nope"), 404, "Invalid API path.")
    assert api.put("/spaces", []).json == {"detail": "Method Not Allowed"}


@pytest.mark.parametrize("name", ["", "a b", "ok\n", "-a", "a'; DROP TABLE claim;--", "é", "x" * 65, "a\0"])
def test_bad_names_are_refused(api: Client, name: str) -> None:
    assert api.post("/spaces", {"name": name, "desc": "d"}).status == 400
    assert api.change("/spaces/S", name=name).status == 400
    assert api.post("/spaces/S/blocks", {"name": name, "cidr": "11.0.0.0/16"}).status == 400
    assert api.get("/spaces").json[0]["name"] == "S"


def test_utilisation_counts_networks_and_externals_once(live: Live, api: Client) -> None:
    network = live.cloud.put("net", "10.0.0.0/24", "172.16.0.0/16", subnets={"a": "10.0.0.0/26", "b": "172.16.0.0/24"})
    api.post(f"{B}/networks", {"id": network})
    api.post(f"{B}/externals", {"name": "e", "desc": "e", "cidr": "10.0.2.0/24"})
    api.post(RESERVATIONS, {"size": 24})
    space = api.get("/spaces/S?utilization=true&expand=true").json
    assert (space["size"], space["used"]) == (65536, 512)
    (shown,) = space["blocks"][0]["vnets"]
    assert (shown["prefixes"], shown["size"], shown["used"]) == (["10.0.0.0/24"], 256, 64)
    assert [s["name"] for s in shown["subnets"]] == ["a", "b"]


def test_a_block_with_externals_goes_only_by_force(api: Client) -> None:
    api.post(f"{B}/externals", {"name": "e", "desc": "e", "size": 24})
    assert api.delete(B).status == 400
    refused(api.delete("/spaces/S"), 400, "Cannot delete space while it contains blocks.")
    assert api.delete(f"{B}?force=true").status == 200


def test_roles(live: Live, api: Client) -> None:
    reader, planner = token(api, "r", "reader"), token(api, "p", "planner", "S")
    api.post("/spaces", {"name": "T", "desc": "d"})
    api.post("/spaces/T/blocks", {"name": "B", "cidr": "10.0.0.0/16"})
    assert reader.get("/spaces").status == 200
    refused(reader.get("/spaces?expand=true"), 403, "Expand parameter can only be used by admins.")
    refused(reader.post("/spaces", {"name": "X", "desc": "d"}), 403, "This API is admin restricted.")
    refused(reader.post(RESERVATIONS, {"size": 24}), 403, "This token may only read.")
    refused(reader.get("/admin/admins"), 403, "API restricted to admins.")
    assert planner.post(RESERVATIONS, {"size": 24}).status == 201
    assert planner.post("/spaces/S/blocks", {"name": "C", "cidr": "11.0.0.0/16"}).status == 201
    assert planner.post("/spaces/T/blocks/B/reservations", {"size": 24}).status == 403
    assert planner.post("/spaces/T/blocks", {"name": "C", "cidr": "11.0.0.0/16"}).status == 403
    assert planner.delete("/spaces/S").status == 403


def test_everybody_sees_only_the_own_reservations(api: Client) -> None:
    ann, bob = token(api, "ann", "planner", "*"), token(api, "bob", "planner", "*")
    hers = ann.post(RESERVATIONS, {"size": 24}).json
    bob.post(RESERVATIONS, {"size": 24})
    assert [r["id"] for r in ann.get(RESERVATIONS).json] == [hers["id"]]
    assert [r["id"] for r in ann.get("/spaces/S").json["blocks"][0]["resv"]] == [hers["id"]]
    assert len(api.get(RESERVATIONS).json) == 2


def test_nobody_sees_the_cloud_with_the_registers_eyes(live: Live, api: Client) -> None:
    live.cloud.put("secret", "10.0.0.0/24")
    reader = token(api, "r", "reader")
    assert reader.get("/azure/vnet").json == []
    assert reader.post("/tools/cidrCheck", {"cidr": "10.0.0.0/8"}).json == []
    assert [n["name"] for n in api.get("/azure/vnet").json] == ["secret"]
    refused(api.post("/tools/cidrCheck", {"cidr": "10.0.0.1/8"}), 400, "Invalid CIDR range.")


def test_excluded_subscriptions_are_hidden_but_hold_their_place(live: Live, api: Client) -> None:
    network = live.cloud.put("net", "10.0.0.0/24")
    api.post(f"{B}/networks", {"id": network})
    assert api.post("/admin/exclusions", [SUBSCRIPTION]).status == 200
    assert api.get("/admin/exclusions").json == [SUBSCRIPTION]
    assert api.get("/azure/network").json == []
    live.follow()
    refused(api.post(RESERVATIONS, {"cidr": "10.0.0.0/24"}), 409, "Requested CIDR overlaps existing network(s).")
    refused(api.post("/admin/exclusions", [some_uuid(7)]), 400, "One or more invalid subscriptions id's provided.")
    assert api.delete(f"/admin/exclusions/{SUBSCRIPTION}").status == 200
    refused(api.delete(f"/admin/exclusions/{SUBSCRIPTION}"), 400, "Subscription id not found.")
    refused(api.delete("/admin/exclusions/x"), 400, "Invalid subscription id.")


def test_admins(api: Client) -> None:
    ann = {"type": "User", "name": "Ann", "email": "ann@example.org", "id": some_uuid(1)}
    app = {"type": "Principal", "name": "app", "email": None, "id": some_uuid(2)}
    assert api.get("/admin/admins").json == []
    assert api.post("/admin/admins", ann).status == 201
    refused(api.post("/admin/admins", ann), 400, "User is already an admin.")
    assert api.put("/admin/admins", [ann, app]).status == 200
    assert api.get(f"/admin/admins/{some_uuid(2)}").json == app
    refused(api.put("/admin/admins", [ann, ann]), 400, "List contains one or more duplicate objectId's.")
    assert api.delete(f"/admin/admins/{some_uuid(2)}").status == 200
    refused(api.delete(f"/admin/admins/{some_uuid(2)}"), 400, "Invalid admin objectId.")
    refused(api.get(f"/admin/admins/{some_uuid(2)}"), 404, "Admin not found.")
    assert api.post("/admin/admins", {**ann, "email": None}).status == 422
    assert api.post("/admin/admins", {**app, "email": "x@y"}).status == 422


def test_settings_work_from_the_first_request_on(api: Client) -> None:
    assert api.get("/users").json == []
    me = api.get("/users/me?expand=true").json
    assert (me["darkMode"], me["apiRefresh"], me["isAdmin"], me["views"]) == (False, 5, True, {})
    assert api.patch("/users/me", [{"op": "replace", "path": "/apiRefresh", "value": 15}]).json["apiRefresh"] == 15
    view = {"values": {"name": {"flex": 0.85, "visible": True}}, "order": ["name"], "sort": None}
    assert api.patch("/users/me", [{"op": "add", "path": "/views/vnets", "value": view}]).status == 200
    assert api.get("/users/me?expand=true").json["views"]["vnets"]["order"] == ["name"]
    refused(
        api.patch("/users/me", [{"op": "replace", "path": "/apiRefresh", "value": 7}]), 400,
        "apiRefresh must have a value in [5|10|15|30].",
    )  # fmt: skip
    assert api.patch("/users/me", [{"op": "add", "path": "/views/nope", "value": view}]).status == 400
    assert api.patch("/users/me", [{"op": "remove", "path": "/isAdmin"}]).status == 200
    assert len(api.get("/users").json) == 1


def test_unknown_patches_are_ignored_and_the_answer_leaks_nothing(api: Client) -> None:
    patch = [{"op": "replace", "path": "/tenant_id", "value": "x"}, {"op": "remove", "path": "/name"}]
    assert api.patch("/spaces/S", patch).json == api.get("/spaces/S").json
    refused(
        api.patch("/spaces/S", [{"op": "replace", "path": "/name", "value": 7}]), 400,
        "Invalid JSON patch, please review and try again.",
    )  # fmt: skip
    assert api.patch("/spaces/S", {"op": "replace"}).status == 422


def test_the_tree_shows_what_is_in_the_plan(live: Live, api: Client) -> None:
    api.post(f"{B}/networks", {"id": live.cloud.put("net", "10.0.0.0/24", subnets={"a": "10.0.0.0/26"})})
    (root,) = api.get("/internal/tree").json
    block = root["children"][0]["children"][0]
    assert (block["name"], block["value"]) == ("B", 65536 - 256)
    assert block["children"][0]["children"][0]["ip"] == "10.0.0.0/26"


def test_a_body_beyond_all_measure_is_refused(api: Client) -> None:
    assert api.ask("POST", "/spaces", b'"' + b"x" * (5 << 20) + b'"').status == 413


def test_paths_are_just_names(api: Client) -> None:
    for path in ("/spaces/..%2f..%2fetc%2fpasswd", "/spaces/%00", "/spaces/S/blocks/%27%3B--", "/spaces/\u00e9"):
        assert api.get(path).status in (400, 404)
