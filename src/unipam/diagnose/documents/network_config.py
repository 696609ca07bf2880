"""Azure CNS: NodeNetworkConfig, ClusterSubnetState, the debug API's addresses (spec azure-vnet-ipam §4.1, §4.4)."""

from __future__ import annotations

from collections import Counter
from typing import Any

from unipam.diagnose import variants
from unipam.diagnose.case import Case
from unipam.diagnose.documents.tree import Document, Obj
from unipam.diagnose.report import Holder


def read(case: Case, document: Document) -> bool:
    """Record what a tree shows of CNS. Returns whether it was one of CNS's documents."""
    found = False
    for _, obj in document.objects():
        if obj.text("kind") == "NodeNetworkConfig" or (
            _value(obj, "networkContainers") is not None and obj.text("kind") == ""
        ):
            found = _node(case, document, obj) or found
        if isinstance(obj.get("IPConfigurationStatus"), list):
            _addresses(case, document, obj)
            found = True
        if obj.text("kind") == "ClusterSubnetState":
            found = True
            if obj.obj("status").get("exhausted") is True:
                where = document.where(obj.obj("status").line_of("exhausted"))
                case.signal(
                    "subnet-full",
                    obj.obj("metadata").text("name"),
                    where,
                    values={"reason": "ClusterSubnetState exhausted"},
                )
    return found


def _value(obj: Obj, name: str) -> Any:
    wanted = name.lower()
    return next((value for key, value in obj.items() if key.replace(" ", "").lower() == wanted), None)


def _number(obj: Obj, name: str) -> int | None:
    value = _value(obj, name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _node(case: Case, document: Document, obj: Obj) -> bool:
    status = _part(obj, "status") if obj.text("kind") else obj
    if obj.text("kind") == "" and any(outer.text("kind") == "NodeNetworkConfig" for _, outer in document.objects()):
        return False  # the status of a resource that is read as a whole
    name = obj.obj("metadata").text("name") or document.node or "the node"
    containers = _list(status, "networkContainers")
    where = document.where(status.line)
    assigned = sum(len(_list(part, "ipAssignments")) for part in containers)
    requested = _number(_part(obj, "spec"), "requestedIPCount")
    allocated = _number(status, "assignedIPCount")
    static = any(str(_value(part, "assignmentMode")).lower() == "static" for part in containers)
    kinds = ", ".join(
        f"{_value(part, 'type') or 'vnet'} ({_value(part, 'assignmentMode') or 'dynamic'})" for part in containers
    )
    case.fact(
        "node-network-config",
        f"NodeNetworkConfig {name}: requested {requested}, allocated {allocated}, {assigned} listed; "
        f"{kinds or 'no network container'}.",
        where,
    )
    for part in containers:
        _container(case, document, part, name)
    if static:
        if requested == 0:
            case.signal("overlay-requested-zero", "", where, values={"allocated": allocated or 256}, nodes=[name])
    elif requested is not None and requested > max(assigned, allocated or 0):
        case.signal(
            "nnc-shortage",
            name,
            where,
            values={"requested": requested, "allocated": max(assigned, allocated or 0)},
            nodes=[name],
        )
    return True


def _part(obj: Obj, name: str) -> Obj:
    value = _value(obj, name)
    return value if isinstance(value, Obj) else Obj(obj.line)


def _list(obj: Obj, name: str) -> list[Obj]:
    value = _value(obj, name)
    parts = value if isinstance(value, list) else [value]
    return [part for part in parts if isinstance(part, Obj)]


def _container(case: Case, document: Document, part: Obj, node: str) -> None:
    where = document.where(part.line)
    kind = str(_value(part, "type") or "vnet").lower()
    variants.seen(case, "azure-cni-overlay" if kind == "overlay" else "azure-cni-podsubnet", where, f"node {node}")
    status = str(_value(part, "status") or "")
    if status == "NCUpdateSubnetFullError":
        case.signal(
            "subnet-full", str(_value(part, "subnetName") or ""), where, values={"reason": status}, nodes=[node]
        )


def _addresses(case: Case, document: Document, obj: Obj) -> None:
    entries = [part for part in obj.items_of("IPConfigurationStatus") if isinstance(part, Obj)]
    where = document.where(obj.line_of("IPConfigurationStatus"))
    states = Counter(part.text("state") or part.text("State") for part in entries)
    case.fact(
        "cns-addresses",
        f"CNS holds {len(entries)} addresses: {', '.join(f'{count} {state}' for state, count in states.items())}.",
        where,
    )
    pool = case.pool("azure-cns", "azure-cns")
    pool.capacity, pool.in_use = len(entries), states["Assigned"]
    pool.evidence = [where]
    for part in entries:
        pod = part.obj("PodInfo")
        if (part.text("state") or part.text("State")) == "Assigned":
            name = f"{pod.text('podNamespace')}/{pod.text('podName')}" if pod.text("podName") else ""
            case.hold(pool, Holder(part.text("IPAddress"), pod.text("PodInfraContainerID"), name))
    if entries and states["Available"] == 0 and states["Assigned"] == len(entries):
        case.signal("pool-full", "azure-cns", where, values={"in_use": len(entries), "capacity": len(entries)})
