"""What is asked of Azure for nodes: surveys of everything, and a job for each machine that is to be served."""

from __future__ import annotations

import math
import queue
import random
import string
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from unipam.clients.azure.write.jobs import STRAY, Job
from unipam.clients.azure.write.verdicts import Kind, judge
from unipam.controllers.backoff import Backoff
from unipam.controllers.cilium import jobs, surveying
from unipam.controllers.cilium.inventory import Inventory
from unipam.controllers.cilium.jobs import Model, More, Served, Unserved, counted
from unipam.controllers.cilium.measures import Measures
from unipam.controllers.cilium.static_ip import Assigned, assign
from unipam.controllers.cilium.surveying import Survey
from unipam.controllers.cloud import Jobs
from unipam.controllers.election import Tell
from unipam.controllers.term import Term
from unipam.dialects.cilium.formulas import MOST, to_add
from unipam.dialects.cilium.leftovers import Known
from unipam.dialects.cilium.machine import COMPUTE, Machine, is_of_scale_set, machine_of, scale_set_of
from unipam.dialects.cilium.nics import Nic, Subnet, is_other
from unipam.dialects.cilium.node import CiliumNode, Published
from unipam.dialects.cilium.planning import Grow, Policy, Short
from unipam.dialects.cilium.releasing import Handshake, withheld
from unipam.model.errors import SourceFailed

RESYNC = 60.0
"""Seconds between two surveys of everything."""
_FIRST = 5.0
"""The same as long as nothing was surveyed as a whole; each time twice as many."""
_LIST_MODELS_FROM = 3
"""Machines of one scale set whose models are missing from which on they are listed instead of read one by one."""
_FORBIDDEN = 403
_SURVEY, _MODELS = "survey", "models"


class Step(NamedTuple):
    """What is to be done about one node."""

    node: CiliumNode
    nics: Sequence[Nic]
    taken: Mapping[str, str]
    """Addresses that something else on the machine has, and the pods that have them."""
    growth: Grow | Short | None
    release: Handshake
    said: Published | None
    rival: str = ""
    """The CiliumNode whose machine it is, where it is not this one's."""


class Serving:
    """Jobs under way, how they ended, and what is known by them. `wake` is called when one has ended.

    One thread calls it; jobs end in another one, and what they bring is taken in by `settle`.
    """

    def __init__(
        self,
        group: str,
        policy: Policy,
        azure: Jobs,
        tell: Tell,
        wake: Callable[[], None],
        dice: random.Random,
    ) -> None:
        self._group, self._policy, self._azure, self._tell, self._wake, self._dice = (
            group, policy, azure, tell, wake, dice,
        )  # fmt: skip
        self.inventory = Inventory(use_primary=policy.use_primary)
        self.measures = Measures(policy)
        self.errors: dict[str, str] = {}
        """By node: what Azure said of the last job that failed."""
        self._static_ips: dict[str, tuple[str, str]] = {}
        """By node: its uid, and the public address that it was given."""
        self._unseen: dict[str, float] = {}
        """By node: since when its machine is in no list."""
        self.taking: dict[str, list[str]] = {}
        """By machine: the addresses that are being taken from it. A write that got no answer may arrive as long as the
        model has the version at which it was sent: so they are taken to the end, whoever needs them meanwhile."""
        self.news: set[str] = set()
        """Nodes of which there is something new to say, though neither they nor their interfaces have changed."""
        self.unpublished: Callable[[], None] = lambda: None
        """Is called when a subnet was learnt: whoever is in it is to be published anew."""
        self._outcomes: queue.SimpleQueue[Callable[[float], None]] = queue.SimpleQueue()
        self._next_survey = self._round = 0.0
        self._strays = math.inf
        """Until when a write may arrive that the process before this one has sent."""
        self._surveyed, self._first = 0.0, _FIRST / 2
        self._versions: set[str] = set()
        """Machines whose models have a version that this process has made: no other write arrives at them."""
        self._backoffs: dict[str, Backoff] = {}
        self._busy: set[str] = set()
        self._listed: dict[str, float] = {}

    def settle(self, now: float) -> None:
        """Take in what has ended."""
        while not self._outcomes.empty():
            self._outcomes.get_nowait()(now)

    def heard(self) -> bool:
        """Return whether something has ended that was not taken in yet."""
        return not self._outcomes.empty()

    def due(self) -> float:
        """Return when the next survey is."""
        return math.inf if self._azure.busy(_SURVEY) else self._next_survey

    def busy(self, node: CiliumNode) -> bool:
        """Return whether a job for its machine is under way."""
        return self._azure.busy(node.instance)

    def strays(self, node: CiliumNode) -> set[str]:
        """Return the addresses that the process before this one may be taking from a node's machine, unbeknownst."""
        if not self._policy.release or self._surveyed >= self._strays or node.instance in self._versions:
            return set()
        return withheld(node, self.inventory.nics(node.instance))

    def is_missing(self, node: CiliumNode, nics: Sequence[Nic], now: float) -> bool:
        """Return whether a node's machine has no interface, also by a list that is younger than the look before."""
        if nics:
            self._unseen.pop(node.name, None)
            return False
        return self._unseen.setdefault(node.name, now) < self._surveyed

    def static_ip(self, node: CiliumNode) -> str:
        """Return the public address that this very node was given; empty for none."""
        uid, address = self._static_ips.get(node.name, ("", ""))
        return address if uid == node.uid else ""

    def resting(self) -> list[float]:
        """Return until when nodes are left alone that could not be served."""
        return [each.until for each in self._backoffs.values()]

    def forget(self, name: str) -> None:
        """Drop a node that is gone."""
        for of_node in (self._backoffs, self.errors, self._static_ips, self._unseen):
            of_node.pop(name, None)
        self._backoffs.pop(_static(name), None)

    def serve(self, steps: Sequence[Step], now: float, term: Term) -> None:
        """Begin what is due, as long as the term lasts."""
        self._round = now
        if now >= self._next_survey and not self._azure.busy(_SURVEY):
            self._begin_survey(now)
        self._list_models(steps, now)
        for step in steps if term.lasts else ():
            self._serve(step, now)

    def _begin_survey(self, now: float) -> None:
        self._next_survey = now + RESYNC

        def surveyed(found: Survey | SourceFailed, at: float) -> None:
            if isinstance(found, SourceFailed):
                found = surveying.failed(now, found)
            self.inventory.surveyed_all(found, self._busy)
            self._strays = min(self._strays, now + STRAY)
            self._surveyed = now if found.whole else self._surveyed
            self.measures.surveyed(at - now, well=found.whole)
            if found.problems:
                self._tell("survey incomplete", problems=found.problems)
            if not self.inventory.surveyed:
                self._first = min(2 * self._first, RESYNC)
                self._next_survey = at + self._first

        job = surveying.survey(self._group, now, self.inventory.nics_of, self.inventory.subnet_ids)
        self._start(_SURVEY, job, surveyed, math.inf)

    def _list_models(self, steps: Iterable[Step], now: float) -> None:
        """Read the models of whole scale sets where several machines need theirs."""
        lacking = Counter(found for each in steps if (found := self._lacks_model(each)))
        for scale_set, count in lacking.items():
            if count >= _LIST_MODELS_FROM and now >= self._listed.get(scale_set, 0.0):
                self._listed[scale_set] = now + RESYNC
                self._start((_MODELS, scale_set), surveying.models(scale_set), self._learn_models, math.inf)

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
        if not node.instance or step.rival or self._azure.busy(node.instance):
            return
        rests = now < self._backoff(node.name).until
        if self._lacks_static_ip(step, now) and (rests or not isinstance(step.growth, Grow)):
            self._give_static_ip(step)
            return
        if rests:
            return
        if self._azure.busy((_MODELS, self._lacks_model(step))):
            return
        if isinstance(step.growth, Grow):
            self._grow(step, step.growth)
        elif step.growth is not None and not step.nics:
            self._join(node)
        elif step.nics and (step.release.take or node.instance in self.taking):
            self._shrink(step)

    def _grow(self, step: Step, grow: Grow) -> None:
        machine, had = machine_of(grow.nic.id), More(grow.nic.configured - grow.nic.blocks, grow.nic.blocks)
        self.inventory.grant(grow.nic.subnet, grow.more)

        def wanted(configurations: Sequence[jobs.Document]) -> More:
            there = counted(configurations)
            return More(
                grow.single - max(0, there.single - had.single), grow.blocks - max(0, there.blocks - had.blocks)
            )

        model, known = self.inventory.model(machine.path), self._known(step.node)
        job = jobs.grow(machine, model, wanted, self._names(), known)
        self._start_node(step.node, machine, job, grow)

    def _join(self, node: CiliumNode) -> None:
        """Serve a machine that no list has shown yet by its model, which says what there is and where."""
        if not (is_of_scale_set(node.instance) and node.instance.startswith(f"{self._group.lower()}/")):
            return

        def wanted(configurations: Sequence[jobs.Document]) -> More:
            available = sum(1 for each in configurations if not is_other(each)) - (not self._policy.use_primary)
            count = to_add(available, node.in_use, node.wanted, strict=self._policy.strict)
            return More(min(count, MOST - len(configurations)))

        machine = Machine(node.instance, COMPUTE, node.wanted.interface)
        model, known = self.inventory.model(node.instance), self._known(node)
        job = jobs.grow(machine, model, wanted, self._names(), known)
        self._start_node(node, machine, job, None)

    def _shrink(self, step: Step) -> None:
        take = sorted({*step.release.take, *self.taking.pop(step.node.instance, ())})
        for nic in sorted(step.nics, key=lambda each: each.id):
            gone = {each.configuration for each in nic.present if each.ip in take}
            if gone:
                machine = machine_of(nic.id)
                job = jobs.shrink(machine, self.inventory.model(machine.path), gone, self._known(step.node))
                self.taking[step.node.instance] = take
                self._start_node(step.node, machine, job, None, takes=True)
                return

    def _known(self, node: CiliumNode) -> Known | None:
        """Return what can be held against a machine's model; None where that may be old."""
        nics = self.inventory.nics(node.instance)
        return Known(node, nics) if self.inventory.is_settled(node.instance, self._round) else None

    def _lacks_static_ip(self, step: Step, now: float) -> bool:
        name = step.node.name
        wanted = step.node.wants_static_ip and step.nics and not self.static_ip(step.node)
        return bool(wanted) and now >= self._backoff(_static(name)).until

    def _give_static_ip(self, step: Step) -> None:
        node, first = step.node, min(step.nics, key=lambda each: each.id)
        machine, backoff = machine_of(first.id), self._backoff(_static(node.name))
        self._busy.add(node.instance)

        def ended(result: Assigned | SourceFailed, now: float) -> None:
            self._busy.discard(node.instance)
            if isinstance(result, Assigned):
                self._static_ips[node.name] = node.uid, result.address
                self.inventory.keep_model(machine.path, result.model)
                backoff.succeeded()
                self.errors.pop(node.name, None)
                self._tell("public address given", node=node.name, address=result.address)
                self.news.add(node.name)
                return
            self.inventory.keep_model(machine.path, None)
            self._note_failure(node.name, backoff, result, now)

        self._start(node.instance, assign(machine, self._group, node.static_tags), ended, 0.0)

    def _start_node(
        self, node: CiliumNode, machine: Machine, job: Job[Served | Unserved], grow: Grow | None, *, takes: bool = False
    ) -> None:
        self._busy.add(node.instance)
        began, subnets = self._round, [each.subnet for each in self.inventory.nics(node.instance)]

        def ended(result: Served | Unserved | SourceFailed, now: float) -> None:
            self._busy.discard(node.instance)
            if isinstance(result, SourceFailed):
                result = Unserved(result, None)
            well = isinstance(result, Served)
            self.measures.took(now - began, min(subnets, default=""), released=takes, well=well)
            if isinstance(result, Served):
                if takes or result.changed:  # the model has another version
                    self.taking.pop(node.instance, None)
                self._served(node, machine, grow, result, now)
                return
            if takes:
                if judge(result.error).kind is not Kind.PASSING:
                    self.taking.pop(node.instance, None)
                self.inventory.forget(node.instance)  # whether they are gone is not known: it is looked at anew
            self._failed(node, machine, grow, result, now)

        urgency = float(grow.wanted if grow else node.wanted.pre)
        self._start(node.instance, job, ended, urgency)

    def _served(self, node: CiliumNode, machine: Machine, grow: Grow | None, result: Served, now: float) -> None:
        self.inventory.served(machine.path, node.instance, result, now)
        if (
            grow
            and grow.blocks
            and not any(each.blocks > grow.nic.blocks for each in self.inventory.nics(node.instance))
        ):
            self.inventory.without_blocks(grow.nic.subnet)  # Azure has passed over what it does not know
        backoff = self._backoff(node.name)
        if result.changed:
            self._versions.add(node.instance)
            backoff.succeeded()
        else:
            backoff.failed(now, permanent=False)  # what was known of it was old, or it does not do as it is told
        self.errors.pop(node.name, None)
        subnets = {each.subnet for each in self.inventory.nics(node.instance)}
        self.inventory.grant(min(subnets, default=""), result.changed - (grow.more if grow else 0))
        self.measures.served(min(subnets, default=""), result.changed)
        for subnet in subnets - {each.id for each in self.inventory.subnets.values()}:
            self._start(subnet, surveying.read_subnet(subnet, []), self._learn_subnet, math.inf)
        if result.changed:
            self._tell("addresses changed", node=node.name, by=result.changed)

    def _learn_subnet(self, found: Subnet | SourceFailed | None, _: float) -> None:
        if isinstance(found, Subnet):
            self.inventory.learn_subnet(found)
            self.unpublished()

    def _failed(self, node: CiliumNode, machine: Machine, grow: Grow | None, result: Unserved, now: float) -> None:
        error, verdict = result.error, judge(result.error)
        permanent = verdict.permanent
        self.inventory.keep_model(machine.path, result.model)
        if grow is not None:
            self.inventory.grant(grow.nic.subnet, -grow.more)
            if grow.blocks and verdict.permanent and error.facts.get("status") != _FORBIDDEN:
                self.inventory.without_blocks(grow.nic.subnet)
                permanent = False  # single addresses may be had
            elif verdict.code == "SubnetIsFull":
                self.inventory.exhausted(grow.nic.subnet)
        self._note_failure(node.name, self._backoff(node.name), error, now, permanent=permanent)

    def _note_failure(
        self, name: str, backoff: Backoff, error: SourceFailed, now: float, *, permanent: bool | None = None
    ) -> None:
        verdict = judge(error)
        backoff.failed(now, permanent=verdict.permanent if permanent is None else permanent, least=verdict.wait)
        self.errors[name] = f"{verdict.code or 'no answer'}: {error.message}"
        self.news.add(name)
        self.measures.failed()
        self._tell("machine not served", node=name, code=verdict.code, error=error.message,
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


def _static(name: str) -> str:
    """Return what the failures of a node's public address are noted under."""
    return f"{name}/static-ip"
