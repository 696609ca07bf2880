"""The 47 steps of the original's own test suite (spec azure-ipam-application §5.2), by HTTP, in its order.

Each step sends the names and bodies that the suite sends, and looks at what the suite looks at: the whole listing after
each change, by position where the suite asks for positions. Where the suite only asks whether a name is in a list, the
order is looked at all the same. A step that waits for Azure is one round of following the cloud here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.server.live import Client, Live, serve

A = "/spaces/TestSpaceA"
B = f"{A}/blocks/TestBlockA"
NETWORKS = f"{B}/networks"
EXTERNALS = f"{B}/externals"
SUBNETS = f"{EXTERNALS}/ExternalNetA/subnets"
ENDPOINTS = f"{SUBNETS}/SubnetA/endpoints"
RESERVATIONS = f"{B}/reservations"
TOOLS = "/spaces/ToolsSpace/blocks"

Row = dict[str, Any]
Step = Callable[["Suite"], None]
STEPS: list[Step] = []


def step(work: Step) -> Step:
    """The next step of the suite."""
    STEPS.append(work)
    return work


class Suite:
    """What the steps share: the register, its cloud, and the ids that earlier steps were given."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.api: Client = live.admin
        self.ids: dict[str, str] = {}

    def get(self, path: str) -> Any:
        answer = self.api.get(path)
        assert answer.status == 200, answer.body
        return answer.json

    def rows(self, path: str, *fields: str) -> list[tuple[Any, ...]]:
        """These fields of every row of a listing, in its order."""
        return [tuple(row[field] for field in fields) for row in self.get(path)]

    def post(self, path: str, body: Row, status: int = 201) -> Any:
        answer = self.api.post(path, body)
        assert answer.status == status, answer.body
        return answer.json

    def patch(self, path: str, **values: str) -> None:
        assert self.api.change(path, **values).status == 200

    def put(self, path: str, body: list[Any]) -> None:
        answer = self.api.put(path, body)
        assert answer.status == 200, answer.body

    def delete(self, path: str, body: list[str] | None = None, status: int = 200) -> None:
        answer = self.api.delete(path, body)
        assert answer.status == status, answer.body

    def subscription(self, network: str) -> str:
        """Where a network of the cloud is."""
        return self.ids[network].split("/")[2]

    def network(self, name: str, prefix: str, **tags: str) -> str:
        """A new virtual network in the cloud; its id, kept by its name."""
        self.ids[name] = self.live.cloud.put(name, prefix, tags=tags)
        return self.ids[name]

    def settled(self) -> list[tuple[bool, str]]:
        """Whether each reservation is settled, and its status."""
        query = f"{RESERVATIONS}?settled=true"
        return [(on is not None, status) for on, status in self.rows(query, "settledOn", "status")]


def external(letter: str, **where: Any) -> Row:
    return {"name": f"ExternalNet{letter}", "desc": f"External Network {letter}", **where}


def subnet(letter: str, **where: Any) -> Row:
    return {"name": f"Subnet{letter}", "desc": f"Subnet {letter}", **where}


def endpoint(letter: str, ip: str | None) -> Row:
    return {"name": f"Endpoint{letter}", "desc": f"Endpoint {letter}", "ip": ip}


# Spaces -------------------------------------------------------------------------------------------------------


@step
def no_spaces_exist(s: Suite) -> None:
    assert s.get("/spaces") == []


@step
def create_two_spaces(s: Suite) -> None:
    for number in (1, 2):
        s.post("/spaces", {"name": f"TestSpace0{number}", "desc": f"Test Space {number}"})
    assert s.rows("/spaces", "name") == [("TestSpace01",), ("TestSpace02",)]


@step
def delete_a_space(s: Suite) -> None:
    s.delete("/spaces/TestSpace02")
    assert s.rows("/spaces", "name") == [("TestSpace01",)]


@step
def update_a_space(s: Suite) -> None:
    s.patch("/spaces/TestSpace01", name="TestSpaceA", desc="Test Space A")
    assert s.rows("/spaces", "name", "desc") == [("TestSpaceA", "Test Space A")]


@step
def get_a_space(s: Suite) -> None:
    assert s.get(A) == {"name": "TestSpaceA", "desc": "Test Space A", "blocks": []}


# Blocks -------------------------------------------------------------------------------------------------------


@step
def no_blocks_exist(s: Suite) -> None:
    assert s.get(f"{A}/blocks") == []


@step
def create_two_blocks(s: Suite) -> None:
    s.post(f"{A}/blocks", {"name": "TestBlock01", "cidr": "10.0.0.0/16"})
    s.post(f"{A}/blocks", {"name": "TestBlock02", "cidr": "192.168.0.0/24"})
    assert s.rows(f"{A}/blocks", "name") == [("TestBlock01",), ("TestBlock02",)]


@step
def delete_a_block(s: Suite) -> None:
    s.delete(f"{A}/blocks/TestBlock02")
    assert s.rows(f"{A}/blocks", "name") == [("TestBlock01",)]


@step
def update_a_block(s: Suite) -> None:
    s.patch(f"{A}/blocks/TestBlock01", name="TestBlockA", cidr="10.1.0.0/16")
    assert s.rows(f"{A}/blocks", "name", "cidr") == [("TestBlockA", "10.1.0.0/16")]


@step
def get_a_block(s: Suite) -> None:
    empty: Row = {"vnets": [], "externals": [], "resv": []}
    assert s.get(B) == {"name": "TestBlockA", "cidr": "10.1.0.0/16", **empty}


# Networks -----------------------------------------------------------------------------------------------------


@step
def no_networks_exist(s: Suite) -> None:
    assert s.get(NETWORKS) == []


@step
def add_a_network(s: Suite) -> None:
    s.post(NETWORKS, {"id": s.network("TestVNet01", "10.1.0.0/24")})
    assert s.get(B)["vnets"] == [{"id": s.ids["TestVNet01"], "active": True}]


@step
def replace_networks(s: Suite) -> None:
    both = [s.ids["TestVNet01"], s.network("TestVNet02", "10.1.1.0/24")]
    s.put(NETWORKS, both)
    assert s.get(NETWORKS) == [{"id": each, "active": True} for each in both]


@step
def delete_a_network(s: Suite) -> None:
    s.delete(NETWORKS, [s.ids["TestVNet02"]])
    assert s.rows(NETWORKS, "id") == [(s.ids["TestVNet01"],)]


# External networks --------------------------------------------------------------------------------------------

NET_A = external("A", cidr="10.1.1.0/24", subnets=[])


@step
def no_externals_exist(s: Suite) -> None:
    assert s.get(EXTERNALS) == []


@step
def add_an_external(s: Suite) -> None:
    s.post(EXTERNALS, external("A", cidr="10.1.1.0/24"))
    assert s.get(EXTERNALS) == [NET_A]


@step
def add_a_second_external(s: Suite) -> None:
    s.post(EXTERNALS, external("B", size=24))
    assert s.get(EXTERNALS) == [NET_A, external("B", cidr="10.1.2.0/24", subnets=[])]


@step
def get_an_external(s: Suite) -> None:
    assert s.get(f"{EXTERNALS}/ExternalNetB") == external("B", cidr="10.1.2.0/24", subnets=[])


@step
def update_an_external(s: Suite) -> None:
    s.patch(f"{EXTERNALS}/ExternalNetB", **external("C", cidr="10.1.3.0/24"))
    assert s.get(EXTERNALS) == [NET_A, external("C", cidr="10.1.3.0/24", subnets=[])]


@step
def delete_an_external(s: Suite) -> None:
    s.delete(f"{EXTERNALS}/ExternalNetC")
    assert s.get(EXTERNALS) == [NET_A]


# External subnets ---------------------------------------------------------------------------------------------

SUBNET_A = subnet("A", cidr="10.1.1.0/26", endpoints=[])


@step
def no_subnets_exist(s: Suite) -> None:
    assert s.get(SUBNETS) == []


@step
def add_a_subnet(s: Suite) -> None:
    s.post(SUBNETS, subnet("A", cidr="10.1.1.0/26"))
    assert s.get(SUBNETS) == [SUBNET_A]


@step
def add_a_second_subnet(s: Suite) -> None:
    s.post(SUBNETS, subnet("B", size=26))
    assert s.get(SUBNETS) == [SUBNET_A, subnet("B", cidr="10.1.1.64/26", endpoints=[])]


@step
def get_a_subnet(s: Suite) -> None:
    assert s.get(f"{SUBNETS}/SubnetB") == subnet("B", cidr="10.1.1.64/26", endpoints=[])


@step
def update_a_subnet(s: Suite) -> None:
    s.patch(f"{SUBNETS}/SubnetB", **subnet("C", cidr="10.1.1.128/27"))
    assert s.get(SUBNETS) == [SUBNET_A, subnet("C", cidr="10.1.1.128/27", endpoints=[])]


@step
def delete_a_subnet(s: Suite) -> None:
    s.delete(f"{SUBNETS}/SubnetC")
    assert s.get(SUBNETS) == [SUBNET_A]


# External endpoints -------------------------------------------------------------------------------------------


@step
def no_endpoints_exist(s: Suite) -> None:
    assert s.get(ENDPOINTS) == []


@step
def add_an_endpoint(s: Suite) -> None:
    s.post(ENDPOINTS, endpoint("A", "10.1.1.4"), 200)
    assert s.get(ENDPOINTS) == [endpoint("A", "10.1.1.4")]


@step
def add_a_second_endpoint(s: Suite) -> None:
    s.post(ENDPOINTS, endpoint("B", None), 200)
    assert s.get(ENDPOINTS) == [endpoint("A", "10.1.1.4"), endpoint("B", "10.1.1.1")]


@step
def replace_endpoints(s: Suite) -> None:
    s.put(ENDPOINTS, [endpoint("A", "10.1.1.4"), endpoint("B", None), endpoint("C", "10.1.1.5"), endpoint("D", None)])
    wanted = {"A": "10.1.1.4", "B": "10.1.1.1", "C": "10.1.1.5", "D": "10.1.1.2"}
    assert s.get(ENDPOINTS) == [endpoint(letter, ip) for letter, ip in wanted.items()]


@step
def delete_endpoints(s: Suite) -> None:
    s.delete(ENDPOINTS, ["EndpointC", "EndpointD"])
    assert s.get(ENDPOINTS) == [endpoint("A", "10.1.1.4"), endpoint("B", "10.1.1.1")]


@step
def get_an_endpoint(s: Suite) -> None:
    assert s.get(f"{ENDPOINTS}/EndpointA") == endpoint("A", "10.1.1.4")


@step
def update_an_endpoint(s: Suite) -> None:
    s.patch(f"{ENDPOINTS}/EndpointB", **endpoint("C", "10.1.1.10"))
    assert s.get(ENDPOINTS) == [endpoint("A", "10.1.1.4"), endpoint("C", "10.1.1.10")]


@step
def delete_an_endpoint(s: Suite) -> None:
    s.delete(f"{ENDPOINTS}/EndpointC")
    assert s.get(ENDPOINTS) == [endpoint("A", "10.1.1.4")]


# Reservations -------------------------------------------------------------------------------------------------


@step
def no_reservations_exist(s: Suite) -> None:
    assert s.get(RESERVATIONS) == []


@step
def create_reservations(s: Suite) -> None:
    for letter in "ABC":
        s.ids[letter] = s.post(RESERVATIONS, {"size": 24, "desc": f"Test Reservation {letter}"})["id"]
    place = ("TestSpaceA", "TestBlockA")
    assert s.rows(RESERVATIONS, "space", "block", "desc", "cidr", "settledOn") == [
        (*place, "Test Reservation A", "10.1.2.0/24", None),
        (*place, "Test Reservation B", "10.1.3.0/24", None),
        (*place, "Test Reservation C", "10.1.4.0/24", None),
    ]


@step
def import_a_network_by_its_tag(s: Suite) -> None:
    s.network("TestVNet03", s.rows(RESERVATIONS, "cidr")[0][0], **{"X-IPAM-RES-ID": s.ids["A"]})
    s.live.follow()
    assert s.rows(NETWORKS, "id") == [(s.ids["TestVNet01"],), (s.ids["TestVNet03"],)]
    assert s.settled() == [(True, "fulfilled"), (False, "wait"), (False, "wait")]


@step
def delete_reservations(s: Suite) -> None:
    s.delete(RESERVATIONS, [s.ids["B"]], 204)
    assert s.settled() == [(True, "fulfilled"), (True, "cancelledByUser"), (False, "wait")]


@step
def get_a_reservation(s: Suite) -> None:
    row = s.get(f"{RESERVATIONS}/{s.ids['C']}")
    assert (row["space"], row["block"], row["desc"]) == ("TestSpaceA", "TestBlockA", "Test Reservation C")
    assert (row["cidr"], row["settledOn"]) == ("10.1.4.0/24", None)


@step
def delete_a_reservation(s: Suite) -> None:
    s.delete(f"{RESERVATIONS}/{s.ids['C']}", status=204)
    assert s.settled() == [(True, "fulfilled"), (True, "cancelledByUser"), (True, "cancelledByUser")]


# Tools --------------------------------------------------------------------------------------------------------


@step
def create_tools_space(s: Suite) -> None:
    s.post("/spaces", {"name": "ToolsSpace", "desc": "Tools Space"})
    assert s.rows("/spaces", "name") == [("TestSpaceA",), ("ToolsSpace",)]


@step
def create_tools_block(s: Suite) -> None:
    s.post(TOOLS, {"name": "ToolsBlock", "cidr": "198.51.100.0/24"})
    assert s.rows(TOOLS, "name", "cidr") == [("ToolsBlock", "198.51.100.0/24")]


@step
def next_available_network(s: Suite) -> None:
    found = s.post("/tools/nextAvailableVNet", {"space": "ToolsSpace", "blocks": ["ToolsBlock"], "size": 24}, 200)
    assert found == {"space": "ToolsSpace", "block": "ToolsBlock", "cidr": "198.51.100.0/24"}


@step
def add_a_network_to_tools_block(s: Suite) -> None:
    s.post(f"{TOOLS}/ToolsBlock/networks", {"id": s.network("ToolsNet", "198.51.100.0/24")})
    assert [each["id"] for each in s.get(f"{TOOLS}/ToolsBlock")["vnets"]] == [s.ids["ToolsNet"]]


@step
def next_available_subnet(s: Suite) -> None:
    found = s.post("/tools/nextAvailableSubnet", {"vnet_id": s.ids["ToolsNet"], "size": 26}, 200)
    where = {"vnet_name": "ToolsNet", "resource_group": "rg", "subscription_id": s.subscription("ToolsNet")}
    assert found == {**where, "cidr": "198.51.100.0/26"}


@step
def check_where_a_cidr_is_used(s: Suite) -> None:
    (found,) = s.post("/tools/cidrCheck", {"cidr": "198.51.100.0/24"}, 200)
    assert (found["name"], found["id"], found["resource_group"]) == ("ToolsNet", s.ids["ToolsNet"], "rg")
    assert (found["subscription_id"], found["prefixes"]) == (s.subscription("ToolsNet"), ["198.51.100.0/24"])
    assert found["containers"] == [{"space": "ToolsSpace", "block": "ToolsBlock"}]


# Status -------------------------------------------------------------------------------------------------------


@step
def status(s: Suite) -> None:
    found = s.get("/status")
    assert (found["status"], found["stack"], found["environment"]) == ("OK", "AppContainer", "AZURE_PUBLIC")


def be_app_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a register that starts here find what an App Service says to a container."""
    monkeypatch.setenv("WEBSITE_SITE_NAME", "ipam")
    monkeypatch.setenv("WEBSITE_STACK", "DOCKER")


def follow(live: Live) -> None:
    """Take every step, from the first to the last, on one register."""
    assert len(STEPS) == 47
    suite = Suite(live)
    for work in STEPS:
        work(suite)


def test_the_original_suite_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    be_app_service(monkeypatch)
    with serve(str(tmp_path / "register.db"), tmp_path) as live:
        follow(live)
