"""host-local's own test-suite, asked of the installed executable: configuration and environment in, document out.

The cases are those of upstream's Ginkgo suite as spec cni-and-host-local §3.1 to §3.3 counts them (the numbers in the
names), each through the agent in all seven versions, and cold in one version of each result shape.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Plugin, Reply, host_local

VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
WAYS = [*((version, "warm") for version in VERSIONS), *((version, "cold") for version in ("0.2.0", "0.4.0", "1.1.0"))]

V4 = [{"subnet": "10.1.2.0/24"}, {"subnet": "10.2.2.0/24"}]
V6 = [{"subnet": "2001:db8:1::0/64"}]
ROUTES = [
    {"dst": "0.0.0.0/0"},
    {"dst": "::/0"},
    {"dst": "192.168.0.0/16", "gw": "1.1.1.1"},
    {"dst": "2001:db8:2::0/64", "gw": "2001:db8:3::1"},
]


@pytest.fixture(params=WAYS, ids="-".join)
def way(request: pytest.FixtureRequest) -> tuple[str, Plugin]:
    """A version, and a plugin that answers one way or the other."""
    version, plugin = request.param
    return version, request.getfixturevalue(plugin)


def many_allowed(version: str) -> bool:
    return version >= "0.3.0"


def ips(reply: Reply) -> list[tuple[str, str]]:
    """Addresses and gateways of a result in any shape, in order."""
    result = reply.result
    if many_allowed(result["cniVersion"]):
        return [(ip["address"], ip["gateway"]) for ip in result["ips"]]
    return [(result[key]["ip"], result[key]["gateway"]) for key in ("ip4", "ip6") if key in result]


def routes(reply: Reply) -> list[dict[str, Any]]:
    result = reply.result
    if many_allowed(result["cniVersion"]):
        return list(result["routes"])
    return [route for key in ("ip4", "ip6") for route in result[key].get("routes", [])]


def test_1_allocates_and_releases_with_add_and_del(way: tuple[str, Plugin], tmp_path: Path) -> None:
    version, cni = way
    (tmp_path / "resolv.conf").write_text("nameserver 192.0.2.3")
    config = host_local(tmp_path, version, V4, V6, routes=ROUTES, resolvConf=str(tmp_path / "resolv.conf"))
    first = cni("ADD", config)
    assert ips(first) == [("10.1.2.2/24", "10.1.2.1"), ("2001:db8:1::2/64", "2001:db8:1::1")]
    expected = [{**route, "dst": route["dst"].replace("::0/64", "::/64")} for route in ROUTES]
    assert sorted(routes(first), key=str) == sorted(expected, key=str)
    assert first.result["dns"] == {"nameservers": ["192.0.2.3"]}
    assert first.result["cniVersion"] == version
    assert (b'"version":' in first.stdout) == ("0.3.0" <= version <= "0.4.0")
    assert cni("DEL", config).silent
    assert ips(cni("ADD", config, "next"))[0] == ("10.1.2.3/24", "10.1.2.1")


def test_2_allocates_per_interface_and_network(way: tuple[str, Plugin], tmp_path: Path) -> None:
    version, cni = way
    first, second = (host_local(tmp_path, version, V4, name=name) for name in ("mynet0", "mynet1"))
    assert ips(cni("ADD", first, ifname="eth0")) == [("10.1.2.2/24", "10.1.2.1")]
    assert ips(cni("ADD", second, ifname="eth1")) == [("10.1.2.2/24", "10.1.2.1")]
    assert cni("DEL", first, ifname="eth0").silent
    assert "has been allocated to dummy" in cni("ADD", second, ifname="eth1").error["msg"]
    assert cni("DEL", second, ifname="eth1").silent
    assert ips(cni("ADD", second, ifname="eth1")) == [("10.1.2.3/24", "10.1.2.1")]


def test_3_refuses_a_second_add_for_the_same_attachment(way: tuple[str, Plugin], tmp_path: Path) -> None:
    version, cni = way
    config = host_local(tmp_path, version, V4)
    assert ips(cni("ADD", config, "dummy")) == [("10.1.2.2/24", "10.1.2.1")]
    refusal = {
        "cniVersion": version,
        "code": 999,
        "msg": "failed to allocate for range 0: "
        "10.1.2.2 has been allocated to dummy, duplicate allocation is not allowed",
    }
    assert cni("ADD", config, "dummy").error == refusal
    assert ips(cni("ADD", config, "dummy1")) == [("10.1.2.3/24", "10.1.2.1")]
    assert cni("ADD", config, "dummy").error == refusal
    assert cni("DEL", config, "dummy").silent
    assert cni("DEL", config, "dummy1").silent


def test_4_releases_a_lease_that_names_the_container_only(way: tuple[str, Plugin], tmp_path: Path) -> None:
    version, cni = way
    config = host_local(tmp_path, version, V4)
    (tmp_path / "mynet").mkdir()
    (tmp_path / "mynet" / "10.1.2.2").write_text("dummy")
    assert "10.1.2.2 has been allocated to dummy" in cni("ADD", config).error["msg"]
    assert cni("DEL", config).silent
    assert ips(cni("ADD", config)) == [("10.1.2.2/24", "10.1.2.1")]


def test_5_releasing_what_nobody_holds_is_no_error(way: tuple[str, Plugin], tmp_path: Path) -> None:
    version, cni = way
    config = host_local(tmp_path, version, subnet="10.1.2.0/24", rangeStart="10.1.2.9", rangeEnd="10.1.2.20")
    assert cni("DEL", config, "unknown").silent
    assert cni("ADD", config, "other").code == 0
    assert cni("DEL", config, "unknown").silent


def test_6_ignores_white_space_in_lease_files(way: tuple[str, Plugin], tmp_path: Path) -> None:
    version, cni = way
    config = host_local(tmp_path, version, V4)
    (tmp_path / "mynet").mkdir()
    (tmp_path / "mynet" / "10.1.2.2").write_bytes(b"   dummy\r\neth0\n ")
    assert "10.1.2.2 has been allocated to dummy" in cni("ADD", config).error["msg"]
    assert cni("DEL", config).silent
    assert ips(cni("ADD", config)) == [("10.1.2.2/24", "10.1.2.1")]


def test_7_the_first_add_of_a_network_says_nothing_on_stderr(way: tuple[str, Plugin], tmp_path: Path) -> None:
    version, cni = way
    first = cni("ADD", host_local(tmp_path, version, V4))
    assert (first.code, first.stderr) == (0, b"")


def test_8_gives_the_address_that_args_ask_for(way: tuple[str, Plugin], tmp_path: Path) -> None:
    version, cni = way
    config = host_local(tmp_path, version, [{"subnet": "10.1.2.0/24"}])
    assert ips(cni("ADD", {**config, "args": {"cni": {"ips": ["10.1.2.88"]}}})) == [("10.1.2.88/24", "10.1.2.1")]


def test_9_gives_several_addresses_out_of_several_sets(way: tuple[str, Plugin], tmp_path: Path) -> None:
    version, cni = way
    config = host_local(tmp_path, version, [{"subnet": "10.1.2.0/24"}], [{"subnet": "10.1.3.0/24"}])
    reply = cni("ADD", {**config, "args": {"cni": {"ips": ["10.1.2.88", "10.1.3.77"]}}})
    if many_allowed(version):
        assert ips(reply) == [("10.1.2.88/24", "10.1.2.1"), ("10.1.3.77/24", "10.1.3.1")]
    else:
        assert reply.error["msg"] == f"CNI version {version} does not support more than 1 address per family"


def test_10_gives_addresses_of_both_families(way: tuple[str, Plugin], tmp_path: Path) -> None:
    version, cni = way
    sets = [{"subnet": "172.16.1.0/24"}, {"subnet": "10.1.2.0/24"}], [{"subnet": "2001:db8:1::/48"}]
    config = host_local(tmp_path, version, *sets)
    reply = cni("ADD", {**config, "args": {"cni": {"ips": ["10.1.2.88", "2001:db8:1::999"]}}})
    assert ips(reply) == [("10.1.2.88/24", "10.1.2.1"), ("2001:db8:1::999/48", "2001:db8:1::1")]


def test_11_fails_when_an_address_asked_for_is_not_served(way: tuple[str, Plugin], tmp_path: Path) -> None:
    version, cni = way
    config = host_local(tmp_path, version, [{"subnet": "10.1.2.0/24"}], [{"subnet": "10.1.3.0/24"}])
    error = cni("ADD", {**config, "args": {"cni": {"ips": ["10.1.2.88", "10.1.2.77"]}}}).error
    if many_allowed(version):
        assert error["msg"] == "failed to allocate all requested IPs: 10.1.2.77"
        assert ips(cni("ADD", config)) == [("10.1.2.2/24", "10.1.2.1"), ("10.1.3.2/24", "10.1.3.1")], "nothing stayed"
    else:
        assert error["msg"] == f"CNI version {version} does not support more than 1 address per family"


# ---- resolvConf (§3.2)


@pytest.mark.parametrize(
    ("text", "dns"),
    [
        ("  nameserver 192.0.2.0\n\tnameserver 192.0.2.1\n", {"nameservers": ["192.0.2.0", "192.0.2.1"]}),
        ("nameserver 192.0.2.0\n;nameserver 192.0.2.1\n", {"nameservers": ["192.0.2.0"]}),
        (
            "# intro\nnameserver 192.0.2.0\ndomain example.com\n; x\nsearch example.net example.org\n"
            "options one two\nsearch example.gov\noptions three\n",
            {
                "nameservers": ["192.0.2.0"],
                "domain": "example.com",
                "search": ["example.net", "example.org", "example.gov"],
                "options": ["one", "two", "three"],
            },
        ),
        ("nameserver\n\nnonsense 1\ndomain first\ndomain last more\n", {"domain": "last"}),
    ],
    ids=["12-indented", "13-semicolon", "14-all-fields", "what-says-nothing"],
)
def test_resolv_conf(cni: Plugin, tmp_path: Path, text: str, dns: dict[str, Any]) -> None:
    (tmp_path / "resolv.conf").write_text(text)
    config = host_local(tmp_path, "1.0.0", V4, resolvConf="resolv.conf")
    assert cni("ADD", config, cwd=tmp_path).result["dns"] == dns


# ---- which address comes next (§3.3)


def given(data_dir: Path, cursor: str, leases: dict[str, str]) -> None:
    """A network's directory as host-local left it."""
    network = data_dir / "mynet"
    network.mkdir(parents=True)
    for address, holder in leases.items():
        (network / address).write_text(f"{holder}\r\neth0")
    if cursor:
        (network / "last_reserved_ip.0").write_text(cursor)


@pytest.mark.parametrize(
    ("subnets", "leases", "cursor", "expected"),
    [
        (["10.0.0.0/29"], [], "", "10.0.0.2/29"),
        (["2001:db8:1::0/64"], [], "", "2001:db8:1::2/64"),
        (["10.0.0.0/30"], [], "", "10.0.0.2/30"),
        (["10.0.0.0/29"], ["10.0.0.2"], "", "10.0.0.3/29"),
        (["10.0.0.0/29"], [], "10.0.0.5", "10.0.0.6/29"),
        (["10.0.0.0/29"], ["10.0.0.4", "10.0.0.5"], "10.0.0.3", "10.0.0.6/29"),
        (["10.0.0.0/29"], ["10.0.0.6"], "10.0.0.5", "10.0.0.2/29"),
        (["10.0.0.0/29"], ["10.0.0.2"], "10.0.0.128", "10.0.0.3/29"),
        (["10.0.0.0/29"], ["10.0.0.2", "10.0.0.4", "10.0.0.5", "10.0.0.6"], "10.0.0.3", "10.0.0.3/29"),
        (["10.0.0.0/30", "10.0.1.0/30"], [], "", "10.0.0.2/30"),
        (["10.0.0.0/30", "10.0.1.0/30", "10.0.2.0/30"], ["10.0.0.2"], "10.0.0.2", "10.0.1.2/30"),
        (["10.0.0.0/30", "10.0.1.0/30", "10.0.2.0/30"], [], "10.0.2.2", "10.0.0.2/30"),
    ],
)
def test_18_round_robin(
    warm: Plugin, tmp_path: Path, subnets: list[str], leases: list[str], cursor: str, expected: str
) -> None:
    given(tmp_path, cursor, dict.fromkeys(leases, "id"))
    config = host_local(tmp_path, "1.0.0", [{"subnet": subnet} for subnet in subnets])
    assert warm("ADD", config, "ID").addresses == [expected]


@pytest.mark.parametrize(
    ("cursor", "order"),
    [("", "23456"), ("192.168.1.6", "23456"), ("192.168.1.3", "45623")],
    ids=["15-from-the-beginning", "16-from-the-end", "17-from-the-middle"],
)
def test_every_address_comes_once_and_then_none(warm: Plugin, tmp_path: Path, cursor: str, order: str) -> None:
    given(tmp_path, cursor, {})
    config = host_local(tmp_path, "1.0.0", [{"subnet": "192.168.1.0/29"}])
    got = [warm("ADD", config, f"c{n}").addresses[0] for n in range(len(order))]
    assert got == [f"192.168.1.{last}/29" for last in order]
    assert warm("ADD", config, "late").error == {
        "cniVersion": "1.0.0",
        "code": 999,
        "msg": "failed to allocate for range 0: no IP addresses available in range set: 192.168.1.1-192.168.1.6",
        "details": f"5 of 5 held, 5 in doubt: unipam explain mynet --data-dir {tmp_path}",
    }


def test_20_a_released_address_is_not_the_next_one(cni: Plugin, tmp_path: Path) -> None:
    config = host_local(tmp_path, "1.0.0", [{"subnet": "192.168.1.0/29"}])
    assert cni("ADD", config).addresses == ["192.168.1.2/29"]
    assert cni("DEL", config).silent
    assert cni("ADD", config).addresses == ["192.168.1.3/29"]


RANGE = {"subnet": "192.168.1.0/29", "rangeStart": "192.168.1.2", "rangeEnd": "192.168.1.5"}
SET = "192.168.1.2-192.168.1.5"


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ("192.168.1.4", ""),
        (
            "192.168.1.3",
            f"failed to allocate for range 0: requested IP address 192.168.1.3 is not available in range set {SET}",
        ),
        ("192.168.1.6", "failed to allocate all requested IPs: 192.168.1.6"),
        ("192.168.1.1", "failed to allocate all requested IPs: 192.168.1.1"),
        ("192.168.1.5", "failed to allocate for range 0: requested ip 192.168.1.5 is subnet's gateway"),
    ],
    ids=["21-free", "22-taken", "23-behind-the-end", "24-before-the-start", "the-gateway"],
)
def test_an_address_asked_for(warm: Plugin, tmp_path: Path, wish: str, message: str) -> None:
    config = host_local(tmp_path, "1.0.0", [{**RANGE, "gateway": "192.168.1.5"}])
    assert warm("ADD", config, "other", args="IP=192.168.1.3").addresses == ["192.168.1.3/29"]
    reply = warm("ADD", config, args=f"IP={wish}")
    if message:
        assert reply.error["msg"] == message
    else:
        assert reply.addresses == [f"{wish}/29"]


@pytest.mark.parametrize("subnets", [["10.1.2.0/30"], ["10.1.2.0/29"], ["10.1.2.0/30", "10.1.4.0/30"]])
def test_25_an_exhausted_set_names_its_ranges(warm: Plugin, tmp_path: Path, subnets: list[str]) -> None:
    config = host_local(tmp_path, "1.0.0", [{"subnet": subnet} for subnet in subnets])
    count = 0
    while (reply := warm("ADD", config, f"c{count}")).code == 0:
        count += 1
    assert count == {"/30": 1, "/29": 5}[subnets[0][-3:]] * len(subnets)
    ends = {"/30": 2, "/29": 6}
    spans = ",".join(f"{s.removesuffix('0' + s[-3:])}1-{s.removesuffix('0' + s[-3:])}{ends[s[-3:]]}" for s in subnets)
    assert reply.error["msg"] == f"failed to allocate for range 0: no IP addresses available in range set: {spans}"


@pytest.mark.parametrize(("cursor", "expected"), [("192.168.1.3", "192.168.2.0/24"), ("", "192.168.1.0/24")])
def test_26_27_ranges_that_start_at_the_network_address(
    warm: Plugin, tmp_path: Path, cursor: str, expected: str
) -> None:
    given(tmp_path, cursor, {})
    ranges = [
        {"subnet": f"192.168.{n}.0/24", "rangeStart": f"192.168.{n}.0", "rangeEnd": f"192.168.{n}.3"} for n in (1, 2)
    ]
    assert warm("ADD", host_local(tmp_path, "1.0.0", ranges)).addresses == [expected]
