"""Nodes are given their ranges: each promise stands until its node shows it, so no answer that is lost does harm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from unipam.addr.prefix import Prefix
from unipam.controllers.backoff import Backoff
from unipam.controllers.term import Term
from unipam.dialects.kubenet.node import Node
from unipam.dialects.kubenet.policy import Policy
from unipam.dialects.kubenet.ranges import Memory, Plan, desired, rested
from unipam.model.errors import SourceFailed
from unipam.model.finding import Finding

T = TypeVar("T")

COMPONENT = "cidrAllocator"
SHORT, FAILED = "CIDRNotAvailable", "CIDRAssignmentFailed"
_TELL_AGAIN = 60.0
"""Seconds between two events about one node that finds no range."""
_PASSIVE = 300.0
"""Seconds that nothing is assigned after somebody else was seen to do it."""
_FIRST_LOOK = 3.0
"""Seconds after the start in which is only looked: another allocator shows itself by then."""
_AT_ONCE = 16
_TRIES = 3
"""Failures in a row after which an event tells, if the node has no range indeed."""


class NodeWriter(Protocol):
    """What `writing.Writer` does."""

    def assign(self, node: Node, ranges: tuple[str, ...]) -> str: ...
    def read(self, node: Node) -> Mapping[str, object] | None: ...
    def condition(self, node: Node, *, created: bool) -> str: ...
    def event(self, node: Node, component: str, reason: str, message: str, *, warning: bool = False) -> str: ...


class RangeKeeper:
    """Who has which range, and what is promised. One thread calls it."""

    def __init__(self, policy: Policy, writer: NodeWriter, tell: Callable[..., None], began: float) -> None:
        self.policy, self._writer, self._tell = policy, writer, tell
        self.memory = Memory()
        self.passive_until = began + _FIRST_LOOK
        self.rival = ""
        self._seen: dict[str, Node] | None = None
        self._told: dict[str, float] = {}
        self._backoffs: dict[str, Backoff] = {}

    def plan(self, nodes: Sequence[Node], now: float) -> Plan:
        """Note who has come and gone, and return who is to get which range; nobody while another allocator works."""
        self._note(nodes, now)
        plan = desired(nodes, self.policy, self.memory, now)
        passive = now < self.passive_until
        return Plan([], [], self.memory) if passive else plan

    def carry_out(self, plan: Plan, nodes: Sequence[Node], now: float, term: Term) -> int:
        """Write what is promised and not shown yet, and tell of those who get nothing; return how many were served."""
        self.memory = plan.memory
        by_uid = {each.uid: each for each in nodes}
        due = [
            (by_uid[uid], ranges)
            for uid, ranges in plan.memory.promised.items()
            if uid in by_uid and self._backoff(uid).until <= now
        ]
        for node in plan.short:
            if self._told.get(node.uid, 0.0) <= now - _TELL_AGAIN or node.uid not in self._told:
                self._told[node.uid] = now
                self._event(node, SHORT)
        return together(lambda each: term.lasts and self._assign(each[0], each[1], now), due)

    def due(self, now: float) -> float:
        """Return when there is something to do, if nothing happens until then."""
        pauses = [each.until for uid, each in self._backoffs.items() if uid in self.memory.promised]
        told = [moment + _TELL_AGAIN for moment in self._told.values()]
        return min([each for each in (*pauses, *told, self.passive_until) if each > now], default=now + 3600)

    def findings(self, now: float) -> list[Finding]:
        """Return whether another allocator is at work."""
        if not self.rival or now >= self.passive_until:
            return []
        text = f"somebody else gave node {self.rival} its range; nothing is assigned for {_PASSIVE:.0f} s after that"
        return [Finding("another allocator", self.rival, text, "end one of the two: --allocate-node-cidrs=false")]

    def _note(self, nodes: Sequence[Node], now: float) -> None:
        current = {each.uid: each for each in nodes}
        seen, self._seen = self._seen, current
        if seen is None:
            return
        for uid, node in seen.items():
            if uid not in current:
                self.memory = rested(self.memory, node.prefixes, now + self.policy.rest)
                self._told.pop(uid, None)
                self._backoffs.pop(uid, None)
        for uid, node in current.items():
            before = seen.get(uid)
            if node.ranges and not (before and before.ranges):
                self._shown(node, now)

    def _shown(self, node: Node, now: float) -> None:
        self._told.pop(node.uid, None)
        self._backoffs.pop(node.uid, None)
        promised = self.memory.promised.get(node.uid)
        if promised is None or list(promised) != node.prefixes:
            self.rival, self.passive_until = node.name, now + _PASSIVE
            self._tell("another allocator", node=node.name, ranges=node.ranges)

    def _assign(self, node: Node, ranges: tuple[Prefix, ...], now: float) -> bool:
        backoff = self._backoff(node.uid)
        try:
            problem = self._writer.assign(node, tuple(map(str, ranges)))
        except SourceFailed as error:
            problem = error.message
        if not problem:
            backoff.until = now + 30.0  # the watch shows it meanwhile
            self._tell("range assigned", node=node.name, ranges=list(map(str, ranges)))
            return True
        backoff.failed(now, permanent=False)
        self._tell("range not assigned", node=node.name, ranges=list(map(str, ranges)), error=problem)
        if backoff.failures == _TRIES and self._has_none(node):
            self._event(node, FAILED)
        return False

    def _has_none(self, node: Node) -> bool:
        """Return whether the node is there, and has no range; False also where nobody can say."""
        try:
            found = self._writer.read(node)
        except SourceFailed:
            return False
        spec = found.get("spec") if found else None
        return isinstance(spec, dict) and not spec.get("podCIDR")

    def _event(self, node: Node, reason: str) -> None:
        try:
            self._writer.event(node, COMPONENT, reason, f"Node {node.name} status is now: {reason}")
        except SourceFailed as error:
            self._tell("event not written", node=node.name, reason=reason, error=error.message)

    def _backoff(self, uid: str) -> Backoff:
        return self._backoffs.setdefault(uid, Backoff())


def together(work: Callable[[T], bool], items: Sequence[T]) -> int:
    """Do something for each of them, several at once; return for how many it came true."""
    if not items:
        return 0
    with ThreadPoolExecutor(_AT_ONCE, "writes") as pool:
        return sum(pool.map(work, items))
