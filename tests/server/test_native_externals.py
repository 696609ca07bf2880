"""External networks, their subnets and endpoints by the native API."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.server.live import Client, Live
from tests.server.test_native import problem

X = "/spaces/S/blocks/B/externals"
SUBNETS = f"{X}/dc/subnets"
ENDPOINTS = f"{SUBNETS}/web/endpoints"


def filled(live: Live) -> Client:
    """An external network with a subnet that has one endpoint, in the block B of the space S."""
    api = live.admin.at("/api/v1")
    for path, body in (
        ("/spaces", {"name": "S", "desc": "a space"}),
        ("/spaces/S/blocks", {"name": "B", "cidr": "10.0.0.0/16"}),
        (X, [{"name": "dc", "desc": "data centre", "cidr": "10.0.0.0/20"}]),
        (SUBNETS, [{"name": "web", "desc": "web", "size": 28}]),
        (ENDPOINTS, [{"name": "vip", "desc": "vip"}]),
    ):
        answer = api.post(path, body)
        assert answer.status == 201, answer.body
    return api


@pytest.fixture
def api(live: Live) -> Client:
    return filled(live)


LEVELS = {"external": f"{X}/dc", "subnet": f"{SUBNETS}/web", "endpoint": f"{ENDPOINTS}/vip"}
EVERY_LEVEL = pytest.mark.parametrize("path", LEVELS.values(), ids=LEVELS)


def names(api: Client, path: str) -> list[str]:
    return [row["name"] for row in api.get(path).json["items"]]


def test_each_says_what_it_is_and_where(api: Client) -> None:
    where: dict[str, Any] = {"space": "S", "block": "B"}
    shown = {level: api.get(path) for level, path in LEVELS.items()}
    assert [answer.status for answer in shown.values()] == [200] * 3
    told = {level: answer.json for level, answer in shown.items()}
    for level, answer in shown.items():
        assert answer.headers["ETag"] == f'"{told[level].pop("generation")}"'
    dc = {**where, "external": "dc"}
    assert told["external"] == {**where, "name": "dc", "cidr": "10.0.0.0/20", "desc": "data centre"}
    assert told["subnet"] == {**dc, "name": "web", "cidr": "10.0.0.0/28", "desc": "web"}
    assert api.get("/spaces/s/blocks/b/externals/DC/subnets/WEB/endpoints/VIP").body == shown["endpoint"].body
    assert told["endpoint"] == {**dc, "subnet": "web", "name": "vip", "ip": "10.0.0.1", "desc": "vip"}


def test_in_a_block_inside_a_block_the_inner_one_is_named(api: Client) -> None:
    api.post("/spaces/S/blocks", {"name": "inner", "cidr": "10.0.128.0/17", "parent": "B"})
    (made,) = api.post("/spaces/S/blocks/inner/externals", [{"name": "dc", "desc": "d", "size": 24}]).json
    assert (made["block"], made["cidr"]) == ("inner", "10.0.128.0/24")


@EVERY_LEVEL
def test_what_changed_meanwhile_is_not_overwritten(api: Client, path: str) -> None:
    tag = api.get(path).headers["ETag"]
    changed = api.ask("PATCH", path, {"desc": "one"}, {"If-Match": tag})
    assert (changed.status, changed.json["desc"]) == (200, "one")
    problem(api.ask("PATCH", path, {"desc": "two"}, {"If-Match": tag}), 412, "Stale")
    problem(api.ask("DELETE", f"{path}?force=true", None, {"If-Match": tag}), 412, "Stale")
    assert api.get(path).headers["ETag"] == changed.headers["ETag"]
    gone = api.ask("DELETE", f"{path}?force=true", None, {"If-Match": changed.headers["ETag"]})
    assert (gone.status, gone.body) == (204, b"")
    problem(api.get(path), 404, "Missing")


def test_what_holds_something_goes_only_by_force(api: Client) -> None:
    for path in (LEVELS["external"], LEVELS["subnet"]):
        problem(api.delete(path), 409, "NotEmpty")
    assert api.delete(f"{LEVELS['external']}?force=true").status == 204
    assert api.get("/spaces/S/blocks/B/utilisation").json["used"] == 0


def test_each_can_be_renamed_and_moved(api: Client) -> None:
    assert api.patch(LEVELS["external"], {"name": "DC2", "cidr": "10.0.0.0/19"}).json["cidr"] == "10.0.0.0/19"
    assert api.patch(f"{X}/dc2/subnets/web", {"cidr": "10.0.0.0/27"}).json["cidr"] == "10.0.0.0/27"
    assert api.patch(f"{X}/dc2/subnets/web/endpoints/vip", {"ip": "10.0.0.30"}).json["ip"] == "10.0.0.30"
    problem(api.patch(f"{X}/dc2/subnets/web", {"cidr": "10.0.0.0/28"}), 409, "Outside")
    problem(api.patch(f"{X}/dc2/subnets/web", {"cidr": "10.0.32.0/28"}), 409, "Outside")


def test_several_come_in_one_call_all_or_none(api: Client) -> None:
    new = [{"name": f"n{i}", "desc": "d", "size": 24} for i in range(2)]
    new.append({"name": "fixed", "desc": "d", "cidr": "10.0.16.0/24"})
    assert [row["cidr"] for row in api.post(X, new).json] == ["10.0.17.0/24", "10.0.18.0/24", "10.0.16.0/24"]
    problem(api.post(X, [{"name": "good", "desc": "d", "size": 24}, new[0]]), 409, "NameTaken")
    problem(api.post(SUBNETS, [{"name": f"h{i}", "desc": "d", "size": 21} for i in range(3)]), 409, "Exhausted")
    hosts = [{"name": f"h{i}", "desc": "d"} for i in range(14)]
    problem(api.post(ENDPOINTS, hosts), 409, "Exhausted")
    assert (names(api, X), names(api, SUBNETS), names(api, ENDPOINTS)) == (
        ["dc", "fixed", "n0", "n1"], ["web"], ["vip"],
    )  # fmt: skip
    made = api.post(ENDPOINTS, [*hosts[:2], {"name": "low", "desc": "d", "ip": "10.0.0.2"}]).json
    assert [row["ip"] for row in made] == ["10.0.0.3", "10.0.0.4", "10.0.0.2"]


def test_many_at_once_get_places_of_their_own(api: Client) -> None:
    def make(number: int) -> tuple[str, str]:
        (subnet,) = api.post(SUBNETS, [{"name": f"n{number}", "desc": "d", "size": 28}]).json
        (endpoint,) = api.post(f"{SUBNETS}/wide/endpoints", [{"name": f"n{number}", "desc": "d"}]).json
        return subnet["cidr"], endpoint["ip"]

    assert api.post(SUBNETS, [{"name": "wide", "desc": "d", "cidr": "10.0.15.0/24"}]).status == 201
    with ThreadPoolExecutor(20) as pool:
        subnets, endpoints = zip(*pool.map(make, range(40)), strict=True)
    assert set(subnets) == {f"10.0.{n // 16}.{n % 16 * 16}/28" for n in range(1, 41)}
    assert set(endpoints) == {f"10.0.15.{n}" for n in range(1, 41)}


def test_ipv6_is_planned_like_ipv4(api: Client) -> None:
    api.post("/spaces/S/blocks", {"name": "six", "cidr": "2001:db8::/48"})
    six = "/spaces/S/blocks/six/externals"
    assert api.post(six, [{"name": "dc", "desc": "d", "size": 56}]).json[0]["cidr"] == "2001:db8::/56"
    made = api.post(f"{six}/dc/subnets", [{"name": n, "desc": "d", "size": 64} for n in ("a", "b")]).json
    assert [row["cidr"] for row in made] == ["2001:db8::/64", "2001:db8:0:1::/64"]
    hosts = [{"name": "any", "desc": "d"}, {"name": "named", "desc": "d", "ip": "2001:db8:0:1::a"}]
    made = api.post(f"{six}/dc/subnets/b/endpoints", hosts).json
    assert [row["ip"] for row in made] == ["2001:db8:0:1::1", "2001:db8:0:1::a"]
    assert api.get(f"{six}/dc/subnets/b/utilisation").json["free"] == 2**64 - 2


def test_the_same_key_gets_the_same_answer(api: Client) -> None:
    key = {"Idempotency-Key": "pipeline-7"}
    body = [{"name": "a", "desc": "d"}, {"name": "b", "desc": "d"}]
    first, second = (api.ask("POST", ENDPOINTS, body, key) for _ in range(2))
    assert (first.status, first.body) == (second.status, second.body)
    problem(api.ask("POST", ENDPOINTS, body[:1], key), 422, "Mismatch")
    assert names(api, ENDPOINTS) == ["vip", "a", "b"]


def test_listings_come_in_parts_and_can_be_narrowed(api: Client) -> None:
    api.post(SUBNETS, [{"name": f"n{i}", "desc": "d", "size": 28} for i in range(9)])
    seen, after = [], ""
    while after is not None:
        part = api.get(f"{SUBNETS}?limit=4&after={after}").json
        seen += [row["name"] for row in part["items"]]
        after = part["next"]
    assert seen == ["web", *(f"n{i}" for i in range(9))]
    assert names(api, f"{SUBNETS}?overlaps=10.0.0.32/27") == ["n1", "n2"]
    assert names(api, f"{X}?overlaps=10.0.99.0/24") == []
    assert names(api, f"{ENDPOINTS}?overlaps=10.0.0.1") == ["vip"]
    for path in (X, SUBNETS, ENDPOINTS):
        problem(api.get(f"{path}?overlaps=10.0.0.1/24"), 400, "BadValue")
        problem(api.get(f"{path}?after=nope"), 400, "BadValue")


def test_free_space_is_told_with_the_reason_and_then_given(api: Client) -> None:
    found = api.get(f"{X}/dc/available?size=28&count=2&free=true").json
    assert [c["cidr"] for c in found["candidates"]] == ["10.0.0.16/28", "10.0.0.32/28"]
    assert "lowest" in found["candidates"][0]["reason"]
    assert found["free"][0] == "10.0.8.0/21"
    made = api.post(SUBNETS, [{"name": "next", "desc": "d", "size": 28}]).json
    assert made[0]["cidr"] == found["candidates"][0]["cidr"]
    (last,) = api.get(f"{X}/dc/available?size=28&reverse=true").json["candidates"]
    made = api.post(SUBNETS, [{"name": "last", "desc": "d", "size": 28, "reverse": True}]).json
    assert made[0]["cidr"] == last["cidr"] == "10.0.15.240/28"
    problem(api.get(f"{X}/dc/available?size=19"), 409, "Exhausted")
    hosts = api.get(f"{SUBNETS}/web/available?count=3").json["candidates"]
    assert [each["ip"] for each in hosts] == ["10.0.0.2", "10.0.0.3", "10.0.0.4"]
    assert api.post(ENDPOINTS, [{"name": "next", "desc": "d"}]).json[0]["ip"] == hosts[0]["ip"]
    assert api.get(f"{SUBNETS}/web/available?count=0").status == 422


def test_utilisation_at_every_level(api: Client) -> None:
    assert api.get("/spaces/S/blocks/B/utilisation").json["used"] == 4096
    assert api.get(f"{X}/dc/utilisation").json == {"size": 4096, "used": 16, "reserved": 0, "free": 4080}
    assert api.get(f"{SUBNETS}/web/utilisation").json == {"size": 16, "used": 1, "reserved": 0, "free": 15}
    assert api.get(f"{X}?utilisation=true").json["items"][0]["utilisation"]["used"] == 16
    assert api.get(f"{SUBNETS}?utilisation=true").json["items"][0]["utilisation"]["used"] == 1


def test_history_explanation_and_the_past_reach_them(api: Client) -> None:
    before = time.time()
    api.patch(LEVELS["endpoint"], {"ip": "10.0.0.9"}, **{"X-Reason": "ticket 7"})
    line = api.get("/history?cidr=10.0.0.9&name=vip").json[0]
    assert (line["verb"], line["reason"], line["cidr"]) == ("change", "ticket 7", "10.0.0.9")
    held = [(h["kind"], h["name"]) for h in api.get("/explain?cidr=10.0.0.9").json]
    assert held == [("block", "B"), ("external", "dc"), ("subnet", "web"), ("endpoint", "vip")]

    def vip(at: float) -> str:
        place = api.get(f"/plan?at={at}").json[0]
        for _ in range(4):
            (place,) = place["items"]
        return str(place["cidr"])

    assert (vip(before), vip(time.time())) == ("10.0.0.1/32", "10.0.0.9/32")


def test_they_go_out_and_come_back(api: Client) -> None:
    document = api.get("/export").json
    assert api.delete("/spaces/S?force=true").status == 204
    assert api.post("/import", document).json == {"created": 5, "present": 0, "conflicts": []}
    assert api.get("/export").json["items"] == document["items"]


def test_planners_of_the_space_may_change_them_and_everybody_may_look(api: Client) -> None:
    api.post("/spaces", {"name": "T", "desc": "d"})

    def bearer(role: str, *spaces: str) -> Client:
        made = api.post("/tokens", {"name": f"{role}{len(spaces)}{''.join(spaces)}", "role": role, "spaces": spaces})
        return api.as_(made.json["token"])

    ours, theirs, reader = bearer("planner", "S"), bearer("planner", "T"), bearer("reader")
    for number, other in enumerate((theirs, reader)):
        assert names(other, ENDPOINTS) == ["vip"]
        assert other.get(f"{X}/dc/available?size=28").status == 200
        for path in (X, SUBNETS):
            problem(other.post(path, [{"name": f"x{number}", "desc": "d", "size": 28}]), 403, "Forbidden")
        problem(other.post(ENDPOINTS, [{"name": f"x{number}", "desc": "d"}]), 403, "Forbidden")
        for path in LEVELS.values():
            problem(other.patch(path, {"desc": "x"}), 403, "Forbidden")
            problem(other.delete(path), 403, "Forbidden")
    assert ours.post(SUBNETS, [{"name": "x", "desc": "d", "size": 28}]).status == 201
    assert ours.patch(LEVELS["endpoint"], {"desc": "x"}).status == 200
