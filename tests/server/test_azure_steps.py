"""The 47 steps of the original's own test suite (spec azure-ipam-application §5.2), one after the other, by HTTP."""

from __future__ import annotations

from typing import Any

from tests.server.live import Client, Live

A = "/spaces/TestSpaceA"
B = f"{A}/blocks/TestBlockA"
EXTERNALS = f"{B}/externals"
SUBNETS = f"{EXTERNALS}/ExternalNetA/subnets"
ENDPOINTS = f"{SUBNETS}/SubnetA/endpoints"


def made(answer: Any, status: int = 201) -> Any:
    assert answer.status == status, answer.body
    return answer.json if answer.body else None


def spaces(api: Client) -> None:
    """Steps 1 to 5."""
    assert made(api.get("/spaces"), 200) == []
    for name in ("TestSpace01", "TestSpace02"):
        made(api.post("/spaces", {"name": name, "desc": f"{name} desc"}))
    assert [s["name"] for s in made(api.get("/spaces"), 200)] == ["TestSpace01", "TestSpace02"]
    made(api.delete("/spaces/TestSpace02"), 200)
    assert [s["name"] for s in made(api.get("/spaces"), 200)] == ["TestSpace01"]
    made(api.change("/spaces/TestSpace01", name="TestSpaceA", desc="Test Space A"), 200)
    assert made(api.get(A), 200) == {"name": "TestSpaceA", "desc": "Test Space A", "blocks": []}


def blocks(api: Client) -> None:
    """Steps 6 to 10."""
    assert made(api.get(f"{A}/blocks"), 200) == []
    first = made(api.post(f"{A}/blocks", {"name": "TestBlock01", "cidr": "10.0.0.0/16"}))
    assert first == {"name": "TestBlock01", "cidr": "10.0.0.0/16", "vnets": [], "externals": [], "resv": []}
    made(api.post(f"{A}/blocks", {"name": "TestBlock02", "cidr": "192.168.0.0/24"}))
    made(api.delete(f"{A}/blocks/TestBlock02"), 200)
    assert [b["name"] for b in made(api.get(f"{A}/blocks"), 200)] == ["TestBlock01"]
    made(api.change(f"{A}/blocks/TestBlock01", name="TestBlockA", cidr="10.1.0.0/16"), 200)
    block = made(api.get(B), 200)
    assert (block["name"], block["cidr"]) == ("TestBlockA", "10.1.0.0/16")


def networks(live: Live) -> None:
    """Steps 11 to 14."""
    api = live.admin
    assert made(api.get(f"{B}/networks"), 200) == []
    one = live.cloud.put("TestVNet01", "10.1.0.0/24")
    block = made(api.post(f"{B}/networks", {"id": one}))
    assert block["vnets"] == [{"id": one, "active": True}]
    two = live.cloud.put("TestVNet02", "10.1.10.0/24")
    both = [{"id": one, "active": True}, {"id": two, "active": True}]
    assert made(api.put(f"{B}/networks", [one, two]), 200) == both
    assert made(api.get(f"{B}/networks"), 200) == both
    made(api.delete(f"{B}/networks", [two]), 200)
    assert made(api.get(f"{B}/networks"), 200) == both[:1]


def externals(api: Client) -> None:
    """Steps 15 to 20. (The suite keeps the first for what follows.)"""
    assert made(api.get(EXTERNALS), 200) == []
    first = {"name": "ExternalNet01", "desc": "External Network 01", "cidr": "10.1.1.0/24"}
    assert made(api.post(EXTERNALS, first)) == {"space": "TestSpaceA", "block": "TestBlockA", **first, "subnets": []}
    second = made(api.post(EXTERNALS, {"name": "ExternalNet02", "desc": "External Network 02", "size": 24}))
    assert second["cidr"] == "10.1.2.0/24"
    assert made(api.get(f"{EXTERNALS}/ExternalNet02"), 200)["cidr"] == "10.1.2.0/24"
    assert len(made(api.get(EXTERNALS), 200)) == 2
    made(api.delete(f"{EXTERNALS}/ExternalNet02"), 200)
    changed = api.change(
        f"{EXTERNALS}/ExternalNet01", name="ExternalNetA", desc="External Network A", cidr="10.1.1.0/24"
    )
    assert made(changed, 200) == {
        "name": "ExternalNetA",
        "desc": "External Network A",
        "cidr": "10.1.1.0/24",
        "subnets": [],
    }
    assert [e["name"] for e in made(api.get(EXTERNALS), 200)] == ["ExternalNetA"]


def subnets(api: Client) -> None:
    """Steps 21 to 26."""
    assert made(api.get(SUBNETS), 200) == []
    first = made(api.post(SUBNETS, {"name": "Subnet01", "desc": "Subnet 01", "cidr": "10.1.1.0/26"}))
    assert first["external"] == "ExternalNetA"
    second = made(api.post(SUBNETS, {"name": "Subnet02", "desc": "Subnet 02", "size": 26}))
    assert second["cidr"] == "10.1.1.64/26"
    assert made(api.get(f"{SUBNETS}/Subnet02"), 200)["cidr"] == "10.1.1.64/26"
    made(api.change(f"{SUBNETS}/Subnet01", name="SubnetA", desc="Subnet A", cidr="10.1.1.0/27"), 200)
    assert made(api.get(f"{SUBNETS}/SubnetA"), 200)["cidr"] == "10.1.1.0/27"
    made(api.delete(f"{SUBNETS}/Subnet02"), 200)
    assert [s["name"] for s in made(api.get(SUBNETS), 200)] == ["SubnetA"]


def endpoints(api: Client) -> None:
    """Steps 27 to 34."""
    assert made(api.get(ENDPOINTS), 200) == []
    assert made(api.post(ENDPOINTS, {"name": "Endpoint01", "desc": "Endpoint 01", "ip": "10.1.1.4"}), 200) == {
        "name": "Endpoint01", "desc": "Endpoint 01", "ip": "10.1.1.4",
    }  # fmt: skip
    assert made(api.post(ENDPOINTS, {"name": "Endpoint02", "desc": "Endpoint 02", "ip": None}), 200)["ip"] == "10.1.1.1"
    four = [("Endpoint01", "10.1.1.4"), ("Endpoint03", "10.1.1.5"), ("Endpoint04", None), ("Endpoint05", None)]
    body = [{"name": name, "desc": name, "ip": ip} for name, ip in four]
    assert [e["ip"] for e in made(api.put(ENDPOINTS, body), 200)] == ["10.1.1.4", "10.1.1.5", "10.1.1.1", "10.1.1.2"]
    made(api.delete(ENDPOINTS, ["Endpoint04", "Endpoint05"]), 200)
    assert [e["name"] for e in made(api.get(ENDPOINTS), 200)] == ["Endpoint01", "Endpoint03"]
    assert made(api.get(f"{ENDPOINTS}/Endpoint03"), 200)["ip"] == "10.1.1.5"
    made(api.change(f"{ENDPOINTS}/Endpoint01", name="EndpointA", desc="Endpoint A", ip="10.1.1.6"), 200)
    assert made(api.get(f"{ENDPOINTS}/EndpointA"), 200)["ip"] == "10.1.1.6"
    made(api.delete(f"{ENDPOINTS}/Endpoint03"), 200)
    assert [e["name"] for e in made(api.get(ENDPOINTS), 200)] == ["EndpointA"]


def reservations(live: Live) -> None:
    """Steps 35 to 40."""
    api, path = live.admin, f"{B}/reservations"
    assert made(api.get(path), 200) == []
    three = [made(api.post(path, {"size": 24, "desc": f"Test Reservation {n}"})) for n in (1, 2, 3)]
    assert [r["cidr"] for r in three] == ["10.1.2.0/24", "10.1.3.0/24", "10.1.4.0/24"]
    assert all(r["settledOn"] is None and r["status"] == "wait" for r in three)
    assert three[0]["tag"] == {"X-IPAM-RES-ID": three[0]["id"]}
    third = live.cloud.put("TestVNet03", "10.1.2.0/24", tags={"X-IPAM-RES-ID": three[0]["id"]})
    live.follow()
    assert {"id": third, "active": True} in made(api.get(f"{B}/networks"), 200)
    past = {r["id"]: r for r in made(api.get(f"{path}?settled=true"), 200)}
    assert past[three[0]["id"]]["status"] == "fulfilled"
    assert past[three[0]["id"]]["settledBy"] == "AzureIPAM"
    made(api.delete(path, [three[1]["id"], three[2]["id"]]), 204)
    assert made(api.get(path), 200) == []
    past = {r["id"]: r["status"] for r in made(api.get(f"{path}?settled=true"), 200)}
    assert [past[r["id"]] for r in three] == ["fulfilled", "cancelledByUser", "cancelledByUser"]
    assert made(api.get(f"{path}/{three[1]['id']}"), 200)["cidr"] == "10.1.3.0/24"
    again = [made(api.post(path, {"size": 24})) for _ in range(2)]
    made(api.delete(f"{path}/{again[0]['id']}"), 204)
    assert made(api.get(f"{path}/{again[0]['id']}"), 200)["status"] == "cancelledByUser"
    assert [r["id"] for r in made(api.get(path), 200)] == [again[1]["id"]]


def tools(live: Live) -> None:
    """Steps 41 to 46."""
    api = live.admin
    made(api.post("/spaces", {"name": "ToolSpace", "desc": "Tool Space"}))
    made(api.post("/spaces/ToolSpace/blocks", {"name": "ToolBlock", "cidr": "198.51.100.0/24"}))
    wanted = {"space": "ToolSpace", "blocks": ["ToolBlock"], "size": 24}
    assert made(api.post("/tools/nextAvailableVNet", wanted), 200) == {
        "space": "ToolSpace", "block": "ToolBlock", "cidr": "198.51.100.0/24",
    }  # fmt: skip
    network = live.cloud.put("ToolVNet", "198.51.100.0/24")
    made(api.post("/spaces/ToolSpace/blocks/ToolBlock/networks", {"id": network}))
    assert made(api.post("/tools/nextAvailableSubnet", {"vnet_id": network, "size": 26}), 200) == {
        "vnet_name": "ToolVNet", "resource_group": "rg", "subscription_id": network.split("/")[2],
        "cidr": "198.51.100.0/26",
    }  # fmt: skip
    (hit,) = made(api.post("/tools/cidrCheck", {"cidr": "198.51.100.0/26"}), 200)
    assert (hit["name"], hit["prefixes"]) == ("ToolVNet", ["198.51.100.0/24"])
    assert hit["containers"] == [{"space": "ToolSpace", "block": "ToolBlock"}]


def status(api: Client) -> None:
    """Step 47; it needs no token."""
    shape = made(api.as_("").get("/status"), 200)
    assert (shape["status"], shape["stack"], shape["environment"]) == ("OK", "AppContainer", "AZURE_PUBLIC")


def test_the_original_suite_passes(live: Live) -> None:
    spaces(live.admin)
    blocks(live.admin)
    networks(live)
    externals(live.admin)
    subnets(live.admin)
    endpoints(live.admin)
    reservations(live)
    tools(live)
    status(live.admin)
