"""The operator: observes CiliumNodes and Azure, has each node served to its end, and publishes what it has."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from unipam.controllers.backoff import Backoff
from unipam.controllers.cilium.asking import Asking
from unipam.controllers.cilium.measures import Measures
from unipam.controllers.cilium.requests import Requests
from unipam.controllers.cilium.serving import Serving
from unipam.controllers.cilium.step import Step
from unipam.controllers.cloud import Jobs
from unipam.controllers.controller import FIRST_LIST
from unipam.controllers.election import Tell
from unipam.controllers.term import Term
from unipam.controllers.together import together
from unipam.dialects.cilium import foreign, rivals
from unipam.dialects.cilium.nics import Nic, Subnet
from unipam.dialects.cilium.node import CiliumNode, Published, as_it_is, published, spec_patch, status_patch
from unipam.dialects.cilium.planning import Grow, Policy, Short, deficit, growth
from unipam.dialects.cilium.releasing import HIDDEN_FOR, NOTHING, release
from unipam.model.errors import Behind, SourceFailed

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_LONGEST_WAIT = 5.0


class Nodes(Protocol):
    """The CiliumNodes, as a mirror keeps them."""

    def snapshot(self) -> Mapping[str, CiliumNode]:
        """Return them by name. Raises SourceFailed."""

    def close(self) -> None:
        """Let go of the watch."""


class NodeWriter(Protocol):
    """What `writing.Writer` does."""

    def publish(self, node: CiliumNode, said: Published) -> bool:
        """Write what differs; return whether the node says all of it now. Raises SourceFailed."""

    def tell(self, node: CiliumNode, reason: str, message: str, *, warning: bool) -> None:
        """Tell whoever describes the node. Raises SourceFailed."""


class Pods(Protocol):
    """What `pods.Pods` does."""

    def look(self, now: float) -> float:
        """See how pods are; return when to look again."""

    def known(self, now: float) -> bool:
        """Return whether what is known of pods suffices to offer addresses."""

    def waiting(self, node: str) -> int:
        """Return how many pods of a node wait for an address."""

    def foreign(self, node: str, addresses: Iterable[str], now: float) -> dict[str, str]:
        """Return the pods of a node that have these addresses, and that Cilium does not run."""

    def close(self) -> None:
        """Let go of the watch."""


class Observed(NamedTuple):
    """The nodes, and the moment of the monotonic clock at which they were looked at."""

    nodes: Mapping[str, CiliumNode]
    at: float


class Changes(NamedTuple):
    """What is to be done, the neediest node first."""

    steps: list[Step]
    at: float


class Done(NamedTuple):
    """How many CiliumNodes were written."""

    written: int


class Operator:
    """A Controller (`controllers.controller`) of the machines in one resource group. `now` is a monotonic clock."""

    name = "cilium"

    def __init__(  # noqa: PLR0913, PLR0917 (its parts)
        self,
        group: str,
        policy: Policy,
        nodes: Callable[[Callable[[], None]], Nodes],
        writer: NodeWriter,
        azure: Jobs,
        tell: Tell,
        pods: Callable[[], Pods] | None = None,
        now: Callable[[], float] = time.monotonic,
        dice: random.Random | None = None,
    ) -> None:
        self._policy, self._writer, self._azure, self._tell, self._now = policy, writer, azure, tell, now
        self._make_nodes = nodes
        self._nodes: Nodes | None = None
        self._make_pods = pods
        self._pods: Pods | None = None
        self._group, self._measures, self._requests = group, Measures(policy), Requests()
        azure.listen(self._requests.note)
        self._dice = dice or random.Random()  # noqa: S311 (names, which must differ and not be secret)
        self._observed = Observed({}, 0.0)
        self._term: Term | None = None
        self._next_pods = math.inf
        self._begin()

    def _begin(self) -> None:
        """Know nothing: what was known before a term is of a time in which another process may have led."""
        self._asking = Asking(self._azure, self._wake)
        self._serving = Serving(self._group, self._policy, self._asking, self._tell, self._dice, self._measures)
        self._inventory = self._serving.inventory
        self._steps: dict[str, Step] = {}
        self._serving.surveys.unpublished = self._steps.clear
        self._written: dict[str, tuple[str, Published]] = {}
        self._refused: dict[str, Backoff] = {}
        """By node: until when it is not written, since the API server refuses what would be."""
        self._due = 0.0

    def observe(self, term: Term) -> Observed:
        """See `Controller.observe`."""
        if term is not self._term:
            self._begin()
            self._term = term
            self._azure.lead(term)
        if self._nodes is None:
            self._nodes = self._make_nodes(self._wake)
            self._pods = self._make_pods() if self._make_pods else None
            term.wait(FIRST_LIST)
        term.wait(max(0.0, min(self.due() - self._now(), _LONGEST_WAIT)))
        now = self._now()
        self._asking.settle(now)
        self._next_pods = self._pods.look(now) if self._pods else math.inf
        return Observed(self._nodes.snapshot(), now)

    def due(self) -> float:
        """Return when there is something to do, if nothing happens until then."""
        return min(self._due, self._serving.surveys.due(), self._next_pods)

    def desired(self, observed: Observed, now: float) -> Changes:  # noqa: ARG002 (moments are the monotonic clock's)
        """See `Controller.desired`. Nodes for whom all is as it was are passed over."""
        if not self._inventory.surveyed or (self._pods and not self._pods.known(observed.at)):
            return Changes([], observed.at)
        room = self._inventory.room()
        others = rivals.rivals(observed.nodes.values(), self._inventory.nics)
        nodes = [each for each in observed.nodes.values() if self._is_news(each) or each.name in others]
        nodes.sort(key=lambda each: (-deficit(each, self._inventory.nics(each.instance), self._policy), each.name))
        steps = [
            self._rival(each, others[each.name]) if each.name in others else self._step(each, room, observed.at)
            for each in nodes
        ]
        self._serving.news.clear()
        return Changes(steps, observed.at)

    def carry_out(self, changes: Changes, term: Term) -> Done:
        """See `Controller.carry_out`."""
        for step in changes.steps:
            self._steps[step.node.name] = step
        self._serving.serve(changes.steps, changes.at, term)
        said = [each for each in changes.steps if each.said is not None and self._differs(each) and self._may_say(each)]
        done = Done(together(lambda each: term.lasts and self._publish(each), said))
        self._due = self._next_due(changes.at)
        return done

    @property
    def problems(self) -> list[str]:
        """Return what the last survey could not read, as long as nothing was surveyed as a whole."""
        return [] if self._inventory.surveyed else self._inventory.problems

    def report(self, observed: Observed, done: Done) -> None:  # noqa: ARG002 (each write is told when it is made)
        """See `Controller.report`. Raises Behind as long as nothing is known of Azure, since lists are refused."""
        self._observed = observed
        for name in [each for each in self._steps if each not in observed.nodes]:
            self._serving.forget(name)
            self._steps.pop(name)
            self._written.pop(name, None)
            self._refused.pop(name, None)
        if self.problems:
            raise Behind(f"nothing is known of Azure yet: {self.problems[0]}", self._asking.heard, source="azure")

    def metrics(self) -> Iterator[Metric]:
        """See `Controller.metrics`."""
        yield from self._measures.metrics(self._observed.nodes.values(), self._inventory)
        yield from self._requests.metrics()

    def close(self) -> None:
        """See `Controller.close`."""
        for each in (self._nodes, self._pods):
            if each is not None:
                each.close()
        self._azure.close()

    def _wake(self) -> None:
        if (term := self._term) is not None:
            term.wake()

    def _is_news(self, node: CiliumNode) -> bool:
        """Return whether anything is different, or to be done, since the node was last looked at."""
        step = self._steps.get(node.name)
        if step is None or step.node is not node or step.nics is not self._inventory.nics(node.instance):
            return True
        if node.name in self._serving.news:
            return True
        open_ends = (
            step.growth is not None
            or step.release.since
            or step.release.states
            or step.taken
            or node.wants_static_ip
            or node.instance in self._serving.taking
        )
        return bool(open_ends) and not self._serving.busy(node)

    def _step(self, node: CiliumNode, room: dict[str, Subnet], now: float) -> Step:
        """Return what is to be done about a node, and take it out of the room that is left for others."""
        every, before = self._inventory.nics(node.instance), self._steps.get(node.name)
        if before is not None and before.node.uid != node.uid:  # another one, made under its name
            self._serving.forget(node.name)
            before = None
        taken = self._foreign(node, every, now)
        nics = foreign.without(every, taken)
        grow = growth(node, nics, room, self._policy, self._pods.waiting(node.name) if self._pods else 0)
        if isinstance(grow, Grow) and grow.more:
            subnet = room[grow.nic.subnet.lower()]
            room[grow.nic.subnet.lower()] = subnet._replace(free=subnet.free - grow.more)
        going_on = release(node, nics, self._policy, before.release.since if before else {}, now)
        if grow is None and not going_on.take and not node.wants_static_ip:
            self._serving.errors.pop(node.name, None)  # what failed has come about all the same
        error = self._error(node, nics, grow, now) or foreign.told(taken)
        going = {*self._serving.taking.get(node.instance, ()), *self._serving.strays(node), *going_on.hidden}
        said = as_it_is(node, error) if error else None
        if nics:
            whole = published(nics, self._inventory.subnets, going_on.states, error, node.pool, going)
            said = whole._replace(static_ip=self._serving.static_ip(node))
        return Step(node, every, taken, grow, going_on, said)

    def _error(self, node: CiliumNode, nics: Sequence[Nic], grow: Grow | Short | None, now: float) -> str:
        """Return why a node cannot be served.

        Nothing is said of a new machine that no list has shown yet, nor of one just gone, whose node may follow.
        """
        missing = self._serving.surveys.is_missing(node, nics, now)
        if node.pool and not nics and not missing:
            return ""
        why = grow.why if isinstance(grow, Short) and (nics or missing) else ""
        return self._serving.errors.get(node.name, "") or why

    def _rival(self, node: CiliumNode, first: str) -> Step:
        """Return what is done about a node whose machine is another's: it keeps what it has, and is told why."""
        why = rivals.told(first)
        nics, said = self._inventory.nics(node.instance), as_it_is(node, why)
        return Step(node, nics, {}, Short(0, why), NOTHING, said, first)

    def _foreign(self, node: CiliumNode, nics: Iterable[Nic], now: float) -> Mapping[str, str]:
        """Return what something else on the machine has: only what was never offered to the agent can be."""
        if self._pods is None:
            return {}
        return foreign.foreign(node, nics, self._pods, now)

    def _next_due(self, now: float) -> float:
        marks = [
            moment + self._policy.release_after + hidden
            for step in self._steps.values()
            for moment in set(step.release.since.values())
            for hidden in (0.0, HIDDEN_FOR)
        ]
        rests = (*self._serving.resting(), *(each.until for each in self._refused.values()))
        return min((each for each in (*rests, *marks) if each > now), default=math.inf)

    def _differs(self, step: Step) -> bool:
        """Return whether something is to be written that has not just been: the mirror shows it a moment later."""
        assert step.said is not None
        if self._written.get(step.node.name) == (step.node.revision, step.said):
            return False
        return bool(status_patch(step.node, step.said) or spec_patch(step.node, step.said))

    def _may_say(self, step: Step) -> bool:
        """Return whether a node may be written; one that was refused is looked at again when that is over."""
        name = step.node.name
        if name in self._refused and self._now() < self._refused[name].until:
            self._steps.pop(name, None)
            return False
        return True

    def _publish(self, step: Step) -> bool:
        assert step.said is not None
        try:
            written = self._writer.publish(step.node, step.said)
        except SourceFailed as error:
            self._tell("node not written", node=step.node.name, error=error.message)
            if "status" in error.facts:
                self._refused.setdefault(step.node.name, Backoff()).failed(self._now(), permanent=False)
            written = False
        if written:
            self._refused.pop(step.node.name, None)
            self._written[step.node.name] = (step.node.revision, step.said)
            self._post(step.node, step.said.error)
        else:
            self._steps.pop(step.node.name, None)
        return written

    def _post(self, node: CiliumNode, error: str) -> None:
        """Tell whoever describes the node of a problem that is new, or over."""
        if error == node.error:
            return
        try:
            if error:
                self._writer.tell(node, "AddressesShort", error, warning=True)
            else:
                self._writer.tell(node, "AddressesServed", "its addresses are as they should be again", warning=False)
        except SourceFailed as failure:
            self._tell("event not written", node=node.name, error=failure.message)
