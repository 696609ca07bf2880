"""Every configuration that host-local understands or refuses, and the words in which it refuses.

Spec cni-and-host-local §2.1, §2.2, §2.7; upstream's config and range suites (§3.4, §3.5), asked of the executable.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Plugin, host_local

GOOD = {"subnet": "10.1.2.0/24"}
BAD_SET = "invalid range set 0: "


def refused(cni: Plugin, config: dict[str, Any] | bytes, message: str, *, args: str = "") -> None:
    """The ADD fails with exactly this message, under host-local's catch-all code."""
    error = cni("ADD", config, args=args).error
    assert (error["code"], error["msg"]) == (999, message)


# ---- ranges (41 to 50)


@pytest.mark.parametrize(
    ("written", "first", "last", "gateway"),
    [
        ({"subnet": "192.0.2.0/24"}, "192.0.2.2", "192.0.2.254", "192.0.2.1"),
        ({"subnet": "192.0.2.0/25"}, "192.0.2.2", "192.0.2.126", "192.0.2.1"),
        ({"subnet": "2001:db8:1::/64"}, "2001:db8:1::2", "2001:db8:1:0:ffff:ffff:ffff:ffff", "2001:db8:1::1"),
        (
            {"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.40", "rangeEnd": "192.0.2.50", "gateway": "192.0.2.254"},
            "192.0.2.40",
            "192.0.2.50",
            "192.0.2.254",
        ),
        ({"subnet": "192.0.2.0/24", "rangeEnd": "192.0.2.255", "gateway": ""}, "192.0.2.2", "192.0.2.255", "192.0.2.1"),
        ({"subnet": "192.0.2.0/24", "gateway": "192.0.2.255"}, "192.0.2.1", "192.0.2.254", "192.0.2.255"),
    ],
    ids=["41-v4", "42-half", "47-v6", "50-explicit", "broadcast-if-asked-for", "gateway-at-the-end"],
)
def test_the_addresses_of_a_range(
    warm: Plugin, tmp_path: Path, written: dict[str, str], first: str, last: str, gateway: str
) -> None:
    config = host_local(tmp_path, "1.0.0", [written])
    length = written["subnet"].partition("/")[2]
    assert warm("ADD", config, "a").result["ips"] == [{"address": f"{first}/{length}", "gateway": gateway}]
    assert warm("ADD", config, "b", args=f"IP={last}").result["ips"] == [
        {"address": f"{last}/{length}", "gateway": gateway}
    ]


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ("192.0.2.40 192.0.2.50", "192.0.2.39 192.0.2.51"),
        ("2001:db8:1::40 2001:db8:1::50", "2001:db8:1::3f 2001:db8:1::51"),
    ],
    ids=["51-v4", "52-v6"],
)
def test_a_range_includes_both_its_ends(warm: Plugin, tmp_path: Path, inside: str, outside: str) -> None:
    first, last = inside.split()
    subnet = "192.0.2.0/24" if "." in first else "2001:db8:1::/64"
    config = host_local(tmp_path, "1.0.0", [{"subnet": subnet, "rangeStart": first, "rangeEnd": last}])
    for n, wish in enumerate(inside.split()):
        assert warm("ADD", config, f"c{n}", args=f"IP={wish}").addresses[0].startswith(wish + "/")
    for wish in outside.split():
        refused(warm, config, f"failed to allocate all requested IPs: {wish}", args=f"IP={wish}")


RANGE_ERRORS = [
    ({"rangeStart": "10.1.2.9"}, "IP <nil> not v4 nor v6"),
    ({"subnet": "10.1.2.0/31"}, "Network 10.1.2.0/31 too small to allocate from"),
    ({"subnet": "10.1.2.0/32"}, "Network 10.1.2.0/32 too small to allocate from"),
    ({"subnet": "2001:db8::/127"}, "Network 2001:db8::/127 too small to allocate from"),
    ({"subnet": "2001:db8::/128"}, "Network 2001:db8::/128 too small to allocate from"),
    ({"subnet": "::ffff:10.1.2.0/120"}, "IPNet IP and Mask version mismatch"),
    (
        {"subnet": "192.0.2.12/24"},
        "Network has host bits set. For a subnet mask of length 24 the network address is 192.0.2.0",
    ),
    (
        {"subnet": "192.168.127.0/23"},
        "Network has host bits set. For a subnet mask of length 23 the network address is 192.168.126.0",
    ),
    (
        {"subnet": "2001:db8:1::1/64"},
        "Network has host bits set. For a subnet mask of length 64 the network address is 2001:db8:1::",
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
        {"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.255"},
        "RangeStart 192.0.2.255 is after RangeEnd 192.0.2.254 in network 192.0.2.0/24",
    ),
    (
        {"subnet": "2001:db8::/64", "rangeStart": "2001:db8::9", "rangeEnd": "10.1.2.9"},
        "RangeEnd 10.1.2.9 not in network 2001:db8::/64",
    ),
    ({"subnet": "::/0", "rangeStart": "10.1.2.9"}, "RangeStart 10.1.2.9 not in network ::/0"),
    ({"subnet": "10.0.0.0/24", "gateway": "10.9.9.9"}, "gateway 10.9.9.9 not in network 10.0.0.0/24"),
    ({"subnet": "10.0.0.0/24", "gateway": "2001:db8::1"}, "gateway 2001:db8::1 not in network 10.0.0.0/24"),
    ({"subnet": "::/0", "gateway": "10.0.0.1"}, "gateway 10.0.0.1 not in network ::/0"),
    (
        {"subnet": "10.0.0.0/24", "gateway": "10.9.9.9", "rangeStart": "10.8.8.8"},
        "gateway 10.9.9.9 not in network 10.0.0.0/24",
    ),
]


@pytest.mark.parametrize(("written", "message"), RANGE_ERRORS, ids=lambda value: str(value)[:40])
def test_a_range_that_makes_no_sense(warm: Plugin, tmp_path: Path, written: dict[str, str], message: str) -> None:
    refused(warm, host_local(tmp_path, "1.0.0", [written]), BAD_SET + message)


# ---- overlaps (35, 36, 53 to 61)


def bounds(subnet: str, start: str = "", end: str = "") -> dict[str, str]:
    given = {"subnet": subnet, "rangeStart": start, "rangeEnd": end}
    return {key: value for key, value in given.items() if value}


OVERLAPS = [
    (bounds("10.1.2.0/24"), bounds("10.1.3.0/24"), False),
    (bounds("10.1.2.0/24"), bounds("2001:db8::/64"), False),
    (bounds("10.1.2.0/24"), bounds("10.1.2.0/24"), True),
    (bounds("10.1.0.0/20"), bounds("10.1.2.0/24"), True),
    (bounds("10.1.0.0/20", end="10.1.0.50"), bounds("10.1.0.0/20", "10.1.0.51"), False),
    (bounds("10.1.2.0/24", end="10.1.2.127"), bounds("10.1.2.0/24", "10.1.2.127"), True),
]


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(("a", "b", "overlap"), OVERLAPS)
def test_sets_must_not_overlap(
    warm: Plugin, tmp_path: Path, a: dict[str, str], b: dict[str, str], overlap: bool, swapped: bool
) -> None:
    config = host_local(tmp_path, "1.0.0", *([[b], [a]] if swapped else [[a], [b]]))
    if overlap:
        refused(warm, config, "range set 0 overlaps with 1")
    else:
        assert len(warm("ADD", config).addresses) == 2


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        (
            [bounds("10.1.0.0/22"), bounds("10.1.2.0/24")],
            "subnets 10.1.0.1-10.1.3.254 and 10.1.2.1-10.1.2.254 overlap",
        ),
        ([bounds("10.1.0.0/22"), bounds("2001:db8:5::/64")], "mixed address families"),
        ([], "empty range set"),
    ],
    ids=["36", "37", "empty"],
)
def test_a_set_that_makes_no_sense(warm: Plugin, tmp_path: Path, ranges: list[Any], message: str) -> None:
    refused(warm, host_local(tmp_path, "1.0.0", ranges), BAD_SET + message)


# ---- where ranges and wishes come from (28 to 34, 38 to 40)


def test_28_30_sets_are_capability_then_subnet_then_ranges(warm: Plugin, tmp_path: Path) -> None:
    config = host_local(tmp_path, "1.0.0", [{"subnet": "10.1.4.0/24"}], subnet="10.1.2.0/24", rangeStart="10.1.2.9")
    config["runtimeConfig"] = {"ipRanges": [[{"subnet": "10.1.1.0/24"}]], "irrelevant": "a", "zero": {"subnet": 1}}
    assert warm("ADD", config).result["ips"] == [
        {"address": "10.1.1.2/24", "gateway": "10.1.1.1"},
        {"address": "10.1.2.9/24", "gateway": "10.1.2.1"},
        {"address": "10.1.4.2/24", "gateway": "10.1.4.1"},
    ]


def test_bounds_without_a_subnet_mean_nothing(warm: Plugin, tmp_path: Path) -> None:
    config = host_local(tmp_path, "1.0.0", [GOOD], rangeStart="192.0.2.9", gateway="192.0.2.1")
    assert warm("ADD", config).addresses == ["10.1.2.2/24"]


@pytest.mark.parametrize(
    ("args", "more", "expected"),
    [
        ("IP=10.1.2.10", {}, ["10.1.2.10/24"]),
        ("IP=10.1.2.11/24", {}, ["10.1.2.11/24"]),
        ("IP=10.1.2.12,2001:db8:1::11", {}, ["10.1.2.12/24", "2001:db8:1::11/64"]),
        ("IP=10.1.2.12/8,2001:db8:1::11/8", {}, ["10.1.2.12/24", "2001:db8:1::11/64"]),
        ("IP=10.1.2.10;IP=10.1.2.11", {}, ["10.1.2.11/24"]),
        ("IP=", {}, ["10.1.2.2/24"]),
        ("IP=::ffff:10.1.2.10", {}, ["10.1.2.10/24"]),
        ("", {"args": {"cni": {"ips": ["10.1.2.11", "2001:db8:1::11"]}}}, ["10.1.2.11/24", "2001:db8:1::11/64"]),
        ("", {"args": {"cni": {"ips": ["10.1.2.11/8", "2001:db8:1::11/8"]}}}, ["10.1.2.11/24", "2001:db8:1::11/64"]),
        ("IP=10.1.2.9", {"args": {"cni": {"ips": ["2001:db8:1::11"]}}}, ["10.1.2.9/24", "2001:db8:1::11/64"]),
        ("IP=10.1.2.9", {"args": {"cni": {"ips": ["10.1.2.9/16"]}}}, ["10.1.2.9/24"]),
        ("", {"runtimeConfig": {"ips": ["192.168.2.2", "2001:db8::2/8"]}}, None),
        ("", {"runtimeConfig": {"ips": ["10.1.2.7/16", "2001:db8:1::7"]}}, ["10.1.2.7/24", "2001:db8:1::7/64"]),
    ],
)
def test_31_to_40_the_three_channels_of_wishes_add_up(
    warm: Plugin, tmp_path: Path, args: str, more: dict[str, Any], expected: list[str] | None
) -> None:
    config = {**host_local(tmp_path, "1.0.0", [GOOD], [{"subnet": "2001:db8:1::/64"}]), **more}
    reply = warm("ADD", config, args=args)
    if expected is None:
        assert reply.error["msg"] == "failed to allocate all requested IPs: 192.168.2.2 2001:db8::2"
    else:
        assert [address for address in reply.addresses if address != "2001:db8:1::2/64"] == expected


@pytest.mark.parametrize(
    ("version", "sets", "allowed"),
    [
        ("0.2.0", [[GOOD], [{"subnet": "10.1.3.0/24"}]], False),
        ("0.2.0", [[{"subnet": "fd00::/64"}], [{"subnet": "fd00:0:0:1::/64"}]], False),
        ("0.2.0", [[GOOD], [{"subnet": "fd00::/64"}]], True),
        ("0.3.0", [[GOOD], [{"subnet": "10.1.3.0/24"}]], True),
    ],
    ids=["38-two-v4", "two-v6", "39-one-of-each", "later"],
)
def test_addresses_per_family(warm: Plugin, tmp_path: Path, version: str, sets: list[Any], allowed: bool) -> None:
    config = host_local(tmp_path, version, *sets)
    if allowed:
        assert warm("ADD", config).code == 0
    else:
        refused(warm, config, f"CNI version {version} does not support more than 1 address per family")


# ---- the catalogue of errors (§2.7)


def put(path: str, value: Any) -> Any:
    """An edit: this value at that place of a good configuration."""

    def edit(config: dict[str, Any]) -> dict[str, Any]:
        *way, last = path.split(".")
        holder: Any = config
        for key in way:
            holder = holder[int(key)] if isinstance(holder, list) else holder.setdefault(key, {})
        if isinstance(holder, list):
            holder[int(last)] = value
        else:
            holder[last] = value
        return config

    return edit


CATALOGUE = [
    (put("ipam", None), "IPAM config missing 'ipam' key"),
    (put("ipam.ranges", []), "no IP ranges specified"),
    (put("ipam.ranges", None), "no IP ranges specified"),
    (put("ipam.ranges", [[]]), "invalid range set 0: empty range set"),
    (put("ipam.ranges", [None]), "invalid range set 0: empty range set"),
    (put("ipam.ranges", [[GOOD], []]), "invalid range set 1: empty range set"),
    (put("ipam.ranges.0.0.subnet", "bogus"), "invalid CIDR address: bogus"),
    (put("ipam.ranges.0.0.subnet", ""), "invalid CIDR address: "),
    (put("ipam.ranges.0.0.subnet", None), "invalid CIDR address: "),
    (put("ipam.ranges.0.0.subnet", "10.01.2.0/24"), "invalid CIDR address: 10.01.2.0/24"),
    (put("ipam.ranges.0.0.rangeStart", "nope"), "invalid IP address: nope"),
    (put("ipam.ranges.0.0.rangeEnd", "10.1.2.010"), "invalid IP address: 10.1.2.010"),
    (put("ipam.ranges.0.0.gateway", "10.1.2"), "invalid IP address: 10.1.2"),
    (put("ipam.routes", [{"dst": "0.0.0.0/0", "gw": "x"}]), "invalid IP address: x"),
    (put("ipam.routes", [{"dst": "0.0.0.0"}]), "invalid CIDR address: 0.0.0.0"),
    (put("ipam.routes", [{}]), "invalid route: dst is missing"),
    (
        put("ipam.ranges", 5),
        "json: cannot unmarshal number into Go struct field IPAMConfig.ipam.ranges of type []allocator.RangeSet",
    ),
    (
        put("ipam.ranges.0.0.subnet", 5),
        "json: cannot unmarshal number into Go struct field Range.ipam.ranges.subnet of type string",
    ),
    (put("ipam", "x"), "json: cannot unmarshal string into Go struct field Net.ipam of type allocator.IPAMConfig"),
    (
        put("ipam.dataDir", 5),
        "json: cannot unmarshal number into Go struct field IPAMConfig.ipam.dataDir of type string",
    ),
    (put("args.cni.ips", ["nope"]), "invalid IP address nope"),
    (put("args.cni.ips", [""]), "cannot understand ip: IP <nil> not v4 nor v6"),
    (put("runtimeConfig.ips", ["10.1.2.3/64"]), "invalid IP address 10.1.2.3/64"),
    (put("ipam.resolvConf", "missing.conf"), "open missing.conf: no such file or directory"),
    (put("ipam.cooldown", -1), "invalid cooldown -1: seconds from 0 (off) to 86400 (a day)"),
    (put("ipam.duplicateAdd", "maybe"), 'invalid duplicateAdd "maybe": "error" or "return"'),
]


@pytest.mark.parametrize(("edit", "message"), CATALOGUE, ids=[message for _, message in CATALOGUE])
def test_catalogue_of_configuration_errors(warm: Plugin, tmp_path: Path, edit: Any, message: str) -> None:
    refused(warm, edit(host_local(tmp_path, "1.0.0", [dict(GOOD)])), message)
    assert not list(tmp_path.iterdir()), "nothing was made"


ARGS_ERRORS = [
    ("nonsense", 'ARGS: invalid pair "nonsense"'),
    ("IP=10.1.2.9;", 'ARGS: invalid pair ""'),
    ("A=B=C", 'ARGS: invalid pair "A=B=C"'),
    ("FOO=BAR", 'ARGS: unknown args ["FOO=BAR"]'),
    ("FOO=BAR;ip=10.1.2.9", 'ARGS: unknown args ["FOO=BAR" "ip=10.1.2.9"]'),
    ("IgnoreUnknown=0;FOO=BAR", 'ARGS: unknown args ["FOO=BAR"]'),
    ("IP=zzz", 'ARGS: error parsing value of pair "IP=zzz": invalid IP address zzz'),
    ("IP=10.1.2.9,zzz", 'ARGS: error parsing value of pair "IP=10.1.2.9,zzz": invalid IP address zzz'),
    (
        "IgnoreUnknown=maybe",
        'ARGS: error parsing value of pair "IgnoreUnknown=maybe": boolean unmarshal error: invalid input maybe',
    ),
    ('IP=zzz;"\t', 'ARGS: error parsing value of pair "IP=zzz": invalid IP address zzz'),
    ('"\t\x01ü\xad', r'ARGS: invalid pair "\"\t\x01ü\u00ad"'),
]


@pytest.mark.parametrize(("args", "message"), ARGS_ERRORS)
def test_catalogue_of_argument_errors(warm: Plugin, tmp_path: Path, args: str, message: str) -> None:
    broken_too = host_local(tmp_path, "1.0.0", [{"subnet": "10.1.2.0/31"}])
    refused(warm, broken_too, message, args=args)


@pytest.mark.parametrize("flag", ["1", "true", "TRUE"])
def test_unknown_arguments_may_be_ignored(warm: Plugin, tmp_path: Path, flag: str) -> None:
    config = host_local(tmp_path, "1.0.0", [GOOD])
    assert warm("ADD", config, args=f"FOO=BAR;IgnoreUnknown={flag};K8S_POD_NAME=p").code == 0


def test_key_names_match_in_any_case_and_the_last_counts(warm: Plugin, tmp_path: Path) -> None:
    text = json.dumps(host_local(tmp_path, "1.0.0", [GOOD]))
    text = text.replace('"subnet"', '"SUBNET"').replace('"ranges"', '"Ranges"').replace('"name"', '"NAME"')
    assert warm("ADD", text.replace('"ipam"', '"Ipam"').encode()).addresses == ["10.1.2.2/24"]
    twice = text[:-1] + ', "ipam": {"subnet": "10.9.0.0/16", "dataDir": "' + str(tmp_path) + '"}}'
    assert warm("ADD", twice.encode(), "other").addresses == ["10.9.0.2/16"]


@pytest.mark.parametrize("data_dir", ["state", "./a/../state", "deep/er/state"])
def test_a_relative_data_directory_is_the_callers(cni: Plugin, tmp_path: Path, data_dir: str) -> None:
    caller = tmp_path / "caller"
    caller.mkdir()
    config = host_local(Path("x"), "1.0.0", [GOOD])
    config["ipam"]["dataDir"] = data_dir
    assert cni("ADD", config, cwd=caller).code == 0
    assert (caller / data_dir.replace("a/../", "") / "unipam.db").exists()
