"""What the table, the Nodes and the interfaces disagree on."""

from __future__ import annotations

from typing import Any

from tests.dialects.kubenet.nodes import node, nodes, route

from unipam.dialects.kubenet.looking import Interface, Seen, findings, interfaces_of
from unipam.dialects.kubenet.node import Node, node_of
from unipam.dialects.kubenet.policy import policy

PLAIN = policy("10.244.0.0/16")
SUBNET = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v/subnets/nodes"


def table(*routes: dict[str, Any], subnets: tuple[str, ...] = ()) -> Seen:
    return Seen("/rt", routes, subnets)


def right(of: list[Node]) -> list[dict[str, Any]]:
    return [route(each.name, each.ranges[0], f"10.1.0.{index + 4}") for index, each in enumerate(of)]


def kinds(of: list[Node], seen: Seen, **more: Any) -> list[tuple[str, str]]:
    return [(each.kind, each.about) for each in findings(of, PLAIN, table=seen, **more)]


def test_a_table_as_it_should_be_has_no_finding() -> None:
    of = nodes(3)
    assert kinds(of, table(*right(of), subnets=(SUBNET.lower(),)), subnet=SUBNET) == []


def test_a_missing_a_changed_and_a_left_over_route() -> None:
    of = [each._replace(condition=("False", "RouteCreated")) for each in nodes(3)]
    changed = route(of[1].name, "10.244.1.0/24", "10.9.9.9")
    gone = route("aks-np-1-vmss00000z", "10.244.9.0/24", "10.1.0.20")
    found = findings(of, PLAIN, table=table(right(of)[0], changed, gone))
    assert [(each.kind, each.about) for each in found] == [
        ("route differs", of[1].name), ("route missing", of[2].name), ("route of no node", "aks-np-1-vmss00000z"),
    ]  # fmt: skip
    assert found[0].text.endswith("by 10.9.9.9; its range is 10.244.1.0/24, and its address 10.1.0.5")
    assert "though its NetworkUnavailable says RouteCreated" in found[1].text
    assert all("unipam controller --kubenet" in each.way_out for each in found)


def test_an_emptied_table_is_one_finding() -> None:
    of = nodes(200)
    mine = route("mine", "0.0.0.0/0", "10.9.9.9")
    (emptied,) = findings(of, PLAIN, table=table(mine))
    assert (emptied.kind, emptied.about) == ("table emptied", "/rt")
    assert "none of the 200 routes" in emptied.text


def test_a_swapped_table_is_told_with_the_command_that_repairs_it() -> None:
    (found,) = findings([], PLAIN, table=table(subnets=("/other",)), subnet=SUBNET)
    assert found.way_out == f"az network vnet subnet update --ids {SUBNET} --route-table /rt"


def test_the_limit_is_foreseen() -> None:
    """400 routes: told from 360 on."""
    of = nodes(200)
    foreign = [route(f"mine-{index}", f"172.16.{index}.0/24", "10.9.9.9") for index in range(160)]
    assert ("table nearly full", "route table") in kinds(of, table(*foreign, *_routes(of)))
    assert ("table nearly full", "route table") not in kinds(of, table(*foreign[:100], *_routes(of)))


def _routes(of: list[Node]) -> list[dict[str, Any]]:
    return [route(each.name, each.ranges[0], f"10.1.{index // 250}.{index % 250 + 4}") for index, each in enumerate(of)]


def test_two_nodes_with_one_range() -> None:
    twins = [node("a", "10.244.0.0/24", ip="10.1.0.4"), node("b", "10.244.0.0/24", ip="10.1.0.5", created=1.0)]
    found = kinds(twins, table(route("a", "10.244.0.0/24", "10.1.0.4")))
    assert found == [("no route", "b"), ("range shared", "b")]


MACHINE = "/subscriptions/s/resourceGroups/MC_g/providers/Microsoft.Compute/virtualMachines/vm0"


def nic(address: str, *, forwards: bool = True) -> dict[str, Any]:
    configuration = {"name": "ipconfig1", "properties": {"privateIPAddress": address, "primary": True}}
    properties = {
        "virtualMachine": {"id": MACHINE},
        "enableIPForwarding": forwards,
        "ipConfigurations": [configuration],
    }
    return {"id": "/nic", "properties": properties}


def of_machine(documents: list[dict[str, Any]], provider: str = f"azure://{MACHINE}") -> list[str]:
    document = {
        "metadata": {"name": "n0"},
        "spec": {"podCIDRs": ["10.244.0.0/24"], "providerID": provider},
        "status": {"addresses": [{"type": "InternalIP", "address": "10.1.0.4"}]},
    }
    return [each.kind for each in findings([node_of(document)], PLAIN, interfaces=interfaces_of(documents))]


def test_the_node_s_address_is_one_of_its_machine_s_interface_that_forwards() -> None:
    assert of_machine([nic("10.1.0.4")]) == []
    assert of_machine([nic("10.1.0.9")]) == ["address differs"]
    assert of_machine([nic("10.1.0.4", forwards=False)]) == ["no forwarding"]
    assert of_machine([]) == ["no machine"]
    assert of_machine([nic("10.1.0.4")], provider="") == ["no machine"]
    assert interfaces_of([nic("10.1.0.4")])[MACHINE.lower()] == [Interface(frozenset(["10.1.0.4"]), forwards=True)]


def test_a_node_that_is_none_of_azures_lacks_no_machine() -> None:
    away = node("on-premises", "10.244.0.0/24", ip="192.168.0.4", managed=False)
    assert findings([away], PLAIN, interfaces={}) == []
