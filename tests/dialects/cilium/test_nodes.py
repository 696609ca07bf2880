"""CiliumNodes, interfaces and models as the genuine operator wrote and read them, and its planners' choices."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest

from unipam.addr.prefix import parse_prefix
from unipam.dialects.cilium.formulas import Parameters
from unipam.dialects.cilium.machine import configurations, machine_of, names, nic_of, with_more, without
from unipam.dialects.cilium.nics import Address, Nic, Subnet, capacity, nics_of, subnet_of
from unipam.dialects.cilium.node import CiliumNode, node_of, published, spec_patch, status_patch
from unipam.dialects.cilium.planning import Grow, Policy, Short, growth
from unipam.model.errors import Missing

CAPTURED = Path(__file__).parent / "captured"


def captured(name: str) -> Any:
    """What the genuine operator 1.20.2 wrote."""
    return json.loads((CAPTURED / name).read_text())


def nic(name: str = "aks-nic", count: int = 1, *, subnet: str = "/v/subnets/nodes0", **fields: Any) -> Nic:
    addresses = [Address(f"10.240.0.{4 + i}", "succeeded", f"c{i}", i == 0) for i in range(count)]
    return Nic(f"/m/networkInterfaces/{name}", name, "/m", "", subnet, "10.240.0.4", tuple(addresses), **fields)


def node(**wanted: int) -> CiliumNode:
    return CiliumNode("n", "u", "1", "/m", Parameters(**wanted), frozenset(), frozenset(), 0, {}, {})


ROOM = {"/v/subnets/nodes0": Subnet("/v/subnets/nodes0", parse_prefix("10.240.0.0/16"), 1000)}


def interface(document: dict[str, Any]) -> dict[str, Any]:
    """The interface of ARM that the captured status was made of."""
    (said,) = document["status"]["azure"]["interfaces"]
    first = {"ip": said["ip"], "primary": True, "state": "Succeeded"}
    every = [first, *({"primary": False, **each, "state": "Succeeded"} for each in said.get("addresses", ()))]
    return {
        "id": said["id"], "name": said["name"],
        "properties": {
            "macAddress": said["mac"].replace(":", "-"),
            "virtualMachine": {"id": said["id"].rpartition("/networkI")[0]},
            "networkSecurityGroup": {"id": said["security-group"]},
            "ipConfigurations": [
                {"name": f"c{i}", "properties": {
                    "privateIPAddress": each["ip"], "primary": each["primary"], "provisioningState": each["state"],
                    "subnet": {"id": said["subnet"]["id"]},
                }} for i, each in enumerate(every)
            ],
        },
    }  # fmt: skip


def test_what_is_published_is_what_the_genuine_operator_wrote() -> None:
    """A9: the captured document, made from its interface, differs in nothing."""
    document = captured("ciliumnode-2-first-pool.json")
    found = nics_of([interface(document)])
    subnet_id = found[0].subnet
    subnets = {subnet_id.lower(): Subnet(subnet_id, parse_prefix("10.240.0.0/16"), 100)}
    said = published(found, subnets, {})
    assert status_patch(node_of(document), said) == {}
    assert spec_patch(node_of(document), said) == {}
    before = captured("ciliumnode-1-before-operator.json")
    assert spec_patch(node_of(before), said)["pre-allocate"] == 8
    assert spec_patch(node_of(before), said)["pool"] == document["spec"]["ipam"]["pool"]
    assert status_patch(node_of(before), said)["azure"] == document["status"]["azure"]


def test_both_ways_of_telling_what_is_used_are_read() -> None:
    eight = node_of(captured("ciliumnode-3-eight-used.json"))
    assert (eight.in_use, len(eight.pool)) == (8, 16)
    requested = {"pools": {"requested": [{"pool": "default", "needed": {"ipv4-addrs": 13}}]}}
    assert node_of({"spec": {"ipam": requested}}).in_use == 5
    odd = node_of({"spec": {"ipam": {"pre-allocate": "x", "pool": []}}, "status": {"ipam": {"used": None}}})
    assert (odd.wanted.pre, odd.pool, odd.in_use) == (8, frozenset(), 0)


def test_an_error_is_told_and_taken_back() -> None:
    document = captured("ciliumnode-403.json")
    patch = status_patch(node_of(document), published([], {}, {}, "AuthorizationFailed: no right"))
    assert patch["ipam"]["operator-status"] == {"error": "AuthorizationFailed: no right"}
    document["status"]["ipam"] = {"operator-status": {"error": "x"}}
    assert status_patch(node_of(document), published([], {}, {}))["ipam"] == {"operator-status": {"error": None}}


@pytest.mark.parametrize("index", [0, 1])
def test_a12_the_model_is_written_as_the_genuine_operator_writes_it(index: int) -> None:
    """A12: its captured body is made again, from the model without what it added."""
    body = captured("vmss-vm-put-bodies.json")[index]["body"]
    added = [each["name"] for each in configurations(body, "aks-nic") if "primary" not in each["properties"]]
    model = copy.deepcopy(body)
    profile = model["properties"]["networkProfileConfiguration"]["networkInterfaceConfigurations"][0]
    kept = [each for each in profile["properties"]["ipConfigurations"] if each["name"] not in added]
    profile["properties"]["ipConfigurations"] = kept
    model["properties"]["storageProfile"]["imageReference"] = {"id": "/subscriptions/other/galleries/g"}
    made = with_more(model, "aks-nic", added)
    for each in ("instanceView", "provisioningState", "timeCreated"):
        body["properties"].pop(each)
    assert made == body
    assert configurations(without(made, "aks-nic", added), "aks-nic") == kept
    assert nic_of(model) == "aks-nic"


def test_a12_groups_are_copied_names_are_new_and_a_missing_interface_is_named() -> None:
    """A12: ASGs as the first configuration's; names `Cilium-[a-z0-9]{8}`, none twice."""
    groups = [{"id": "/asg"}]
    first = {
        "name": "ipconfig1",
        "properties": {"primary": True, "subnet": {"id": "/s"}, "applicationSecurityGroups": groups},
    }
    document = {"properties": {"ipConfigurations": [first]}}
    made = configurations(with_more(document, "any", ["Cilium-aaaaaaaa"]), "any")
    assert made[1]["properties"] == {
        "privateIPAddressVersion": "IPv4", "subnet": {"id": "/s"}, "applicationSecurityGroups": groups,
        "privateIPAllocationMethod": "Dynamic",
    }  # fmt: skip
    assert names(2, {"Cilium-a"}, iter(["a", "b", "b", "c"])) == ["Cilium-b", "Cilium-c"]
    with pytest.raises(Missing, match="interface eth7 does not exist in VM /vm"):
        configurations({"id": "/vm", "properties": {"networkProfileConfiguration": {}}}, "eth7")
    assert without(document, "any", ["ipconfig1"])["properties"]["ipConfigurations"] == [first], "the primary one stays"


def test_a5_capacity() -> None:
    """A5: 255 with one interface, 254 with two, 256 where the primary address counts."""
    assert capacity([nic()]) == 255
    assert capacity([nic(), nic("b")]) == 254
    assert capacity([nic(use_primary=True)]) == 256
    assert growth(node(pre=300), [nic(count=250)], ROOM, Policy()) == Grow(nic(count=250), 6, 7)
    assert isinstance(growth(node(pre=300), [nic(count=256)], ROOM, Policy()), Short)


def test_a4_a18_the_first_interface_by_its_id_and_its_own_subnet() -> None:
    """A4, A18: never another subnet, the same choice for the same facts in whatever order."""
    many = [nic(f"nic{i}") for i in range(5)]
    for seed in range(20):
        random.Random(seed).shuffle(many)
        grow = growth(node(pre=8), many, ROOM, Policy())
        assert isinstance(grow, Grow)
        assert grow.nic.name == "nic0"
    elsewhere = nic(subnet="/v/subnets/full")
    room = {**ROOM, "/v/subnets/full": Subnet("/v/subnets/full", parse_prefix("10.9.0.0/28"), 0)}
    short = growth(node(pre=8), [elsewhere], room, Policy())
    assert short == Short(8, "subnet full (10.9.0.0/28) has no free address")


def test_the_named_interface_only() -> None:
    wanted = node(pre=8)._replace(wanted=Parameters(8, interface="nic1"))
    grow = growth(wanted, [nic("nic0"), nic("nic1")], ROOM, Policy())
    assert isinstance(grow, Grow)
    assert grow.nic.name == "nic1"
    assert growth(wanted, [nic("nic0")], ROOM, Policy()) == Short(8, "it has no interface nic1")


def test_a14_a_subnet_without_a_list_of_its_addresses_counts_as_empty() -> None:
    """A14: nil ipConfigurations: full size, less the five that Azure keeps."""
    found = subnet_of({"id": "/s", "properties": {"addressPrefix": "10.0.0.0/24"}})
    assert found == Subnet("/s", parse_prefix("10.0.0.0/24"), 251)
    several = {"addressPrefixes": ["fd00::/64", "10.0.0.0/24"], "ipConfigurations": [{}] * 11}
    found = subnet_of({"id": "/s", "properties": several})
    assert found is not None
    assert (found.free, found.gateway) == (240, "10.0.0.1")
    assert subnet_of({"id": "/s", "properties": {"addressPrefixes": ["fd00::/64"]}}) is None


def test_where_a_machine_is_written() -> None:
    base = "/subscriptions/s/resourceGroups/g/providers"
    of_set = f"{base}/Microsoft.Compute/virtualMachineScaleSets/x/virtualMachines/0"
    assert machine_of(f"{of_set}/networkInterfaces/aks-nic")[0::2] == (of_set, "aks-nic")
    in_small_letters = of_set.lower()  # ids come in whatever case (the ARM fixtures' README)
    assert machine_of(f"{in_small_letters}/networkinterfaces/aks-nic")[0::2] == (in_small_letters, "aks-nic")
    alone = f"{base}/Microsoft.Network/networkInterfaces/vm-nic"
    assert machine_of(alone)[0::2] == (alone, "vm-nic")
