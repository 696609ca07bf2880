"""Status lines and metrics of Cilium: how many addresses the node has and how many are taken."""

from __future__ import annotations

import re

from unipam.diagnose.case import Case, evidence
from unipam.diagnose.report import Evidence

_ALLOCATED = re.compile(
    r"IPv(?P<family>[46]): (?P<used>\d+)/(?P<total>\d+) allocated(?: from (?P<cidr>[0-9a-fA-F.:]+/\d+))?"
)
_METRIC = re.compile(
    r"cilium_(?P<name>ipam_capacity|ip_addresses)\{(?P<labels>[^}]*)\}`?\s*(?:=\s*)?(?P<value>\d+(?:\.\d+)?)\b"
)
_EQUAL = re.compile(r"cilium_ipam_capacity.{0,200}?\((?P<used>\d+) = (?P<total>\d+)\b")
_RESTORED = re.compile(
    r"^\s*(?P<ip>[0-9a-fA-F.:]+) \((?P<owner>[^)]*)\[restored\]\)|^\s*(?P<ip2>[0-9a-fA-F.:]+) \((?P<owner2>[^)]+)"
    r"\) \[restored\]"
)


def read(case: Case, file: str, lines: list[tuple[int, str]]) -> set[int]:
    """Read whatever of these the lines hold. Returns the numbers of the lines that were understood."""
    known: set[int] = set()
    metrics: dict[str, tuple[int, int, str]] = {}
    for number, text in lines:
        if (match := _ALLOCATED.search(text) or _EQUAL.search(text)) is not None:
            cidr = match.groupdict().get("cidr") or "the node's pool"
            _occupancy(case, evidence(file, number, text), cidr, int(match["used"]), int(match["total"]))
            known.add(number)
        elif (metric := _METRIC.search(text)) is not None:
            metrics[metric["name"]] = (round(float(metric["value"])), number, text)
            known.add(number)
        elif (restored := _RESTORED.search(text)) is not None:
            case.fact(
                "cilium-restored",
                f"{restored['ip'] or restored['ip2']} is a restored allocation: an orphan unless a running pod has it.",
                evidence(file, number, text),
            )
            known.add(number)
    if len(metrics) == 2:
        (total, number, text), (used, _, _) = metrics["ipam_capacity"], metrics["ip_addresses"]
        _occupancy(case, evidence(file, number, text), "the node's pool", used, total)
    return known


def _occupancy(case: Case, where: Evidence, cidr: str, used: int, total: int) -> None:
    case.fact("cilium-occupancy", f"Cilium: {used} of {total} addresses of {cidr} are allocated.", where)
    pool = case.pool(cidr, "Cilium pool")
    pool.capacity, pool.in_use, pool.evidence = total, used, [where]
    if total and used >= total:
        case.signal("pool-full", cidr, where, values={"in_use": used, "capacity": total})
