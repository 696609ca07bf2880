"""The operator: observes CiliumNodes and Azure, has each node served to its end, and publishes what it has."""

from __future__ import annotations

import math
import queue
import random
import string
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from unipam.clients.azure.write.jobs import Job
from unipam.clients.azure.write.verdicts import judge
from unipam.controllers.backoff import Backoff
from unipam.controllers.cilium import jobs
from unipam.controllers.cilium.inventory import Inventory
from unipam.controllers.cilium.jobs import Model, Served, Survey
from unipam.controllers.cilium.measures import Measures
from unipam.controllers.cloud import Jobs
from unipam.controllers.election import Tell
from unipam.controllers.kubenet.ranges import together
from unipam.controllers.term import Term
from unipam.dialects.cilium.formulas import MOST, to_add
from unipam.dialects.cilium.machine import COMPUTE, Machine, is_of_scale_set, machine_of, scale_set_of
from unipam.dialects.cilium.nics import Nic, Subnet
from unipam.dialects.cilium.node import CiliumNode, Published, published, spec_patch, status_patch
from unipam.dialects.cilium.planning import Grow, Handshake, Policy, Short, deficit, growth, handshake
from unipam.model.errors import SourceFailed

if TYPE_CHECKING:
    from prometheus_client.core import Metric

RESYNC = 60.0
"""Seconds between two surveys of everything."""
_LIST_MODELS_FROM = 3
"""Machines of one scale set whose models are missing from which on they are listed instead of read one by one."""
_LONGEST_WAIT = 5.0
_SURVEY, _MODELS = "survey", "models"


class Nodes(Protocol):
    """The CiliumNodes, as a mirror keeps them."""

    def snapshot(self) -> Mapping[str, CiliumNode]:
        """Return them by name. Raises SourceFailed."""

    def close(self) -> None:
        """Let go of the watch."""


class NodeWriter(Protocol):
    """What `writing.Writer` does."""

    def publish(self, node: CiliumNode, said: Published) -> bool:
        """Write what differs; return whether anything was. Raises SourceFailed."""


class Observed(NamedTuple):
    """The nodes, and the moment of the monotonic clock at which they were looked at."""

    nodes: Mapping[str, CiliumNode]
    at: float


class Step(NamedTuple):
    """What is to be done about one node."""

    node: CiliumNode
    nics: Sequence[Nic]
    growth: Grow | Short | None
    release: Handshake
    said: Published | None


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
        now: Callable[[], float] = time.monotonic,
        dice: random.Random | None = None,
    ) -> None:
        self._group, self._policy, self._writer, self._azure = group, policy, writer, azure
        self._tell, self._now = tell, now
        self._make_nodes = nodes
        self._nodes: Nodes | None = None
        self._dice = dice or random.Random()  # noqa: S311 (names, which must differ and not be secret)
        self.inventory = Inventory(use_primary=policy.use_primary)
        self.measures = Measures()
        self._outcomes: queue.SimpleQueue[Callable[[float], None]] = queue.SimpleQueue()
        self._next_survey = 0.0
        self._backoffs: dict[str, Backoff] = {}
        self._errors: dict[str, str] = {}
        self._written: dict[str, tuple[str, Published]] = {}
        self._busy: set[str] = set()
        self._taking: dict[str, list[str]] = {}
        self._listed: dict[str, float] = {}
        self._steps: dict[str, Step] = {}
        self._observed = Observed({}, 0.0)
        self._term: Term | None = None
        self._due = 0.0

    def observe(self, term: Term) -> Observed:
        """See `Controller.observe`."""
        self._term = term
        self._azure.lead(term)
        if self._nodes is None:
            self._nodes = self._make_nodes(self._wake)
        term.wait(max(0.0, min(self.due() - self._now(), _LONGEST_WAIT)))
        now = self._now()
        while not self._outcomes.empty():
            self._outcomes.get_nowait()(now)
        return Observed(self._nodes.snapshot(), now)

    def due(self) -> float:
        """Return when there is something to do, if nothing happens until then."""
        return min(self._due, math.inf if self._azure.busy(_SURVEY) else self._next_survey)

    def desired(self, observed: Observed, now: float) -> Changes:  # noqa: ARG002 (moments are the monotonic clock's)
        """See `Controller.desired`. Nodes for whom all is as it was are passed over."""
        if not self.inventory.surveyed:
            return Changes([], observed.at)
        room = self.inventory.room()
        nodes = [each for each in observed.nodes.values() if self._is_news(each)]
        nodes.sort(key=lambda each: (-deficit(each, self.inventory.nics(each.instance)), each.name))
        steps = [self._step(each, room, observed.at) for each in nodes]
        return Changes(steps, observed.at)

    def carry_out(self, changes: Changes, term: Term) -> Done:
        """See `Controller.carry_out`."""
        now = changes.at
        if now >= self._next_survey and not self._azure.busy(_SURVEY):
            self._begin_survey(now)
        for step in changes.steps:
            self._steps[step.node.name] = step
        self._list_models(changes.steps, now)
        for step in changes.steps if term.lasts else ():
            self._serve(step, now)
        self._due = self._next_due(now)
        said = [each for each in changes.steps if each.said is not None and self._differs(each)]
        return Done(together(lambda each: term.lasts and self._publish(each), said))

    def report(self, observed: Observed, done: Done) -> None:  # noqa: ARG002 (each write is told when it is made)
        """See `Controller.report`."""
        self._observed = observed
        for name in [each for each in self._steps if each not in observed.nodes]:
            for of_node in (self._steps, self._written, self._backoffs, self._errors):
                of_node.pop(name, None)

    def metrics(self) -> Iterable[Metric]:
        """See `Controller.metrics`."""
        return self.measures.metrics(self._observed.nodes.values(), self.inventory)

    def close(self) -> None:
        """See `Controller.close`."""
        if self._nodes is not None:
            self._nodes.close()
        self._azure.close()

    def _wake(self) -> None:
        if (term := self._term) is not None:
            term.wake()

    def _is_news(self, node: CiliumNode) -> bool:
        """Return whether anything is different, or to be done, since the node was last looked at."""
        step = self._steps.get(node.name)
        if step is None or step.node is not node or step.nics is not self.inventory.nics(node.instance):
            return True
        open_ends = step.growth is not None or step.release.since or step.release.states
        return bool(open_ends) and not self._azure.busy(node.instance)

    def _step(self, node: CiliumNode, room: dict[str, Subnet], now: float) -> Step:
        """Return what is to be done about a node, and take it out of the room that is left for others."""
        nics, before = self.inventory.nics(node.instance), self._steps.get(node.name)
        grow = growth(node, nics, room, self._policy)
        if isinstance(grow, Grow):
            subnet = room[grow.nic.subnet.lower()]
            room[grow.nic.subnet.lower()] = subnet._replace(free=subnet.free - grow.more)
        release = handshake(node, nics, self._policy, before.release.since if before else {}, now)
        error = self._errors.get(node.name, "") or (grow.why if isinstance(grow, Short) and nics else "")
        going = self._taking.get(node.instance, ())
        said = published(nics, self.inventory.subnets, release.states, error, node.pool, going) if nics else None
        return Step(node, nics, grow, release, said)

    def _next_due(self, now: float) -> float:
        backoffs = [each.until for each in self._backoffs.values()]
        marks = [
            moment + self._policy.release_after
            for step in self._steps.values()
            for moment in step.release.since.values()
        ]
        return min((each for each in (*backoffs, *marks) if each > now), default=math.inf)

    # What Azure is asked

    def _begin_survey(self, now: float) -> None:
        self._next_survey = now + RESYNC

        def surveyed(found: Survey, at: float) -> None:
            self.inventory.surveyed_all(found, self._busy)
            if found.problems:
                self._tell("survey incomplete", problems=found.problems)
            if not self.inventory.surveyed:
                self._next_survey = at + 5.0

        self._start(_SURVEY, jobs.survey(self._group, now, self.inventory.subnet_ids), surveyed, math.inf)

    def _list_models(self, steps: Iterable[Step], now: float) -> None:
        """Read the models of whole scale sets where several machines need theirs."""
        lacking = Counter(found for each in steps if (found := self._lacks_model(each)))
        for scale_set, count in lacking.items():
            if count >= _LIST_MODELS_FROM and now >= self._listed.get(scale_set, 0.0):
                self._listed[scale_set] = now + RESYNC
                self._start((_MODELS, scale_set), jobs.models(scale_set), self._learn_models, math.inf)

    def _learn_models(self, found: Mapping[str, Model] | SourceFailed, _: float) -> None:
        if not isinstance(found, SourceFailed):  # else they are read one by one
            self.inventory.learn_models(found)

    def _lacks_model(self, step: Step) -> str:
        """Return the scale set of a machine that is to be written and whose model is not known."""
        if not isinstance(step.growth, Grow) or self.inventory.model(step.node.instance):
            return ""
        return scale_set_of(step.growth.nic.id)

    def _serve(self, step: Step, now: float) -> None:
        node = step.node
        if not node.instance or self._azure.busy(node.instance) or now < self._backoff(node.name).until:
            return
        if self._azure.busy((_MODELS, self._lacks_model(step))):
            return
        if isinstance(step.growth, Grow):
            self._grow(step, step.growth)
        elif step.growth is not None and not step.nics:
            self._join(node)
        elif step.release.take:
            self._shrink(step)

    def _grow(self, step: Step, grow: Grow) -> None:
        machine, known = machine_of(grow.nic.id), len(grow.nic.addresses)
        self.inventory.grant(grow.nic.subnet, grow.more)

        def wanted(configurations: Sequence[object]) -> int:
            return grow.more - max(0, len(configurations) - known)

        job = jobs.grow(machine, self.inventory.model(machine.path), wanted, self._names())
        self._start_node(step.node, machine, job, grow)

    def _join(self, node: CiliumNode) -> None:
        """Serve a machine that no list has shown yet by its model, which says what there is and where."""
        if not is_of_scale_set(node.instance):
            return

        def wanted(configurations: Sequence[object]) -> int:
            available = len(configurations) - 1
            return min(to_add(available, node.in_use, node.wanted, strict=self._policy.strict), MOST - 1 - available)

        machine = Machine(node.instance, COMPUTE, node.wanted.interface)
        self._start_node(node, machine, jobs.grow(machine, None, wanted, self._names()), None)

    def _shrink(self, step: Step) -> None:
        for nic in sorted(step.nics, key=lambda each: each.id):
            gone = {each.configuration for each in nic.available if each.ip in step.release.take}
            if gone:
                machine = machine_of(nic.id)
                job = jobs.shrink(machine, self.inventory.model(machine.path), gone)
                self._taking[step.node.instance] = step.release.take
                self._start_node(step.node, machine, job, None)
                return

    def _start_node(self, node: CiliumNode, machine: Machine, job: Job[Served], grow: Grow | None) -> None:
        self._busy.add(node.instance)

        def ended(result: Served | SourceFailed, now: float) -> None:
            self._busy.discard(node.instance)
            taking = self._taking.pop(node.instance, None)
            if taking and isinstance(result, SourceFailed):
                self.inventory.forget(node.instance)  # whether they are gone is not known: it is looked at anew
            if isinstance(result, SourceFailed):
                self._failed(node, machine, grow, result, now)
            else:
                self._served(node, machine, grow, result, now)

        urgency = float(grow.wanted if grow else node.wanted.pre)
        self._start(node.instance, job, ended, urgency)

    def _served(self, node: CiliumNode, machine: Machine, grow: Grow | None, result: Served, now: float) -> None:
        self.inventory.served(machine.path, node.instance, result, now)
        backoff = self._backoff(node.name)
        if result.changed:
            backoff.succeeded()
        else:
            backoff.failed(now, permanent=False)  # what was known of it was old, or it does not do as it is told
        self._errors.pop(node.name, None)
        subnets = {each.subnet for each in self.inventory.nics(node.instance)}
        self.inventory.grant(min(subnets, default=""), result.changed - (grow.more if grow else 0))
        self.measures.served(min(subnets, default=""), result.changed)
        for subnet in subnets - {each.id for each in self.inventory.subnets.values()}:
            self._start(subnet, jobs.read_subnet(subnet, []), self._learn_subnet, math.inf)
        if result.changed:
            self._tell("addresses changed", node=node.name, by=result.changed)

    def _learn_subnet(self, found: Subnet | SourceFailed | None, _: float) -> None:
        if isinstance(found, Subnet):
            self.inventory.learn_subnet(found)
            self._steps.clear()  # whoever is in it is published anew

    def _failed(self, node: CiliumNode, machine: Machine, grow: Grow | None, error: SourceFailed, now: float) -> None:
        verdict = judge(error)
        self.inventory.forget_model(machine.path)
        if grow is not None:
            self.inventory.grant(grow.nic.subnet, -grow.more)
            if verdict.code == "SubnetIsFull":
                self.inventory.exhausted(grow.nic.subnet)
        backoff = self._backoff(node.name)
        backoff.failed(now, permanent=verdict.permanent, least=verdict.wait)
        self._errors[node.name] = f"{verdict.code or 'no answer'}: {error.message}"
        self._steps.pop(node.name, None)
        self.measures.failed()
        self._tell("machine not served", node=node.name, code=verdict.code, error=error.message,
                   again_in=round(backoff.until - now, 1))  # fmt: skip

    def _names(self) -> Iterator[str]:
        letters = string.ascii_lowercase + string.digits
        while True:
            yield "".join(self._dice.choices(letters, k=8))

    def _start(self, name: Hashable, job: Job[Any], done: Callable[[Any, float], None], urgency: float) -> None:
        def came(result: Any) -> None:
            self._outcomes.put(lambda now: done(result, now))
            self._wake()

        self._azure.start(name, job, came, urgency)

    def _backoff(self, name: str) -> Backoff:
        return self._backoffs.setdefault(name, Backoff())

    # What the cluster is told

    def _differs(self, step: Step) -> bool:
        """Return whether something is to be written that has not just been: the mirror shows it a moment later."""
        assert step.said is not None
        if self._written.get(step.node.name) == (step.node.revision, step.said):
            return False
        return bool(status_patch(step.node, step.said) or spec_patch(step.node, step.said))

    def _publish(self, step: Step) -> bool:
        assert step.said is not None
        try:
            self._writer.publish(step.node, step.said)
        except SourceFailed as error:
            self._tell("node not written", node=step.node.name, error=error.message)
            self._steps.pop(step.node.name, None)
            return False
        self._written[step.node.name] = (step.node.revision, step.said)
        return True
