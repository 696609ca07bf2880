"""kubenet's controller: observes nodes and the route table, and has both controllers' plans carried out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from unipam.controllers.backoff import Backoff
from unipam.controllers.cloud import Jobs
from unipam.controllers.controller import FIRST_LIST
from unipam.controllers.election import Tell
from unipam.controllers.kubenet.ranges import NodeWriter, RangeKeeper
from unipam.controllers.kubenet.surroundings import Surroundings
from unipam.controllers.kubenet.table import Settings, TableKeeper
from unipam.controllers.kubenet.turnover import Turnover
from unipam.controllers.term import Term
from unipam.controllers.together import together
from unipam.dialects.kubenet import ranges, routes
from unipam.dialects.kubenet.node import Node
from unipam.dialects.kubenet.overlaps import within
from unipam.dialects.kubenet.policy import Policy
from unipam.model.errors import SourceFailed
from unipam.model.finding import Finding

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_LONGEST_WAIT = 60.0
_COMPONENT, _FAILED = "route_controller", "FailedToCreateRoute"
_OF_NODES = frozenset(("range outside", "range shared", "unreadable range"))
"""Findings about nodes that no other event tells."""


class Observed(NamedTuple):
    """The nodes, and the moment of the monotonic clock at which they were looked at."""

    nodes: Sequence[Node]
    at: float


class Changes(NamedTuple):
    """Ranges to give, the table to write, and what NetworkUnavailable is to say of which node."""

    ranges: ranges.Plan
    table: routes.Plan | None
    conditions: list[tuple[Node, bool]]
    observed: Observed


class Done(NamedTuple):
    """How many nodes were given ranges and conditions."""

    ranges: int
    conditions: int


class Nodes(Protocol):
    """The cluster's nodes, as a mirror keeps them."""

    def snapshot(self) -> Mapping[str, Node]:
        """Return them by name. Raises SourceFailed."""

    def close(self) -> None:
        """Let go of the watch."""


class Kubenet:
    """A Controller (`controllers.controller`). `now` is a monotonic clock."""

    name = "kubenet"

    def __init__(  # noqa: PLR0913, PLR0917 (its parts)
        self,
        policy: Policy,
        settings: Settings,
        nodes: Callable[[Callable[[], None]], Nodes],
        writer: NodeWriter,
        jobs: Jobs,
        tell: Tell,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy, self._writer, self._tell, self._now = policy, writer, tell, now
        self._make_nodes = nodes
        self._nodes: Nodes | None = None
        self._settings, self._jobs = settings, jobs
        self.ranges, self.table = self._keepers()
        self.surroundings = Surroundings(settings.subnet, policy, jobs, tell, self._wake)
        self._term: Term | None = None
        self._told: set[Finding] = set()
        self._turnover = Turnover()
        self._observed = Observed((), 0.0)
        self._blamed: dict[str, str] = {}
        self._backoffs: dict[str, Backoff] = {}
        """By node's UID: until when its condition is not written, which could not be."""

    def observe(self, term: Term) -> Observed:
        """See `Controller.observe`."""
        if self._term not in {None, term}:  # another one has led meanwhile, perhaps: it did what has changed
            self.ranges, self.table = self._keepers()
        self._term = term
        self._jobs.lead(term)
        if self._nodes is None:
            self._nodes = self._make_nodes(self._wake)
            term.wait(FIRST_LIST)
        now = self._now()
        due = min(self.ranges.due(now), self.table.due(now), self.surroundings.due)
        term.wait(max(0.0, min(due - now, _LONGEST_WAIT)))
        return Observed(tuple(self._nodes.snapshot().values()), self._now())

    def _keepers(self) -> tuple[RangeKeeper, TableKeeper]:
        """Return those who have seen nothing yet."""
        table = TableKeeper(self._settings, self._policy, self._jobs, self._tell, self._wake)
        return RangeKeeper(self._policy, self._writer, self._tell), table

    def desired(self, observed: Observed, now: float) -> Changes:  # noqa: ARG002 (moments are the monotonic clock's)
        """See `Controller.desired`."""
        nodes, at = observed
        plan, given = self.table.plan(nodes, at), self.ranges.plan(nodes, at)
        self.surroundings.look(at)
        if not any(each.ranges for each in nodes) and (self.surroundings.findings or not self.surroundings.known):
            given = ranges.Plan([], [], self.ranges.memory)  # the first range is given when it is sure that it may be
        return Changes(given, plan, self._conditions(nodes, plan, at), observed)

    def carry_out(self, changes: Changes, term: Term) -> Done:
        """See `Controller.carry_out`."""
        nodes, at = changes.observed
        served = self.ranges.carry_out(changes.ranges, nodes, at, term)
        if term.lasts:
            self.table.act(changes.table, nodes, at)
        done = together(lambda each: term.lasts and self._set(*each), changes.conditions)
        return Done(served, done)

    def report(self, observed: Observed, done: Done) -> None:  # noqa: ARG002 (each write is told when it is made)
        """See `Controller.report`."""
        self._observed = observed
        self._turnover.note(observed.nodes, self._policy)
        found = set(self.findings())
        by_name = {each.name: each for each in observed.nodes}
        for each in sorted(found - self._told):
            self._tell("finding", **each._asdict())
            if each.kind in _OF_NODES and each.about in by_name:
                self._event(by_name[each.about], each)
        for each in sorted(self._told - found):
            self._tell("finding gone", kind=each.kind, about=each.about)
        self._told = found

    def _event(self, node: Node, found: Finding) -> None:
        """Tell whoever describes the node what is wrong with it, and the way out: once, when it is found."""
        reason = found.kind.title().replace(" ", "")
        try:
            problem = self._writer.event(node, "unipam-kubenet", reason, f"{found.text}; {found.way_out}", warning=True)
        except SourceFailed as error:
            problem = error.message
        if problem:
            self._tell("event not written", node=node.name, reason=reason, error=problem)

    def findings(self) -> list[Finding]:
        """Return what is wrong, by what was observed last."""
        nodes, at = self._observed.nodes, self._now()  # the round may have been long, and answers have come in it
        plan = self.table.plan(nodes, at)
        of_routes = plan.findings if plan else []
        return [
            *ranges.findings(nodes, self._policy), *self.ranges.findings(at), *of_routes, *self.table.findings(at),
            *self.surroundings.findings, *within(self._policy),
        ]  # fmt: skip

    def metrics(self) -> Iterable[Metric]:
        """See `Controller.metrics`."""
        from unipam.controllers.kubenet.measures import metrics

        return metrics(self._observed.nodes, self._policy, self._told, self.table, self._turnover)

    def close(self) -> None:
        """See `Controller.close`."""
        if self._nodes is not None:
            self._nodes.close()
        self._jobs.close()

    def _wake(self) -> None:
        if (term := self._term) is not None:
            term.wake()

    def _conditions(self, nodes: Sequence[Node], plan: routes.Plan | None, now: float) -> list[tuple[Node, bool]]:
        """Return what to say of whom: a route is created when it was read back and has had time to be used."""
        served = self.table.served(nodes, now)
        unserved = {**(plan.unserved if plan else {}), **self.table.failed}
        there = {each.uid for each in nodes}
        self._backoffs = {uid: each for uid, each in self._backoffs.items() if uid in there}
        found = []
        for node in nodes:
            if (backoff := self._backoffs.get(node.uid)) and now < backoff.until:
                continue
            if served.get(node.name) and node.condition != ("False", "RouteCreated"):
                found.append((node, True))
            elif not served.get(node.name) and node.name in unserved and node.condition != ("True", "NoRouteCreated"):
                found.append((node, False))
        self._blamed = unserved
        return found

    def _set(self, node: Node, created: bool) -> bool:
        try:
            problem = self._writer.condition(node, created=created)
            if not created and not problem:
                why = self._blamed.get(node.name, "")
                text = f"Could not create route {node.uid} {','.join(node.ranges)} for node {node.name}: {why}"
                self._writer.event(node, _COMPONENT, _FAILED, text, warning=True)
        except SourceFailed as error:
            problem = error.message
        if problem:
            self._backoffs.setdefault(node.uid, Backoff()).failed(self._now(), permanent=False)
            self._tell("condition not written", node=node.name, error=problem)
        else:
            self._backoffs.pop(node.uid, None)
        return not problem
