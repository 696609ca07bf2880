"""What answers and files mean for the pools of a machine, with every fault of one item costing that item only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from unipam.addr.prefix import format_address
from unipam.clients import wireserver
from unipam.clients.wireserver import WireserverInterface, WireserverSubnet
from unipam.dialects.azure_vnet import nics, source
from unipam.dialects.azure_vnet.source import Remark
from unipam.ledger.learned import LearnedPool
from unipam.model.errors import SourceFailed

LOCAL = (("lo", "000000000000"), ("eth0", "7c1e52f9f3c4"), ("eth1", "7c1e52aabbcc"))


def interface(mac: str, *subnets: WireserverSubnet, primary: bool = True) -> WireserverInterface:
    return WireserverInterface(mac, primary, subnets)


def subnet(prefix: str, *addresses: str, own: str = "") -> WireserverSubnet:
    return WireserverSubnet(prefix, (*([(own, True)] if own else []), *((a, False) for a in addresses)))


def pools(*interfaces: WireserverInterface) -> tuple[tuple[LearnedPool, ...], list[str]]:
    remarks: list[Remark] = []
    found = source.pools(interfaces, LOCAL, remarks)
    return found, [message for _, message in remarks]


def listed(pool: LearnedPool) -> list[str]:
    return [format_address(a) for r in pool.addresses for a in range(r.first, r.last + 1)]


def test_the_document_of_the_specification() -> None:
    first = interface(
        "7C1E52F9F3C4",
        subnet("10.224.0.0/16", "10.224.0.5", "10.224.0.6", own="10.224.0.4"),
        subnet("10.226.0.0/24", "10.226.0.4"),
    )
    second = interface("7C1E52AABBCC", subnet("10.225.0.0/24", "10.225.0.5", own="10.225.0.4"), primary=False)
    found, _ = pools(first, second)
    assert [(p.name, p.interface, p.priority, format_address(p.gateway or 0), listed(p)) for p in found] == [
        ("10.224.0.0/16", "eth0", 0, "10.224.0.1", ["10.224.0.5", "10.224.0.6"]),
        ("10.225.0.0/24", "eth1", 1, "10.225.0.1", ["10.225.0.5"]),
        ("10.226.0.0/24", "eth0", 0, "10.226.0.1", ["10.226.0.4"]),
    ]


def test_the_counts_of_the_log() -> None:
    addresses = [f"10.224.0.{n}" for n in range(5, 33)]
    (pool,), remarks = pools(interface("7c1e52f9f3c4", subnet("10.224.0.0/16", *addresses, own="10.224.0.4")))
    assert remarks == [
        "processing interface:eth0 IsPrimary:true macAddress:7c1e52f9f3c4 ips:1",
        "Number of IPAddress found in ipsubnet 10.224.0.0/16: 29",
        "got 28 addresses from interface eth0, subnet 10.224.0.0/16",
    ]
    assert (pool.capacity, len(pool.addresses)) == (28, 1)


@pytest.mark.parametrize(
    ("network", "gateway"),
    [("10.177.233.128/27", "10.177.233.129"), ("fd00:1::/64", "fd00:1::1"), ("10.0.0.9/24", "10.0.0.1")],
)
def test_the_gateway_is_the_first_address(network: str, gateway: str) -> None:
    (pool,), _ = pools(interface("*", subnet(network)))
    assert format_address(pool.gateway or 0) == gateway


def test_a_network_of_one_address_has_no_gateway() -> None:
    assert pools(interface("*", subnet("10.0.0.9/32", "10.0.0.9")))[0][0].gateway is None


def test_a_star_means_the_first_interface_and_an_unknown_one_is_skipped() -> None:
    found, remarks = pools(interface("0011", subnet("10.0.0.0/8")), interface("*", subnet("11.0.0.0/8")), interface(""))
    assert [(p.name, p.interface) for p in found] == [("11.0.0.0/8", "lo")]
    assert remarks[0] == "Failed to find interface with MAC address:0011."
    assert remarks[-1] == "Failed to find interface with MAC address:."


@pytest.mark.parametrize(
    ("bad", "remark"),
    [
        ("10.224.0.300", "Failed to create address:10.224.0.300 err:Invalid address."),
        ("", "Failed to create address:<nil> err:Invalid address."),
        ("10.225.0.5", "Failed to create address:10.225.0.5 err:Invalid address."),
        ("fd00::5", "Failed to create address:fd00::5 err:Invalid address."),
        ("10.224.0.5", "Failed to create address:10.224.0.5 err:Address already exists."),
    ],
)
def test_a_bad_address_costs_itself(bad: str, remark: str) -> None:
    (pool,), remarks = pools(interface("*", subnet("10.224.0.0/16", "10.224.0.5", bad)))
    assert listed(pool) == ["10.224.0.5"]
    assert remark in remarks


def test_a_bad_subnet_and_a_repeated_one_cost_themselves() -> None:
    good = subnet("10.224.0.0/16", "10.224.0.5")
    found, remarks = pools(
        interface("7c1e52f9f3c4", subnet("10.224.0.0/40"), good), interface("7c1e52aabbcc", subnet("10.224.0.0/16"))
    )
    assert [listed(p) for p in found] == [["10.224.0.5"]]
    assert "Failed to parse subnet:10.224.0.0/40 err:invalid CIDR address: 10.224.0.0/40." in remarks
    assert "Failed to create pool:10.224.0.0/16 ifName:eth1 err:Address pool already exists." in remarks


def test_an_empty_answer_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wireserver, "fetch", lambda *_: ())
    remarks: list[Remark] = []
    with pytest.raises(SourceFailed, match="ip list retrieved from azure host is empty"):
        source.fetch("azure", remarks)
    assert [message for _, message in remarks] == [
        "Initializing HTTP client with connection timeout: 3, response header timeout: 3",
        "Wireserver call http://168.63.129.16/machine/plugins?comp=nmagent&type=getinterfaceinfov1 to retrieve IP List",
        "xml name received:{ Interfaces} interfaces:0",
        "ip list retrieved from azure host is empty, doc:{{ Interfaces} []}",
    ]


def test_the_null_source_has_one_pool_without_addresses() -> None:
    (pool,) = source.fetch("null", [])
    assert (pool.name, pool.capacity) == ("0.0.0.0/0", 0)


FILE: dict[str, Any] = {
    "Interfaces": [
        {
            "MacAddress": "00:00:00:00:00:00",
            "IsPrimary": True,
            "IPSubnets": [
                {
                    "Prefix": "1.0.0.0/12",
                    "IPAddresses": [
                        {"Address": "1.0.0.4", "IsPrimary": True},
                        {"Address": "1.0.0.5", "IsPrimary": False},
                        {"Address": "1.0.0.6"},
                    ],
                }
            ],
        }
    ]
}


@pytest.mark.parametrize("environment", ["mas", "fileIpam"])
def test_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: str) -> None:
    path = tmp_path / "interfaces.json"
    monkeypatch.setattr(source, "FILE", str(path))
    path.write_text(json.dumps(FILE))
    (pool,) = source.fetch(environment, [])
    assert (pool.name, pool.interface, listed(pool)) == ("1.0.0.0/12", "lo", ["1.0.0.5", "1.0.0.6"])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "interfaces.json: no such file or directory"),
        ("", "unexpected end of JSON input"),
        ('{"Interfaces":7}', "cannot unmarshal number"),
        ('{"Interfaces":[]}', "lists no interfaces"),
        ("[]", "cannot unmarshal array"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, content: str | None, problem: str) -> None:
    path = tmp_path / "interfaces.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SourceFailed, match=problem):
        source.read_file(str(path))


def test_this_machines_interfaces_are_found_by_their_address() -> None:
    assert ("lo", "000000000000") in nics.local()
    assert nics.normal("7C:1E:52:F9:F3:C4") == "7c1e52f9f3c4"
