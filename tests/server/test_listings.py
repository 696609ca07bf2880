"""Listings of the native API across blocks and spaces, and what it works out of what it is sent."""

from __future__ import annotations

import urllib.parse
from typing import Any

import pytest
from tests.server.live import Client, Live, token

from unipam.model.cloud import Peering


@pytest.fixture
def native(api: Client) -> Client:
    return api.at("/api/v1")


def items(api: Client, path: str) -> list[Any]:
    answer = api.get(path)
    assert answer.status == 200, answer.body
    return list(answer.json["items"])


def test_every_listing_is_searched_sorted_and_counted(native: Client) -> None:
    for name, cidr in (("west", "10.8.0.0/16"), ("north", "10.2.0.0/16"), ("lab", "10.1.0.0/16")):
        assert native.post("/spaces/S/blocks", {"name": name, "cidr": cidr}).status == 201
    assert [b["name"] for b in items(native, "/spaces/S/blocks?sort=-name")] == ["west", "north", "lab", "B"]
    assert [b["name"] for b in items(native, "/spaces/S/blocks?sort=cidr")] == ["B", "lab", "north", "west"]
    assert [b["name"] for b in items(native, "/spaces/S/blocks?q=WES")] == ["west"]
    part = native.get("/spaces/S/blocks?limit=1&q=10.&sort=name").json
    assert (part["total"], part["next"]) == (4, "B")
    refused = native.get("/spaces/S/blocks?sort=colour")
    assert (refused.status, refused.json["field"]) == (400, "sort")


def test_objects_are_listed_across_blocks_and_spaces(native: Client) -> None:
    native.post("/spaces", {"name": "T", "desc": "another"})
    native.post("/spaces/T/blocks", {"name": "C", "cidr": "10.0.0.0/16"})
    for space, block in (("S", "B"), ("T", "C")):
        native.post(
            f"/spaces/{space}/reservations", {"blocks": [block], "size": 24, "count": 3, "desc": f"for {block}"}
        )
    part = native.get("/objects?kind=reservation&limit=2").json
    assert part["total"] == 6
    rest = items(native, f"/objects?kind=reservation&after={part['next']}")
    assert [row["path"] for row in [*part["items"], *rest]] == [["S", "B"]] * 3 + [["T", "C"]] * 3
    assert len(items(native, "/objects?kind=reservation&space=T")) == 3
    assert len(items(native, "/objects?kind=reservation&q=for b")) == 3
    assert [row["cidr"] for row in items(native, "/objects?kind=reservation&q=10.0.1.7&sort=-created")] == [
        "10.0.1.0/24"
    ] * 2
    first = part["items"][0]
    native.delete(f"/spaces/S/blocks/B/reservations/{first['id']}")
    (over,) = items(native, "/objects?kind=reservation&status=over")
    assert (over["id"], over["status"]) == (first["id"], "cancelledByUser")
    assert native.get("/objects?kind=planet").status == 400
    assert native.get("/objects?kind=block&space=nothing").status == 404


def test_part_of_the_tree_has_use_and_free_rows(native: Client) -> None:
    native.post("/spaces/S/reservations", {"blocks": ["B"], "size": 18})
    (space,) = items(native, "/tree")
    assert (space["kind"], space["reserved"], space["size"]) == ("space", 16384, 65536)
    (block,) = items(native, "/tree?under=S")
    assert (block["cidr"], block["largest"], block["path"]) == ("10.0.0.0/16", "10.0.128.0/17", ["S", "B"])
    rows = items(native, "/tree?under=S/B")
    assert [(row["kind"], row["cidr"]) for row in rows] == [
        ("reservation", "10.0.0.0/18"), ("free", "10.0.64.0/18"), ("free", "10.0.128.0/17"),
    ]  # fmt: skip
    part = native.get("/tree?under=S/B&show=free&size=20&limit=5").json
    assert part["items"][0]["cidr"] == "10.0.64.0/20"
    assert part["next"] == "10.0.144.0"
    assert native.get("/tree?under=S&at=1").status == 404
    assert items(native, "/tree?at=1") == []


def test_networks_stand_to_the_plan(native: Client, live: Live) -> None:
    inside = live.cloud.put("inside", "10.0.1.0/24")
    far = live.cloud.put("far", "192.168.0.0/24")
    live.cloud.put("twin", "10.0.1.0/25", peerings=[Peering("p", far, "Connected")])
    native.post("/spaces/S/blocks/B/networks", {"id": inside})
    rows = {row["name"]: row for row in items(native, "/cloud/networks")}
    assert {name: row["plan"] for name, row in rows.items()} == {
        "inside": "associated", "far": "apart", "twin": "unplanned",
    }  # fmt: skip
    assert rows["twin"]["overlaps"] == ["inside"]
    assert rows["inside"]["places"] == [{"space": "S", "block": "B", "prefixes": ["10.0.1.0/24"], "taken": ""}]
    assert [row["name"] for row in items(native, "/cloud/networks?plan=unplanned")] == ["twin"]
    assert [row["name"] for row in items(native, "/cloud/networks?overlapping=false")] == ["far"]
    found = items(native, f"/cloud/peerings?network={urllib.parse.quote(far, safe='')}")
    assert [row["name"] for row in found] == ["far", "twin"]
    assert native.get("/cloud/peerings?network=/none").status == 404
    assert [row["severity"] for row in items(native, "/findings?rule=network-not-in-the-plan")] == ["warning"]
    assert items(native, "/findings?severity=error") == []
    live.cloud.drop(inside)
    assert {row["name"]: row["plan"] for row in items(native, "/cloud/networks")}["inside"] == "gone"


def test_the_comparison_follows_plan_and_cloud(native: Client, live: Live) -> None:
    stray = live.cloud.put("stray", "10.0.9.0/24")
    assert len(items(native, "/findings")) == 1
    native.post("/spaces/S/blocks/B/networks", {"id": stray})
    assert items(native, "/findings") == []


def test_the_cloud_is_shown_as_far_as_the_caller_may_see_it(native: Client, live: Live) -> None:
    network = live.cloud.put("net", "10.0.1.0/24", subnets={"a": "10.0.1.0/26"})
    for path in ("/cloud/networks", "/cloud/subnets", "/cloud/endpoints", "/cloud/subscriptions"):
        assert native.get(path).status == 200
    assert [row["name"] for row in items(native, "/cloud/subnets")] == ["a"]
    reader = token(native, "reader", "reader").at("/api/v1")
    for path in ("/cloud/networks", "/cloud/subnets", "/cloud/endpoints", "/cloud/subscriptions"):
        assert items(reader, path) == []
    native.post("/spaces/S/blocks/B/networks", {"id": network})
    assert [row["name"] for row in items(reader, "/objects?kind=network")] == ["(hidden)"]
    assert [row["name"] for row in items(reader, "/tree?under=S/B") if row["kind"] == "network"] == ["(hidden)"]
    planner = token(native, "planner", "planner", "S").at("/api/v1")
    assert [row["name"] for row in items(planner, "/cloud/networks")] == ["net"]


def test_a_cluster_is_sized(native: Client) -> None:
    described = {"variant": "overlay", "pools": [{"name": "a", "nodes": 3}]}
    assert native.post("/sizing", described).json["works"] is True
    assert native.post("/sizing", b"variant: overlay\npools: [{name: a, nodes: 3}]").json["nodes"] == 3
    for body in (b"variant: none", b"{", b"\xff\xfe", b"a: 1\na: 2", b"[" * 10_000, b"variant: overlay"):
        answer = native.post("/sizing", body)
        assert (answer.status, answer.json["type"]) == (400, "urn:unipam:error:BadValue"), body[:20]


def multipart(*parts: tuple[str, str, bytes]) -> tuple[bytes, dict[str, str]]:
    """A form of files (name, file name, content); one without a file name is a field."""
    body = b""
    for name, file, content in parts:
        where = f'; filename="{file}"' if file else ""
        body += f'--x\r\nContent-Disposition: form-data; name="{name}"{where}\r\n\r\n'.encode() + content + b"\r\n"
    return body + b"--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"}


def test_logs_are_diagnosed_and_their_parts_put_together(native: Client) -> None:
    body, headers = multipart(
        ("file", "kubelet.log", b"second\n"), ("file", "kubelet.log.1", b"first\n"), ("text", "", b"third\n")
    )
    report = native.ask("POST", "/diagnose", body, headers).json
    assert [source["path"] for source in report["sources"]] == ["kubelet.log.1", "kubelet.log", "pasted text"]
    for parts in ((), (("other", "", b"x"),), (("file", "", b""),)):
        body, headers = multipart(*parts)
        assert native.ask("POST", "/diagnose", body, headers).status == 400
    assert native.ask("POST", "/diagnose", b"nonsense", headers).status == 400


def test_what_is_too_large_is_refused_before_it_is_read(native: Client) -> None:
    body, headers = multipart(("file", "big.log", b"x" * (5 << 20)))
    assert native.ask("POST", "/diagnose", body, headers).status == 200  # larger than any other body may be
    assert native.ask("POST", "/sizing", body).status == 413


def test_who_has_not_signed_in_has_nothing_worked_out(native: Client) -> None:
    body, headers = multipart(("text", "", b"x"))
    nobody = native.as_("")
    assert nobody.ask("POST", "/diagnose", body, headers).status == 401
    assert nobody.post("/sizing", {"variant": "overlay"}).status == 401
