"""From signals to conclusions: what several of them mean together, who holds what, and what follows from whom.

Everything here looks at the finished case file; nothing is read any more.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from itertools import pairwise

from unipam.diagnose import variants, verdict
from unipam.diagnose.addresses import NO_ADDRESS, by_address
from unipam.diagnose.case import MAX_EVIDENCE, SHORT_ID, Case, Signal, evidence
from unipam.diagnose.catalogue import catalogue
from unipam.diagnose.report import Event, Evidence, Holder, Report, Track
from unipam.diagnose.source import log_group
from unipam.diagnose.stamps import has_year, show, show_offset
from unipam.diagnose.systems import ELSEWHERE

MAX_TIMELINE = 2_000
_NODE_POOLS = frozenset({"azure-vnet-ipam", "host-local directory"})
"""Pools of one node, whose holders should all live on it."""

_REFUSING = {kind for kind, meaning in catalogue().items() if meaning.severity in {"fault", "unknown"}}


def conclude(case: Case) -> Report:
    """The report of a case."""
    _name_pods(case)
    _own_the_nameless(case)
    _holders_from_tracks(case)
    _compare_with_the_living(case)
    _compare_with_pods(case)
    _one_address_two_pods(case)
    _given_twice(case)
    _left_over_ranges(case)
    _not_yet_filled(case)
    _alone(case)
    _clocks(case)
    _at_the_start(case)
    _served_by_cns(case)
    variants.with_calico(case)
    found = verdict.ranked(case)
    wrong = [each for each in found if each.severity != "note"]
    result = verdict.outcome(case, wrong)
    return Report(
        result,
        verdict.in_words(case, result, wrong),
        wrong,
        [each for each in found if each.severity == "note"],
        sorted(case.variants.values(), key=lambda variant: not variant.certain),
        list(case.facts.values()),
        sorted(case.pools.values(), key=lambda pool: by_address(pool.name)),
        _timeline(case),
        case.sources,
        case.facts_left_out,
    )


def _name_pods(case: Case) -> None:
    for track in case.tracks.values():
        for event in track:
            event.pod = event.pod or case.pods.get(event.container, "")
    by_short_id = {container[:SHORT_ID]: pod for container, pod in case.pods.items()}
    for signal in case.signals.values():
        signal.refused = {by_short_id.get(name, name): None for name in signal.refused}
        signal.name("pods", [case.pods[name] for name in signal.entities.get("containers", {}) if name in case.pods])


def _own_the_nameless(case: Case) -> None:
    """A message that leaves out what another of its kind names is about the same: the pool, the subnet, the range."""
    for kind in [kind for kind, subject in case.signals if not subject]:
        named = [subject for other, subject in case.signals if other == kind and subject]
        if kind == "azure-exhausted" and not named:
            named = [name for name, pool in case.pools.items() if pool.kind == "azure-vnet-ipam" and "/" in name]
            named = (
                named
                if len(named) == 1 and _one_file(case.signals[(kind, "")].evidence, case.pools[named[0]].evidence)
                else []
            )
        if len(named) == 1:
            _absorb(case, case.signals.pop((kind, "")), named[0])


def _one_file(some: list[Evidence], others: list[Evidence]) -> bool:
    return bool({where.file for where in some} & {where.file for where in others})


def _absorb(case: Case, signal: Signal, subject: str) -> None:
    known = case.signals.get((signal.kind, subject))
    if known is None:
        signal.subject = subject
        case.signals[(signal.kind, subject)] = signal
        return
    known.evidence = [*known.evidence, *signal.evidence][:5]
    known.counts |= signal.counts
    known.containers |= signal.containers
    known.refuse(signal.refused)
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
        if pool.kind not in _NODE_POOLS or not case.live_containers:
            continue
        gone = [holder for holder in pool.holders if holder.owner and not case.is_live(holder.owner)]
        if not any(case.is_live(holder.owner) for holder in pool.holders):
            continue  # the list is of another node, or of another moment
        for holder in gone:
            holder.leak = "no list of live containers has its owner"
        shown = [holder.where for holder in gone[:MAX_EVIDENCE] if holder.where is not None] or pool.evidence[-1:]
        for where in shown if gone else []:
            case.signal(
                "leaked",
                f"pool {pool.name}",
                where,
                times=int(where is shown[0]),
                values={"leaked": len(gone), "of": len(pool.holders)},
                addresses=[holder.address for holder in gone],
                containers=[holder.owner for holder in gone],
            )


def _compare_with_pods(case: Case) -> None:
    """Reservations beside a list of pods: whether each belongs to a pod that runs."""
    for pool in case.pools.values():
        if pool.kind not in _NODE_POOLS or not case.living or not pool.holders:
            continue
        strange = [holder for holder in pool.holders if not case.living.of(holder.address)]
        for holder in pool.holders:
            holder.pod = holder.pod or case.living.of(holder.address)
        if not strange:
            case.fact(
                f"Each of the {len(pool.holders)} reservations in {pool.name} is the address of a listed pod.",
                pool.evidence[0],
            )
        elif len(strange) < len(pool.holders) and not any(holder.leak for holder in strange):
            case.signal(
                "reservations-without-pod",
                pool.name,
                pool.evidence[0],
                values={"strange": len(strange), "all": len(pool.holders)},
                addresses=[holder.address for holder in strange],
                containers=[holder.owner for holder in strange],
            )


def _one_address_two_pods(case: Case) -> None:
    """Two running pods with one address, which is not their node's own."""
    for address, pods in case.living.shared():
        for pod in pods:
            case.signal(
                "duplicate-holder",
                address,
                pod.where,
                addresses=[address],
                pods=[pod.name],
                nodes=[pod.node],
                times=int(pod is pods[0]),
            )


def _given_twice(case: Case) -> None:
    for address, track in case.tracks.items():
        acts = [event for event in track if event.verb in {"given", "released"} and event.address]
        for first, second in pairwise(acts):
            if _is_double(case, first, second, acts):
                case.signal(
                    "given-twice",
                    address,
                    evidence(second.file, second.line, f"{address} given to {second.pod or second.container}"),
                    at=second.at,
                    addresses=[address],
                    containers=[first.container, second.container],
                    pods=[first.pod, second.pod],
                )


def _is_double(case: Case, first: Event, second: Event, acts: list[Event]) -> bool:
    """Whether the second holder got the address while the first one had it, as far as the logs can prove."""
    if first.verb != "given" or second.verb != "given" or first.file != second.file:
        return False
    if "azure-vnet" not in second.by:
        return False  # Calico also releases elsewhere (garbage collection); CNS says itself that the address was free
    if not first.container or not second.container or first.container == second.container:
        return False
    if log_group(first.file) not in case.releases:
        return False  # a log without releases (a grep for ADD) proves nothing
    late = any(each.verb == "released" and each.container == first.container for each in acts[acts.index(second) :])
    if not late and case.has_ended(first.container):
        return False  # another log has the end of the first one
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


_OF_A_TRY = frozenset({"sandbox-name-reserved"})
"""Notes of a try that failed: harmless only while something else says why the try before it did not end."""


def _alone(case: Case) -> None:
    """A sign that only goes with a cause, and stands without one, is a failure that nothing explains."""
    if not any(kind in _REFUSING for kind, _ in case.signals):
        for key in [key for key in case.signals if key[0] in _OF_A_TRY]:
            signal = case.signals.pop(key)
            signal.kind = "unexplained"
            text = "an earlier try of the same sandbox has not ended (its name is reserved)"
            signal.values = {"text": text, "look_at": ELSEWHERE.look_at}
            signal.refuse([*signal.entities.get("pods", {})] or signal.containers)
            case.signals[("unexplained", text)] = signal
    if ("throttled", "") in case.signals and sum(kind == "throttled" for kind, _ in case.signals) > 1:
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


def _served_by_cns(case: Case) -> None:
    """What is said of CNS shows that it gives the addresses; its mode, only a configuration or an NNC does."""
    said = next((signal for (kind, _), signal in case.signals.items() if kind.startswith("cns-")), None)
    if said is not None and not any(name.startswith("azure-") for name in case.variants):
        variants.seen(case, "azure-cns", said.evidence[0], certain=False)


_AT_A_START = {
    "no-cni": "no-cni-at-start",
    "cns-not-ready": "probe-at-start",
    "cns-unreachable": "probe-at-start",
    "api-refused": "api-was-away",
    "datastore-timeout": "api-was-away",
}


def _at_the_start(case: Case) -> None:
    """What every node says until its network is set up is no fault when pods got addresses afterwards."""
    served = case.served
    for key in [key for key in case.signals if key[0] in _AT_A_START]:
        signal = case.signals[key]
        if (
            served is not None
            and signal.last is not None
            and has_year(signal.last)
            and signal.last < served
            and not signal.refused
        ):
            del case.signals[key]
            signal.kind = _AT_A_START[key[0]]
            case.signals[(signal.kind, signal.subject)] = signal
        elif key == ("no-cni", ""):
            variants.seen(case, "none", signal.evidence[0], certain="none" in case.variants)


def _by_address_or_time(item: tuple[str, Iterable[Event]]) -> tuple[int, float, str]:
    """Addresses in their order; then what never got one, in the order of time."""
    version, number, name = by_address(item[0])
    first = next((event.at for event in item[1] if event.at is not None), 0.0)
    return (version, first if version == NO_ADDRESS else float(number), name)


def _timeline(case: Case) -> list[Track]:
    ordered = sorted(case.tracks.items(), key=_by_address_or_time)
    return [Track(subject, list(track), case.dropped[subject]) for subject, track in ordered[:MAX_TIMELINE]]
