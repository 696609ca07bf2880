"""The parts of a finding's text that depend on what else is known: sizes, holders, shares, names.

Each function gives the phrases for one kind; the catalogue has their places in its texts.
"""

from __future__ import annotations

from collections.abc import Callable

from unipam.addr.prefix import parse_address, parse_interface, truncate
from unipam.diagnose.case import Case, Signal
from unipam.diagnose.report import Pool

MAX_SHOWN = 10


def of(case: Case, signal: Signal) -> dict[str, str]:
    """Return the phrases for a signal: those that commands need, and those of its kind."""
    writer = _WRITERS.get(signal.kind)
    return {**_places(case, signal), **(writer(_Phrases(case, signal)) if writer is not None else {})}


def _places(case: Case, signal: Signal) -> dict[str, str]:
    """Return where commands are to be typed: the node, the subnet, the directory, and which system's remedy it is."""
    name = signal.subject.removeprefix("pool ")
    pool = case.pools.get(name)
    nodes = list(signal.entities.get("nodes", {})) or list(case.hosts)
    network = name.rstrip("/").rpartition("/")[2] if name.startswith("/") else "NETWORK"
    if network == "NETWORK" and "kubenet" in case.variants:
        network = "kubenet"
    return {
        "node": nodes[0] if len(nodes) == 1 else "NODE",
        "subnet": name if "/" in name and name[:1].isdigit() else "SUBNET",
        "directory": f"/var/lib/cni/networks/{network}",
        "pod": " -n ".join(reversed(next(iter(signal.entities.get("pods", {"POD": None})), "POD").split("/", 1))),
        "or_overlay": "" if case.variants.keys() & _NO_POD_OF_THE_SUBNET else ", a lower max-pods, or overlay",
        "remedy": _REMEDIES.get(pool.kind, "") if pool is not None else "",
    }


_NO_POD_OF_THE_SUBNET = frozenset({"azure-cni-overlay", "kubenet", "kubenet-calico"})
"""Variants whose pods take no address of the nodes' subnet: overlay is no advice for them."""

_REMEDIES = {
    "azure-vnet-ipam": "azure-vnet-ipam",
    "host-local directory": "host-local",
    "Calico pool": "calico",
    "Calico block": "calico",
    "Cilium pool": "cilium",
    "azure-cns": "cns",
}
"""By the kind of a pool, how a leaked address of it is given back."""


def _pool_holders(pool: Pool | None) -> str:
    if pool is None or not pool.holders:
        return ""
    shown = [
        f"{holder.address} by {holder.pod or holder.owner[:12] or 'no recorded owner'}"
        + (f" since {holder.since}" if holder.since else "")
        + (" (looks leaked)" if holder.leak else "")
        for holder in sorted(pool.holders, key=lambda holder: (not holder.leak, holder.since))[:MAX_SHOWN]
    ]
    more = f" and {len(pool.holders) - MAX_SHOWN} more" if len(pool.holders) > MAX_SHOWN else ""
    return f" Known holders: {'; '.join(shown)}{more}."


def _range_size(text: str) -> int:
    first, _, last = text.partition("-")
    try:
        return parse_address(last) - parse_address(first) + 1
    except ValueError:
        return 0


def _is_pod_cidr(case: Case, text: str) -> bool:
    try:
        first = parse_address(text.partition("-")[0])
        return any(truncate(first, prefix.length) == prefix for _, prefix in map(parse_interface, case.pod_cidrs))
    except ValueError:
        return False


def _pool_size(text: str) -> int:
    try:
        return sum(parse_interface(cidr)[1].size for cidr in text.replace(",", " ").split())
    except ValueError:
        return 0


def _share(signal: Signal, total: str) -> str:
    whole, part = signal.values.get(total), signal.values.get("leaked")
    return f" ({round(100 * int(part) / int(whole))} % of {whole})" if whole and part else ""


class _Phrases:
    """The phrases of one signal, by the kinds that need some."""

    def __init__(self, case: Case, signal: Signal) -> None:
        self.case = case
        self.signal = signal

    def exhausted(self) -> dict[str, str]:
        pool = self.case.pools.get(self.signal.subject)
        size = f" ({pool.capacity} addresses)" if pool is not None and pool.capacity is not None else ""
        return {
            "of_pool": f" in {self.signal.subject}{size}" if self.signal.subject else "",
            "holders": _pool_holders(pool),
        }

    def full(self) -> dict[str, str]:
        return {"holders": _pool_holders(self.case.pools.get(self.signal.subject))}

    def range(self) -> dict[str, str]:
        size = sum(_range_size(part) for part in self.signal.subject.split(","))
        text = f" ({size} address{'es' if size != 1 else ''})" if size else ""
        why = ""
        if size == 1:
            why = (
                ". A range of one address is held by one file: probably a stale one on some node, "
                "for host-local knows only its own node"
            )
        elif self.case.has("chain-failed"):
            why = (
                ". A plugin of the chain fails after the reservation, so every retry may have left one "
                "behind: that is the cause to remove first"
            )
        elif _is_pod_cidr(self.case, self.signal.subject):
            why = (
                ". The range is the node's whole podCIDR: if that many pods run, it is too small "
                "for the node's max-pods and nothing leaked"
            )
        return {"size": text, "why": why}

    def unipam(self) -> dict[str, str]:
        doubt = self.signal.values.get("doubt")
        return {"in_doubt": f" ({doubt} of them)" if doubt else ""}

    def was_full(self) -> dict[str, str]:
        values = self.signal.values
        return {"free_text": f"; {values['free']} of {values['capacity']} are free now" if "free" in values else ""}

    def calico(self) -> dict[str, str]:
        size = f" ({_pool_size(self.signal.subject)} addresses)" if _pool_size(self.signal.subject) else ""
        return {"pools": f": no address is free in {self.signal.subject}{size}" if self.signal.subject else ""}

    def block_limit(self) -> dict[str, str]:
        limit = self.signal.values.get("limit")
        return {"limit_text": f" ({limit} blocks)" if limit else ""}

    def cilium(self) -> dict[str, str]:
        pools = [
            pool
            for pool in self.case.pools.values()
            if pool.kind == "Cilium pool" and pool.capacity and pool.in_use is not None
        ]
        shown = ", ".join(f"{pool.in_use} of {pool.capacity} in {pool.name}" for pool in pools)
        return {"occupancy": f" ({shown})" if shown else ""}

    def cns(self) -> dict[str, str]:
        status = self.signal.values.get("status")
        return {
            "for_nc": f" for network container {self.signal.subject}" if self.signal.subject else "",
            "status": str(status) if status else "not given",
        }

    def subnet(self) -> dict[str, str]:
        wanted = int(self.signal.values.get("wanted", 0))
        if not wanted:
            return {"wanted": "more", "usable": "fewer"}
        length = 32 - (wanted + 5 - 1).bit_length()
        usable = (1 << (32 - length)) - 5
        return {
            "fits": f"; the smallest subnet that fits is a /{length} ({usable} usable)",
            "fits_short": f" (/{length})",
        }

    def pod_cidr(self) -> dict[str, str]:
        """Return the size that fits: a pod CIDR is cut into /24 ranges, and Azure keeps none of its addresses."""
        wanted = int(self.signal.values.get("wanted", 0))
        if not wanted:
            return {"wanted": "more", "usable": "fewer", "node_ranges": "so many"}
        length = 32 - (wanted - 1).bit_length()
        return {
            "fits": f"; the smallest that fits is a /{length}",
            "fits_short": f" to a /{length} or larger",
            "node_ranges": str(-(-wanted // 256)),
        }

    def full_subnet(self) -> dict[str, str]:
        values = self.signal.values
        name, wanted = values.get("name") or values.get("subnet"), values.get("wanted")
        prefix = f" ({self.signal.subject})" if self.signal.subject and name != self.signal.subject else ""
        overlay = self.case.variants.keys() & _NO_POD_OF_THE_SUBNET
        one_node = isinstance(wanted, int) and wanted > 10
        return {
            "named": f"{name}{prefix}" if name else "(which, the answer leaves out)",
            "wanted_text": f": {wanted} more asked for" if wanted else "",
            "per_node": f"1 + max-pods (here perhaps one node with max-pods {int(wanted or 1) - 1})"
            if one_node
            else "1 address (overlay, kubenet) or 1 + max-pods (Azure CNI)",
            "overlay": "On this cluster pods take no address of it: only nodes, load balancers and endpoints do."
            if overlay
            else "",
        }

    def other(self) -> dict[str, str]:
        other = self.signal.values.get("other")
        return {"other_text": f": {other}" if other else ""}

    def limit(self) -> dict[str, str]:
        limit, wanted = self.signal.values.get("limit"), self.signal.values.get("wanted")
        return {
            "limit_text": f": {limit}" if limit else "",
            "wanted_of_limit": f": {wanted}, and {limit} is the limit" if wanted and limit else "",
        }

    def ports(self) -> dict[str, str]:
        wanted, usable = self.signal.values.get("wanted"), self.signal.values.get("usable")
        return {"ports_text": f": {wanted} needed, {usable} there" if wanted else ""}

    def name(self) -> dict[str, str]:
        name = self.signal.values.get("name")
        return {"name_text": f": {name}" if name else ""}

    def routes(self) -> dict[str, str]:
        one, other = self.signal.values.get("one"), self.signal.values.get("other")
        return {"routes_text": f": {one} and {other}" if one else ""}

    def unexplained(self) -> dict[str, str]:
        plugin, system = self.signal.values.get("plugin"), self.signal.values.get("system")
        by = f", from {plugin}" + (f" ({system})" if system and system != plugin else "") if plugin else ""
        who = f"{plugin} ({system})" if plugin and system and system != plugin else str(plugin or "A plugin")
        return {"by_plugin": by, "who": who, "writer": str(plugin or "A program")}

    def confirmed(self) -> dict[str, str]:
        alive = self.case.has("leak-resurrected")
        return {
            "never_freed": "" if not alive else ", and found some of them in use after all",
            "resurrected": ", as it did here" if alive else "",
        }

    def pool_not_ready(self) -> dict[str, str]:
        family = {"ipv4": "IPv4", "ipv6": "IPv6"}.get(str(self.signal.values.get("family")), "usable")
        return {"family": family}

    def leaked(self) -> dict[str, str]:
        why = self.signal.values.get("why")
        name = self.signal.subject.removeprefix("pool ")
        pool = self.case.pools.get(name)
        leaked, of = self.signal.values.get("leaked", 1), self.signal.values.get("of")
        noun = "address" if leaked == 1 and not of else "addresses"
        return {
            "counted": f"{leaked} of {of} {noun}" if of else f"{leaked} {noun}",
            "holders": f" {why}." if why else _pool_holders(pool),
            "place": f"network {name.rpartition('/')[2]}" if name.startswith("/") else self.signal.subject,
        }

    def check(self) -> dict[str, str]:
        clean = self.signal.values.get("unallocated") == 0 and self.signal.values.get("handles", 0) == 0
        return {
            "share": _share(self.signal, "allocations"),
            "and_else": "No address is in use without an allocation: a plain leak." if clean else "",
        }

    def orphan(self) -> dict[str, str]:
        return {"addresses": ", ".join(list(self.signal.entities.get("addresses", {}))[:MAX_SHOWN])}

    def stale_ranges(self) -> dict[str, str]:
        return {"where": f" ({self.signal.subject}: {self.signal.values.get('shown')})"}

    def release(self) -> dict[str, str]:
        holder = self.signal.values.get("holder")
        caller = self.signal.values.get("caller")
        by = f", by a DEL of container {caller}" if caller else ""
        return {"next_holder": f" (here container {holder}{by})" if holder else ""}

    def reason(self) -> dict[str, str]:
        reason = self.signal.values.get("reason")
        return {"reason_text": f": {reason}" if reason else ""}

    def reasons(self) -> dict[str, str]:
        return {"reason": ", ".join(self.signal.entities.get("reasons", {}))}

    def throttled(self) -> dict[str, str]:
        values = self.signal.values
        if "measured" not in values:
            return {"group_text": " (429)"}
        return {
            "group_text": f": {values['measured']} {values['group']} requests, {values['allowed']} allowed",
            "counts": f"The window runs from {values['start']} to {values['end']}. ",
        }

    def nodes(self) -> dict[str, str]:
        nodes = list(self.signal.entities.get("nodes", {}))
        return {"on_nodes": f" on {', '.join(nodes[:MAX_SHOWN])}" if nodes else ""}

    def duplicate(self) -> dict[str, str]:
        return {"subject_text": f": {self.signal.subject}" if self.signal.subject else ""}

    def processes(self) -> dict[str, str]:
        pids = [pid for pid in self.signal.entities.get("processes", {}) if pid]
        return {"pids": f"process{'es' if len(pids) > 1 else ''} {', '.join(pids)}" if pids else "a process"}

    def twice(self) -> dict[str, str]:
        names = [
            name for name in (self.signal.entities.get("pods") or self.signal.entities.get("containers") or {}) if name
        ]
        return {"who": f" First {' then '.join(names[:2])}." if len(names) > 1 else ""}

    def lock(self) -> dict[str, str]:
        stuck = [subject for kind, subject in self.case.signals if kind == "lock-stuck"]
        return {"holder": f" Process {stuck[0]} held it at the end of the log." if stuck else ""}


_WRITERS: dict[str, Callable[[_Phrases], dict[str, str]]] = {
    "azure-exhausted": _Phrases.exhausted,
    "pool-full": _Phrases.full,
    "range-exhausted": _Phrases.range,
    "unipam-full": _Phrases.unipam,
    "unipam-was-full": _Phrases.was_full,
    "calico-exhausted": _Phrases.calico,
    "calico-block-limit": _Phrases.block_limit,
    "cilium-exhausted": _Phrases.cilium,
    "cns-shortage": _Phrases.cns,
    "cns-duplicate": _Phrases.duplicate,
    "subnet-too-small": _Phrases.subnet,
    "pod-cidr-too-small": _Phrases.pod_cidr,
    "subnet-full": _Phrases.full_subnet,
    "service-cidr-overlap": _Phrases.other,
    "pod-cidr-overlap": _Phrases.other,
    "public-ip-limit": _Phrases.limit,
    "frontend-limit": _Phrases.limit,
    "nic-limit": _Phrases.limit,
    "outbound-ports": _Phrases.ports,
    "subnet-in-use": _Phrases.name,
    "route-conflict": _Phrases.routes,
    "unexplained": _Phrases.unexplained,
    "unexplained-release": _Phrases.unexplained,
    "unexplained-error": _Phrases.unexplained,
    "leak-confirmed": _Phrases.confirmed,
    "cilium-pool-not-ready": _Phrases.pool_not_ready,
    "leaked": _Phrases.leaked,
    "calico-leak": _Phrases.check,
    "orphan-block": _Phrases.orphan,
    "stale-reservations": _Phrases.stale_ranges,
    "release-by-workload": _Phrases.release,
    "state-corrupt": _Phrases.reason,
    "ledger-damaged": _Phrases.reason,
    "ledger-unread": _Phrases.reason,
    "refresh-failed": _Phrases.reason,
    **dict.fromkeys(
        (
            "azure-bad-subnet",
            "azure-source-not-started",
            "azure-save-failed",
            "azure-endpoint-failed",
            "route-failed",
            "cns-refused",
            "cilium-agent-down",
        ),
        _Phrases.reason,
    ),
    "cns-not-ready": _Phrases.nodes,
    "calico-cleanup-failed": _Phrases.nodes,
    "datastore-timeout": _Phrases.reasons,
    "api-refused": _Phrases.reasons,
    "throttled": _Phrases.throttled,
    "no-cni": _Phrases.nodes,
    "cluster-cidr-full": _Phrases.nodes,
    "partial-session": _Phrases.processes,
    "given-twice": _Phrases.twice,
    "lock-timeout": _Phrases.lock,
}
