"""Tables of kubectl about nodes: NodeNetworkConfigs, readiness, `PodCIDR:`. Pods are in `pods`."""

from __future__ import annotations

import re

from unipam.addr.prefix import parse_interface
from unipam.diagnose import variants
from unipam.diagnose.case import Case, evidence

Numbered = list[tuple[int, str]]

_NNC_ROW = re.compile(
    r"^\s*(?P<node>[\w.-]+)\s+(?P<requested>\d+)\s+(?P<allocated>\d+)\s+(?P<rest>.*?)\b(?P<mode>static|dynamic)"
    r"\s+(?P<type>overlay|vnet|vnetblock)\b"
)
_NNC_SHORT = re.compile(r"^\s*(?P<node>[\w.-]+)\s+(?P<requested>\d+)\s+(?P<allocated>\d+)\s*(?P<rest>.*)$")
_NNC_HEAD = re.compile(r"REQUESTED IPS\s+ALLOCATED IPS")
_POD_CIDR = re.compile(r"^\s*[Pp]odCIDR:\s*(?P<cidr>[0-9a-fA-F.:]+/\d+)")
_NODE_NOT_READY = re.compile(r"^\s*(?P<node>[\w.-]+)\s.*NetworkPluginNotReady")


def read(case: Case, file: str, lines: Numbered) -> set[int]:
    """Read whatever of these the lines hold. Returns the numbers of the lines that were understood."""
    in_nnc = False
    known: set[int] = set()
    for number, text in lines:
        known.add(number)
        in_nnc = in_nnc or _NNC_HEAD.search(text) is not None
        if in_nnc and (row := _NNC_ROW.match(text) or _NNC_SHORT.match(text)) is not None:
            _network_config(case, file, number, text, row)
        elif (cidr := _POD_CIDR.match(text)) is not None:
            _pod_cidr(case, file, number, text, cidr["cidr"])
        elif (node := _NODE_NOT_READY.match(text)) is not None:
            case.signal("no-cni", "", evidence(file, number, text), times=0, nodes=[node["node"]])
            variants.seen(case, "none", evidence(file, number, text), f"node {node['node']}")
        elif not _NNC_HEAD.search(text):
            known.discard(number)
    return known


def _network_config(case: Case, file: str, number: int, text: str, row: re.Match[str]) -> None:
    where = evidence(file, number, text)
    requested, allocated = int(row["requested"]), int(row["allocated"])
    groups = row.groupdict()
    kind, mode = groups.get("type") or "", groups.get("mode") or ""
    case.fact(
        "node-network-config",
        f"NodeNetworkConfig {row['node']}: requested {requested}, allocated "
        f"{allocated}{f', {mode} {kind}' if kind else ''}.",
        where,
    )
    overlay = kind in {"overlay", "vnetblock"} or mode == "static"
    variants.seen(
        case,
        "azure-cni-overlay" if overlay else "azure-cni-podsubnet",
        where,
        f"node {row['node']}",
        certain=bool(kind),
    )
    if overlay and requested == 0:
        case.signal("overlay-requested-zero", "", where, values={"allocated": allocated}, nodes=[row["node"]])
    elif not overlay and requested > allocated:
        case.signal(
            "nnc-shortage",
            row["node"],
            where,
            values={"requested": requested, "allocated": allocated},
            nodes=[row["node"]],
        )


def _pod_cidr(case: Case, file: str, number: int, text: str, cidr: str) -> None:
    where = evidence(file, number, text)
    case.node_ranges.add(cidr)
    case.pod_cidrs.setdefault(cidr, where)
    try:
        _, network = parse_interface(cidr)
    except ValueError:
        return
    case.fact(
        "pod-cidr",
        f"The node's podCIDR is {cidr}: at most {max(0, network.size - 3):,} pods with an address of it.",
        where,
    )
