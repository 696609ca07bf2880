"""`ls` of a host-local directory and of `/etc/cni/net.d`, and `cat` of a reservation (spec host-local §2.5)."""

from __future__ import annotations

import re

from unipam.diagnose.addresses import address_of
from unipam.diagnose.case import Case, evidence
from unipam.diagnose.hostlocal import Lease, LeaseDirectory

_LONG = re.compile(
    r"^\s*[-dl][rwxsStT-]{9}[.+@]?\s+\d+\s+\S+\s+\S+\s+(?P<size>\d+(?:\.\d+)?[KMG]?)"
    r"\s+(?P<date>\w{3}\s+\d+\s+[\d:]+|\d{4}-\d\d-\d\d \d\d:\d\d)\S*\s+(?P<name>\S.*?)\s*$"
)
_CONFIG = re.compile(r"\.(?:conf|conflist|json)$")
_DISABLED = re.compile(r"\.(?:conf|conflist|json)\.[\w.-]+$|\.(?:conf|conflist)[~_-]\w*$")


def read(case: Case, file: str, directory: str, lines: list[tuple[int, str]]) -> set[int]:
    """Read whatever listing the lines hold. `directory` is what a prompt named, when there was one.

    Returns the numbers of the lines that were understood.
    """
    known: set[int] = set()
    leases: list[Lease] = []
    others: list[tuple[str, int, str]] = []
    for number, text in lines:
        entries = _entries(text, directory)
        known |= {number} if entries else set()
        for name, size in entries:
            if address_of(name) is not None:
                leases.append(Lease(name, "", "", size, evidence(file, number, text)))
            else:
                others.append((name, number, text))
    names = {name for name, _, _ in others}
    if len(leases) >= 1 and (
        len(leases) > 1 or "lock" in names or any(name.startswith("last_reserved_ip") for name in names)
    ):
        _name_owners(leases, lines)
        LeaseDirectory(case, directory, leases, has_lock="lock" in names).tell()
    elif not any(_CONFIG.search(name) for name in names):
        known.clear()  # a listing of something else
    _net_d(case, file, directory, others)
    return known


def _entries(text: str, directory: str) -> list[tuple[str, int | None]]:
    match = _LONG.match(text)
    if match is not None:
        size = int(match["size"]) if match["size"].isdigit() else None
        return [(match["name"].split(" -> ")[0], size)]
    words = text.split()
    if directory and len(words) > 1 and sum(address_of(word) is not None for word in words) >= len(words) // 2 > 0:
        return [(word, None) for word in words]
    return (
        [(words[0], None)]
        if directory and len(words) == 1 and (address_of(words[0]) is not None or words[0] == "lock")
        else []
    )


def _name_owners(leases: list[Lease], lines: list[tuple[int, str]]) -> None:
    """Name the owners that a `cat` of a reservation shows: its container id is on the next line."""
    by_address = {lease.address: lease for lease in leases}
    wanted: Lease | None = None
    for _, text in lines:
        shown = re.search(r"cat \S*/([0-9a-fA-F.:_]+)\s*$", text)
        if shown:
            wanted = by_address.get(shown[1])
        elif wanted is not None and re.fullmatch(r"\s*[0-9a-f]{64}\s*", text):
            wanted.container, wanted = text.strip(), None


def _net_d(case: Case, file: str, directory: str, entries: list[tuple[str, int, str]]) -> None:
    configs = sorted((entry for entry in entries if _CONFIG.search(entry[0])), key=lambda entry: entry[0])
    disabled = [entry for entry in entries if _DISABLED.search(entry[0])]
    if not configs or not (
        "net.d" in directory or any(name.endswith((".conf", ".conflist")) for name, _, _ in configs)
    ):
        return
    pod_networks = [entry for entry in configs if "loopback" not in entry[0]]
    if pod_networks:
        name, number, text = pod_networks[0]
        case.fact(
            "configuration-active",
            f"Active configuration: {name}, the first valid name in order.",
            evidence(file, number, text),
        )
    for name, number, text in pod_networks[1:]:
        case.fact(
            "configuration-unused",
            f"{name} comes later in order and is not used by the runtime.",
            evidence(file, number, text),
        )
    for name, number, text in disabled:
        case.fact(
            "configuration-disabled",
            f"{name} is disabled by its suffix; the runtime ignores it.",
            evidence(file, number, text),
        )
    for name, number, text in configs:
        if "loopback" in name:
            case.fact(
                "configuration-loopback", f"{name} is the loopback, not a pod network.", evidence(file, number, text)
            )
