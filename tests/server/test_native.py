"""The native API: preconditions, repeats, rehearsals, paging, questions, problems."""

from __future__ import annotations

import time

import pytest
from tests.server.live import Answer, Client, Live


@pytest.fixture
def api(live: Live) -> Client:
    api = live.admin.at("/api/v1")
    assert api.post("/spaces", {"name": "S", "desc": "a space"}).status == 201
    assert api.post("/spaces/S/blocks", {"name": "B", "cidr": "10.0.0.0/16"}).status == 201
    return api


def problem(answer: Answer, status: int, kind: str) -> str:
    assert answer.status == status, answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["type"] == f"urn:unipam:error:{kind}"
    assert answer.json["status"] == status
    return str(answer.json["detail"])


def test_what_changed_meanwhile_is_not_overwritten(api: Client) -> None:
    tag = api.get("/spaces/S/blocks/B").headers["ETag"]
    assert api.ask("PATCH", "/spaces/S/blocks/B", {"desc": "one"}, {"If-Match": tag}).status == 200
    problem(api.ask("PATCH", "/spaces/S/blocks/B", {"desc": "two"}, {"If-Match": tag}), 412, "Stale")
    problem(api.ask("DELETE", "/spaces/S/blocks/B", None, {"If-Match": tag}), 412, "Stale")
    problem(api.ask("DELETE", "/spaces/S/blocks/B", None, {"If-Match": "x"}), 400, "BadValue")
    newest = api.get("/spaces/S/blocks/B").headers["ETag"]
    assert api.ask("DELETE", "/spaces/S/blocks/B", None, {"If-Match": newest}).status == 204


def test_the_same_key_gets_the_same_answer(api: Client) -> None:
    key = {"Idempotency-Key": "pipeline-7"}
    body = {"blocks": ["B"], "size": 24, "count": 2}
    first, second = (api.ask("POST", "/spaces/S/reservations", body, key) for _ in range(2))
    assert (first.status, first.body) == (second.status, second.body)
    assert len(api.get("/spaces/S/reservations").json["items"]) == 2
    problem(api.ask("POST", "/spaces/S/reservations", {**body, "count": 1}, key), 422, "Mismatch")
    other = api.post("/tokens", {"name": "o", "role": "planner", "spaces": ["*"]}).json["token"]
    assert api.as_(other).ask("POST", "/spaces/S/reservations", body, key).body != first.body  # a key is its caller's


def test_a_dry_run_answers_and_changes_nothing(api: Client) -> None:
    for method, path, body in (
        ("POST", "/spaces/S/reservations", {"blocks": ["B"], "size": 24}),
        ("POST", "/spaces", {"name": "X", "desc": "d"}),
        ("PATCH", "/spaces/S/blocks/B", {"cidr": "10.0.0.0/15"}),
        ("DELETE", "/spaces/S?force=true", None),
    ):
        mark = "&" if "?" in path else "?"
        answer = api.ask(method, f"{path}{mark}dry_run=true", body)
        assert answer.status < 300
        assert answer.headers["Dry-Run"] == "true"
    assert [s["name"] for s in api.get("/spaces").json["items"]] == ["S"]
    assert api.get("/spaces/S/reservations").json["items"] == []
    assert api.get("/spaces/S/blocks/B").json["cidr"] == "10.0.0.0/16"
    problem(api.post("/spaces?dry_run=true", {"name": "s", "desc": "d"}), 409, "NameTaken")


def test_listings_come_in_parts(api: Client) -> None:
    api.post("/spaces/S/reservations", {"blocks": ["B"], "size": 28, "count": 25})
    seen, after = [], ""
    while after is not None:
        part = api.get(f"/spaces/S/reservations?limit=10&after={after}").json
        seen += [r["cidr"] for r in part["items"]]
        after = part["next"]
    assert seen == [f"10.0.{i // 16}.{i % 16 * 16}/28" for i in range(25)]
    problem(api.get("/spaces/S/reservations?after=nope"), 400, "BadValue")
    assert api.get("/spaces/S/reservations?limit=0").status == 422


def test_free_space_is_told_with_the_reason(api: Client) -> None:
    api.post("/spaces/S/reservations", {"blocks": ["B"], "cidr": "10.0.0.0/17"})
    found = api.get("/spaces/S/blocks/B/available?size=18&count=3&free=true").json
    assert [c["cidr"] for c in found["candidates"]] == ["10.0.128.0/18", "10.0.192.0/18"]
    assert "lowest" in found["candidates"][0]["reason"]
    assert found["free"] == ["10.0.128.0/17"]
    problem(api.get("/spaces/S/blocks/B/available?size=15"), 409, "Exhausted")


def test_utilisation(api: Client) -> None:
    api.post("/spaces/S/reservations", {"blocks": ["B"], "size": 24})
    four = {"size": 65536, "used": 0, "reserved": 256, "free": 65280}
    none = dict.fromkeys(four, 0)
    assert api.get("/spaces/S/utilisation").json == {**four, "ipv6": none}
    assert api.post("/spaces/S/blocks", {"name": "six", "cidr": "2001:db8::/64"}).status == 201
    assert api.get("/spaces/S/utilisation").json == {**four, "ipv6": {**none, "size": 2**64, "free": 2**64}}
    assert api.get("/spaces?utilisation=true").json["items"][0]["utilisation"]["reserved"] == 256


def test_history_explanation_and_the_past(api: Client) -> None:
    before = time.time()
    (made,) = api.post("/spaces/S/reservations", {"blocks": ["B"], "size": 24}, **{"X-Reason": "ticket 7"}).json
    (line,) = api.get(f"/history?name={made['id']}").json
    assert (line["verb"], line["reason"], line["cidr"]) == ("create", "ticket 7", "10.0.0.0/24")
    assert [h["kind"] for h in api.get("/explain?cidr=10.0.0.9/32").json] == ["block", "reservation"]
    assert api.get(f"/plan?at={before}").json[0]["items"][0]["items"] == []
    assert len(api.get(f"/plan?at={time.time()}").json[0]["items"][0]["items"]) == 1
    assert api.delete(f"/spaces/S/blocks/B/reservations/{made['id']}").status == 204
    assert api.get(f"/history?name={made['id']}").json[0]["verb"] == "settle"
    listed = api.get("/spaces/S/reservations?settled=true&status=cancelledByUser").json["items"]
    assert [r["id"] for r in listed] == [made["id"]]
    assert api.delete(f"/spaces/S/blocks/B/reservations/{made['id']}").status == 204  # now it is archived
    problem(api.get(f"/spaces/S/blocks/B/reservations/{made['id']}"), 404, "Missing")


@pytest.mark.parametrize("address", ["10.0.0.9", "2001:db8::9"])
def test_a_bare_address_may_be_asked_about(api: Client, address: str) -> None:
    api.post("/spaces/S/blocks", {"name": "six", "cidr": "2001:db8::/32"})
    whole = f"{address}/{'128' if ':' in address else '32'}"
    for question in ("explain", "history"):
        found = api.get(f"/{question}?cidr={address}").json
        assert found
        assert found == api.get(f"/{question}?cidr={whole}").json
    assert "write it as" in problem(api.get("/explain?cidr=10.0.0"), 400, "BadValue")


def test_networks(live: Live, api: Client) -> None:
    network = live.cloud.put("net", "10.0.0.0/24")
    assert api.post("/spaces/S/blocks/B/networks", {"id": network}).json["prefixes"] == ["10.0.0.0/24"]
    problem(api.post("/spaces/S/blocks/B/networks", {"id": network}), 409, "Duplicate")
    problem(api.post("/spaces/S/blocks/B/networks", {"id": "/nope"}), 404, "Missing")
    compared = api.get("/findings").json
    assert (compared["items"], compared["problems"]) == ([], [])
    assert compared["compared_on"] > 0
    live.cloud.drop(network)
    assert [f["block"] for f in api.get("/findings").json["items"]] == ["B"]
    assert api.delete(f"/spaces/S/blocks/B/networks?id={network}").status == 204
    assert api.get("/spaces/S/blocks/B/networks").json["items"] == []


def test_tokens_are_shown_once_and_can_be_revoked(api: Client) -> None:
    made = api.post("/tokens", {"name": "ci", "role": "reader", "expires_in": 3600}).json
    listed = api.get("/tokens").json["items"]
    assert {t["name"] for t in listed} == {"first-admin", "ci"}
    assert all("token" not in t and "digest" not in t for t in listed)
    assert api.as_(made["token"]).get("/me").json["name"] == "token:ci"
    problem(api.post("/tokens", {"name": "CI", "role": "reader"}), 409, "Duplicate")
    problem(api.post("/tokens", {"name": "x", "role": "planner", "spaces": ["nope"]}), 404, "Missing")
    problem(api.post("/tokens", {"name": "x", "role": "planner"}), 400, "BadValue")
    problem(api.as_(made["token"]).get("/tokens"), 403, "Forbidden")
    assert api.delete("/tokens/ci").status == 204
    problem(api.delete("/tokens/ci"), 404, "Missing")


def test_unknown_fields_and_paths_are_problems(api: Client) -> None:
    answer = api.post("/spaces", {"name": "X", "desc": "d", "colour": "red"})
    assert answer.status == 422
    assert "colour" in answer.json["detail"]
    assert api.get("/nope").headers["Content-Type"] == "application/problem+json"
    problem(api.post("/import", {"format": "x"}), 400, "BadValue")


def test_the_documentation_is_there_and_complete(live: Live) -> None:
    document = live.admin.get("/openapi.json").json
    operations = [(p, m) for p, ms in document["paths"].items() for m in ms if p.startswith("/api/v1")]
    assert len(operations) >= 28
    for path, method in operations:
        told = document["paths"][path][method]
        assert told["description"], (path, method)
        if method != "delete" and path != "/api/v1/export":
            success = next(v for k, v in told["responses"].items() if k.startswith("2"))
            assert success["content"]["application/json"]["schema"], (path, method)
    assert live.admin.get("/docs").status == 200


def test_the_documentation_is_enough_to_make_a_client_from(live: Live) -> None:
    paths = live.admin.get("/openapi.json").json["paths"]
    told = [operation for operations in paths.values() for operation in operations.values()]
    names = [operation["operationId"] for operation in told]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and len(name) < 40 for name in names)
    one = paths["/api/v1/spaces/{space}"]
    assert list(one["get"]["responses"]["404"]["content"]) == ["application/problem+json"]
    assert list(one["get"]["responses"]["200"]["headers"]) == ["ETag"]
    assert list(one["patch"]["responses"]["200"]["headers"]) == ["ETag", "Dry-Run"]
    assert list(one["patch"]["responses"]["503"]["headers"]) == ["Retry-After"]
    assert "ETag" in live.admin.post("/v1/spaces", {"name": "tagged", "desc": "d"}).headers
