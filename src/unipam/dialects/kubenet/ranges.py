"""Which node gets which range: next-fit over slots, as kube-controller-manager's nodeipam does it (spec kubenet §1.2).

Unlike there, what is taken is not counted up and down but read off the living nodes each time. So nothing leaks, a
range that two nodes have is busy until the last of them is gone, and a node outside of the ranges hinders nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from unipam.addr.prefix import Prefix, format_address
from unipam.addr.ranges import RangeSet
from unipam.dialects.kubenet.node import Node
from unipam.dialects.kubenet.policy import Cluster, Policy
from unipam.model.finding import Finding

NEARLY = 0.9
"""The share of slots in use from which on it is told that they run out."""


class Memory(NamedTuple):
    """What is known besides the nodes: where next-fit goes on, what is promised, and what rests until when.

    It may be lost: then allocation goes on at the lowest free slot, as the real one does after a restart.
    """

    cursors: Mapping[Prefix, int] = {}
    promised: Mapping[str, tuple[Prefix, ...]] = {}
    """By the node's UID: ranges that were written or may have been, and that the node does not show yet."""
    resting: tuple[tuple[Prefix, float], ...] = ()


class Assignment(NamedTuple):
    """A node, and the ranges that it gets: one of each family."""

    node: Node
    ranges: tuple[Prefix, ...]


class Plan(NamedTuple):
    """What to write, who gets nothing because no range is free, and what to remember if the assignments are made."""

    assignments: list[Assignment]
    short: list[Node]
    memory: Memory


def desired(nodes: Iterable[Node], policy: Policy, memory: Memory, now: float) -> Plan:
    """Return the ranges for nodes without any, the oldest first; ranges that nodes have are never changed."""
    nodes = list(nodes)
    promised = dict(_standing(memory.promised, nodes))
    resting = tuple(each for each in memory.resting if each[1] > now)
    slots = _Slots(policy, nodes, promised.values(), [prefix for prefix, _ in resting], memory.cursors)
    assignments, short = [], []
    for node in sorted(nodes, key=lambda each: (each.created, each.name)):
        if node.ranges or node.uid in promised:
            continue
        ranges = slots.take()
        if ranges is None:
            short.append(node)
        else:
            assignments.append(Assignment(node, ranges))
    promised |= {each.node.uid: each.ranges for each in assignments}
    return Plan(assignments, short, Memory(slots.cursors, promised, resting))


def _standing(
    promised: Mapping[str, tuple[Prefix, ...]], nodes: Sequence[Node]
) -> Iterable[tuple[str, tuple[Prefix, ...]]]:
    """Yield the promises to nodes that are there and show no range, unless another has got part of it meanwhile."""
    waiting = {each.uid for each in nodes if not each.ranges}
    given = RangeSet((prefix.first, prefix.last) for each in nodes for prefix in each.prefixes)
    for uid, ranges in promised.items():
        if uid in waiting and not any(given.overlaps(each.first, each.last) for each in ranges):
            yield uid, ranges


def rested(memory: Memory, prefixes: Iterable[Prefix], until: float) -> Memory:
    """Return the memory in which the ranges of a node that is gone rest until a moment."""
    return memory._replace(resting=(*memory.resting, *((each, until) for each in prefixes)))


class _Slots:
    """The slots of every range, taken and resting, and where to go on."""

    def __init__(
        self,
        policy: Policy,
        nodes: Sequence[Node],
        promised: Iterable[tuple[Prefix, ...]],
        resting: list[Prefix],
        cursors: Mapping[Prefix, int],
    ) -> None:
        self._policy, self.cursors = policy, dict(cursors)
        taken = [prefix for node in nodes for prefix in node.prefixes]
        taken += [prefix for ranges in promised for prefix in ranges] + list(policy.services)
        self._taken = {each: _covered(each, taken) for each in policy.clusters}
        self._resting = {each: _covered(each, resting) for each in policy.clusters}

    def take(self) -> tuple[Prefix, ...] | None:
        """Return one slot of each family, or none at all: of two families, the one is not taken without the other."""
        found = [self._find(clusters) for clusters in self._policy.families]
        if any(each is None for each in found):
            return None
        for place in found:
            assert place is not None
            cluster, index = place
            self._taken[cluster].add(index, index)
            self.cursors[cluster.prefix] = (index + 1) % cluster.slots
        return tuple(cluster.slot(index) for cluster, index in filter(None, found))

    def _find(self, clusters: Iterable[Cluster]) -> tuple[Cluster, int] | None:
        """Return the next free slot that does not rest, or else the next that is free."""
        clusters = list(clusters)
        for avoid in (True, False):
            for each in clusters:
                busy = self._taken[each] | self._resting[each] if avoid and self._resting[each] else self._taken[each]
                index = _next(busy, self.cursors.get(each.prefix, 0), each.slots)
                if index is not None:
                    return each, index
        return None


def _next(busy: RangeSet, cursor: int, slots: int) -> int | None:
    found = busy.gap(cursor, slots - 1)
    return busy.gap(0, cursor - 1) if found is None else found


def _covered(cluster: Cluster, prefixes: Iterable[Prefix]) -> RangeSet:
    return RangeSet(filter(None, map(cluster.covered, prefixes)))


def occupied(nodes: Iterable[Node], policy: Policy) -> dict[Cluster, RangeSet]:
    """Return which slots of each range nodes or services have."""
    prefixes = [prefix for node in nodes for prefix in node.prefixes] + list(policy.services)
    return {each: _covered(each, prefixes) for each in policy.clusters}


class Usage(NamedTuple):
    """How full a range is, in slots."""

    cluster: Cluster
    used: int
    reserved: int

    @property
    def free(self) -> int:
        """Return how many nodes still find a range."""
        return self.cluster.slots - self.used - self.reserved


def usage(nodes: Iterable[Node], policy: Policy) -> list[Usage]:
    """Return how full each range is; `reserved` is what services overlap."""
    prefixes = [prefix for node in nodes for prefix in node.prefixes]
    found = []
    for each in policy.clusters:
        reserved = _covered(each, policy.services)
        found.append(Usage(each, (_covered(each, prefixes) - reserved).size, reserved.size))
    return found


def findings(nodes: Iterable[Node], policy: Policy) -> list[Finding]:
    """Return what is wrong with the nodes' ranges."""
    nodes = sorted(nodes, key=lambda each: each.name)
    return [*_outside(nodes, policy), *_shared(nodes), *_nearly_full(nodes, policy)]


def _outside(nodes: Iterable[Node], policy: Policy) -> Iterable[Finding]:
    for node in nodes:
        for text, prefix in zip(node.ranges, _read(node), strict=True):
            if prefix is None:
                yield Finding("unreadable range", node.name, f"its podCIDR {text!r} cannot be read", _ANEW)
            elif not any(each.prefix.contains(prefix) for each in policy.clusters):
                ranges = ", ".join(str(each.prefix) for each in policy.clusters)
                yield Finding("range outside", node.name, f"its podCIDR {text} lies outside of {ranges}", _ANEW)


_ANEW = "drain the node and delete its Node object, so that it registers anew and gets a range; or add the range it has"


def _read(node: Node) -> list[Prefix | None]:
    return [next(iter(node._replace(ranges=(text,)).prefixes), None) for text in node.ranges]


def _shared(nodes: Iterable[Node]) -> Iterable[Finding]:
    """Yield every two nodes whose ranges overlap, each as soon as the later of the two begins."""
    begins = sorted((prefix.first, prefix.last, node.name) for node in nodes for prefix in node.prefixes)
    open_until, holder = -1, ""
    for first, last, name in begins:
        if first <= open_until:
            where = f"{format_address(first)} to {format_address(min(last, open_until))}"
            text = f"it and {holder} both have the addresses {where}"
            yield Finding(
                "range shared", name, text, f"drain the younger of the two, and delete its Node object: {_ANEW}"
            )
        if last > open_until:
            open_until, holder = last, name


def _nearly_full(nodes: Iterable[Node], policy: Policy) -> Iterable[Finding]:
    """Yield which family's ranges are full, or nearly so, all together."""
    by_cluster = {each.cluster: each for each in usage(nodes, policy)}
    for family in policy.families:
        ranges = [by_cluster[each] for each in family]
        slots, free = sum(each.slots for each in family), sum(each.free for each in ranges)
        if free < (1 - NEARLY) * (slots - sum(each.reserved for each in ranges)):
            used = sum(each.used for each in ranges)
            text = f"{free} nodes more find a range, then none ({used} of {slots} slots are in use)"
            about = ",".join(str(each.prefix) for each in family)
            yield Finding("ranges run out", about, text, "add a range: --further-cluster-cidr")
