"""The leases of the node beside a register: its page, the address's page and the API, on a real ledger."""

from __future__ import annotations

import contextlib
import json
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.live import Client, Live, serve, token
from tests.server.pages.test_plan_pages import CORPUS, visitor
from tests.server.pages.visitor import Visitor

from unipam.addr.prefix import parse_address
from unipam.ledger.open import Ledgers
from unipam.model.pool_notes import describe
from unipam.model.records import Owner, Pool, PoolRange, Request

FIRST = parse_address("10.244.2.0")
POOL = Pool(0, (PoolRange(FIRST + 1, FIRST + 254, 125, FIRST + 1),))
HARM = "<script>alert(1)</script>\"'><img src=x>"


def hold(place: Path, pods: list[str]) -> None:
    """Let pods hold addresses in the ledger of a data directory; the last one's cools."""
    with contextlib.ExitStack() as stack:
        ledgers = Ledgers()
        stack.callback(ledgers.close_all)
        ledger = ledgers.at(str(place))
        for number, pod in enumerate(pods):
            details = json.dumps({"pod": pod, "netns": "/ns/a", "inode": 1})
            request = Request(
                Owner(f"c{number:063}", "eth0"), (POOL,), cooldown=3600, boot=ledger.boot, details=details
            )
            ledger.allocate("kubenet", request, pools=describe((POOL,)))
        ledger.release("kubenet", Owner(f"c{len(pods) - 1:063}", "eth0"), "DEL")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Live]:
    """A register beside a node with 130 pods, one of which has gone."""
    place = tmp_path / "networks"
    hold(place, [f"shop/web-{number}" for number in range(127)] + [f"bank/{HARM}", "bank/=1+1", "bank/gone"])
    with serve(str(tmp_path / "register.db"), tmp_path, ledger=str(place)) as live:
        yield live


def test_a_node_s_leases_are_listed_filtered_and_exported(node: Live) -> None:
    who = visitor(node, "admin")
    page = who.get("/leases")
    assert page.rows()[1][:3] == ["10.244.2.2", "shop/web-0", "held"]
    assert "100 of 130 shown" in page.words
    assert "129 held, 1 cooling, 1 gateway, 123 free; the next is 10.244.2.132" in page.words
    (more,) = [str(a.get("href")) for a in page.find("a") if a.get("rel") == "next"]
    assert who.get(more).rows()[1][0] == "10.244.2.102"
    assert [row[0] for row in who.get("/leases?namespace=bank&state=held").rows()[1:]] == [
        "10.244.2.129",
        "10.244.2.130",
    ]
    assert [row[0] for row in who.get("/leases?q=10.244.2.128/31").rows()[1:]] == ["10.244.2.128", "10.244.2.129"]
    assert who.get("/leases?state=cooling").rows()[1][1] == "bank/gone"
    assert who.get("/leases?q=nobody").find("section", class_="empty")
    assert len(page.text) <= 60_000
    csv = who.raw("GET", "/leases?format=csv").text
    assert csv.count("\n") == 131
    assert who.raw("GET", "/leases?after=nothing").status == 400


def test_what_a_pod_is_called_is_shown_as_text(node: Live) -> None:
    who = visitor(node, "admin")
    assert HARM in who.get("/leases?namespace=bank").words
    assert HARM in who.get("/addresses/10.244.2.129").words
    for text in CORPUS:
        for field in ("q", "namespace", "network", "sort"):
            assert who.get("/leases?" + urllib.parse.urlencode({field: text})).status in (200, 400)


def test_the_page_of_an_address_tells_who_had_it_on_the_node(node: Live) -> None:
    words = visitor(node, "admin").get("/addresses/10.244.2.2").words
    assert "10.244.2.2 of kubenet is held by" in words
    assert "shop/web-0" in words
    gone = visitor(node, "admin").get("/addresses/10.244.2.131").words
    assert "cools since" in gone
    assert "release" in gone


def test_the_api_answers_the_same(node: Live) -> None:
    api = node.admin.at("/api/v1")
    part = api.get("/leases?pod=web-5&sort=-since").json
    assert [row["address"] for row in part["items"]] == ["10.244.2.7"]
    assert api.get("/leases/pools").json["items"][0]["free"] == 123
    told = api.get("/leases/shop/web-5").json
    assert told["leases"][0]["address"] == "10.244.2.7"
    assert set(told) == {"subject", "kind", "sentences", "leases", "history"}


def test_a_lease_is_released_by_hand_once_and_with_a_reason(node: Live) -> None:
    who = visitor(node, "admin")
    page = who.get("/addresses/10.244.2.9")
    refused = who.send(page, "/leases/release", confirm="10.244.2.1", reason="its node <burnt>")
    assert refused.status == 400
    assert "type 10.244.2.9 to confirm" in refused.words
    assert refused.fields("/leases/release")["reason"] == "its node <burnt>"
    done = who.send(refused, "/leases/release", confirm="10.244.2.9")
    assert "10.244.2.9 of kubenet is released" in done.words
    assert "cools since" in done.words
    assert "its node <burnt>" in done.words
    assert not done.find("form", action="/leases/release")
    again = who.send(page, "/leases/release", confirm="10.244.2.9")
    assert again.status == 412
    assert "no longer held as you saw it" in again.words
    history = node.admin.at("/api/v1").get("/leases/10.244.2.9").json["history"]
    assert [row["verb"] for row in history] == ["release", "allocate"]
    assert history[0]["reason"] == "its node <burnt>"


def test_the_api_releases_only_what_was_seen(node: Live) -> None:
    api = node.admin.at("/api/v1")
    (lease,) = api.get("/leases/10.244.2.9").json["leases"]
    generation = lease["generation"]
    assert api.delete(f"/leases?address=10.244.2.9&generation={generation + 1}").status == 412
    assert api.delete(f"/leases?address=10.244.2.9&generation={generation}&reason=a%0Ab").status == 400
    assert api.delete(f"/leases?address=10.244.2.9&generation={generation}&reason=burnt").json["pod"] == lease["pod"]
    assert api.delete(f"/leases?address=10.244.2.9&generation={generation}").status == 412
    planner = token(node.admin, "other", "reader").at("/api/v1")
    assert planner.delete("/leases?address=10.244.2.10&generation=1").status == 403


@pytest.mark.parametrize("role", ["planner", "reader"])
def test_only_an_administrator_sees_pods(node: Live, role: str) -> None:
    api = node.admin.at("/api/v1")
    api.post("/spaces", {"name": "S", "desc": "a space"})
    who = visitor(node, role)
    page = who.get("/leases")
    assert "needs administrator" in page.words
    assert "web-0" not in page.text + who.raw("GET", "/leases?format=json").text + who.get("/addresses/10.244.2.2").text
    other = token(node.admin, "other", role, *(["S"] if role == "planner" else [])).at("/api/v1")
    assert {other.get(place).status for place in ("/leases", "/leases/pools", "/leases/10.244.2.2")} == {403}


def test_without_a_ledger_the_page_says_where_leases_are(admin: Visitor, api: Client, tmp_path: Path) -> None:
    page = admin.get("/leases")
    assert "unipam server --ledger DIRECTORY" in page.words
    assert "/leases" not in [a.get("href") for a in page.find("nav", id="navigation")[0].iter("a")]
    assert api.at("/api/v1").get("/leases").status == 404
    with serve(str(tmp_path / "other.db"), tmp_path, ledger=str(tmp_path / "none")) as live:
        assert "the first ADD makes it" in visitor(live, "admin").get("/leases").words
    assert not (tmp_path / "none").exists(), "to look makes nothing"
