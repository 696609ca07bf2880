"""What two sources show together: who is on record and who runs, who got an address while another had it.

A list of what runs proves something only about what it covers: a node's list for that node, a log with releases for
releases.
"""

from __future__ import annotations

from itertools import pairwise

from unipam.addr.prefix import Prefix, parse_prefix
from unipam.diagnose.addresses import address_of
from unipam.diagnose.case import MAX_EVIDENCE, Case, evidence
from unipam.diagnose.inputs import log_group
from unipam.diagnose.report import Event

_NODE_POOLS = frozenset({"azure-vnet-ipam", "host-local directory"})
"""Pools of one node, whose holders should all live on it."""


def compare_with_live_containers(case: Case) -> None:
    """Call an owner in an IPAM's state leaked that no list of living containers names, if such a list is at hand."""
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


def compare_with_pods(case: Case) -> None:
    """Tell which reservations belong to no pod that runs, where a list of pods is at hand."""
    for pool in case.pools.values():
        if pool.kind not in _NODE_POOLS or not case.live_pods or not pool.holders:
            continue
        strange = [holder for holder in pool.holders if not case.live_pods.of(holder.address)]
        for holder in pool.holders:
            holder.pod = holder.pod or case.live_pods.of(holder.address)
        if not strange:
            case.fact(
                "reservations-with-pods",
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


def one_address_two_pods(case: Case) -> None:
    """Tell of running pods that share an address which is not their node's own."""
    for address, pods in case.live_pods.shared():
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


def full_cilium_nodes(case: Case) -> None:
    """Tell of CiliumNodes that use as many addresses as they have; a dump names the two in different places."""
    for pool in case.pools.values():
        if pool.kind == "Cilium pool" and pool.capacity and (pool.in_use or 0) >= pool.capacity and pool.evidence:
            values = {"in_use": pool.in_use, "capacity": pool.capacity}
            if ("pool-full", pool.name) not in case.signals:
                case.signal("pool-full", pool.name, pool.evidence[-1], values=values)


def given_twice(case: Case) -> None:
    """Tell of addresses that got a second holder while the first one had them, as far as the logs can prove."""
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
    """Return whether the second holder got the address while the first one had it, as far as the logs can prove."""
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


def left_over_ranges(case: Case) -> None:
    """Tell of reservations of ranges that the node does not have any more."""
    known = [prefix for cidr in case.pod_cidrs if (prefix := _prefix(cidr)) is not None]
    for directory, ranges, shown, where in case.mixed_ranges:
        networks = [parse_prefix(name) for name, _ in ranges]
        inside = [network for network in networks if any(network.overlaps(cidr) for cidr in known)]
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


def another_range(case: Case) -> None:
    """Tell of a node whose configuration or bridge gives addresses of a range that no Node at hand has.

    A Node that was made anew under its name gets another range, and containerd keeps the file that it has drawn: a
    network that is ready is not configured again.
    """
    known = [prefix for cidr in case.node_ranges if (prefix := _prefix(cidr)) is not None]
    of_family = {each.family for each in known}
    stale = [
        (what, network, where)
        for what, network, where in case.ranges_in_use
        if network.family in of_family and not any(network.overlaps(each) for each in known)
    ]
    for what, network, where in stale:
        case.signal(
            "other-range",
            ", ".join(sorted(case.node_ranges)),
            where,
            values={"shown": ", ".join(f"{what} {network}" for what, network, _ in stale)},
            subnets=[str(network)],
            addresses=_held_in(case, network),
            times=int(what is stale[0][0]),
        )


def _held_in(case: Case, network: Prefix) -> list[str]:
    """Return the addresses of a range that are reserved on the node."""
    held = [holder.address for pool in case.pools.values() if pool.kind in _NODE_POOLS for holder in pool.holders]
    return [
        each for each in held if (address := address_of(each)) is not None and network.first <= address <= network.last
    ]


def _may_be_one_range(networks: list[Prefix], reservations: int) -> bool:
    """Return whether all may lie in one podCIDR: two halves of a /23, or neighbours that round robin has filled."""
    first, last = min(networks), max(networks)
    span = (last.first - first.first) // 256 + 1
    return (span == 2 and first.first % 512 == 0) or (span == len(networks) and reservations > 200)


def _prefix(cidr: str) -> Prefix | None:
    try:
        return parse_prefix(cidr)
    except ValueError:
        return None
