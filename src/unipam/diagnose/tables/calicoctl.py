"""`calicoctl ipam show` and `calicoctl ipam check` (spec calico-ipam §3.1, §3.2), whole or only their end."""

from __future__ import annotations

import re

from unipam.addr.prefix import parse_interface
from unipam.diagnose.case import Case, evidence
from unipam.diagnose.documents.calico import overlap_with_services
from unipam.diagnose.report import Evidence

Numbered = list[tuple[int, str]]

_ROW = re.compile(
    r"\|\s*(?P<grouping>IP Pool|Block)\s*\|\s*(?P<cidr>[0-9a-fA-F.:]+/\d+)\s*\|\s*(?P<total>[\d.e+]+)"
    r"\s*\|\s*(?P<used>[\d.e+]+)\s*\(\s*(?P<share>\d+)\s*%\s*\)"
)
_BORROWED = re.compile(
    r"\|\s*(?P<ip>[0-9a-fA-F.:]+)\s*\|\s*(?P<node>\S+)\s*\|\s*(?P<block>[0-9a-fA-F.:]+/\d+)\s*\|\s*(?P<owner>\S*)"
    r"\s*\|\s*(?P<type>\w+)\s*\|"
)
_CHECK = {
    "allocations": re.compile(r"IPAM blocks record (\d+) allocations"),
    "leaked": re.compile(r"Found (\d+) IPs that are allocated in IPAM but not actually in use"),
    "outside": re.compile(r"Found (\d+) in-use IPs that are not in active IP pools"),
    "unallocated": re.compile(
        r"Found (\d+) in-use IPs that are in active IP pools but have no corresponding IPAM allocation"
    ),
    "handles": re.compile(r"Found (\d+) handles with no matching IPs"),
    "invalid": re.compile(r"Found (\d+) invalid IPAMBlocks"),
    "problems": re.compile(r"Check complete; found (\d+) problems?"),
}
_LEAKED_ADDRESS = re.compile(r"^\s*([0-9a-fA-F.:]+) leaked; attrs")
_OWNERS = re.compile(r"^\s*([0-9a-fA-F.:]+) has multiple owners")
_NODE_COUNT = re.compile(r"^\s+(\S+) has (\d+) allocations$")
_NEARLY_FULL = 0.9


def read(case: Case, file: str, lines: Numbered) -> set[int]:
    """Read what the lines hold of the two commands' output. Returns the numbers of the lines that were understood."""
    known: set[int] = set()
    for number, text in lines:
        known.add(number)
        if (row := _ROW.search(text)) is not None and (total := _size(row["cidr"])):
            _row(case, evidence(file, number, text), row, total)
        elif (borrowed := _BORROWED.search(text)) is not None:
            owner = borrowed["owner"] or "no node"
            case.fact(
                "calico-borrowed",
                f"{borrowed['ip']} is borrowed by {borrowed['node']} from block {borrowed['block']} of {owner}.",
                evidence(file, number, text),
            )
        elif (owners := _OWNERS.search(text)) is not None:
            case.signal("duplicate-holder", owners[1], evidence(file, number, text), addresses=[owners[1]])
        else:
            known.discard(number)
    return known | _check(case, file, lines)


def _size(cidr: str) -> int:
    """Return how many addresses a prefix has, 0 for a text that is none."""
    try:
        return parse_interface(cidr)[1].size
    except ValueError:
        return 0


def _row(case: Case, where: Evidence, row: re.Match[str], total: int) -> None:
    used = round(float(row["used"]))
    kind = "Pool" if row["grouping"] == "IP Pool" else "Block"
    case.fact(
        "calico-occupancy", f"{kind} {row['cidr']}: {used:,} of {total:,} addresses in use ({row['share']} %).", where
    )
    pool = case.pool(row["cidr"], "Calico pool" if kind == "Pool" else "Calico block")
    pool.capacity, pool.in_use = total, used
    pool.evidence = [where]
    if kind == "Pool":
        overlap_with_services(case, row["cidr"], where)
        if used >= _NEARLY_FULL * total:
            case.signal(
                "pool-full" if used >= total else "pool-nearly-full",
                row["cidr"],
                where,
                values={"in_use": used, "capacity": total},
            )


def _check(case: Case, file: str, lines: Numbered) -> set[int]:
    known: set[int] = set()
    counts: dict[str, int] = {}
    where: dict[str, Evidence] = {}
    leaked: list[str] = []
    for number, text in lines:
        for name, pattern in _CHECK.items():
            if (match := pattern.search(text)) is not None:
                counts[name] = int(match[1])
                where[name] = evidence(file, number, text)
                known.add(number)
        if (address := _LEAKED_ADDRESS.search(text)) is not None:
            leaked.append(address[1])
            known.add(number)
        if (node := _NODE_COUNT.search(text)) is not None:
            case.fact("calico-node-allocations", f"{node[1]} has {node[2]} allocations.", evidence(file, number, text))
    if not counts.keys() & {"leaked", "unallocated", "handles", "problems"}:
        return known
    _judge(case, counts, where, leaked)
    return known


_KINDS = {
    "leaked": "calico-leak",
    "unallocated": "calico-unallocated",
    "outside": "calico-outside-pools",
    "handles": "calico-orphan-handles",
    "invalid": "calico-invalid-blocks",
}
_CLEAN = {
    "unallocated": "No address is in use without an allocation.",
    "handles": "No orphan handles: it is a plain leak.",
}


def _judge(case: Case, counts: dict[str, int], where: dict[str, Evidence], leaked: list[str]) -> None:
    for name, kind in _KINDS.items():
        if counts.get(name):
            addresses = leaked if name == "leaked" else []
            case.signal(kind, "", where[name], values=dict(counts), addresses=addresses)
    if counts.get("problems", 0) > sum(counts.get(name, 0) for name in _KINDS):
        case.signal("calico-other-problems", "", where["problems"], values=dict(counts))
    for name, words in _CLEAN.items():
        if counts.get(name) == 0 and counts.get("leaked"):
            case.fact("calico-check", words, where[name])
    if counts.get("problems") == 0:
        case.fact("calico-check", "`calicoctl ipam check` found no problem.", where["problems"])
