"""What is seen of the cloud in the Azure IPAM API's hidden listings (spec §2.7): whole rows, and IPv4 alone counted."""

from __future__ import annotations

from typing import Any

import pytest
from tests.plan.clouds import SUBSCRIPTION, TENANT
from tests.server.live import Client, Live

from unipam.addr.prefix import parse_prefix
from unipam.model.cloud import CloudSubnet, Peering, key

B = "/spaces/S/blocks/B"
MOST = 2**53
"""The largest number that a client whose numbers are doubles can count to."""


def by_name(api: Client, listing: str) -> dict[str, dict[str, Any]]:
    answer = api.get(f"/azure/{listing}")
    assert answer.status == 200, answer.body
    return {row["name"]: row for row in answer.json}


@pytest.fixture
def hub(live: Live, api: Client) -> str:
    """A hub and two networks, one of them peered with the hub through its transit network; all but one in the block."""
    transit = "/subscriptions/x/resourceGroups/y/providers/Microsoft.Network/virtualNetworks/HV_hub_ab12"
    peered = live.cloud.put(
        "peered", "10.0.0.0/24", subnets={"web": "10.0.0.0/26"}, tags={"X-IPAM-RES-ID": "one, two"},
        peerings=[Peering("out", transit, "Connected")],
    )  # fmt: skip
    live.cloud.put("loose", "172.16.0.0/16")
    made = live.cloud.put("hub", "10.0.4.0/24", hub=True, peerings=[Peering("in", peered, "Connected")])
    for each in (peered, made):
        assert api.post(f"{B}/networks", {"id": each}).status == 201
    return made


def test_networks_have_the_whole_rows_of_vnets_and_hubs(api: Client, hub: str) -> None:
    rows = api.get("/azure/network").json
    assert [(row["name"], row["type"]) for row in rows] == [("peered", "vnet"), ("loose", "vnet"), ("hub", "vhub")]
    vnets, hubs, networks = by_name(api, "vnet"), by_name(api, "vhub"), by_name(api, "network")
    assert networks["loose"] == {**vnets["loose"], "type": "vnet"}
    through = [{"name": "out", "remote_network": hub, "state": "Connected"}]
    assert networks["peered"] == {**vnets["peered"], "type": "vnet", "peerings": through}
    prefix = hubs["hub"].pop("prefix")
    assert networks["hub"] == {**hubs["hub"], "type": "vhub", "prefixes": [prefix]}


def test_a_vnets_row_is_the_originals(api: Client, hub: str) -> None:
    row = by_name(api, "vnet")["peered"]
    assert row.pop("id").endswith("/peered")
    assert [each["name"] for each in row.pop("peerings")] == ["out"]
    assert row == {
        "name": "peered", "prefixes": ["10.0.0.0/24"], "resource_group": "rg", "subscription_id": SUBSCRIPTION,
        "tenant_id": TENANT, "resv": "one,two", "size": 256, "used": 64, "parent_space": "S", "parent_block": ["B"],
        "subnets": [{"name": "web", "prefix": "10.0.0.0/26", "used": 5, "size": 64, "type": None}],
    }  # fmt: skip


def test_a_hubs_row_is_the_originals(api: Client, hub: str) -> None:
    row = by_name(api, "vhub")["hub"]
    assert [each["name"] for each in row.pop("peerings")] == ["in"]
    assert row == {
        "name": "hub", "id": hub, "prefix": "10.0.4.0/24", "vwan_name": "wan", "vwan_id": "/wan", "resv": None,
        "resource_group": "rg", "subscription_id": SUBSCRIPTION, "tenant_id": TENANT, "size": 256, "used": None,
        "parent_space": "S", "parent_block": ["B"],
    }  # fmt: skip


@pytest.fixture
def dual(live: Live, api: Client) -> str:
    """A network of both families in the block, with IPv6 first, and so its subnets; and beside B a block of IPv6."""
    made = live.cloud.put("dual", "2001:db8::/48", "10.0.0.0/24")
    prefixes = {"both": ("2001:db8::/64", "10.0.0.0/26"), "four": ("10.0.0.64/26",), "six": ("2001:db8:0:1::/64",)}
    subnets = tuple(CloudSubnet(f"{made}/subnets/{n}", n, tuple(map(parse_prefix, p)), 5) for n, p in prefixes.items())
    live.cloud.networks[key(made)] = live.cloud.networks[key(made)]._replace(subnets=subnets)
    assert api.post("/spaces/S/blocks", {"name": "Six", "cidr": "2001:db8::/32"}).status == 201
    for block in ("B", "Six"):
        assert api.post(f"/spaces/S/blocks/{block}/networks", {"id": made}).status == 201
    return made


def numbers(shape: Any) -> list[int]:
    """Every whole number anywhere in an answer."""
    if isinstance(shape, dict):
        return [n for value in shape.values() for n in numbers(value)]
    if isinstance(shape, list):
        return [n for value in shape for n in numbers(value)]
    return [shape] if isinstance(shape, int) else []


@pytest.mark.parametrize(
    "path",
    [
        "/azure/vnet", "/azure/network", "/azure/subnet", "/internal/tree", "/spaces?utilization=true",
        "/spaces/S?utilization=true&expand=true", "/spaces/S/blocks/Six?utilization=true&expand=true",
    ],
)  # fmt: skip
def test_no_number_is_more_than_clients_can_hold(api: Client, dual: str, path: str) -> None:
    assert max(numbers(api.get(path).json)) < MOST


def test_listings_count_and_show_ipv4_alone(api: Client, dual: str) -> None:
    for listing in ("vnet", "network"):
        row = by_name(api, listing)["dual"]
        assert (row["prefixes"], row["size"], row["used"]) == (["10.0.0.0/24"], 256, 128)
        assert [(s["name"], s["prefix"], s["size"]) for s in row["subnets"]] == [
            ("both", "10.0.0.0/26", 64), ("four", "10.0.0.64/26", 64),
        ]  # fmt: skip
    assert {name: row["prefix"] for name, row in by_name(api, "subnet").items()} == {
        "both": "10.0.0.0/26", "four": "10.0.0.64/26",
    }  # fmt: skip


def test_spaces_and_blocks_count_ipv4_alone(api: Client, dual: str) -> None:
    space = api.get("/spaces/S?utilization=true&expand=true").json
    assert (space["size"], space["used"]) == (65536, 256)
    four, six = space["blocks"]
    assert (four["size"], four["used"], six["size"], six["used"]) == (65536, 256, 0, 0)
    (shown,) = four["vnets"]
    assert (shown["id"], shown["prefixes"], shown["size"], shown["used"]) == (dual, ["10.0.0.0/24"], 256, 128)
    assert [(s["name"], s["prefix"]) for s in shown["subnets"]] == [("both", "10.0.0.0/26"), ("four", "10.0.0.64/26")]


def test_the_native_api_tells_the_families_apart(api: Client, dual: str) -> None:
    native = api.at("/api/v1")
    use = native.get("/spaces/S/utilisation").json
    assert (use["size"], use["used"]) == (65536, 256)
    assert (use["ipv6"]["size"], use["ipv6"]["used"]) == (2**96, 2**80)
    rows = native.get(f"{B}/networks/subnets").json["items"]
    assert {row["name"]: (row["size"], row["size_ipv6"]) for row in rows} == {
        "both": (64, 2**64), "four": (64, 0), "six": (0, 2**64),
    }  # fmt: skip
