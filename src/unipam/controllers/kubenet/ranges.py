"""Nodes are given their ranges: each promise stands until its node shows it, so no answer that is lost does harm."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from unipam.addr.prefix import Prefix
from unipam.controllers.backoff import Backoff
from unipam.controllers.term import Term
from unipam.controllers.together import together
from unipam.dialects.kubenet.node import Node
from unipam.dialects.kubenet.policy import Policy
from unipam.dialects.kubenet.ranges import Memory, Plan, desired, rested
from unipam.model.errors import SourceFailed
from unipam.model.finding import Finding

COMPONENT = "cidrAllocator"
SHORT, FAILED = "CIDRNotAvailable", "CIDRAssignmentFailed"
_TELL_AGAIN = 60.0
"""Seconds between two events about one node that finds no range."""
_PASSIVE = 300.0
"""Seconds that nothing is assigned after somebody else was seen to do it."""
_FIRST_LOOK = 3.0
"""Seconds for which the first node that waits is only looked at: another allocator would give it a range by then."""
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

    def __init__(self, policy: Policy, writer: NodeWriter, tell: Callable[..., None]) -> None:
        self.policy, self._writer, self._tell = policy, writer, tell
        self.memory = Memory()
        self.alone = False
        """Whether a node was seen to wait for so long that nobody else gives ranges."""
        self._first_waits = math.inf
        self._passive_until = 0.0
        self.rival = ""
        self._seen: dict[str, Node] | None = None
        self._told: dict[str, float] = {}
        self._backoffs: dict[str, Backoff] = {}

    def plan(self, nodes: Sequence[Node], now: float) -> Plan:
        """Note who has come and gone, and return who is to get which range; nobody while another allocator works."""
        self._note(nodes, now)
        plan = desired(nodes, self.policy, self.memory, now)
        if plan.assignments or plan.short:
            self._first_waits = min(self._first_waits, now)
            self.alone = self.alone or now >= self._first_waits + _FIRST_LOOK
        return Plan([], [], self.memory) if self._passive(now) else plan

    def carry_out(self, plan: Plan, nodes: Sequence[Node], now: float, term: Term) -> int:
        """Write what is promised and not shown yet, and tell of those who get nothing; return how many were served."""
        self.memory = plan.memory
        by_uid = {each.uid: each for each in nodes}
        due = [
            (by_uid[uid], ranges)
            for uid, ranges in plan.memory.promised.items()
            if uid in by_uid and self._backoff(uid).until <= now and not self._passive(now)
        ]
        untold = [each for each in plan.short if self._told.get(each.uid, -math.inf) <= now - _TELL_AGAIN]
        self._told |= dict.fromkeys((each.uid for each in untold), now)
        together(lambda each: term.lasts and self._event(each, SHORT), untold)
        return together(lambda each: term.lasts and self._assign(each[0], each[1], now), due)

    def due(self, now: float) -> float:
        """Return when there is something to do, if nothing happens until then."""
        pauses = [each.until for uid, each in self._backoffs.items() if uid in self.memory.promised]
        told = [moment + _TELL_AGAIN for moment in self._told.values()]
        looked = self._passive_until, self._first_waits + _FIRST_LOOK
        return min([each for each in (*pauses, *told, *looked) if each > now], default=now + 3600)

    def findings(self, now: float) -> list[Finding]:
        """Return whether another allocator is at work."""
        if not self.rival or now >= self._passive_until:
            return []
        text = f"somebody else gave node {self.rival} its range; nothing is assigned for {_PASSIVE:.0f} s after that"
        return [Finding("another allocator", self.rival, text, "end one of the two: --allocate-node-cidrs=false")]

    def _passive(self, now: float) -> bool:
        return now < self._passive_until or not self.alone

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
            self.rival, self._passive_until = node.name, now + _PASSIVE
            self.alone, self._first_waits = False, math.inf
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

    def _event(self, node: Node, reason: str) -> bool:
        try:
            problem = self._writer.event(node, COMPONENT, reason, f"Node {node.name} status is now: {reason}")
        except SourceFailed as error:
            problem = error.message
        if problem:
            self._tell("event not written", node=node.name, reason=reason, error=problem)
        return not problem

    def _backoff(self, uid: str) -> Backoff:
        return self._backoffs.setdefault(uid, Backoff())
