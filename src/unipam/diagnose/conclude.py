"""From signals to conclusions: what several of them mean together, who holds what, and what follows from whom.

Everything here looks at the finished case file; nothing is read any more.
"""

from __future__ import annotations

import ipaddress
from collections import deque
from itertools import pairwise

from unipam.diagnose import phrases, variants
from unipam.diagnose.case import Case, Signal, evidence
from unipam.diagnose.catalogue import finding, rank
from unipam.diagnose.report import Event, Finding, Holder, Report, Track
from unipam.diagnose.stamps import show, show_offset

MAX_TIMELINE = 2_000
_CAUSES_OF_EMPTY_OUTPUT = ("lock-timeout", "lock-stuck", "state-corrupt", "plugin-crash")


def conclude(case: Case) -> Report:
    """The report of a case."""
    _name_pods(case)
    _own_the_exhaustion(case)
    _holders_from_tracks(case)
    _compare_with_the_living(case)
    _compare_with_pods(case)
    _given_twice(case)
    _left_over_ranges(case)
    _not_yet_filled(case)
    _drop_consequences(case)
    _clocks(case)
    _no_cni(case)
    variants.with_calico(case)
    findings = sorted((finding(signal, phrases.of(case, signal)) for signal in case.signals.values()), key=rank)
    wrong = [found for found in findings if found.severity != "note"]
    return Report(
        _verdict(wrong),
        wrong,
        [found for found in findings if found.severity == "note"],
        sorted(case.variants.values(), key=lambda variant: not variant.certain),
        list(case.facts.values()),
        sorted(case.pools.values(), key=lambda pool: pool.name),
        _timeline(case),
        case.sources,
        case.facts_left_out,
    )


def _verdict(wrong: list[Finding]) -> str:
    if not wrong:
        return "Nothing wrong."
    faults = sum(found.severity == "fault" for found in wrong)
    parts = [
        f"{count} {name}{'s' if count != 1 else ''}"
        for count, name in ((faults, "fault"), (len(wrong) - faults, "warning"))
        if count
    ]
    return f"{' and '.join(parts)}. First: {wrong[0].title}"


def _name_pods(case: Case) -> None:
    for track in case.tracks.values():
        for event in track:
            event.pod = event.pod or case.pods.get(event.container, "")
    for signal in case.signals.values():
        signal.name("pods", [case.pods[name] for name in signal.entities.get("containers", {}) if name in case.pods])


def _own_the_exhaustion(case: Case) -> None:
    """A refusal that names no pool belongs to the only azure-vnet-ipam pool there is."""
    pools = [pool.name for pool in case.pools.values() if pool.kind == "azure-vnet-ipam" and "/" in pool.name]
    nameless = case.signals.get(("azure-exhausted", ""))
    named = [subject for kind, subject in case.signals if kind == "azure-exhausted" and subject]
    owners = named or pools
    if nameless is None or len(owners) != 1:
        return
    same_file = (
        {where.file for where in nameless.evidence} & {where.file for where in case.pools[owners[0]].evidence}
        if owners[0] in case.pools
        else set()
    )
    if named or same_file:
        del case.signals[("azure-exhausted", "")]
        _absorb(case, nameless, owners[0])


def _absorb(case: Case, signal: Signal, subject: str) -> None:
    known = case.signals.get((signal.kind, subject))
    if known is None:
        signal.subject = subject
        case.signals[(signal.kind, subject)] = signal
        return
    known.evidence = [*known.evidence, *signal.evidence][:5]
    known.count = max(known.count, signal.count)
    for sort, names in signal.entities.items():
        known.name(sort, names)


def _holders_from_tracks(case: Case) -> None:
    """Whoever got an address last and did not release it holds it, as far as the log shows."""
    for address, track in case.tracks.items():
        last = next((event for event in reversed(track) if event.verb in {"given", "released"} and event.address), None)
        pool = case.pools.get(last.pool) if last is not None else None
        if last is None or pool is None or last.verb != "given":
            continue
        known = next((holder for holder in pool.holders if holder.address == address), None)
        if known is None:
            case.hold(pool, Holder(address, last.container, last.pod, show(last.at)))
        elif known.owner == last.container:
            known.since, known.pod = known.since or show(last.at), known.pod or last.pod


def _compare_with_the_living(case: Case) -> None:
    """An owner in an IPAM's state that no list of endpoints names is leaked, if such a list is at hand."""
    for pool in case.pools.values():
        for holder in pool.holders:
            holder.pod = holder.pod or case.pods.get(holder.owner, "")
        if pool.kind not in {"azure-vnet-ipam", "host-local directory"} or not case.live_containers:
            continue
        gone = [holder for holder in pool.holders if holder.owner and not case.is_live(holder.owner)]
        if not any(case.is_live(holder.owner) for holder in pool.holders):
            continue  # the list is of another node, or of another moment
        for holder in gone:
            holder.leak = "no list of live containers has its owner"
        if gone and pool.evidence:
            case.signal(
                "leaked",
                f"pool {pool.name}",
                pool.evidence[-1],
                values={"leaked": len(gone), "of": len(pool.holders)},
                addresses=[holder.address for holder in gone],
                containers=[holder.owner for holder in gone],
            )


def _compare_with_pods(case: Case) -> None:
    """Reservations beside a list of pods: whether each belongs to a pod that runs."""
    for pool in case.pools.values():
        if pool.kind != "host-local directory" or not case.live_addresses:
            continue
        strange = [holder for holder in pool.holders if holder.address not in case.live_addresses]
        for holder in pool.holders:
            holder.pod = holder.pod or case.live_addresses.get(holder.address, "")
        if not strange:
            case.fact(
                f"Each of the {len(pool.holders)} reservations in {pool.name} is the address of a listed pod.",
                pool.evidence[0],
            )
        elif len(strange) < len(pool.holders):
            case.signal(
                "reservations-without-pod",
                pool.name,
                pool.evidence[0],
                values={"strange": len(strange), "all": len(pool.holders)},
                addresses=[holder.address for holder in strange],
            )


def _given_twice(case: Case) -> None:
    for address, track in case.tracks.items():
        acts = [event for event in track if event.verb in {"given", "released"} and event.address]
        for first, second in pairwise(acts):
            if _is_double(case, first, second):
                case.signal(
                    "given-twice",
                    address,
                    evidence(second.file, second.line, f"{address} given to {second.pod or second.container}"),
                    at=second.at,
                    addresses=[address],
                    containers=[first.container, second.container],
                    pods=[first.pod, second.pod],
                )


def _is_double(case: Case, first: Event, second: Event) -> bool:
    if first.verb != "given" or second.verb != "given" or first.file != second.file:
        return False
    if "calico" in second.by:  # its releases also happen elsewhere (garbage collection), so its log is not whole
        return False
    if not first.container or not second.container or first.container == second.container:
        return False
    return not any(file == first.file and first.line <= line <= second.line for file, line in case.resets)


def _left_over_ranges(case: Case) -> None:
    known = [ipaddress.ip_network(cidr) for cidr in case.pod_cidrs if _is_network(cidr)]
    for directory, ranges, shown, where in case.mixed_ranges:
        networks = [ipaddress.ip_network(name) for name, _ in ranges]
        inside = [
            network
            for network in networks
            if any(network.version == cidr.version and network.overlaps(cidr) for cidr in known)
        ]
        if len(inside) == len(networks) or (
            not known and _may_be_one_range(networks, sum(count for _, count in ranges))
        ):
            continue
        stale = (
            [str(network) for network in networks if network not in inside]
            if inside
            else [f"all but one of {', '.join(map(str, networks))}"]
        )
        case.signal(
            "stale-reservations",
            directory,
            where,
            values={"ranges": len(networks), "shown": shown, "stale": ", ".join(stale)},
            subnets=[str(network) for network in networks],
        )


def _may_be_one_range(networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network], reservations: int) -> bool:
    """Neighbours may be one larger podCIDR (/23), and so may ranges that round-robin has filled one after another."""
    first, last = min(networks), max(networks)
    span = (int(last.network_address) - int(first.network_address)) // 256 + 1
    return (span == 2 and int(first.network_address) % 512 == 0) or (span == len(networks) and reservations > 200)


def _is_network(cidr: str) -> bool:
    try:
        ipaddress.ip_network(cidr)
    except ValueError:
        return False
    return True


def _not_yet_filled(case: Case) -> None:
    """ "Exhausted" while the capacity was 0 means that the operator had not filled the pool yet."""
    empty = [key for key in case.signals if key[0] == "cilium-empty-pool"]
    for key in empty:
        where = case.signals.pop(key).evidence
        for known in [known for known in case.signals if known[0] == "cilium-exhausted"]:
            signal = case.signals.pop(known)
            signal.kind, signal.evidence = "cilium-not-filled", [*signal.evidence, *where][:5]
            case.signals[("cilium-not-filled", signal.subject)] = signal


def _drop_consequences(case: Case) -> None:
    """What another signal explains is not a finding of its own."""
    if case.has(*_CAUSES_OF_EMPTY_OUTPUT):
        case.signals = {key: signal for key, signal in case.signals.items() if key[0] != "empty-plugin-output"}
    exhausted = {
        subject for kind, subject in case.signals if kind in {"azure-exhausted", "calico-exhausted", "cilium-exhausted"}
    }
    only_cilium = case.has("cilium-exhausted")
    for kind, subject in list(case.signals):
        if kind == "pool-full" and (
            subject in exhausted or (only_cilium and case.pools[subject].kind == "Cilium pool")
        ):
            del case.signals[(kind, subject)]
    if (
        case.has("throttled")
        and ("throttled", "") in case.signals
        and len([kind for kind, _ in case.signals if kind == "throttled"]) > 1
    ):
        del case.signals[("throttled", "")]


def _clocks(case: Case) -> None:
    for skew in case.clocks.skews():
        for where in skew.evidence:
            case.signal(
                "clock-skew",
                f"{skew.ahead} / {skew.behind}",
                where,
                values={
                    "ahead": skew.ahead,
                    "behind": skew.behind,
                    "seconds": round(skew.seconds),
                    "offset": show_offset(skew.seconds).lstrip("+"),
                    "share": f"{skew.count} of {skew.compared}",
                },
            )


def _no_cni(case: Case) -> None:
    signal = case.signals.get(("no-cni", ""))
    if signal is not None:
        variants.seen(case, "none", signal.evidence[0], certain="none" in case.variants)


def _timeline(case: Case) -> list[Track]:
    def key(item: tuple[str, deque[Event]]) -> tuple[int, int, str]:
        try:
            address = ipaddress.ip_address(item[0])
        except ValueError:
            return (9, 0, item[0])
        return (address.version, int(address), "")

    ordered = sorted(case.tracks.items(), key=key)
    return [Track(subject, list(track), case.dropped[subject]) for subject, track in ordered[:MAX_TIMELINE]]
