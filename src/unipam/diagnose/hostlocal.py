"""host-local's state: one file an address (spec cni-and-host-local §2.5), from a directory or a listing."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path

import msgspec

from unipam.addr.prefix import is_v4, line_length, truncate
from unipam.diagnose.addresses import address_of
from unipam.diagnose.case import Case, evidence
from unipam.diagnose.report import Evidence, Holder

NODE_PREFIX = line_length(24, of_family=4)
"""The usual podCIDR of a node, a /24: what two reservations of one node have in common."""

_CONTENT_LIMIT = 4096


class Lease(msgspec.Struct):
    """One reservation: its address, whose it is, and how large its file is (None when the listing does not say)."""

    address: str
    container: str
    interface: str
    size: int | None
    where: Evidence
    since: str = ""


def read_directory(case: Case, path: Path) -> int:
    """Read one network's directory. Returns the number of reservations. Unreadable files are reported, not fatal."""
    leases, names = [], set()
    for entry in sorted(path.iterdir()):
        names.add(entry.name)
        if entry.is_file() and address_of(entry.name) is not None:
            leases.append(_read_lease(case, entry))
    LeaseDirectory(case, str(path), [lease for lease in leases if lease is not None], has_lock="lock" in names).tell()
    return len(leases)


def _read_lease(case: Case, path: Path) -> Lease | None:
    address = path.name.replace("_", ":")
    try:
        with path.open("rb") as file:
            content = file.read(_CONTENT_LIMIT)
        since = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
    except OSError as error:
        case.fact("unreadable-reservation", f"{path} cannot be read: {error.strerror}.", evidence(str(path), 1, ""))
        return None
    container, _, interface = content.decode("utf-8", "replace").strip().partition("\r\n")
    return Lease(
        address, container.strip(), interface.strip(), len(content), evidence(str(path), 1, content.strip()), since
    )


class LeaseDirectory:
    """The reservations of one network on one node."""

    def __init__(self, case: Case, directory: str, leases: list[Lease], *, has_lock: bool) -> None:
        self.case, self.directory, self.leases, self.has_lock = case, directory, leases, has_lock
        self.network = directory.rstrip("/").rpartition("/")[2] or "host-local"
        self.where = leases[0].where if leases else evidence(directory, 1, "")

    def tell(self) -> None:
        if not self.leases:
            self.case.fact("reservations", f"{self.network}: no reservations.", self.where)
            return
        self.case.fact(
            "reservations", f"{self.network}: {len(self.leases)} reservation(s): {self._shown()}.", self.where
        )
        self._format()
        self._empty()
        self._ranges()
        self._several()
        self._owners()
        pool = self.case.pool(self.directory or self.network, "host-local directory")
        pool.in_use = len(self.leases)
        pool.evidence = [self.where]
        for lease in self.leases:
            pod = self.case.pods.get(lease.container, "")
            self.case.hold(pool, Holder(lease.address, lease.container, pod, lease.since, where=lease.where))

    def _shown(self) -> str:
        names = [lease.address for lease in self.leases]
        return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")

    def _format(self) -> None:
        sizes = Counter(lease.size for lease in self.leases if lease.size)
        if not sizes:
            return
        if set(sizes) <= {64, 12}:
            self.case.fact(
                "reservation-format",
                "Old file format (64 bytes: the container id alone, no interface name). Age alone does not prove "
                "a leak: that takes the list of live sandboxes.",
                self.where,
            )
        elif any(size > 64 for size in sizes):
            self.case.fact(
                "reservation-format",
                "File format with the interface name (container id, line end, interface).",
                self.where,
            )

    def _empty(self) -> None:
        empty = [lease for lease in self.leases if lease.size == 0]
        if empty:
            self.case.signal(
                "empty-reservations",
                self.directory or self.network,
                empty[0].where,
                values={"count_text": len(empty)},
                addresses=[lease.address for lease in empty],
            )

    def _ranges(self) -> None:
        by_range: dict[str, list[Lease]] = {}
        for lease in self.leases:
            address = address_of(lease.address)
            if address is not None and is_v4(address):
                by_range.setdefault(str(truncate(address, NODE_PREFIX)), []).append(lease)
        if len(by_range) > 1:
            shown = "; ".join(f"{name}: {len(leases)}" for name, leases in by_range.items())
            self.case.mixed_ranges.append((self.directory or self.network, by_range_names(by_range), shown, self.where))

    def _several(self) -> None:
        owners = Counter(
            (lease.container, lease.interface, ":" in lease.address) for lease in self.leases if lease.container
        )
        for (container, interface, _), count in owners.items():
            if count > 1:
                mine = [lease for lease in self.leases if (lease.container, lease.interface) == (container, interface)]
                self.case.signal(
                    "several-addresses",
                    container,
                    mine[0].where,
                    values={"addresses_count": count},
                    containers=[container],
                    addresses=[lease.address for lease in mine],
                )

    def _owners(self) -> None:
        for lease in self.leases:
            pod = self.case.live_pods.of(lease.address)
            if lease.container and pod:
                self.case.pod_of(lease.container, pod)


def by_range_names(by_range: dict[str, list[Lease]]) -> list[tuple[str, int]]:
    """Return the ranges and how many reservations each has."""
    return [(name, len(leases)) for name, leases in by_range.items()]
