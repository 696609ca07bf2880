"""From signals to conclusions: what several of them mean together, who holds what, and what follows from whom.

Everything here looks at the finished case file; nothing is read any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from unipam.diagnose import comparisons, variants, verdict
from unipam.diagnose.addresses import NO_ADDRESS, by_address
from unipam.diagnose.case import SHORT_ID, Case, Signal
from unipam.diagnose.catalogue import catalogue
from unipam.diagnose.report import Event, Evidence, Holder, Report, Track
from unipam.diagnose.stamps import has_year, show, show_offset
from unipam.diagnose.systems import ELSEWHERE

MAX_TIMELINE = 2_000
_REFUSING = {kind for kind, meaning in catalogue().items() if meaning.severity in {"fault", "unknown"}}


def conclude(case: Case) -> Report:
    """Return the report of a case."""
    for run in PASSES:
        run(case)
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


def _complete_subjects(case: Case) -> None:
    """Take a message that names no pool, subnet or range to be about the one that others of its kind name."""
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
    """Make a holder of whoever got an address last and did not release it, as far as the log shows."""
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


def _pools_not_filled_yet(case: Case) -> None:
    """Turn "exhausted" while the capacity was 0 into a pool that the operator had not filled yet."""
    empty = [key for key in case.signals if key[0] == "cilium-empty-pool"]
    for key in empty:
        where = case.signals.pop(key).evidence
        for known in [known for known in case.signals if known[0] == "cilium-exhausted"]:
            signal = case.signals.pop(known)
            signal.kind, signal.evidence = "cilium-not-filled", [*signal.evidence, *where][:5]
            case.signals[("cilium-not-filled", signal.subject)] = signal


_OF_A_TRY = frozenset({"sandbox-name-reserved"})
"""Notes of a try that failed: harmless only while something else says why the try before it did not end."""


def _report_unexplained(case: Case) -> None:
    """Tell as an unexplained failure what only goes with a cause, where no cause is seen."""
    if not any(kind in _REFUSING for kind, _ in case.signals):
        for key in [key for key in case.signals if key[0] in _OF_A_TRY]:
            signal = case.signals.pop(key)
            signal.kind = "unexplained"
            text = "an earlier try of the same sandbox has not ended (its name is reserved)"
            signal.values = {"text": text, "look_at": ELSEWHERE.look_at}
            signal.refuse([*signal.entities.get("pods", {})] or signal.containers)
            case.signals[("unexplained", text)] = signal
    _drop_refused_pods(case)
    if ("throttled", "") in case.signals and sum(kind == "throttled" for kind, _ in case.signals) > 1:
        del case.signals[("throttled", "")]


def _drop_refused_pods(case: Case) -> None:
    """Drop from the waiting pods those whose refusal is told."""
    waiting = case.signals.get(("pods-waiting", ""))
    if waiting is None:
        return
    refused = {name.rpartition("/")[2] for signal in case.signals.values() for name in signal.refused}
    left = [name for name in waiting.entities["pods"] if name.rpartition("/")[2] not in refused]
    waiting.entities["pods"] = dict.fromkeys(left)
    waiting.counts = Counter({"": len(left)})
    if not left:
        del case.signals[("pods-waiting", "")]


def _report_clocks(case: Case) -> None:
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
    """Conclude from what is said of CNS that it gives the addresses; its mode, only a configuration shows."""
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
    """Turn into notes what every node says until its network is set up, when pods got addresses afterwards."""
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
    """Return the sorting key of tracks: addresses in their order, then what never got one, by time."""
    version, number, name = by_address(item[0])
    first = next((event.at for event in item[1] if event.at is not None), 0.0)
    return (version, first if version == NO_ADDRESS else float(number), name)


def _timeline(case: Case) -> list[Track]:
    ordered = sorted(case.tracks.items(), key=_by_address_or_time)
    return [Track(subject, list(track), case.dropped[subject]) for subject, track in ordered[:MAX_TIMELINE]]


PASSES: tuple[Callable[[Case], None], ...] = (
    # Who is who. Events get the names of their pods before holders are made of them; all that follows compares names.
    _name_pods,
    _complete_subjects,
    _holders_from_tracks,
    # What two sources say together, over pools with all their holders. Live containers before pods: who is told as
    # leaked is not told once more as one without a pod.
    comparisons.compare_with_live_containers,
    comparisons.compare_with_pods,
    comparisons.one_address_two_pods,
    comparisons.full_cilium_nodes,
    comparisons.given_twice,
    comparisons.left_over_ranges,
    comparisons.another_range,
    # What signals mean beside others. A pool that was only not filled yet is no failure that explains another; then it
    # is known which failures stand alone, and which pods wait although nothing told that they were refused.
    _pools_not_filled_yet,
    _report_unexplained,
    _report_clocks,
    # After that, what a node says while it starts becomes a note: until here it explains tries that failed meanwhile.
    _at_the_start,
    # The network variant, last: a probe at the start does not show that CNS gives the addresses.
    _served_by_cns,
    variants.with_calico,
)
"""What is done to a finished case, in this order: each pass reads what those before it have written."""
