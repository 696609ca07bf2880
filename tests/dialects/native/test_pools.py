"""What a CiliumNode gives its node, against sets of single addresses; and documents that people have edited."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.dialects.native.cluster import INTERFACE, NIC, cilium_node

from unipam.addr.prefix import format_address, parse_address, parse_prefix
from unipam.dialects.cilium.node import KEPT, MARKED, READY, RELEASED, node_of
from unipam.dialects.native.making import machine, made, wanted
from unipam.dialects.native.pools import pools_of, requested
from unipam.ledger.learned import Learned, LearnedPool
from unipam.model.errors import BadConfig

OTHER = NIC.replace("aks-nic", "second")
SECOND = {**INTERFACE, "id": OTHER, "mac": "00:22:48:00:00:02", "cidr": "10.241.0.0/24", "gateway": ""}
SECOND.pop("subnet")
ADDRESSES = [*(f"10.240.0.{n}" for n in range(4, 24)), *(f"10.241.0.{n}" for n in range(4, 8))]


def pools(document: Any, withheld: tuple[str, ...] = ()) -> tuple[LearnedPool, ...]:
    return pools_of(node_of(document), withheld)


def addresses(found: tuple[LearnedPool, ...]) -> set[str]:
    return {format_address(a) for pool in found for first, last in pool.addresses for a in range(first, last + 1)}


@given(
    st.sets(st.sampled_from(ADDRESSES)),
    st.dictionaries(st.sampled_from(ADDRESSES), st.sampled_from([MARKED, READY, RELEASED, KEPT, "what?"])),
    st.sets(st.sampled_from(ADDRESSES)),
    st.sets(st.sampled_from(ADDRESSES)),
    st.booleans(),
)
def test_what_may_be_given_out_is_what_the_sets_say(
    pool: set[str], release: dict[str, str], withheld: set[str], owned: set[str], told: bool
) -> None:
    document = cilium_node(release=release)
    document["spec"]["ipam"]["pool"] = {
        ip: {"resource": NIC if ip.startswith("10.240") else OTHER} | ({"owner": "a/b"} if ip in owned else {})
        for ip in pool
    }
    document["status"]["azure"]["interfaces"] = [INTERFACE, SECOND] if told else [INTERFACE]
    found = pools(document, tuple(withheld))
    expected = {
        ip for ip in pool - withheld - owned if release.get(ip, KEPT) == KEPT and (told or ip.startswith("10.240"))
    }
    assert addresses(found) == expected
    for each in found:
        assert all(each.network.first <= first and last <= each.network.last for first, last in each.addresses)
        assert each.gateway == each.network.first + 1


def test_a_block_in_the_pool_is_its_sixteen_addresses() -> None:
    document = cilium_node(release={"10.240.0.17": MARKED})
    document["spec"]["ipam"]["pool"] = {"10.240.0.16/28": {"resource": NIC}}
    assert addresses(pools(document)) == {f"10.240.0.{n}" for n in range(16, 32)} - {"10.240.0.17"}


def test_what_people_name_without_an_interface_stands_alone() -> None:
    document = cilium_node()
    document["spec"]["ipam"]["pool"] = {"192.168.1.1": {}, "fd00::/124": {}, "nonsense": {}, "1.2.3.4": 7}
    found = pools(document)
    assert [str(each.network) for each in found] == ["1.2.3.4/32", "192.168.1.1/32", "fd00::/124"]
    assert {each.gateway for each in found} == {None}
    families = [{format_address(r.first) for r in pool.ranges} for pool in requested(Learned(0, found))]
    assert families == [{"192.168.1.1", "1.2.3.4"}, {"fd00::"}]


@pytest.mark.parametrize(
    "azure",
    [None, 7, {"interfaces": None}, {"interfaces": [7]}, {"interfaces": [{"id": NIC}]}, {"interfaces": [{"cidr": "x"}]},
     {"interfaces": [{**INTERFACE, "gateway": "x"}]}],
)  # fmt: skip
def test_an_interface_that_tells_no_subnet_gives_nothing_yet(azure: Any) -> None:
    document = cilium_node("10.240.0.9")
    document["status"]["azure"] = azure
    assert pools(document) == ()


def test_ranges_of_a_cluster_pool_count_where_there_is_no_pool() -> None:
    document = cilium_node("10.240.0.9")
    document["spec"]["ipam"]["podCIDRs"] = ["10.200.1.0/24", "no", "10.200.2.0/32"]
    assert addresses(pools(document)) == {"10.240.0.9"}
    del document["spec"]["ipam"]["pool"]
    (found,) = pools(document)
    assert (found.network, found.gateway) == (parse_prefix("10.200.1.0/24"), parse_address("10.200.1.1"))


# A CiliumNode that is made --------------------------------------------------------------------------------------------


NODE = {
    "metadata": {"name": "n1", "uid": "7"},
    "spec": {"providerID": "azure:///subscriptions/S/resourceGroups/MC_g/virtualMachineScaleSets/np/virtualMachines/0"},
    "status": {"addresses": [{"type": "Hostname", "address": "n1"}, {"type": "InternalIP", "address": "10.240.0.4"}]},
}


def test_it_goes_with_its_node_and_asks_for_what_the_configuration_says() -> None:
    asked = wanted({"ipam": {"pre-allocate": 4, "min-allocate": 10}, "azure": {"interface-name": "aks-nic"}})
    assert made(NODE, asked) == {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNode",
        "metadata": {
            "name": "n1",
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "7"}],
        },
        "spec": {
            "instance-id": "/subscriptions/s/resourcegroups/mc_g/virtualmachinescalesets/np/virtualmachines/0",
            "addresses": [{"ip": "10.240.0.4", "type": "InternalIP"}],
            "ipam": {"pre-allocate": 4, "min-allocate": 10},
            "azure": {"interface-name": "aks-nic"},
        },
    }


@pytest.mark.parametrize("provider", ["", "aws:///i-1", None])
def test_a_node_that_is_not_azures_has_no_machine(provider: Any) -> None:
    assert machine({"spec": {"providerID": provider}}) == ""


@pytest.mark.parametrize("value", ["8", True, -1, 1.5])
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(BadConfig, match="a whole number, 0 or more"):
        wanted({"ipam": {"min-allocate": value}})
