"""Who may know of which network (D12): no answer of either API names one that its reader may not see."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from tests.plan.clouds import SUBSCRIPTION, MemoryCloud, some_uuid
from tests.server.directory import Entra, signing_in
from tests.server.live import Client, Live, refused, token

from unipam.model.cloud import Endpoint
from unipam.model.errors import SourceFailed

OTHER = some_uuid(2)
B = "/spaces/S/blocks/B"
PATH = {"space": "S", "block": "B", "external": "E", "subnet": "N", "endpoint": "P", "name": "x", "object_id": OTHER}
ASKED = {
    "/api/v1/plan": "?at={at}",
    "/api/v1/explain": "?cidr=10.0.0.0/8",
    "/api/v1/history": "?cidr=10.0.1.0/24",
    "/api/v1/spaces/{space}/blocks/{block}/available": "?size=26&free=true&count=9",
    "/api/v1/spaces/{space}/blocks": "?utilisation=true",
    "/api/v1/spaces/{space}/blocks/{block}/networks/subnets": "?overlaps=10.0.0.0/8",
}


@pytest.fixture
def live(tmp_path: Path, entra: Entra) -> Iterator[Live]:
    with signing_in(tmp_path, entra, cloud=MemoryCloud((SUBSCRIPTION, OTHER))) as running:
        yield running


@pytest.fixture
def ids(live: Live, api: Client) -> dict[str, str]:
    """Two networks of the block B, of which Ann may see the open one; a third one is in no block."""
    cloud = live.cloud
    found = {
        "open": cloud.put("open", "10.0.0.0/24", subnets={"open-subnet": "10.0.0.0/26"}),
        "veiled": cloud.put("veiled", "10.0.1.0/24", subnets={"veiled-subnet": "10.0.1.0/26"}, subscription=OTHER),
    }
    cloud.put("veiled-elsewhere", "10.0.2.0/24", subscription=OTHER)
    machine = Endpoint(
        "vm", f"{found['veiled']}/vm", "veiled-vm", "10.0.1.4", "rg", OTHER, "t", vnet_id=found["veiled"]
    )
    cloud.endpoints.append(machine)
    for each in found.values():
        assert api.post(f"{B}/networks", {"id": each}).status == 201
    return found


@pytest.fixture
def ann(live: Live, entra: Entra) -> Client:
    """A member who may see one of the two subscriptions."""
    text = entra.token()
    live.cloud.may_see(text, SUBSCRIPTION)
    return live.admin.as_(text)


@pytest.fixture
def reader(api: Client) -> Client:
    return token(api, "r", "reader")


@pytest.fixture
def planner(api: Client) -> Client:
    return token(api, "p", "planner", "S")


@pytest.fixture
def stranger(api: Client) -> Client:
    """A planner of another space."""
    assert api.post("/spaces", {"name": "T", "desc": "d"}).status == 201
    assert api.post("/spaces/T/blocks", {"name": "B", "cidr": "10.0.0.0/16"}).status == 201
    return token(api, "q", "planner", "T")


def everything(live: Live, client: Client) -> dict[str, bytes]:
    """The answers of every path that can be read, of both APIs, documented or not."""
    whole = client.at("")
    paths = {route.path for route in iter_route_contexts(live.app.routes) if "GET" in (route.methods or ())}
    asked = {}
    for path in sorted(str(path) for path in paths if str(path).startswith("/api/") and "docs" not in str(path)):
        query = ASKED.get(path, "?utilization=true").format(at=time.time() + 1)
        asked[path] = whole.get(path.replace(":path}", "}").format_map(_Any(PATH)) + query).body
    return asked


class _Any(dict[str, str]):
    def __missing__(self, _: str) -> str:
        return "x"


def test_no_answer_names_what_its_reader_may_not_see(
    live: Live, ids: dict[str, str], ann: Client, reader: Client, stranger: Client, api: Client
) -> None:
    told = {path for path, body in everything(live, api).items() if b"veiled" in body}
    assert len(told) > 15, "the administrator is told in as many ways"
    for who, client in (("a member", ann), ("a reader", reader), ("another space's planner", stranger)):
        answers = everything(live, client)
        assert not [path for path, body in answers.items() if b"veiled" in body], who
        shown = {path for path, body in answers.items() if b"virtualNetworks/open" in body}
        assert bool(shown) == (who == "a member"), (who, shown)
    assert {"/api/spaces", "/api/v1/explain", "/api/v1/spaces/{space}/blocks/{block}/networks", "/api/azure/vnet"} <= {
        path for path, body in everything(live, ann).items() if b"virtualNetworks/open" in body
    }


def test_what_is_hidden_counts_all_the_same(ids: dict[str, str], ann: Client, reader: Client, api: Client) -> None:
    for client in (ann, reader):
        space = client.get("/spaces/S?utilization=true").json
        assert (space["used"], space["blocks"][0]["used"]) == (512, 512)
        native = client.at("/api/v1")
        assert native.get(f"{B}/utilisation").json["used"] == 512
        assert native.get(f"{B}/available?size=24&free=true").json["candidates"][0]["cidr"] == "10.0.2.0/24"
        held = native.get("/explain?cidr=10.0.1.9").json
        assert [(row["kind"], row["name"], row["cidr"]) for row in held] == [
            ("block", "B", "10.0.0.0/16"), ("network", "(hidden)", "10.0.1.0/24"),
        ]  # fmt: skip
        lines = native.get("/history?cidr=10.0.1.9").json
        assert [(line["verb"], line["holder"], line["details"]) for line in lines[:1]] == [("create", "(hidden)", "")]
        assert native.get(f"/history?name={ids['veiled']}").json == []
    assert [v["id"] for v in ann.get("/spaces").json[0]["blocks"][0]["vnets"]] == [ids["open"]]
    assert reader.get(B).json["vnets"] == []
    tree = ann.get("/internal/tree").json[0]["children"][0]["children"][0]
    assert tree["value"] == 65536 - 512
    assert [child["name"] for child in tree["children"]] == ["open", "(hidden)"]


def test_a_refusal_does_not_name_it_either(ids: dict[str, str], ann: Client) -> None:
    refused(ann.post(f"{B}/reservations", {"cidr": "10.0.1.0/25"}), 409, "Requested CIDR overlaps existing network(s).")
    answer = ann.at("/api/v1").post("/spaces/S/reservations", {"blocks": ["B"], "cidr": "10.0.1.0/25"})
    assert answer.json["detail"] == "10.0.1.0/25 overlaps a network (10.0.1.0/24)"
    assert b"veiled" not in answer.body
    gone = ann.at("/api/v1").get(f"{B}/networks/subnets?network={ids['veiled']}")
    assert (gone.status, gone.json["type"]) == (404, "urn:unipam:error:Missing")


def test_a_planner_sees_the_networks_of_its_spaces_and_no_others(
    live: Live, ids: dict[str, str], planner: Client, stranger: Client
) -> None:
    assert [v["id"] for v in planner.get(B).json["vnets"]] == list(ids.values())
    assert [row["name"] for row in planner.get("/azure/vnet").json] == ["open", "veiled"]
    assert (
        planner.post("/tools/nextAvailableSubnet", {"vnet_id": ids["veiled"], "size": 26}).json["cidr"]
        == "10.0.1.64/26"
    )
    native = planner.at("/api/v1")
    assert [row["id"] for row in native.get(f"{B}/networks").json["items"]] == list(ids.values())
    assert [row["name"] for row in native.get("/explain?cidr=10.0.1.9&space=S").json] == ["B", ids["veiled"]]
    holders = [line["holder"] for line in native.get("/history?cidr=10.0.1.9").json]
    assert ids["veiled"].lower() in holders
    assert planner.get("/azure/vm").json == [], "what is in them is nobody's plan"
    assert stranger.get("/azure/vnet").json == []
    elsewhere = next(n.id for n in live.cloud.networks.values() if n.name == "veiled-elsewhere")
    assert stranger.post("/spaces/T/blocks/B/networks", {"id": elsewhere}).status == 201  # a local token names it by id
    assert [row["name"] for row in stranger.get("/azure/vnet").json] == ["veiled-elsewhere"]


def test_a_person_associates_only_what_it_may_see(live: Live, entra: Entra, ids: dict[str, str], api: Client) -> None:
    grant = {"name": "g", "role": "planner", "spaces": ["S"], "app_role": "P"}
    assert api.at("/api/v1").post("/grants", grant).status == 201
    text = entra.token(roles=["P"])
    live.cloud.may_see(text, SUBSCRIPTION)
    bob = live.admin.as_(text)
    assert [v["id"] for v in bob.get(B).json["vnets"]] == list(ids.values())  # of its space
    elsewhere = next(n.id for n in live.cloud.networks.values() if n.name == "veiled-elsewhere")
    refused(bob.post(f"{B}/networks", {"id": elsewhere}), 400, "Invalid network ID.")
    assert bob.put(f"{B}/networks", [*ids.values(), elsewhere]).status == 400
    assert bob.at("/api/v1").post(f"{B}/networks", {"id": elsewhere}).status == 404
    live.cloud.may_see(text, SUBSCRIPTION, OTHER)
    assert bob.post(f"{B}/networks", {"id": elsewhere}).status == 201


def test_an_application_has_no_eyes_of_its_own(
    live: Live, entra: Entra, ids: dict[str, str], api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entra ID lets nobody act on behalf of one, so it is not even tried; it is as a local token."""
    monkeypatch.delattr(MemoryCloud, "visible_to")
    grant = {"name": "g", "role": "planner", "spaces": ["S"], "app_role": "P"}
    assert api.at("/api/v1").post("/grants", grant).status == 201
    member, pipeline = (live.admin.as_(entra.app_token(**claims)) for claims in ({}, {"roles": ["P"]}))
    assert member.get(B).json["vnets"] == []
    assert member.get("/azure/vnet").json == []
    assert [v["id"] for v in pipeline.get(B).json["vnets"]] == list(ids.values())
    elsewhere = next(n.id for n in live.cloud.networks.values() if n.name == "veiled-elsewhere")
    assert pipeline.post(f"{B}/networks", {"id": elsewhere}).status == 201
    marked = live.admin.as_(entra.token(idtyp="app"))  # the optional claim says so too
    assert marked.get(B).json["vnets"] == []


def test_when_the_cloud_cannot_be_asked_for_somebody_nothing_is_named(
    live: Live, ids: dict[str, str], ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise SourceFailed("Entra ID is away", source="entra")

    monkeypatch.setattr(live.cloud, "visible_to", fails)
    shown = ann.get("/spaces?utilization=true")
    assert (shown.status, shown.json[0]["blocks"][0]["vnets"], shown.json[0]["used"]) == (200, [], 512)
    assert ann.at("/api/v1").get(f"{B}/networks").json["items"] == []
    assert ann.get("/azure/vnet").status == 503  # a listing of the cloud itself says so


def test_the_past_names_what_may_be_seen(live: Live, ids: dict[str, str], ann: Client, api: Client) -> None:
    def networks(client: Client) -> list[str]:
        space = client.at("/api/v1").get(f"/plan?at={time.time() + 1}").json[0]
        return [item["name"] for item in space["items"][0]["items"]]

    assert networks(ann) == [ids["open"], "(hidden)"]
    assert networks(api) == list(ids.values())
    assert api.delete("/spaces/S?force=true").status == 200
    lines = ann.at("/api/v1").get("/history?cidr=10.0.1.9").json
    assert "veiled" not in json.dumps(lines)
