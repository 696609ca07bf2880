"""The order of lists in the Azure IPAM API: that of making, or that in which a PUT named them (spec §3.4)."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from tests.server.live import Client, Live, refused, serve

B = "/spaces/S/blocks/B"
EXTERNALS = f"{B}/externals"
SUBNETS = f"{EXTERNALS}/X/subnets"
ENDPOINTS = f"{SUBNETS}/Y/endpoints"


def names(api: Client, path: str, field: str = "name") -> list[Any]:
    answer = api.get(path)
    assert answer.status == 200, answer.body
    return [row[field] for row in answer.json]


def test_spaces_and_blocks_are_listed_as_they_were_made(api: Client) -> None:
    for name in ("T", "A"):
        assert api.post("/spaces", {"name": name, "desc": "d"}).status == 201
    for name, cidr in (("low", "9.0.0.0/16"), ("high", "11.0.0.0/16"), ("a", "10.1.0.0/16")):
        assert api.post("/spaces/S/blocks", {"name": name, "cidr": cidr}).status == 201
    assert names(api, "/spaces") == ["S", "T", "A"]
    made = ["B", "low", "high", "a"]
    assert names(api, "/spaces/S/blocks") == [b["name"] for b in api.get("/spaces/S").json["blocks"]] == made
    assert api.change("/spaces/S/blocks/B", name="zzz", cidr="12.0.0.0/16").status == 200
    assert api.change("/spaces/S", name="zzz").status == 200
    assert names(api, "/spaces/zzz/blocks") == ["zzz", "low", "high", "a"]
    assert names(api, "/spaces") == ["zzz", "T", "A"]
    (root,) = api.get("/internal/tree").json
    assert [child["name"] for child in root["children"][0]["children"]] == ["zzz", "low", "high", "a"]
    native = api.at("/api/v1").get("/spaces").json["items"]
    assert [each["name"] for each in native] == ["A", "T", "zzz"]  # sorted, as it says


def test_a_block_inside_another_is_listed_when_it_was_made(api: Client) -> None:
    api.post("/spaces/S/blocks", {"name": "C", "cidr": "9.0.0.0/16"})
    inner = {"name": "inner", "cidr": "10.0.1.0/24", "parent": "B"}
    assert api.at("/api/v1").post("/spaces/S/blocks", inner).status == 201
    assert names(api, "/spaces/S/blocks") == ["B", "C", "inner"]


def test_the_reservations_of_a_space_follow_its_blocks(api: Client) -> None:
    api.post("/spaces/S/blocks", {"name": "C", "cidr": "9.0.0.0/16"})
    for block in ("C", "B", "C"):
        assert api.post(f"/spaces/S/blocks/{block}/reservations", {"size": 24}).status == 201
    assert names(api, "/spaces/S/reservations", "cidr") == ["10.0.0.0/24", "9.0.0.0/24", "9.0.1.0/24"]


@pytest.fixture
def subnet(api: Client) -> Client:
    """The API, with the external network X and in it the subnet Y."""
    assert api.post(EXTERNALS, {"name": "X", "desc": "x", "cidr": "10.0.8.0/24"}).status == 201
    assert api.post(SUBNETS, {"name": "Y", "desc": "y", "cidr": "10.0.8.128/26"}).status == 201
    return api


def test_externals_and_subnets_are_listed_as_they_were_made(subnet: Client) -> None:
    assert subnet.post(EXTERNALS, {"name": "A", "desc": "a", "cidr": "10.0.1.0/24"}).status == 201
    assert subnet.post(SUBNETS, {"name": "A", "desc": "a", "size": 26}).status == 201
    assert subnet.change(f"{EXTERNALS}/X", desc="changed").status == 200
    assert names(subnet, EXTERNALS) == names_in(subnet, "externals") == ["X", "A"]
    assert names(subnet, SUBNETS) == ["Y", "A"]


def names_in(api: Client, part: str) -> list[str]:
    return [each["name"] for each in api.get(B).json[part]]


def endpoint(name: str, ip: str | None = None) -> dict[str, Any]:
    return {"name": name, "desc": name, "ip": ip}


@pytest.mark.parametrize("order", list(itertools.permutations("ABC")))
def test_a_put_of_endpoints_gives_the_order_sent_and_so_does_the_next_get(
    subnet: Client, order: tuple[str, ...]
) -> None:
    fixed = {"A": "10.0.8.140", "B": "10.0.8.130", "C": None}
    for name in "AB":
        assert subnet.post(ENDPOINTS, endpoint(name, fixed[name])).status == 200
    sent = [endpoint(name, fixed[name]) for name in order]
    assert [each["name"] for each in subnet.put(ENDPOINTS, sent).json] == list(order)
    assert names(subnet, ENDPOINTS) == list(order)
    assert subnet.change(f"{ENDPOINTS}/A", ip="10.0.8.150", desc="elsewhere").status == 200
    assert names(subnet, ENDPOINTS) == list(order)
    assert subnet.post(ENDPOINTS, endpoint("last")).status == 200
    assert names(subnet, ENDPOINTS) == [*order, "last"]


def test_a_put_of_networks_gives_the_order_sent_and_so_does_the_next_get(live: Live, api: Client) -> None:
    ids = [live.cloud.put(name, f"10.0.{number}.0/24") for number, name in enumerate("cab")]
    for order in ([ids[1], ids[0]], ids, ids[::-1]):
        assert [row["id"] for row in api.put(f"{B}/networks", order).json] == order
        assert names(api, f"{B}/networks", "id") == [v["id"] for v in api.get(B).json["vnets"]] == order
    live.cloud.put("a", "10.0.9.0/24")  # its prefixes change: it keeps its place
    live.follow()
    assert names(api, f"{B}/networks", "id") == ids[::-1]
    later = live.cloud.put("0", "10.0.7.0/24")
    assert api.post(f"{B}/networks", {"id": later}).status == 201
    assert names(api, f"{B}/networks", "id") == [*ids[::-1], later]


def row(name: str, cidr: str) -> dict[str, str]:
    return {"name": name, "desc": f"net {name}", "cidr": cidr}


def test_a_put_of_externals_replaces_the_list_in_the_order_sent(subnet: Client) -> None:
    sent = [row("new", "10.0.1.0/24"), row("X", "10.0.8.0/24"), row("other", "10.0.0.0/24")]
    answer = subnet.put(EXTERNALS, sent)
    assert answer.status == 200, answer.body
    assert [(each["name"], each["desc"], each["cidr"]) for each in answer.json] == [tuple(r.values()) for r in sent]
    assert subnet.get(EXTERNALS).json == answer.json
    assert names(subnet, SUBNETS) == ["Y"]  # what stays keeps its subnets


def test_a_put_of_externals_renames_moves_and_swaps(subnet: Client) -> None:
    renamed = [row("Z", "10.0.8.0/24"), row("m", "10.0.0.0/25"), row("n", "10.0.0.128/25")]
    assert subnet.put(EXTERNALS, renamed).status == 200
    assert names(subnet, f"{EXTERNALS}/Z/subnets") == ["Y"]
    swapped = [row("n", "10.0.0.0/25"), row("m", "10.0.0.128/25"), row("Z", "10.0.8.128/25")]
    assert subnet.put(EXTERNALS, swapped).status == 200
    assert [(each["name"], each["cidr"]) for each in subnet.get(EXTERNALS).json] == [
        (each["name"], each["cidr"]) for each in swapped
    ]
    assert names(subnet, f"{EXTERNALS}/Z/subnets") == ["Y"]


def test_a_put_of_externals_that_cannot_be_changes_nothing(live: Live, subnet: Client) -> None:
    before = subnet.get(EXTERNALS).json
    assert subnet.post(f"{B}/reservations", {"cidr": "10.0.5.0/24"}).status == 201
    network = live.cloud.put("net", "10.0.6.0/24")
    assert subnet.post(f"{B}/networks", {"id": network}).status == 201
    kept = row("X", "10.0.8.0/24")
    clash = "within the CIDR range of one or more external networks."
    for sent, text in (
        ([], "Cannot delete external network while it contains subnets."),
        ([kept, kept], "List cannot contain duplicate external network names."),
        ([kept, row("e", "10.0.8.0/25")], "List cannot contain overlapping external network CIDR's."),
        ([kept, row("e", "11.0.0.0/24")], "List contains external network CIDR(s) outside the block CIDR."),
        ([kept, row("e", "10.0.5.0/24")], f"Block contains unfulfilled reservation(s) {clash}"),
        ([kept, row("e", "10.0.6.0/24")], f"Block contains virtual network(s) or hub(s) {clash}"),
        ([kept, row("e", "10.0.1.1/24")], "External network cidr invalid, should be 10.0.1.0/24"),
        ([row("X", "10.0.8.0/26")], "Updated External Network CIDR must contain all existing subnets."),
    ):
        refused(subnet.put(EXTERNALS, sent), 400, text)
        assert subnet.get(EXTERNALS).json == before
    assert subnet.put(EXTERNALS, [{"name": "X"}]).status == 422


def test_the_order_outlives_the_process(tmp_path: Path) -> None:
    database = str(tmp_path / "register.db")
    with serve(database, tmp_path) as live:
        live.admin.post("/spaces", {"name": "S", "desc": "s"})
        live.admin.post("/spaces/S/blocks", {"name": "B", "cidr": "10.0.0.0/16"})
        assert live.admin.put(EXTERNALS, [row("z", "10.0.9.0/24"), row("a", "10.0.1.0/24")]).status == 200
        assert live.admin.put(EXTERNALS, [row("a", "10.0.1.0/24"), row("z", "10.0.9.0/24")]).status == 200
        token = live.admin.token
    with serve(database, tmp_path) as live:
        assert names(live.admin.as_(token), EXTERNALS) == ["a", "z"]


def test_an_external_may_have_no_description(subnet: Client) -> None:
    for path in (EXTERNALS, SUBNETS):
        made = subnet.post(path, {"name": "plain", "size": 28})
        assert (made.status, made.json["desc"]) == (201, ""), made.body
        assert subnet.change(f"{path}/plain", name="renamed").json["desc"] == ""
        assert subnet.change(f"{path}/renamed", desc="told").json["desc"] == "told"
        assert subnet.change(f"{path}/renamed", desc="").status == 400
        assert subnet.post(path, {"name": "empty", "desc": "", "size": 28}).status == 400
