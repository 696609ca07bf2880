"""What azure-vnet-ipam's configuration says, and how it is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from unipam.dialects.azure_vnet import config
from unipam.model.errors import BadConfig

PLUGIN = "azure-vnet-ipam"


def load(ipam: dict[str, Any] | None = None, **top: Any) -> config.Network:
    return config.load({"name": "azure", "cniVersion": "0.3.0", **top, "ipam": ipam or {}}, PLUGIN)


def test_the_defaults() -> None:
    origin = config.Origin(PLUGIN, "azure", 10.0, "/var/run/azure-vnet-ipam.json", False)
    expected = config.Network(
        "azure", "0.3.0", "", "local", "", "", "", False, "/var/lib/unipam/azure-vnet-ipam", "", False, origin
    )
    assert load() == expected


def test_everything_said() -> None:
    ipam = {
        "type": "azure-vnet-ipamv6", "environment": "ipv6NodeIpam", "addressSpace": "global", "subnet": "fd00::/120",
        "ipAddress": "fd00::5", "queryInterval": "60", "dataDir": "/d", "stateFile": "/s", "writeState": True,
        "log": "/l", "strict": True,
    }  # fmt: skip
    origin = config.Origin("azure-vnet-ipamv6", "ipv6NodeIpam", 60.0, "/s", True)
    document = {"cniVersion": "0.4.0", "name": "n", "master": "eth1", "ipam": ipam}
    assert config.load(document, "azure-vnet-ipamv6") == config.Network(
        "n", "0.4.0", "azure-vnet-ipamv6", "global", "fd00::/120", "fd00::5", "eth1", True, "/d", "/l", True, origin
    )


def test_the_copy_for_ipv6_has_state_of_its_own() -> None:
    network = config.load({"name": "n"}, "azure-vnet-ipamv6")
    assert network.data_dir == "/var/lib/unipam/azure-vnet-ipamv6"
    assert network.origin.state_file == "/var/run/azure-vnet-ipamv6.json"


@pytest.mark.parametrize("version", [{}, {"cniVersion": ""}])
def test_without_a_version_the_result_is_of_0_2_0(version: dict[str, str]) -> None:
    assert config.load({"name": "n", **version}, PLUGIN).version == "0.2.0"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 10), ("30", 30), ("ten", 10), ("0", 10), ("-5", 10), ("1.5", 10), ("9" * 30, 10), ("\u0663", 10)],
)
def test_the_query_interval_is_a_string_of_seconds(text: str, seconds: float) -> None:
    assert load({"queryInterval": text}).origin.interval == seconds


@pytest.mark.parametrize(
    ("ipam", "message"),
    [
        (
            {"queryInterval": 10},
            "Failed to parse network configuration: json: cannot unmarshal number into Go struct field"
            " IPAM.ipam.queryInterval of type string",
        ),
        (
            {"stateFile": "s.json"},
            "Failed to parse network configuration: stateFile 's.json' is not an absolute path",
        ),
        ({"log": "/a\0b"}, "Failed to parse network configuration: log '/a\\x00b' is not an absolute path"),
        ({"environment": "Azure"}, "Failed to parse network configuration: Invalid configuration"),
        (
            {"strict": "yes"},
            "Failed to parse network configuration: json: cannot unmarshal string into Go struct field"
            " IPAM.ipam.strict of type bool",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_the_originals_words(ipam: dict[str, Any], message: str) -> None:
    with pytest.raises(BadConfig) as caught:
        load(ipam)
    assert caught.value.message == message


def test_an_unknown_environment_is_named_with_those_that_are_known() -> None:
    with pytest.raises(BadConfig) as caught:
        load({"environment": "gcp"})
    details = "environment is 'gcp'; known are azure, mas, fileIpam, ipv6NodeIpam, null"
    assert caught.value.facts["details"] == details


def test_a_del_takes_what_makes_sense() -> None:
    ipam = {"queryInterval": 10, "environment": "gcp", "SUBNET": "10.0.0.0/8", "ipAddress": ["x"], "dataDir": "/d",
            "stateFile": "x", "log": "\0"}  # fmt: skip
    network = config.load_leniently({"name": 7, "ipam": ipam}, PLUGIN)
    assert (network.subnet, network.address, network.data_dir) == ("10.0.0.0/8", "", "/d")
    assert network.origin == config.Origin(PLUGIN, "azure", 10.0, "/var/run/azure-vnet-ipam.json", False)


@pytest.mark.parametrize("ipam", [None, [], "x", 7])
def test_a_del_without_any_ipam_is_the_default(ipam: object) -> None:
    assert config.load_leniently({"name": "azure", "ipam": ipam}, PLUGIN)._replace(version="0.3.0") == load()
