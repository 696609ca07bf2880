"""CiliumNode: the pool the operator gave, what the agent uses of it, and what the operator says (spec cilium §1.3)."""

from __future__ import annotations

from collections import Counter

from unipam.diagnose import variants
from unipam.diagnose.case import Case
from unipam.diagnose.documents.tree import Document, Obj
from unipam.diagnose.report import Holder

_OWN = frozenset({"router", "health", "ingress"})


def read(case: Case, document: Document) -> bool:
    """Record what a tree shows of a CiliumNode or of Cilium's ConfigMap. Returns whether it was one."""
    found = False
    name = ""
    for key, obj in document.objects():
        if key == "metadata" and obj.text("name"):
            name = obj.text("name")
        if key == "ipam" and (_is_pool(obj) or _is_used(obj) or "operator-status" in obj):
            _ipam(case, document, obj, name)
            found = True
        if key == "azure" and obj.items_of("interfaces"):
            _interfaces(case, document, obj)
            found = True
        if key in {"data", ""} and isinstance(obj.get("ipam"), str) and _is_config(obj):
            variants.cilium_mode(case, obj.text("ipam"), document.where(obj.line_of("ipam")))
            found = True
    return found


def _is_pool(obj: Obj) -> bool:
    return isinstance(obj.get("pool"), Obj) and any(isinstance(part, Obj) for part in obj["pool"].values())


def _is_used(obj: Obj) -> bool:
    return isinstance(obj.get("used"), Obj) and any(
        isinstance(part, Obj) and "owner" in part for part in obj["used"].values()
    )


def _is_config(obj: Obj) -> bool:
    return any(
        key.startswith(("cilium-", "cluster-pool-", "enable-")) or key == "identity-allocation-mode" for key in obj
    )


def _ipam(case: Case, document: Document, ipam: Obj, name: str) -> None:
    subject = f"CiliumNode {name}".strip()
    if _is_pool(ipam):
        _pool(case, document, ipam, subject)
    if _is_used(ipam):
        _used(case, document, ipam, subject)
    _operator_status(case, document, ipam, subject)


def _pool(case: Case, document: Document, ipam: Obj, subject: str) -> None:
    addresses = ipam.obj("pool")
    interfaces = Counter(
        part.text("resource").rpartition("/")[2] for part in addresses.values() if isinstance(part, Obj)
    )
    where = document.where(ipam.line_of("pool"))
    pre_allocate = f"; pre-allocate {ipam.text('pre-allocate')}" if ipam.text("pre-allocate") else ""
    case.fact(
        "cilium-pool",
        f"{subject} has {len(addresses)} addresses in its pool, on {len(interfaces)} interface(s){pre_allocate}.",
        where,
    )
    variants.seen(case, "cilium", where, "addresses of the cloud's interfaces (IPAM mode azure, eni or alike)")
    pool = case.pool(subject, "Cilium pool")
    pool.capacity = len(addresses)
    pool.evidence = [*pool.evidence, where][-3:]
    cidrs = [str(cidr) for cidr in ipam.items_of("podCIDRs")]
    if cidrs:
        case.signal("cilium-cidr-unused", subject, document.where(ipam.line_of("podCIDRs")), subnets=cidrs)


def _used(case: Case, document: Document, ipam: Obj, subject: str) -> None:
    used = ipam.obj("used")
    where = document.where(ipam.line_of("used"))
    owners = {address: part.text("owner") for address, part in used.items() if isinstance(part, Obj)}
    own = sorted(set(owners.values()) & _OWN)
    itself = f"; {' and '.join(own)} are Cilium itself" if own else ""
    case.fact("cilium-use", f"{subject} uses {len(owners)} addresses{itself}.", where)
    pool = case.pool(subject, "Cilium pool")
    pool.in_use = len(owners)
    pool.evidence = [*pool.evidence, where][-3:]
    for address, owner in owners.items():
        case.hold(pool, Holder(address, owner, owner if "/" in owner else ""))
    if _is_pool(ipam) or pool.capacity:
        return
    for owner, count in Counter(owner for owner in owners.values() if owner not in _OWN).items():
        mine = [address for address, holder in owners.items() if holder == owner]
        if count > 1 and len({":" in address for address in mine}) == 1:
            case.signal(
                "several-addresses", owner, where, values={"addresses_count": count}, pods=[owner], addresses=mine
            )


def _operator_status(case: Case, document: Document, ipam: Obj, subject: str) -> None:
    if "operator-status" not in ipam:
        return
    error = ipam.obj("operator-status").text("error")
    where = document.where(ipam.line_of("operator-status"))
    if error:
        case.signal("cilium-operator-error", subject, where, values={"error": error[:200]})
    else:
        case.fact(
            "cilium-no-error",
            f"{subject}: the operator reports no error. If pods wait all the same, the instance's limit is reached.",
            where,
        )


def _interfaces(case: Case, document: Document, azure: Obj) -> None:
    for interface in azure.items_of("interfaces"):
        if not isinstance(interface, Obj):
            continue
        addresses = [part for part in interface.items_of("addresses") if isinstance(part, Obj)]
        states = Counter((part.text("state") or "unknown").lower() for part in addresses)
        where = document.where(interface.line)
        name = interface.text("name") or interface.text("id").rpartition("/")[2]
        case.fact(
            "cilium-interface",
            f"Interface {name}: {len(addresses)} addresses "
            f"({', '.join(f'{count} {state}' for state, count in states.items())}).",
            where,
        )
        bad = [part.text("ip") for part in addresses if part.text("state").lower() not in {"succeeded", ""}]
        if bad:
            case.signal("cilium-ip-state", name, where, addresses=bad)
