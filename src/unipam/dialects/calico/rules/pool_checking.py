"""Which pools there may be (spec §1.2): what a pool says by itself, beside other pools, and over the blocks there are.

Texts are the original's. calicoctl and the API server name fields differently around them; here it is `spec.…`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from unipam.addr.prefix import Prefix, format_address, parse_address, parse_interface, parse_prefix
from unipam.dialects.calico.documents.pool import AUTOMATIC, LOAD_BALANCER, MANUAL, TUNNEL, WORKLOAD, Pool
from unipam.dialects.calico.rules import selectors
from unipam.model.errors import BadValue

_USES = (WORKLOAD, TUNNEL, LOAD_BALANCER)
_ENCAPSULATIONS = ("Never", "Always", "CrossSubnet")
_LINK_LOCAL = {4: parse_prefix("169.254.0.0/16"), 6: parse_prefix("fe80::/10")}
_LONGEST_SELECTOR = 1024
Spec = dict[str, Any]


class Problem(NamedTuple):
    """What speaks against a pool, and of which field."""

    field: str
    why: str
    value: object = None

    def __str__(self) -> str:
        shown = "" if self.value is None else f" = '{self.value}'"
        return f"{self.field}{shown}: {self.why}"


def defaulted(spec: Spec) -> Spec:
    """Return what a pool says with what it leaves unsaid, in the order in which calicoctl writes it.

    Raises BadValue for a CIDR that is none, which says what the rest means.
    """
    prefix = _prefix(spec)
    defaults: Spec = {
        "cidr": str(prefix),
        "vxlanMode": spec.get("vxlanMode") or "Never",
        "ipipMode": spec.get("ipipMode") or "Never",
        "natOutgoing": spec.get("natOutgoing"),
        "disabled": spec.get("disabled"),
        "disableBGPExport": spec.get("disableBGPExport"),
        "blockSize": spec.get("blockSize") or (26 if prefix.family == 4 else 122),
        "nodeSelector": spec.get("nodeSelector") or "all()",
        "namespaceSelector": spec.get("namespaceSelector"),
        "allowedUses": spec.get("allowedUses") or [WORKLOAD, TUNNEL],
        "assignmentMode": spec.get("assignmentMode") or AUTOMATIC,
    }
    return {name: value for name, value in defaults.items() if value} | {
        name: value for name, value in spec.items() if name not in defaults
    }


def _prefix(spec: Spec) -> Prefix:
    cidr = spec.get("cidr")
    if not cidr:
        raise BadValue("IPPool CIDR must be specified", field="spec.cidr")
    try:
        return parse_interface(str(cidr))[1]
    except ValueError as error:
        problem = f"IPPool CIDR must be a valid subnet: {error}"
        raise BadValue(problem, field="spec.cidr", value=str(cidr)) from error


def problems(spec: Spec) -> list[Problem]:
    """Return what speaks against a pool by itself. Raises BadValue as `defaulted`."""
    wanted, prefix = defaulted(spec), _prefix(spec)
    if wrong := list(_of_types(wanted)):
        return wrong
    found = []
    if str(prefix) != _written(spec):
        found.append(Problem("spec.cidr", "IPPool CIDR is not strictly masked", spec["cidr"]))
    if prefix.overlaps(_LINK_LOCAL[prefix.family]):
        local = _LINK_LOCAL[prefix.family]
        why = f"IPPool CIDR overlaps with IPv{prefix.family} link local range {local}"
        found.append(Problem("spec.cidr", why, wanted["cidr"]))
    return found + _of_blocks(wanted, prefix) + _of_modes(wanted, prefix) + _of_selectors(wanted) + _of_uses(wanted)


def _written(spec: Spec) -> str:
    """Return a CIDR in canonical form, with the host bits that it was written with."""
    address, _, bits = str(spec["cidr"]).partition("/")
    return f"{format_address(parse_address(address))}/{int(bits)}"


_TYPES: dict[str, tuple[type, ...]] = {
    "vxlanMode": (str,), "ipipMode": (str,), "nodeSelector": (str,), "namespaceSelector": (str,),
    "assignmentMode": (str,), "blockSize": (int,), "natOutgoing": (bool,), "disabled": (bool,),
    "disableBGPExport": (bool,), "allowedUses": (list,),
}  # fmt: skip


def _of_types(spec: Spec) -> Iterable[Problem]:
    for name, kinds in _TYPES.items():
        value = spec.get(name)
        if value is not None and type(value) not in kinds:
            yield Problem(f"spec.{name}", f"it must be of type {kinds[0].__name__}", value)


def _of_blocks(spec: Spec, prefix: Prefix) -> list[Problem]:
    width, bits = 32 if prefix.family == 4 else 128, spec["blockSize"]
    found = []
    if not width - 12 <= bits <= width:
        why = "blockSize must be between 20 and 32 for IPv4 pools, and between 116 and 128 for IPv6 pools"
        found.append(Problem("spec.blockSize", why, bits))
    if prefix.bits > bits and not spec.get("disabled"):
        why = "IP pool size is too small for use with Calico IPAM. It must be equal to or greater than the block size."
        found.append(Problem("spec.blockSize", why, bits))
    return found


def _of_modes(spec: Spec, prefix: Prefix) -> list[Problem]:
    ipip, vxlan = spec["ipipMode"], spec["vxlanMode"]
    found = [
        Problem(f"spec.{name}", f"supported values: {', '.join(_ENCAPSULATIONS)}", spec[name])
        for name in ("ipipMode", "vxlanMode")
        if spec[name] not in _ENCAPSULATIONS
    ]
    if ipip != "Never" and vxlan != "Never":
        found.append(Problem("spec", "ipipMode and vxlanMode cannot both be enabled"))
    if ipip != "Never" and prefix.family == 6:
        found.append(Problem("spec.ipipMode", "IPIP is not supported on IPv6 pools", ipip))
    if spec["assignmentMode"] not in {AUTOMATIC, MANUAL}:
        found.append(Problem("spec.assignmentMode", "supported values: Automatic, Manual", spec["assignmentMode"]))
    return found


def _of_selectors(spec: Spec) -> list[Problem]:
    found = []
    for name in ("nodeSelector", "namespaceSelector"):
        text = spec.get(name) or ""
        if "global(" in text:
            found.append(Problem(f"spec.{name}", f"global() selector is not valid for IPPool {name}", text))
        elif len(text) > _LONGEST_SELECTOR:
            found.append(Problem(f"spec.{name}", f"it is longer than {_LONGEST_SELECTOR} characters", f"{text[:40]}…"))
        else:
            try:
                selectors.selects(text, {})
            except BadValue as error:
                found.append(Problem(f"spec.{name}", error.message, text))
    return found


def _of_uses(spec: Spec) -> list[Problem]:
    uses = spec["allowedUses"]
    found = [Problem("spec.allowedUses", f"unknown use: {use}", uses) for use in uses if use not in _USES]
    if TUNNEL in uses and spec.get("namespaceSelector"):
        found.append(Problem("spec", "IP Pool with AllowedUse Tunnel cannot have namespaceSelector"))
    if LOAD_BALANCER not in uses:
        return found
    said = {
        "LoadBalancer cannot be combined with Workload or Tunnel allowed uses": WORKLOAD in uses or TUNNEL in uses,
        "LoadBalancer IP pool cannot have IPIP or VXLAN enabled": {spec["ipipMode"], spec["vxlanMode"]} != {"Never"},
        "LoadBalancer IP pools cannot disable BGP export": bool(spec.get("disableBGPExport")),
        "IP Pool with AllowedUse LoadBalancer must have nodeSelector set to all()": spec["nodeSelector"] != "all()",
    }
    return found + [Problem("spec", why) for why, holds in said.items() if holds]


def overlaps(name: str, spec: Spec, pools: Iterable[Pool]) -> list[Problem]:
    """Return the other pools that a new one would overlap."""
    prefix = _prefix(spec)
    return [
        Problem("spec.cidr", f"IPPool({name}) CIDR overlaps with IPPool({pool.name}) CIDR {pool.cidr}", str(prefix))
        for pool in pools
        if pool.name != name and pool.prefix.overlaps(prefix)
    ]


def conflicts(spec: Spec, blocks: Iterable[Prefix]) -> list[Problem]:
    """Return what speaks against a new pool where blocks of another size lie in it: addresses would be given twice."""
    wanted, prefix = defaulted(spec), _prefix(spec)
    lying = [block for block in blocks if block.overlaps(prefix) and block.bits != wanted["blockSize"]]
    if not lying:
        return []
    why = "IPPool blocksSize conflicts with existing allocations that use a different blockSize"
    return [Problem("spec.blockSize", f"{why} ({_some(lying)})", wanted["blockSize"])]


def _some(blocks: Sequence[Prefix]) -> str:
    shown = ", ".join(str(block) for block in sorted(blocks)[:3])
    return shown if len(blocks) <= 3 else f"{shown} and {len(blocks) - 3} more"


def changed(old: Spec, new: Spec) -> list[Problem]:
    """Return what speaks against changing a pool: CIDR, size of blocks, and use for Services stay. Raises BadValue."""
    before, after = defaulted(old), defaulted(new)
    found = []
    if before["cidr"] != after["cidr"]:
        found.append(Problem("spec.cidr", "IPPool CIDR cannot be modified", after["cidr"]))
    if before["blockSize"] != after["blockSize"]:
        found.append(Problem("spec.blockSize", "IPPool BlockSize cannot be modified", after["blockSize"]))
    if LOAD_BALANCER in before["allowedUses"] and set(after["allowedUses"]) - {LOAD_BALANCER}:
        why = "IPPool allowed use cannot be changed from LoadBalacer to Workload or Tunnel"
        found.append(Problem("spec.allowedUses", why, after["allowedUses"]))
    return found
