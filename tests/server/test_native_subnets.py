"""Subnets of associated networks by the native API: what is seen of the cloud, by whom, and how old it is."""

from __future__ import annotations

import time

import pytest
from tests.plan.clouds import SUBSCRIPTION
from tests.server.live import Client, Live, token
from tests.server.test_native import problem

NETWORKS = "/spaces/S/blocks/B/networks"
SUBNETS = f"{NETWORKS}/subnets"


@pytest.fixture
def ids(live: Live) -> list[str]:
    """Two networks in the block B, of which one has two subnets; a third that is in no block."""
    api = live.admin.at("/api/v1")
    api.post("/spaces", {"name": "S", "desc": "a space"})
    api.post("/spaces/S/blocks", {"name": "B", "cidr": "10.0.0.0/16"})
    inner = {"a": "10.0.0.0/26", "b": "10.0.0.64/26"}
    found = [live.cloud.put("one", "10.0.0.0/24", subnets=inner), live.cloud.put("two", "10.0.1.0/24")]
    for each in found:
        assert api.post(NETWORKS, {"id": each}).status == 201
    return [*found, live.cloud.put("stranger", "10.0.2.0/24", subnets={"c": "10.0.2.0/26"})]


@pytest.fixture
def api(live: Live, ids: list[str]) -> Client:
    return live.admin.at("/api/v1")


def names(api: Client, query: str = "") -> list[str]:
    answer = api.get(SUBNETS + query)
    assert answer.status == 200, answer.body
    return [row["name"] for row in answer.json["items"]]


def test_each_says_where_it_is_how_full_and_how_old(api: Client, ids: list[str]) -> None:
    answer = api.get(f"{SUBNETS}?limit=1")
    (row,) = answer.json["items"]
    assert time.time() - row.pop("seen_on") < 60
    assert 0 <= int(answer.headers["Age"]) < 60
    assert row == {
        "id": f"{ids[0]}/subnets/a", "name": "a", "network": ids[0], "network_name": "one",
        "prefixes": ["10.0.0.0/26"], "size": 64, "size_ipv6": 0, "used": 5, "kind": None,
    }  # fmt: skip
    assert names(api, f"?after={answer.json['next']}") == ["b"]


def test_they_can_be_narrowed(api: Client, ids: list[str]) -> None:
    assert names(api) == ["a", "b"]
    assert names(api, "?overlaps=10.0.0.70") == ["b"]
    assert names(api, f"?network={ids[0].upper()}") == ["a", "b"]
    assert names(api, f"?network={ids[1]}") == []
    problem(api.get(f"{SUBNETS}?network={ids[2]}"), 404, "Missing")
    problem(api.get(f"{SUBNETS}?overlaps=x"), 400, "BadValue")
    problem(api.get(SUBNETS.replace("B", "nope")), 404, "Missing")


def test_what_is_excluded_or_gone_is_not_shown(live: Live, api: Client, ids: list[str]) -> None:
    live.admin.post("/admin/exclusions", [SUBSCRIPTION])
    assert names(api) == []
    live.admin.delete(f"/admin/exclusions/{SUBSCRIPTION}")
    live.cloud.drop(ids[0])
    assert names(api) == []


def test_of_local_tokens_only_those_that_plan_the_space_see_them(api: Client) -> None:
    api.post("/spaces", {"name": "T", "desc": "another space"})
    assert token(api, "r", "reader").get(SUBNETS).headers["Age"] is None, "it was shown nothing that has an age"
    assert names(token(api, "r2", "reader")) == names(token(api, "q", "planner", "T")) == []
    assert names(token(api, "p", "planner", "S")) == ["a", "b"]
