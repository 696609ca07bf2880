"""A CiliumNode: what its agent and its users say in it, and what an operator writes into it (spec cilium §1.3)."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from unipam.addr.prefix import Prefix, parse_address, parse_prefix
from unipam.dialects.cilium.formulas import PRE_ALLOCATE, Parameters
from unipam.dialects.cilium.nics import Nic, Subnet

PATH = "/apis/cilium.io/v2/ciliumnodes"
MARKED, READY, KEPT, RELEASED = "marked-for-release", "ready-for-release", "do-not-release", "released"
"""The states of the handshake by which an address is taken from a node (spec cilium §1.7)."""


class CiliumNode(NamedTuple):
    """`instance` is the machine's resource id in lower case; `used` the addresses that its agent says it uses.

    `allocated` are the ranges of the default pool that an agent of the newer kind says it holds; None for one of the
    older kind, with which an address is taken back by `release` (spec cilium §1.7).
    """

    name: str
    uid: str
    revision: str
    instance: str
    wanted: Parameters
    pool: frozenset[str]
    used: frozenset[str]
    demand: int
    release: Mapping[str, str]
    document: Mapping[str, Any]
    allocated: tuple[Prefix, ...] | None = None
    static_tags: Mapping[str, str] = MappingProxyType({})
    static_ip: str = ""

    @property
    def error(self) -> str:
        """Return what an operator last said is wrong."""
        ipam = section(section(self.document, "status"), "ipam")
        return str(section(ipam, "operator-status").get("error") or "")

    @property
    def created(self) -> str:
        """Return when it was made, as the API server writes it: earlier ones sort first."""
        return str(section(self.document, "metadata").get("creationTimestamp") or "")

    @property
    def wants_static_ip(self) -> bool:
        """Return whether it names a public IP prefix by tags, and has no address of one yet."""
        return bool(self.static_tags) and not self.static_ip

    @property
    def in_use(self) -> int:
        """Return how many addresses are used: by name, or as newer agents say it, by number (spec cilium §1.5)."""
        return len(self.used) or self.demand


def node_of(document: Mapping[str, Any]) -> CiliumNode:
    """Return the node that a document of the API describes; what is of a wrong shape counts as absent."""
    metadata, spec = section(document, "metadata"), section(document, "spec")
    ipam, status = section(spec, "ipam"), section(section(document, "status"), "ipam")
    pre = _number(ipam, "pre-allocate") or PRE_ALLOCATE
    return CiliumNode(
        str(metadata.get("name", "")),
        str(metadata.get("uid", "")),
        str(metadata.get("resourceVersion", "")),
        str(spec.get("instance-id", "")).lower(),
        Parameters(
            pre,
            _number(ipam, "min-allocate"),
            _number(ipam, "max-allocate"),
            _number(ipam, "max-above-watermark"),
            str(section(spec, "azure").get("interface-name", "")),
        ),
        frozenset(section(ipam, "pool")),
        frozenset(section(status, "used")),
        max(0, _requested(ipam) - pre),
        {str(ip): str(state) for ip, state in section(status, "release-ips").items()},
        document,
        _allocated(ipam),
        {str(tag): str(value) for tag, value in section(ipam, "static-ip-tags").items()},
        str(status.get("assigned-static-ip") or ""),
    )


def _allocated(ipam: Mapping[str, Any]) -> tuple[Prefix, ...] | None:
    for each in rows(section(ipam, "pools"), "allocated"):
        if isinstance(each, dict) and each.get("pool") == "default":
            return tuple(_prefixes(rows(each, "cidrs")))
    return None


def _prefixes(texts: Iterable[object]) -> Iterator[Prefix]:
    for each in texts:
        with contextlib.suppress(ValueError):
            yield parse_prefix(str(each))


def _requested(ipam: Mapping[str, Any]) -> int:
    for each in rows(section(ipam, "pools"), "requested"):
        if isinstance(each, dict) and each.get("pool") == "default":
            return _number(section(each, "needed"), "ipv4-addrs")
    return 0


def section(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a part of a document; what is of a wrong shape counts as absent."""
    found = of.get(name)
    return found if isinstance(found, dict) else {}


def rows(of: Mapping[str, Any], name: str) -> list[Any]:
    """Return a list in a document; what is of a wrong shape counts as absent."""
    found = of.get(name)
    return found if isinstance(found, list) else []


def _number(of: Mapping[str, Any], name: str) -> int:
    found = of.get(name)
    return max(0, found) if isinstance(found, int) else 0


class Published(NamedTuple):
    """What a CiliumNode is to say: its pool, its interfaces, the handshake, and what is wrong."""

    pool: dict[str, dict[str, str]]
    interfaces: list[dict[str, Any]]
    release: Mapping[str, str]
    error: str = ""
    static_ip: str = ""


def published(
    nics: Iterable[Nic],
    subnets: Mapping[str, Subnet],
    release: Mapping[str, str],
    error: str = "",
    before: Collection[str] = (),
    going: Collection[str] = (),
) -> Published:
    """Return what is to be said of a machine with these interfaces. The order is always the same (A9).

    Of an interface that is being written only what the pool has had `before` is said, and never what is `going`: a node
    that was made anew knows nothing of a release that is under way.
    """
    nics = sorted(nics, key=lambda each: each.id)
    pool = {
        each.ip: {"resource": nic.id}
        for nic in nics
        for each in nic.present
        if each.ip not in going and (not nic.updating or each.ip in before)
    }
    ordered = dict(sorted(pool.items(), key=lambda each: parse_address(each[0])))
    interfaces = [_interface(each, subnets.get(each.subnet.lower()), going) for each in nics]
    return Published(ordered, interfaces, release, error)


def as_it_is(node: CiliumNode, error: str) -> Published:
    """Return what a node says already, and what is wrong."""
    pool = {str(ip): value for ip, value in section(section(section(node.document, "spec"), "ipam"), "pool").items()}
    return Published(pool, [], node.release, error)


def _interface(nic: Nic, subnet: Subnet | None, going: Collection[str]) -> dict[str, Any]:
    """Return an interface as 1.20.2 writes it, with the older fields mirrored (spec cilium §9.2)."""
    shown = [each for each in nic.secondary if each.ip not in going]
    addresses = sorted(shown, key=lambda each: parse_address(each.ip))
    made: dict[str, Any] = {
        "id": nic.id,
        "name": nic.name,
        "mac": nic.mac,
        "ip": nic.ip,
        "security-group": nic.security_group,
        "addresses": [{"ip": each.ip, "subnet": nic.subnet, "state": each.state} for each in addresses],
    }
    if subnet is not None:
        made |= {"gateway": subnet.gateway, "cidr": subnet.cidr, "subnet": {"id": nic.subnet, "cidr": subnet.cidr}}
    return {name: value for name, value in made.items() if value not in ("", [])}


def status_patch(node: CiliumNode, said: Published) -> dict[str, Any]:
    """Return the merge patch of the status, empty where nothing differs. It is written before the spec."""
    ipam, azure = section(section(node.document, "status"), "ipam"), section(section(node.document, "status"), "azure")
    changes: dict[str, Any] = {}
    if said.interfaces and azure.get("interfaces") != said.interfaces:
        changes["azure"] = {"interfaces": said.interfaces}
    operator = {"error": said.error} if said.error else {}
    inner: dict[str, Any] = {}
    if section(ipam, "operator-status") != operator or "operator-status" not in ipam:
        inner["operator-status"] = operator or ({"error": None} if section(ipam, "operator-status") else {})
    if said.static_ip and said.static_ip != node.static_ip:
        inner["assigned-static-ip"] = said.static_ip
    if release := _differences(node.release, said.release):
        inner["release-ips"] = release
    return changes | ({"ipam": inner} if inner else {})


def spec_patch(node: CiliumNode, said: Published) -> dict[str, Any]:
    """Return the merge patch of `spec.ipam`, empty where nothing differs; 8 is written where nobody said otherwise."""
    ipam = section(section(node.document, "spec"), "ipam")
    changes: dict[str, Any] = {}
    if pool := _differences(section(ipam, "pool"), said.pool):
        changes["pool"] = pool
    if not _number(ipam, "pre-allocate"):
        changes["pre-allocate"] = PRE_ALLOCATE
    return changes


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    gone = dict.fromkeys(before.keys() - after.keys())
    return {**gone, **{name: value for name, value in after.items() if before.get(name) != value}}
