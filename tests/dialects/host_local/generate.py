"""Random lives of networks: configurations, sound and broken, and the calls that runtimes make with them.

Everything hangs on one `random.Random`, so that a sequence is named by its number. What the calls should answer is not
known here.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from tests.conftest import environment

RESOLV_CONF = (
    "nameserver 192.0.2.3\n  nameserver 2001:db8::53 trailing\n; a remark\n#nameserver 9.9.9.9\nnameserver\n"
    "search net org\nsearch gov\ndomain first\ndomain last.example more\noptions ndots:2 attempts:1\nsortlist x y\n"
)

Json = Any


class Op(NamedTuple):
    """One call. `document` is what stdin says when it is JSON; `honest` is False when prevResult was made up."""

    env: dict[str, str]
    stdin: bytes
    document: Json
    honest: bool = True

    @property
    def verb(self) -> str:
        return self.env.get("CNI_COMMAND", "")

    @property
    def owner(self) -> tuple[str, str]:
        return self.env.get("CNI_CONTAINERID", ""), self.env.get("CNI_IFNAME", "")


# ---- values

_V4 = (
    "10.1.2.0/29", "10.1.2.0/30", "10.1.2.4/30", "10.1.2.8/29", "10.1.2.16/28", "10.2.2.0/24", "192.168.5.0/30",
    "255.255.255.248/29", "172.16.0.0/12",
)  # fmt: skip
_V6 = ("2001:db8:1::/125", "2001:db8:1::8/126", "2001:DB8:2:0::/124", "fd00::/64", "fd00:0:0:1::/126")
_ODD_ADDRESSES = (
    "", "10.1.2", "10.1.2.256", "010.1.2.3", " 10.1.2.3", "10.1.2.3 ", "::ffff:10.1.2.3", "::ffff:a01:203",
    "fe80::1%eth0", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", ":::", "1::2::3", "x", "10.1.2.3/24", "0x0a.1.2.3",
    "\u0661.1.2.3", "2001:0DB8:1::3", "::", "0.0.0.0", "255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "::10.1.2.3",
)  # fmt: skip
_ODD_SUBNETS = (
    "", "10.1.2.0", "10.1.2.0/", "10.1.2.0/31", "10.1.2.1/24", "10.1.2.0/33", "10.1.2.0/-1", "10.1.2.0/ 24",
    "10.1.2.0/024", "10.1.2.0/24/24", "/24", "::ffff:10.1.2.0/120", "2001:db8::/127", "2001:db8::1/64",
    "2001:db8::/129", "fe80::%eth0/64", "0.0.0.0/0", "::/0", "10.1.2.0/24x", "10.01.2.0/24",
    "10.1.2.0/9999999999999999999999", "::ffff:0:0/96", "::ffff:0.0.0.0/95", "0.0.0.0/29", "::/125",
)  # fmt: skip
_ODD: tuple[Json, ...] = (
    None, True, False, 0, 5, -1, 1.5, 1e30, 2**63, "", "x", "10.1.2.3", "\ud800", "ü<&>\u2028\x00", [], [[]], [None],
    {}, {"a": 1}, [1], ["x"], [{}], [[{}]], [["x"]], {"cni": 5},
)  # fmt: skip
_VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "0.4.0", "1.0.0", "1.0.0", "1.0.0", "1.1.0")
_ODD_VERSIONS = ("", "1", "1.1", "v1.0.0", "1.0.5", "0.0.1", "2.0.0", "a.b.c", "1.0.0.0", None, 5, "0.4", "<1>")
_CONTAINERS = ("c0", "c1", "c2", "c3", "c4", "c5", "c6", "a.b-c_D")
_ADDRESS_IDS = ("10.1.2.2", "10.1.2.3")
_ODD_IDS = ("", "-a", "a/b", "a b", "a\n", "ü", "a;b", ".a")
_ODD_NAMES = ("", ".", "..", "a/b", "a:b", "a b", "0123456789abcdef", "ééééé", "éééééééé", "eth0\t", "a\u00a0b")
_ARGS = (
    "IgnoreUnknown=1", "IgnoreUnknown=TRUE", "IgnoreUnknown=0", "IgnoreUnknown=maybe", "FOO=BAR", "K8S_POD_NAME=p",
    "IP=", "IP=zzz", "ip=10.1.2.3", "IP", "=", "A=B=C", "", 'Q="x\\y"', "U=ü\t", "IP=10.1.2.3,10.1.2.4",
    "IP=10.1.2.9/24", "IP=::ffff:10.1.2.3",
)  # fmt: skip


def address(rng: Random, subnet: str) -> str:
    """An address in or near the subnet, more often near its ends."""
    if rng.random() < 0.03:
        return rng.choice(_ODD_ADDRESSES)
    network, _, bits = subnet.partition("/")
    step = rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 15, 255)) if bits.isdigit() else 1
    if ":" in network:
        text = network.rstrip(":") + "::" if network.endswith("::") else network
        base, _, last = text.rpartition(":")
        return f"{base}:{int(last or '0', 16) + step:x}"
    return _shift(network, step)


def _shift(network: str, step: int) -> str:
    parts = network.split(".")
    return (
        ".".join([*parts[:3], str(min(int(parts[3]) + step, 255))])
        if len(parts) == 4 and parts[3].isdigit()
        else network
    )


# ---- configurations


def _range(rng: Random, subnet: str) -> dict[str, Json]:
    made: dict[str, Json] = {"subnet": rng.choice(_ODD_SUBNETS) if rng.random() < 0.03 else subnet}
    for key, chance in (("rangeStart", 0.2), ("rangeEnd", 0.2), ("gateway", 0.2)):
        if rng.random() < chance:
            made[key] = address(rng, rng.choice(_V4 + _V6) if rng.random() < 0.05 else subnet)
    return made


def _range_set(rng: Random, family: tuple[str, ...]) -> list[Json]:
    count = rng.choices((1, 2, 3, 0), (14, 4, 2, 0.3))[0]
    return [_range(rng, subnet) for subnet in rng.sample(family, count)]


def _sets(rng: Random, most: int) -> list[Json]:
    return [_range_set(rng, rng.choice((_V4, _V4, _V6))) for _ in range(rng.randint(1, most))]


def _route(rng: Random) -> Json:
    made: dict[str, Json] = {"dst": rng.choice((*_V4, *_V6, "0.0.0.0/0", "::/0", "10.1.2.77/16", "2001:db8::7/32"))}
    if rng.random() < 0.1:
        made["dst"] = rng.choice(_ODD_SUBNETS)
    if rng.random() < 0.02:
        del made["dst"]
    if rng.random() < 0.4:
        made["gw"] = address(rng, rng.choice(_V4 + _V6))
    for key in ("mtu", "advmss", "priority", "table", "scope"):
        if rng.random() < 0.1:
            made[key] = rng.choice((0, 1, 1400, 254))
    return made


def _ips(rng: Random) -> list[Json]:
    wanted = [address(rng, rng.choice(_V4[:4] + _V6[:3])) for _ in range(rng.choices((0, 1, 2, 3), (1, 12, 2, 0.5))[0])]
    wanted = [ip + "/24" if rng.random() < 0.15 else ip for ip in wanted]
    return [*wanted, None] if rng.random() < 0.02 else wanted


def _ipam(rng: Random) -> dict[str, Json]:
    made: dict[str, Json] = {"type": "host-local"}
    if rng.random() < 0.3:
        made.update(_range(rng, rng.choice(_V4 + _V6)))
    if "subnet" not in made or rng.random() < 0.2:
        made["ranges"] = _sets(rng, 3)
    if rng.random() < 0.3:
        made["routes"] = [_route(rng) for _ in range(rng.randint(0, 3))]
    if rng.random() < 0.06:
        made["resolvConf"] = rng.choice(("resolv.conf", "resolv.conf", "missing.conf", ".", ""))
    return made


def config(rng: Random, name: str) -> dict[str, Json]:
    """A configuration that means well."""
    made: dict[str, Json] = {"cniVersion": rng.choice(_VERSIONS), "name": name, "type": "bridge", "ipam": _ipam(rng)}
    if rng.random() < 0.05:
        made["cniVersion"] = rng.choice(_ODD_VERSIONS)
    if rng.random() < 0.03:
        del made["cniVersion"]
    if rng.random() < 0.05:
        made["runtimeConfig"] = {"ipRanges": _sets(rng, 2), "portMappings": [{"hostPort": 1}]}
    made["ipam"]["dataDir"] = "state"
    return made


def small_config(rng: Random, name: str) -> dict[str, Json]:
    """A configuration that is right, with few addresses: for driving it to exhaustion."""
    v4, v6 = [{"subnet": rng.choice(_V4[:4])}], [{"subnet": rng.choice(_V6[:2])}]
    if rng.random() < 0.3:
        v4.append({"subnet": "192.168.5.0/30"})
    if rng.random() < 0.5:
        v4[0]["rangeStart"] = address(rng, v4[0]["subnet"])
    sets = rng.choice(([v4], [v6], [v4, v6], [v6, v4]))
    ipam = {"type": "host-local", "dataDir": "state", "ranges": sets}
    return {"cniVersion": rng.choice(_VERSIONS), "name": name, "ipam": ipam}


def _places(value: Json) -> list[tuple[Json, Json]]:
    """Every (container, key) in a document."""
    items = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [(value, key) for key, _ in items] + [place for _, inner in items for place in _places(inner)]


def broken(rng: Random, document: dict[str, Json]) -> dict[str, Json]:
    """The document with one or two things wrong. It never ends up in the default data directory."""
    made = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 2))):
        holder, key = rng.choice([p for p in _places(made) if p[1] not in ("dataDir", "datadir", "DATADIR")])
        _break(rng, holder, key)
    if rng.random() < 0.01 and isinstance(made.get("ipam"), dict):
        made["ipam"]["dataDir"] = rng.choice((5, [], {"a": "b"}))
    for ipam in _ipams(made):
        ipam.setdefault("dataDir", "state")
    if isinstance(made.get("name"), str) and made["name"].isprintable():
        made["name"] = document["name"]  # another's network is not this life's business
    return made


def _break(rng: Random, holder: Json, key: Json) -> None:
    how = rng.random()
    if how < 0.6:
        holder[key] = copy.deepcopy(rng.choice(_ODD))
    elif how < 0.8:
        del holder[key]
    elif isinstance(key, str):
        holder[rng.choice((key.upper(), key.lower()))] = holder.pop(key)
    else:
        holder.insert(key, copy.deepcopy(holder[key]))


def _text(rng: Random, document: Json) -> bytes:
    """The document as JSON, at times not quite."""
    text = json.dumps(document, indent=rng.choice((None, None, 2))).encode()
    how = rng.random()
    if how > 0.015:
        return text
    at = rng.randrange(len(text) + 1)
    edits: tuple[Callable[[], bytes], ...] = (
        lambda: text[:at],
        lambda: text + rng.choice((b"x", b"{}", b"\n ", b"\0")),
        lambda: text[:at] + rng.choice((b"\xff", b",", b'"', b"}", b"\\", b"\n", b"\0")) + text[at:],
        lambda: rng.choice((b"", b"null", b"[]", b"5", b'"x"', b"\xef\xbb\xbf" + text, b"{}", b"NaN", b"[" * 20000)),
    )
    edited = rng.choice(edits)()
    astray = any("dataDir" not in ipam for ipam in _ipams(_parsed(edited)))
    return text if astray else edited  # nobody's default data directory is a playground


def _ipams(document: Json) -> list[dict[str, Json]]:
    """What a document has under `ipam`, in any case."""
    items = document.items() if isinstance(document, dict) else ()
    return [value for key, value in items if key.lower() == "ipam" and isinstance(value, dict)]


def _parsed(text: bytes) -> Json:
    try:
        return json.loads(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


# ---- calls


_VERBS = {"ADD": 60, "DEL": 25, "CHECK": 15, "VERSION": 0.3, "add": 0.3}
_NEWER_VERBS = {"GC": 8, "STATUS": 3}
_VALID, _FORMER = "cni.dev/valid-attachments", "cni.dev/attachments"


class Life:
    """A few networks of one data directory, and the calls that are made with them; of `newer` ones also of CNI 1.1."""

    def __init__(self, seed: int, *, newer: bool) -> None:
        self._rng = rng = Random(seed)
        self._verbs = _VERBS | _NEWER_VERBS if newer else _VERBS
        self._small = rng.random() < 0.4
        make = small_config if self._small else config
        self._networks = [make(rng, f"n{seed}-{k}") for k in range(rng.choice((1, 1, 2, 3)))]
        self._made = make
        self._results: dict[tuple[str, tuple[str, str]], Json] = {}
        self.length = rng.randint(6, 20) if self._small else rng.randint(3, 9)

    def next(self) -> Op:
        """The next call; it may depend on what earlier ones answered."""
        rng = self._rng
        document = self._document(rng.randrange(len(self._networks)))
        env = self._environment()
        self._add_again(env, document)
        honest = self._add_previous(env, document)
        self._add_attachments(env, document)
        text = _text(rng, document)
        said = _parsed(text)
        return Op(env, text, said, honest and said == document)

    def learn(self, op: Op, result: Json) -> None:
        """An ADD was answered with this result."""
        self._results[(str(op.document.get("name")), op.owner)] = result

    def _document(self, number: int) -> dict[str, Json]:
        rng = self._rng
        if rng.random() < 0.05:  # the operator changed his mind
            self._networks[number] = self._made(rng, self._networks[number]["name"])
        document = copy.deepcopy(self._networks[number])
        if rng.random() < 0.1:
            document["args"] = {"cni": {"ips": _ips(rng)}}
        if rng.random() < 0.08:
            document.setdefault("runtimeConfig", {})["ips"] = _ips(rng)
        return broken(rng, document) if rng.random() < (0.05 if self._small else 0.15) else document

    def _environment(self) -> dict[str, str]:
        rng = self._rng
        verb = rng.choices(list(self._verbs), list(self._verbs.values()))[0]
        container, ifname = rng.choice(_CONTAINERS), rng.choice(("eth0", "eth0", "eth0", "eth1"))
        if verb in ("CHECK", "DEL") and self._results and rng.random() < 0.7:
            container, ifname = rng.choice(sorted(owner for _, owner in self._results))
        if rng.random() < 0.06:
            container = rng.choice((*_ODD_IDS, *_ADDRESS_IDS * 4, "x" * 5000))
        if rng.random() < 0.01:
            ifname = rng.choice(_ODD_NAMES)
        env = environment(verb, container, ifname, args=self._args())
        for key in ("CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"):
            if rng.random() < 0.004:
                env[key] = ""
            elif rng.random() < 0.002:
                del env[key]
        return env

    def _add_again(self, env: dict[str, str], document: dict[str, Json]) -> None:
        """At times an ADD is of an attachment that holds an address, and asks for another one near it."""
        rng = self._rng
        known = [(owner, result) for (name, owner), result in self._results.items() if name == document.get("name")]
        if env.get("CNI_COMMAND") == "ADD" and known and rng.random() < 0.05:
            (env["CNI_CONTAINERID"], env["CNI_IFNAME"]), result = rng.choice(known)
            held = (ip["address"] for ip in result.get("ips", ()))
            env["CNI_ARGS"] = f"IP={address(rng, next(held, '10.1.2.0/29'))}"

    def _args(self) -> str:
        rng = self._rng
        if rng.random() < 0.85:
            return rng.choice(("", "IgnoreUnknown=1;K8S_POD_NAMESPACE=d;K8S_POD_NAME=p"))
        pairs = [rng.choice(_ARGS) for _ in range(rng.choice((0, 0, 1, 2)))]
        if rng.random() < 0.8:
            pairs.insert(rng.randint(0, len(pairs)), f"IP={address(rng, rng.choice(_V4[:4] + _V6[:3]))}")
        return ";".join(pairs)

    def _add_previous(self, env: dict[str, str], document: dict[str, Json]) -> bool:
        owner = env.get("CNI_CONTAINERID", ""), env.get("CNI_IFNAME", "")
        known = self._results.get((str(document.get("name")), owner))
        how = self._rng.random()
        if env.get("CNI_COMMAND") != "CHECK" or how < 0.4:
            return True
        if how < 0.85 and known is not None:
            document["prevResult"] = known
            return True
        document["prevResult"] = self._rng.choice((*_ODD, {"ips": [{"address": "10.1.2.200/24"}]}, {"ips": [5]}, known))
        return False

    def _add_attachments(self, env: dict[str, str], document: dict[str, Json]) -> None:
        """What a GC is to spare; and the version that GC and STATUS want, most of the time."""
        rng = self._rng
        if env.get("CNI_COMMAND") not in _NEWER_VERBS:
            return
        if rng.random() < 0.95:
            document["cniVersion"] = "1.1.0"
        if env["CNI_COMMAND"] == "GC" and rng.random() < 0.9:
            key = rng.choices((_VALID, _FORMER, _VALID.upper()), (20, 2, 1))[0]
            document[key] = rng.choice(_ODD) if rng.random() < 0.1 else self._spared(str(document.get("name")))

    def _spared(self, name: str) -> list[Json]:
        """Most of those that hold something, and somebody who does not; at times one that is badly written."""
        rng = self._rng
        owners = [owner for network, owner in self._results if network == name and rng.random() < 0.7]
        owners += [("gone", "eth0")] * (rng.random() < 0.2)
        listed: list[Json] = [{"containerID": container, "ifname": ifname} for container, ifname in owners]
        if listed and rng.random() < 0.05:
            _break(rng, *rng.choice(_places(listed)))
        return listed
