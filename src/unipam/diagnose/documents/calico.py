"""Calico's documents: IPAM blocks (etcd values and resources), handles, Installation, IPPool and check reports.

A block is read by its own rules (spec calico-ipam §1.4): an ordinal is an index into the block, an allocation an index
into its attributes. A tunnel address, a Windows reservation and a cooling-down address are not leaks.
"""

from __future__ import annotations

from typing import Any

import msgspec

from unipam.addr.prefix import Prefix, format_address, parse_interface, parse_prefix
from unipam.diagnose import variants
from unipam.diagnose.case import Case
from unipam.diagnose.documents.tree import Document, Obj
from unipam.diagnose.report import Evidence, Holder

_KUBEADM_SERVICES = parse_prefix("10.96.0.0/12")
_TUNNELS = (
    "ipip-tunnel-addr-",
    "vxlan-tunnel-addr-",
    "vxlan-v6-tunnel-addr-",
    "wireguard-tunnel-addr-",
    "wireguard-v6-tunnel-addr-",
)
_WINDOWS = "windows-reserved-ipam-handle"


class _Allocation(msgspec.Struct):
    ordinal: int
    address: str
    handle: str
    pod: str
    since: str
    type: str
    where: Evidence


def read(case: Case, document: Document) -> bool:
    """Record what a tree shows of Calico. Returns whether it was one of Calico's documents."""
    found = False
    for _, obj in document.objects():
        if "cidr" in obj and isinstance(obj.get("allocations"), list):
            _Block(case, document, obj).tell()
            found = True
        elif _is_handle(obj):
            _handle(case, document, obj)
            found = True
        elif _is_installation(obj):
            _installation(case, document, obj)
            found = True
        elif obj.text("kind") == "IPPool" and obj.obj("spec").text("cidr"):
            _pool(case, document, obj.obj("spec"))
            found = True
    return found


class _Block:
    """One IPAM block."""

    def __init__(self, case: Case, document: Document, obj: Obj) -> None:
        self.case, self.document, self.obj = case, document, obj
        self.cidr = obj.text("cidr")
        self.where = document.where(obj.line_of("cidr"))
        self.attributes = [part if isinstance(part, Obj) else Obj(obj.line) for part in obj.items_of("attributes")]
        self.allocated = [
            (ordinal, index) for ordinal, index in enumerate(obj["allocations"]) if isinstance(index, int)
        ]

    def tell(self) -> None:
        try:
            _, network = parse_interface(self.cidr)
        except ValueError:
            return
        allocations = [self._allocation(network, ordinal, index) for ordinal, index in self.allocated]
        size = len(self.obj["allocations"])
        free = len(self.obj.items_of("unallocated"))
        owner = self.obj.text("affinity").removeprefix("host:") or "no node"
        self.case.fact(
            "calico-block",
            f"Block {self.cidr} of {owner}: {len(allocations)} of {size} addresses allocated, {free} free.",
            self.where,
        )
        self._special(allocations)
        self._orphan(allocations)
        self._leaks(allocations)
        self._consistency(size)
        self._sequence_numbers()
        self._record(allocations, size)

    def _allocation(self, block: Prefix, ordinal: int, index: int) -> _Allocation:
        attribute = self.attributes[index] if 0 <= index < len(self.attributes) else Obj(self.obj.line)
        owner = attribute.obj("secondary") or attribute.obj("activeOwnerAttrs")
        pod = f"{owner.text('namespace')}/{owner.text('pod')}" if owner.text("pod") else ""
        handle = attribute.text("handle_id") or attribute.text("handleID")
        where = self.document.where(attribute.line)
        return _Allocation(
            ordinal,
            format_address(block.first + ordinal),
            handle,
            pod,
            owner.text("timestamp"),
            owner.text("type"),
            where,
        )

    def _special(self, allocations: list[_Allocation]) -> None:
        for allocation in allocations:
            if allocation.type.endswith("TunnelAddress") or allocation.handle.startswith(_TUNNELS):
                self.case.fact(
                    "calico-tunnel-address",
                    f"{allocation.address} is a node's tunnel address ({allocation.handle}): neither a pod nor a leak.",
                    allocation.where,
                )
        reserved = sum(allocation.handle == _WINDOWS for allocation in allocations)
        if reserved:
            self.case.fact(
                "calico-windows-host",
                f"{reserved} addresses of {self.cidr} are reserved for the Windows host.",
                self.where,
            )

    def _orphan(self, allocations: list[_Allocation]) -> None:
        if self.obj.text("affinity") or not allocations or self.obj.get("deleted") is True:
            return
        unattributed = sum(not allocation.handle for allocation in allocations)
        self.case.signal(
            "orphan-block",
            self.cidr,
            self.where,
            values={"allocated": len(allocations), "unattributed": unattributed},
            addresses=[allocation.address for allocation in allocations],
        )

    def _leaks(self, allocations: list[_Allocation]) -> None:
        """Report what a pod has besides its newest address of a block: one with another handle was left behind."""
        by_pod: dict[str, list[_Allocation]] = {}
        for allocation in allocations:
            if allocation.pod:
                by_pod.setdefault(allocation.pod, []).append(allocation)
        for pod, mine in by_pod.items():
            if len({allocation.handle for allocation in mine}) < 2:
                continue
            newest = max(mine, key=lambda allocation: allocation.since)
            for old in mine:
                if old.handle != newest.handle:
                    self._leak(pod, old, newest, len(allocations))

    def _leak(self, pod: str, old: _Allocation, newest: _Allocation, allocated: int) -> None:
        subject = f"block {self.cidr}"
        self.case.signal(
            "leaked",
            subject,
            old.where,
            pods=[pod],
            addresses=[old.address],
            containers=[old.handle.rpartition(".")[2]],
        )
        signal = self.case.signals[("leaked", subject)]
        signal.values["leaked"] = int(signal.values.get("leaked", 0)) + 1
        signal.values["of"] = allocated
        signal.values["why"] = (
            f"{old.address} (ordinal {old.ordinal}, since {old.since[:19]}) belongs to {pod}, which has "
            f"{newest.address} "
            f"(ordinal {newest.ordinal}) since {newest.since[:19]} under a newer container"
        )

    def _consistency(self, size: int) -> None:
        """Check one block as `calicoctl ipam check` does (spec calico-ipam §3.2)."""
        free = [ordinal for ordinal in self.obj.items_of("unallocated") if isinstance(ordinal, int)]
        taken = {ordinal for ordinal, _ in self.allocated}
        used = {index for _, index in self.allocated}
        problems = [
            f"allocation {ordinal} indexes attribute {index}, which does not exist"
            for ordinal, index in self.allocated
            if index >= len(self.attributes)
        ]
        problems += [
            f"attribute {index} belongs to no allocation" for index in range(len(self.attributes)) if index not in used
        ]
        problems += [f"ordinal {ordinal} is both allocated and free" for ordinal in sorted(taken & set(free))]
        problems += [f"ordinal {ordinal} is outside the block" for ordinal in free if ordinal >= size]
        if len(free) != len(set(free)):
            problems.append("an ordinal is free twice")
        if "unallocated" in self.obj and not self.document.elided and len(set(free)) + len(taken) != size:
            problems.append(f"{len(set(free))} free and {len(taken)} allocated do not make {size}")
        if problems:
            self.case.signal("block-inconsistent", self.cidr, self.where, values={"reason": "; ".join(problems[:5])})

    def _sequence_numbers(self) -> None:
        numbers = self.obj.get("sequenceNumberForAllocation")
        taken = {str(ordinal) for ordinal, _ in self.allocated}
        stale = [ordinal for ordinal in numbers if ordinal not in taken] if isinstance(numbers, Obj) else []
        if stale:
            where = self.document.where(self.obj.line_of("sequenceNumberForAllocation"))
            self.case.signal("stale-sequence-numbers", self.cidr, where, values={"ordinals": ", ".join(stale[:20])})

    def _record(self, allocations: list[_Allocation], size: int) -> None:
        pool = self.case.pool(self.cidr, "Calico block")
        pool.capacity, pool.in_use = size, len(allocations)
        pool.evidence = [self.where]
        for allocation in allocations:
            self.case.hold(pool, Holder(allocation.address, allocation.handle, allocation.pod, allocation.since[:19]))


def _key(obj: Obj, name: str) -> Any:
    """Return the value under a key in any of its spellings: `ipPools`, `Ip Pools`."""
    wanted = name.replace(" ", "").lower()
    return next((value for key, value in obj.items() if key.replace(" ", "").lower() == wanted), None)


def _is_handle(obj: Obj) -> bool:
    return isinstance(obj.get("block"), Obj) and ("handleID" in obj or "handle_id" in obj or "id" in obj)


def _handle(case: Case, document: Document, obj: Obj) -> None:
    name = obj.text("handleID") or obj.text("handle_id") or obj.text("id")
    blocks = ", ".join(f"{count} in {cidr}" for cidr, count in obj.obj("block").items())
    where = document.where(obj.line)
    if blocks:
        case.fact("calico-handle", f"Handle {name}: {blocks}.", where)
    else:
        case.signal("calico-orphan-handles", "", where, values={"handles": 1}, handles=[name])


def _is_installation(obj: Obj) -> bool:
    cni = _key(obj, "cni")
    return isinstance(cni, Obj) and isinstance(_key(cni, "type"), str) and isinstance(_key(cni, "ipam"), Obj)


def _installation(case: Case, document: Document, obj: Obj) -> None:
    cni = _key(obj, "cni")
    cni_type, ipam_type = str(_key(cni, "type")), str(_key(_key(cni, "ipam"), "type"))
    where = document.where(_key(cni, "ipam").line)
    network = _key(obj, "calicoNetwork")
    pools = _key(network, "ipPools") if isinstance(network, Obj) else None
    entries = [pool for pool in (pools if isinstance(pools, list) else [pools]) if isinstance(pool, Obj)]
    case.fact("calico-installation", f"Tigera Installation: CNI {cni_type}, IPAM {ipam_type}.", where)
    for pool in entries:
        cidr, block = _key(pool, "cidr"), _key(pool, "blockSize")
        if ipam_type == "HostLocal":
            case.fact(
                "calico-unused-pool",
                f"IPAM is host-local although an IPPool {cidr} with block size {block} exists: pool and blocks "
                f"are not used for pods; {cidr} is the "
                "cluster CIDR.",
                document.where(pool.line),
            )
        else:
            overlap_with_services(case, str(cidr), document.where(pool.line))
    names = {
        ("calico", "hostlocal"): "kubenet-calico",
        ("azurevnet", "azurevnet"): "azure-cni-calico",
        ("calico", "calico"): "calico",
    }
    variants.seen(case, names.get((cni_type.lower(), ipam_type.lower()), "other"), where)


def _pool(case: Case, document: Document, spec: Obj) -> None:
    where = document.where(spec.line_of("cidr"))
    state = "disabled" if spec.get("disabled") is True else "enabled"
    case.fact(
        "calico-pool", f"IPPool {spec.text('cidr')}: block size /{spec.text('blockSize') or '26'}, {state}.", where
    )
    overlap_with_services(case, spec.text("cidr"), where)


def overlap_with_services(case: Case, cidr: str, where: Evidence) -> None:
    """Report a pod pool on kubeadm's default service range, where it probably collides with the services."""
    try:
        _, network = parse_interface(cidr)
    except ValueError:
        return
    if network.family == 4 and network.overlaps(_KUBEADM_SERVICES) and network.bits >= 8:
        case.signal(
            "pool-overlaps-services",
            cidr,
            where,
            values={"other": f"{_KUBEADM_SERVICES}, kubeadm's default service range"},
        )
