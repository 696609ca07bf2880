"""host-local's configuration: the upstream cases (spec cni-and-host-local §3.4 and §3.5) and every message of §2.7."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import oracle

from unipam.addr.prefix import V4_FIRST, Prefix, format_address, parse_address
from unipam.dialects.host_local import config
from unipam.dialects.host_local.config import Network
from unipam.model.errors import BadConfig
from unipam.model.records import PoolRange

Document = dict[str, Any]


def document(*sets: list[Document], version: str = "1.0.0", **rest: object) -> Document:
    """A network configuration with these range sets; `rest` goes under `ipam`."""
    ranges = {"ranges": list(sets)} if sets else {}
    return {"cniVersion": version, "name": "net", "type": "bridge", "ipam": {"type": "host-local", **ranges, **rest}}


def load(made: Document) -> Network:
    return config.load(config.typed(made))


def refusal(made: Document) -> str:
    with pytest.raises(BadConfig) as refused:
        load(made)
    return str(refused.value)


def sets(network: Network) -> list[list[str]]:
    return [[str(span.span) for span in pool.ranges] for pool in network.pools]


def one(**spec: str) -> PoolRange:
    """The only range of the only set."""
    ((span,),) = [pool.ranges for pool in load(document([spec])).pools]
    return span


# Where ranges come from (cases 28 to 30) ---------------------------------------------------------------------


def test_a_legacy_configuration_is_one_set_of_one_range() -> None:
    network = load(document(subnet="10.1.2.0/24", rangeStart="10.1.2.9", rangeEnd="10.1.2.20", gateway="10.1.2.30"))
    ((span,),) = [pool.ranges for pool in network.pools]
    assert (str(span.span), span.length) == ("10.1.2.9-10.1.2.20", 120)
    assert span.gateway == parse_address("10.1.2.30")


def test_sets_keep_their_order_and_are_numbered() -> None:
    network = load(document([{"subnet": "10.1.2.0/24"}, {"subnet": "10.1.4.0/24"}], [{"subnet": "2001:db8:1::/64"}]))
    assert sets(network) == [
        ["10.1.2.1-10.1.2.254", "10.1.4.1-10.1.4.254"], ["2001:db8:1::1-2001:db8:1:0:ffff:ffff:ffff:ffff"],
    ]  # fmt: skip
    assert [pool.cursor for pool in network.pools] == [0, 1]


def test_the_runtime_s_ranges_come_first_then_the_legacy_one() -> None:
    made = document([{"subnet": "10.3.0.0/24"}], subnet="10.2.0.0/24")
    made["runtimeConfig"] = {"ipRanges": [[{"subnet": "10.1.0.0/24"}]], "portMappings": [{"hostPort": 80}]}
    assert [s[0] for s in sets(load(made))] == ["10.1.0.1-10.1.0.254", "10.2.0.1-10.2.0.254", "10.3.0.1-10.3.0.254"]


def test_range_keys_without_a_subnet_say_nothing() -> None:
    assert sets(load(document([{"subnet": "10.3.0.0/24"}], rangeStart="10.2.0.5"))) == [["10.3.0.1-10.3.0.254"]]


# Ranges and their defaults (cases 41, 42, 47, 50) ------------------------------------------------------------


@pytest.mark.parametrize(
    ("subnet", "span", "gateway"),
    [
        ("192.0.2.0/24", "192.0.2.1-192.0.2.254", "192.0.2.1"),
        ("192.0.2.0/25", "192.0.2.1-192.0.2.126", "192.0.2.1"),
        ("192.0.2.0/30", "192.0.2.1-192.0.2.2", "192.0.2.1"),
        ("2001:db8:1::/64", "2001:db8:1::1-2001:db8:1:0:ffff:ffff:ffff:ffff", "2001:db8:1::1"),
        ("2001:db8:1::/126", "2001:db8:1::1-2001:db8:1::3", "2001:db8:1::1"),
    ],
)
def test_a_subnet_alone_says_everything(subnet: str, span: str, gateway: str) -> None:
    found = one(subnet=subnet)
    assert str(found.span) == span
    assert found.gateway == parse_address(gateway)


def test_explicit_bounds_may_be_the_network_and_the_broadcast_address() -> None:
    assert str(one(subnet="10.1.2.0/24", rangeStart="10.1.2.0", rangeEnd="10.1.2.255").span) == "10.1.2.0-10.1.2.255"


def test_an_empty_text_is_an_unset_address() -> None:
    found = one(subnet="10.1.2.0/24", rangeStart="", rangeEnd="", gateway="")
    assert (str(found.span), found.gateway) == ("10.1.2.1-10.1.2.254", parse_address("10.1.2.1"))


@pytest.mark.parametrize("gateway", ["10.1.2.0", "10.1.2.255", "::ffff:10.1.2.9"])
def test_the_gateway_may_lie_anywhere_in_its_subnet(gateway: str) -> None:
    assert one(subnet="10.1.2.0/24", gateway=gateway).gateway == parse_address(gateway)


@given(oracle.bases.filter(lambda base: base > V4_FIRST), st.integers(0, 4), st.data())
def test_any_range_that_is_accepted_lies_in_its_subnet(base: int, bits: int, data: st.DataObject) -> None:
    network = Prefix(base, 128 - 2 - bits)
    place = st.none() | st.integers(network.first - 2, network.last + 2).filter(lambda a: 0 <= a < 2**128)
    spec = {"subnet": str(network)}
    spec |= {key: format_address(a) for key in ("rangeStart", "rangeEnd") if (a := data.draw(place)) is not None}
    try:
        found = one(**spec)
    except BadConfig:
        return
    assert network.first <= found.first <= found.last <= network.last
    assert format_address(found.first) == spec.get("rangeStart", format_address(network.first + 1))


# Messages (§2.7; cases 35 to 38, 43 to 46, 48, 49, 53 to 61) --------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "IP <nil> not v4 nor v6"),
        ({"subnet": "10.1.2.0/31"}, "Network 10.1.2.0/31 too small to allocate from"),
        ({"subnet": "10.1.2.0/32"}, "Network 10.1.2.0/32 too small to allocate from"),
        ({"subnet": "2001:db8::/127"}, "Network 2001:db8::/127 too small to allocate from"),
        ({"subnet": "2001:db8::/128"}, "Network 2001:db8::/128 too small to allocate from"),
        ({"subnet": "::ffff:10.1.2.0/120"}, "IPNet IP and Mask version mismatch"),
        (
            {"subnet": "10.1.2.3/24"},
            "Network has host bits set. For a subnet mask of length 24 the network address is 10.1.2.0",
        ),
        (
            {"subnet": "192.168.127.0/23"},
            "Network has host bits set. For a subnet mask of length 23 the network address is 192.168.126.0",
        ),
        (
            {"subnet": "2001:db8:24:19ff::/63"},
            "Network has host bits set. For a subnet mask of length 63 the network address is 2001:db8:24:19fe::",
        ),
        ({"subnet": "192.0.2.0/24", "rangeStart": "192.0.3.0"}, "RangeStart 192.0.3.0 not in network 192.0.2.0/24"),
        ({"subnet": "192.0.2.0/24", "rangeEnd": "192.0.4.0"}, "RangeEnd 192.0.4.0 not in network 192.0.2.0/24"),
        (
            {"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.50", "rangeEnd": "192.0.2.40"},
            "RangeStart 192.0.2.50 not in network 192.0.2.0/24",
        ),
        (
            {"subnet": "10.1.2.0/24", "rangeStart": "10.1.2.255"},  # defect D9
            "RangeStart 10.1.2.255 is after RangeEnd 10.1.2.254 in network 10.1.2.0/24",
        ),
    ],
)
def test_a_range_that_makes_no_sense(spec: Document, message: str) -> None:
    assert refusal(document([{"subnet": "10.9.0.0/24"}], [spec])) == f"invalid range set 1: {message}"


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"cniVersion": "1.0.0", "name": "net"}, "IPAM config missing 'ipam' key"),
        ({"cniVersion": "1.0.0", "name": "net", "ipam": None}, "IPAM config missing 'ipam' key"),
        (document(), "no IP ranges specified"),
        (document([]), "invalid range set 0: empty range set"),
        (document([{"subnet": "nope"}]), "invalid CIDR address: nope"),
        (document([{"subnet": ""}]), "invalid CIDR address: "),
        (document([{"subnet": "10.1.2.0/33"}]), "invalid CIDR address: 10.1.2.0/33"),
        (document([{"subnet": "10.01.2.0/24"}]), "invalid CIDR address: 10.01.2.0/24"),
        (document([{"subnet": "10.1.2.0/24", "gateway": "nope"}]), "invalid IP address: nope"),
        (document([{"subnet": "10.1.2.0/24", "rangeStart": "10.1.2.05"}]), "invalid IP address: 10.1.2.05"),
        (
            document([{"subnet": "10.1.2.0/24"}, {"subnet": "2001:db8::/64"}]),
            "invalid range set 0: mixed address families",
        ),
        (
            document([{"subnet": "10.1.0.0/22"}, {"subnet": "10.1.2.0/24"}]),
            "invalid range set 0: subnets 10.1.0.1-10.1.3.254 and 10.1.2.1-10.1.2.254 overlap",
        ),
        (document([{"subnet": "10.1.0.0/22"}], [{"subnet": "10.1.2.0/24"}]), "range set 0 overlaps with 1"),
        (document([{"subnet": "10.1.2.0/24"}], [{"subnet": "10.1.0.0/22"}]), "range set 0 overlaps with 1"),
        (
            document([{"subnet": "10.1.0.0/24"}], [{"subnet": "10.2.0.0/24"}], version="0.2.0"),
            "CNI version 0.2.0 does not support more than 1 address per family",
        ),
        (
            document([{"subnet": "10.1.0.0/24"}], cooldown=-1),
            "invalid cooldown -1: seconds from 0 (off) to 86400 (a day)",
        ),
        (
            document([{"subnet": "10.1.0.0/24"}], duplicateAdd="maybe"),
            'invalid duplicateAdd "maybe": "error" or "return"',
        ),
    ],
)
def test_a_configuration_that_makes_no_sense(made: Document, message: str) -> None:
    assert refusal(made) == message


@pytest.mark.parametrize(
    ("one_range", "other", "overlap"),
    [
        ({"subnet": "10.0.0.0/24"}, {"subnet": "10.0.1.0/24"}, False),
        ({"subnet": "0.0.0.0/24"}, {"subnet": "0.0.0.0/24"}, True),
        ({"subnet": "0.0.0.0/24"}, {"subnet": "::/120"}, False),
        ({"subnet": "0.0.0.0/24"}, {"subnet": "::/24"}, False),
        ({"subnet": "255.255.255.248/29"}, {"subnet": "::/0"}, False),
        ({"subnet": "10.0.0.0/20"}, {"subnet": "10.0.1.0/24"}, True),
        (
            {"subnet": "10.0.0.0/24", "rangeEnd": "10.0.0.99"},
            {"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.100"},
            False,
        ),
        (
            {"subnet": "10.0.0.0/24", "rangeEnd": "10.0.0.127"},
            {"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.127"},
            True,
        ),
    ],
)
def test_ranges_overlap_by_their_bounds(one_range: Document, other: Document, overlap: bool) -> None:
    for pair in ([one_range], [other]), ([other], [one_range]):
        if overlap:
            assert refusal(document(*pair)) == "range set 0 overlaps with 1"
        else:
            assert len(load(document(*pair)).pools) == 2


def test_two_families_are_one_address_each_in_the_oldest_versions() -> None:
    made = document([{"subnet": "10.1.0.0/24"}], [{"subnet": "2001:db8::/64"}], version="0.2.0")
    assert len(load(made).pools) == 2


# The rest ----------------------------------------------------------------------------------------------------


def test_defaults() -> None:
    network = load(document([{"subnet": "10.1.2.0/24"}]))
    assert network._replace(pools=()) == Network("net", "/var/lib/cni/networks", (), (), "", 0, False)


def test_what_is_ours_and_what_is_host_local_s() -> None:
    made = document(
        [{"subnet": "10.1.2.0/24"}], dataDir="/d", resolvConf="/r", cooldown=120, duplicateAdd="return",
        routes=[{"dst": "0.0.0.0/0"}],
    )  # fmt: skip
    network = load(made)
    assert network[1:2] + network[3:] == ("/d", ({"dst": "0.0.0.0/0"},), "/r", 120, True)


@pytest.mark.parametrize(
    ("route", "shown"),
    [
        ({"dst": "10.0.0.5/8"}, {"dst": "10.0.0.5/8"}),
        ({"dst": "::/0", "gw": "2001:DB8::1"}, {"dst": "::/0", "gw": "2001:db8::1"}),
        ({"dst": "0.0.0.0/0", "gw": ""}, {"dst": "0.0.0.0/0"}),
        (
            {"dst": "0.0.0.0/0", "mtu": 1400, "advmss": 0, "priority": 5},
            {"dst": "0.0.0.0/0", "mtu": 1400, "priority": 5},
        ),
        ({"dst": "0.0.0.0/0", "table": 0, "scope": 0}, {"dst": "0.0.0.0/0", "table": 0, "scope": 0}),
    ],
)
def test_routes_are_told_as_they_are(route: Document, shown: Document) -> None:
    assert load(document([{"subnet": "10.1.2.0/24"}], routes=[route])).routes == (shown,)


@pytest.mark.parametrize("route", [None, {}, {"gw": "10.1.2.1"}])
def test_a_route_needs_a_destination(route: object) -> None:
    assert refusal(document([{"subnet": "10.1.2.0/24"}], routes=[route])) in (
        "invalid route: dst is missing", "invalid CIDR address: ",
    )  # fmt: skip


def test_addresses_are_asked_for_in_both_places_in_order() -> None:
    """Cases 33, 34 and 40: lengths are dropped, and whether an address lies in a range is not asked yet."""
    made = document([{"subnet": "10.1.2.0/24"}])
    made["args"] = {"cni": {"ips": ["10.1.2.11/24", "2001:db8::999"]}}
    made["runtimeConfig"] = {"ips": ["10.200.0.1", "2001:db8::5/64", "::ffff:10.1.2.12"]}
    asked = [a for a in config.wishes(config.typed(made)) if a is not None]
    assert [format_address(a) for a in asked] == [
        "10.1.2.11", "2001:db8::999", "10.200.0.1", "2001:db8::5", "10.1.2.12",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nope", "invalid IP address nope"),
        ("10.1.2.300/24", "invalid IP address 10.1.2.300/24"),
    ],
)
def test_an_address_asked_for_that_is_none(text: str, message: str) -> None:
    made = document([{"subnet": "10.1.2.0/24"}])
    for place in ({"args": {"cni": {"ips": [text]}}}, {"runtimeConfig": {"ips": [text]}}):
        assert refusal(made | place) == message


def test_nothing_asked_for_is_told_as_such() -> None:
    """The dialect refuses it, after everything else that is wrong."""
    made = document([{"subnet": "10.1.2.0/24"}])
    assert config.wishes(config.typed(made | {"args": {"cni": {"ips": ["", None, "10.1.2.5"]}}})) == (
        None, None, parse_address("10.1.2.5"),
    )  # fmt: skip


@pytest.mark.parametrize("bits", ["33", "-1", "+8", "", " 8", "٣", "999", "000000000999", "0" * 20 + "9" * 5000])
def test_a_length_that_is_none(bits: str) -> None:
    with pytest.raises(ValueError, match=r"^invalid CIDR address: 10\.0\.0\.0/"):
        config.parse_subnet(f"10.0.0.0/{bits}")


def test_zeros_before_a_length_are_allowed_as_go_allows_them() -> None:
    assert config.parse_subnet("10.0.0.0/000000000008") == config.parse_subnet("10.0.0.0/8")


@pytest.mark.parametrize(
    ("text", "shown"),
    [("10.1.2.3/24", "10.1.2.3/24"), ("2001:DB8::1/64", "2001:db8::1/64"), ("::ffff:10.0.0.0/104", "10.0.0.0/8")],
)
def test_a_subnet_reads_as_written(text: str, shown: str) -> None:
    assert str(config.parse_subnet(text)) == shown


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
    )
)
def test_any_value_anywhere_is_refused_or_understood(value: object) -> None:
    """Wherever it stands, it makes no other error than BadConfig."""
    base = document([{"subnet": "10.1.2.0/24"}])
    for key in ("ranges", "subnet", "routes", "dataDir", "resolvConf", "cooldown", "duplicateAdd", "gateway"):
        _survives(base | {"ipam": base["ipam"] | {key: value}})
    for key in ("ipam", "runtimeConfig", "args", "name", "cniVersion"):
        _survives(base | {key: value})
    _survives(document([value]))  # type: ignore[list-item]
    _survives(document([{"subnet": value}]))


def _survives(made: Document) -> None:
    try:
        typed = config.typed(made)
        config.wishes(typed)
        config.load(typed)
    except BadConfig as refused:
        text = str(refused)
    else:
        text = "understood"
    assert text
