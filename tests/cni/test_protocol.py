"""The CNI protocol as every plugin speaks it: what is validated, in which order, in which words; which shapes go out.

Spec cni-and-host-local §1.2, §1.3, §1.6, §1.7; libcni's skel suite (§3.7), asked of the installed executable.
"""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Plugin, environment, host_local

VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
SUPPORTED = "[" + " ".join(f'"{version}"' for version in VERSIONS) + "]"
GOOD = {"subnet": "10.1.2.0/24"}
VARIABLES = ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH")
REQUIRED = {
    "ADD": VARIABLES,
    "DEL": ("CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"),
    "CHECK": VARIABLES,
    "GC": ("CNI_PATH",),
    "STATUS": ("CNI_PATH",),
}


# ---- the environment


@pytest.mark.parametrize("empty", [True, False], ids=["empty", "unset"])
@pytest.mark.parametrize("verb", REQUIRED)
def test_every_missing_variable_is_named_in_order(warm: Plugin, verb: str, empty: bool) -> None:
    for count in range(len(VARIABLES) + 1):
        for gone in itertools.combinations(VARIABLES, count):
            env = environment(verb) | dict.fromkeys(gone, "")
            env = env if empty else {name: value for name, value in env.items() if name not in gone}
            reply = warm.run(b"{}", env)
            missing = ",".join(name for name in REQUIRED[verb] if name in gone)
            expected = (4, f"required env variables [{missing}] missing") if missing else (7, "missing network name")
            assert (reply.error["code"], reply.error["msg"]) == expected


WRONG = [
    ("CNI_CONTAINERID", "-a", "invalid characters in containerID", "-a"),
    ("CNI_CONTAINERID", "a/b", "invalid characters in containerID", "a/b"),
    ("CNI_CONTAINERID", "a\n", "invalid characters in containerID", "a\n"),
    ("CNI_CONTAINERID", "ü", "invalid characters in containerID", "ü"),
    (
        "CNI_IFNAME",
        "0123456789abcdef",
        "interface name is too long",
        "interface name should be less than 16 characters",
    ),
    ("CNI_IFNAME", "éééééééé", "interface name is too long", "interface name should be less than 16 characters"),
    ("CNI_IFNAME", ".", "interface name is . or ..", None),
    ("CNI_IFNAME", "..", "interface name is . or ..", None),
    ("CNI_IFNAME", "a/b", "interface name contains / or : or whitespace characters", None),
    ("CNI_IFNAME", "a:b", "interface name contains / or : or whitespace characters", None),
    ("CNI_IFNAME", "a b", "interface name contains / or : or whitespace characters", None),
    ("CNI_IFNAME", "a\u00a0b", "interface name contains / or : or whitespace characters", None),
]


@pytest.mark.parametrize("verb", ["ADD", "DEL", "CHECK"])
@pytest.mark.parametrize(("name", "value", "message", "details"), WRONG)
def test_wrong_values(warm: Plugin, verb: str, name: str, value: str, message: str, details: str | None) -> None:
    error = warm.run(b"{}", environment(verb) | {name: value}).error
    assert (error["code"], error["msg"], error.get("details")) == (4, message, details)


def test_values_at_the_edge_are_right(warm: Plugin, tmp_path: Path) -> None:
    config = host_local(tmp_path, "1.0.0", [GOOD])
    for container, ifname in (("0" * 5000, "eth0"), ("a_.-B", "0123456789abcde"), ("7", "ééééééé"), ("b", "...")):
        assert warm("ADD", config, container, ifname).code == 0
        assert warm("CHECK", config, container, ifname).silent
        assert warm("DEL", config, container, ifname).silent


def test_gc_and_status_do_not_look_at_the_attachment(warm: Plugin, tmp_path: Path) -> None:
    config = host_local(tmp_path, "1.1.0", [GOOD])
    for verb in ("GC", "STATUS"):
        assert warm(verb, config, "-/-", "a/b").silent


# ---- the order in which things are said (§1.3)


def sayings() -> list[tuple[str, dict[str, str], bytes, int, str]]:
    """Calls with several faults at once, and the one that is named."""
    good = json.dumps(host_local(Path("d"), "9.9.9", [])).encode()  # wrong version, wrong range set
    nameless, misnamed = b'{"cniVersion": 5}', b'{"name": "a/b", "cniVersion": 5}'
    add = environment("ADD")
    return [
        (
            "wrong before missing",
            add | {"CNI_CONTAINERID": "", "CNI_IFNAME": "a/b"},
            b"{",
            4,
            "interface name contains",
        ),
        ("container before interface", add | {"CNI_CONTAINERID": "-", "CNI_IFNAME": "a/b"}, b"{", 4, "invalid char"),
        ("missing before configuration", add | {"CNI_PATH": ""}, b"{", 4, "required env variables [CNI_PATH] missing"),
        ("JSON before name", add, b"{", 6, "error unmarshall network config: unexpected end of JSON input"),
        ("name before verb", environment("NOVERB"), nameless, 7, "missing network name"),
        ("name's form before verb", environment("NOVERB"), misnamed, 7, "invalid characters found in network name"),
        ("verb before version", environment("add"), b'{"name": "a", "cniVersion": 5}', 4, "unknown CNI_COMMAND: add"),
        ("version before the plugin", add, good, 1, "incompatible CNI versions"),
        ("arguments before ranges", add | {"CNI_ARGS": "X"}, good.replace(b"9.9.9", b"1.0.0"), 999, "ARGS: invalid"),
    ]


@pytest.mark.parametrize(("env", "stdin", "code", "start"), [s[1:] for s in sayings()], ids=[s[0] for s in sayings()])
def test_the_first_fault_is_named(cni: Plugin, env: dict[str, str], stdin: bytes, code: int, start: str) -> None:
    error = cni.run(stdin, env).error
    assert error["code"] == code
    assert error["msg"].startswith(start)


@pytest.mark.parametrize(
    ("stdin", "code", "message"),
    [
        (b"", 6, "error unmarshall network config: unexpected end of JSON input"),
        (b"null", 7, "missing network name"),
        (b"{}", 7, "missing network name"),
        (b'{"name": ""}', 7, "missing network name"),
        (b'{"name": null}', 7, "missing network name"),
        (
            b'{"name": 5}',
            6,
            "error unmarshall network config: json: cannot unmarshal number into Go struct field .name",
        ),
        (b"[]", 6, "error unmarshall network config: json: cannot unmarshal array into Go value of type struct"),
        (b'{"name": "a"} x', 6, "error unmarshall network config: "),
        (b'{"name": "a", "cniVersion": 5}', 6, "decoding version from network config: json: cannot unmarshal number"),
    ],
)
def test_what_is_not_a_configuration(warm: Plugin, stdin: bytes, code: int, message: str) -> None:
    error = warm.run(stdin, environment("ADD")).error
    assert error["code"] == code
    assert error["msg"].startswith(message)


# ---- versions


@pytest.mark.parametrize("version", ["1", "1.1", "v1.0.0", "1.0.5", "1.2.0", " 1.0.0", '1.0.0"'])
def test_a_version_is_one_of_ours_or_none(warm: Plugin, tmp_path: Path, version: str) -> None:
    error = warm("ADD", host_local(tmp_path, version, [GOOD])).error
    quoted = json.dumps(version)
    assert error == {
        "cniVersion": version,
        "code": 1,
        "msg": "incompatible CNI versions",
        "details": f"config is {quoted}, plugin supports {SUPPORTED}",
    }


@pytest.mark.parametrize("written", [{}, {"cniVersion": ""}, {"cniVersion": None}])
def test_no_version_means_the_first(warm: Plugin, tmp_path: Path, written: dict[str, Any]) -> None:
    config = host_local(tmp_path, "", [GOOD])
    del config["cniVersion"]
    assert warm("ADD", config | written).result == {
        "cniVersion": "0.1.0",
        "ip4": {"ip": "10.1.2.2/24", "gateway": "10.1.2.1"},
        "dns": {},
    }


@pytest.mark.parametrize(
    ("verb", "version", "code", "message"),
    [
        ("CHECK", "0.3.1", 1, "config version does not allow CHECK"),
        ("CHECK", "", 1, "config version does not allow CHECK"),
        ("GC", "1.0.0", 1, "config version does not allow GC"),
        ("STATUS", "1.0.0", 1, "config version does not allow STATUS"),
        ("CHECK", "2.0.0", 1, "plugin version does not allow CHECK"),
        ("GC", "1.1.1", 1, "plugin version does not allow GC"),
        ("STATUS", "1.2.0", 1, "plugin version does not allow STATUS"),
        ("CHECK", "1.0.5", 1, "incompatible CNI versions"),
        ("CHECK", "x.0.0", 6, 'failed to convert major version part "x": strconv.Atoi: parsing "x": invalid syntax'),
        ("CHECK", "1.0.0.0", 6, 'invalid version "1.0.0.0": too many parts'),
    ],
)
def test_versions_that_do_not_know_the_verb(
    warm: Plugin, tmp_path: Path, verb: str, version: str, code: int, message: str
) -> None:
    error = warm(verb, host_local(tmp_path, version, [GOOD])).error
    assert (error["code"], error["msg"]) == (code, message)


def test_version_is_one_line_and_reads_nothing(cni: Plugin) -> None:
    line = b'{"cniVersion":"1.1.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}\n'
    env = environment("VERSION", "", "dummy", netns="dummy") | {"CNI_PATH": "dummy"}
    for stdin in (b'{"cniVersion":"0.2.0"}', b"\xff", b""):
        assert cni.run(stdin, env) == (0, line, b"")
    process = subprocess.Popen([cni.path], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdin is not None
    with process:
        assert process.stdout.read() == line, "answered although its input never ends"
        process.stdin.close()


@pytest.mark.parametrize("env", [{}, {"CNI_COMMAND": ""}, {"CNI_CONTAINERID": "-", "CNI_IFNAME": "a/b"}])
def test_a_person_is_told_what_this_is(cni: Plugin, env: dict[str, str]) -> None:
    code, stdout, stderr = cni.run(b"not looked at", env)
    first, second = stderr.decode().splitlines()
    assert (code, stdout) == (0, b"")
    assert first.startswith("CNI host-local plugin ")
    assert second == "CNI protocol versions supported: " + ", ".join(VERSIONS)


# ---- shapes of results (§1.6)

SETS = [[GOOD], [{"subnet": "2001:db8::/64"}]]
ROUTES = [
    {"dst": "0.0.0.0/0", "gw": "10.1.2.9", "mtu": 1400, "advmss": 1360, "priority": 7, "table": 0, "scope": 0},
    {"dst": "10.1.2.77/16", "mtu": 0, "advmss": 0, "priority": 0},
    {"dst": "2001:DB8:9::1/48", "gw": "", "table": 100, "scope": 253},
]
WHOLE = [
    {"dst": "0.0.0.0/0", "gw": "10.1.2.9", "mtu": 1400, "advmss": 1360, "priority": 7, "table": 0, "scope": 0},
    {"dst": "10.1.2.77/16"},
    {"dst": "2001:db8:9::1/48", "table": 100, "scope": 253},
]
IPS = [{"address": "10.1.2.2/24", "gateway": "10.1.2.1"}, {"address": "2001:db8::2/64", "gateway": "2001:db8::1"}]
OLDEST = {
    "ip4": {
        "ip": "10.1.2.2/24",
        "gateway": "10.1.2.1",
        "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.2.9"}, {"dst": "10.1.2.77/16"}],
    },
    "ip6": {"ip": "2001:db8::2/64", "gateway": "2001:db8::1", "routes": [{"dst": "2001:db8:9::1/48"}]},
}


@pytest.mark.parametrize("version", VERSIONS)
def test_results_in_the_shape_of_each_version(warm: Plugin, tmp_path: Path, version: str) -> None:
    (tmp_path / "r").write_text("search <&>\n")
    config = host_local(tmp_path, version, *SETS, routes=ROUTES, resolvConf=str(tmp_path / "r"))
    reply = warm("ADD", config)
    if version < "0.3.0":
        shape: dict[str, Any] = OLDEST
    elif version < "1.0.0":
        shape = {"ips": [{"version": str(4 + 2 * n), **ip} for n, ip in enumerate(IPS)], "routes": WHOLE}
    else:
        shape = {"ips": IPS, "routes": WHOLE}
    assert reply.result == {"cniVersion": version, **shape, "dns": {"search": ["<&>"]}}
    assert rb'"\u003c\u0026\u003e"' in reply.stdout
    assert reply.stdout.startswith(b'{\n    "cniVersion": "')
    assert not reply.stdout.endswith(b"\n")


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_left_out_when_there_is_none(warm: Plugin, tmp_path: Path, version: str) -> None:
    result = warm("ADD", host_local(tmp_path, version, [GOOD])).result
    assert ("dns" in result) == (version < "1.0.0")
    assert "routes" not in result


def test_the_oldest_shape_drops_routes_of_a_family_without_an_address(warm: Plugin, tmp_path: Path) -> None:
    result = warm("ADD", host_local(tmp_path, "0.2.0", [GOOD], routes=[{"dst": "::/0"}, {"dst": "0.0.0.0/0"}])).result
    assert result["ip4"]["routes"] == [{"dst": "0.0.0.0/0"}]
    assert "ip6" not in result


def test_a_mapped_destination_is_an_ipv4_one(warm: Plugin, tmp_path: Path) -> None:
    config = host_local(tmp_path, "1.0.0", [GOOD], routes=[{"dst": "::ffff:10.9.0.0/112", "gw": "::ffff:10.1.2.9"}])
    assert warm("ADD", config).result["routes"] == [{"dst": "10.9.0.0/16", "gw": "10.1.2.9"}]


def test_errors_are_laid_out_like_results(cni: Plugin) -> None:
    code, stdout, stderr = cni.run(b'{"name": "a<b"}', environment("ADD"))
    text = b'{\n    "code": 7,\n    "msg": "invalid characters found in network name",\n    "details": "a\\u003cb"\n}'
    assert (code, stdout, stderr) == (1, text, b"")
