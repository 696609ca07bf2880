"""What is asked of Azure for nodes: a job for each machine that is to be served."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator, Sequence

from unipam.clients.azure.write.jobs import Job
from unipam.clients.azure.write.verdicts import Kind, judge
from unipam.controllers.backoff import Backoff
from unipam.controllers.cilium import jobs
from unipam.controllers.cilium.asking import Asking
from unipam.controllers.cilium.inventory import Inventory
from unipam.controllers.cilium.jobs import More, Served, Unserved, counted
from unipam.controllers.cilium.measures import Measures
from unipam.controllers.cilium.static_ip import Assigned, assign
from unipam.controllers.cilium.step import Step
from unipam.controllers.cilium.surveys import Surveys
from unipam.controllers.election import Tell
from unipam.controllers.term import Term
from unipam.dialects.cilium.formulas import MOST, to_add
from unipam.dialects.cilium.leftovers import Known
from unipam.dialects.cilium.machine import COMPUTE, Machine, is_of_scale_set, machine_of
from unipam.dialects.cilium.nics import is_other
from unipam.dialects.cilium.node import CiliumNode
from unipam.dialects.cilium.planning import Grow, Policy
from unipam.dialects.cilium.releasing import withheld
from unipam.model.errors import SourceFailed

_FORBIDDEN = 403


class Serving:
    """Which machines are served, how that ended, and what is known by it. One thread calls it."""

    def __init__(
        self,
        group: str,
        policy: Policy,
        asking: Asking,
        tell: Tell,
        dice: random.Random,
        measures: Measures,
    ) -> None:
        self._group, self._policy, self._asking, self._tell, self._dice, self._measures = (
            group, policy, asking, tell, dice, measures,
        )  # fmt: skip
        self.inventory = Inventory(use_primary=policy.use_primary)
        self.surveys = Surveys(group, asking, self.inventory, tell, measures)
        self.errors: dict[str, str] = {}
        """By node: what Azure said of the last job that failed."""
        self._static_ips: dict[str, tuple[str, str]] = {}
        """By node: its uid, and the public address that it was given."""
        self._full: dict[str, tuple[str, int]] = {}
        """By node: the subnet that was full when it was refused, and what this claimed to have free then."""
        self.taking: dict[str, list[str]] = {}
        """By machine: the addresses that are being taken from it. A write that got no answer may arrive as long as the
        model has the version at which it was sent: so they are taken to the end, whoever needs them meanwhile."""
        self.news: set[str] = set()
        """Nodes of which there is something new to say, though neither they nor their interfaces have changed."""
        self._round = 0.0
        self._versions: set[str] = set()
        """Machines whose models have a version that this process has made: no other write arrives at them."""
        self._backoffs: dict[str, Backoff] = {}
        self._busy: set[str] = set()

    def busy(self, node: CiliumNode) -> bool:
        """Return whether a job for its machine is under way."""
        return self._asking.busy(node.instance)

    def strays(self, node: CiliumNode) -> set[str]:
        """Return the addresses that the process before this one may be taking from a node's machine, unbeknownst."""
        if not self._policy.release or self.surveys.strays_are_over or node.instance in self._versions:
            return set()
        return withheld(node, self.inventory.nics(node.instance))

    def static_ip(self, node: CiliumNode) -> str:
        """Return the public address that this very node was given; empty for none."""
        uid, address = self._static_ips.get(node.name, ("", ""))
        return address if uid == node.uid else ""

    def resting(self) -> list[float]:
        """Return until when nodes are left alone that could not be served."""
        return [each.until for each in self._backoffs.values()]

    def forget(self, name: str) -> None:
        """Drop a node that is gone."""
        for of_node in (self._backoffs, self.errors, self._static_ips, self._full):
            of_node.pop(name, None)
        self.surveys.forget(name)
        self._backoffs.pop(_static(name), None)

    def serve(self, steps: Sequence[Step], now: float, term: Term) -> None:
        """Begin what is due, as long as the term lasts."""
        self._round = now
        self.surveys.begin(now, self._busy)
        self.surveys.list_models(steps, now)
        for step in steps if term.lasts else ():
            self._serve(step, now)

    def _serve(self, step: Step, now: float) -> None:
        node = step.node
        if not node.instance or step.rival or self._asking.busy(node.instance):
            return
        rests = self._rests(node.name, now)
        if self._lacks_static_ip(step, now) and (rests or not isinstance(step.growth, Grow)):
            self._give_static_ip(step)
            return
        if rests or self.surveys.lists_model(step):
            return
        if isinstance(step.growth, Grow):
            self._grow(step, step.growth)
        elif step.growth is not None and not step.nics:
            self._join(node)
        elif step.nics and (step.release.take or node.instance in self.taking):
            self._shrink(step)

    def _rests(self, name: str, now: float) -> bool:
        """Return whether a node is left alone: after a failure, unless that was for want of room, and there is more."""
        subnet, free = self._full.get(name, ("", 0))
        if subnet in self.inventory.subnets and self.inventory.subnets[subnet].free > free:
            self._full.pop(name)
            self._backoff(name).succeeded()
        return now < self._backoff(name).until

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

        self._asking.start(node.instance, assign(machine, self._group, node.static_tags), ended, 0.0)

    def _start_node(
        self, node: CiliumNode, machine: Machine, job: Job[Served | Unserved], grow: Grow | None, *, takes: bool = False
    ) -> None:
        self._busy.add(node.instance)
        began, subnets = self._round, [each.subnet for each in self.inventory.nics(node.instance)]

        def ended(result: Served | Unserved | SourceFailed, now: float) -> None:
            self._busy.discard(node.instance)
            self._full.pop(node.name, None)
            if isinstance(result, SourceFailed):
                result = Unserved(result, None)
            well = isinstance(result, Served)
            self._measures.took(now - began, min(subnets, default=""), released=takes, well=well)
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
        self._asking.start(node.instance, job, ended, urgency)

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
        self._measures.served(min(subnets, default=""), result.changed)
        self.surveys.read_subnets(subnets)
        if result.changed:
            self._tell("addresses changed", node=node.name, by=result.changed)

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
                self._full[node.name] = self.inventory.exhausted(grow.nic.subnet)
        self._note_failure(node.name, self._backoff(node.name), error, now, permanent=permanent)

    def _note_failure(
        self, name: str, backoff: Backoff, error: SourceFailed, now: float, *, permanent: bool | None = None
    ) -> None:
        verdict = judge(error)
        backoff.failed(now, permanent=verdict.permanent if permanent is None else permanent, least=verdict.wait)
        self.errors[name] = f"{verdict.code or 'no answer'}: {error.message}"
        self.news.add(name)
        self._measures.failed()
        self._tell("machine not served", node=name, code=verdict.code, error=error.message,
                   again_in=round(backoff.until - now, 1))  # fmt: skip

    def _names(self) -> Iterator[str]:
        letters = string.ascii_lowercase + string.digits
        while True:
            yield "".join(self._dice.choices(letters, k=8))

    def _backoff(self, name: str) -> Backoff:
        return self._backoffs.setdefault(name, Backoff())


def _static(name: str) -> str:
    """Return what the failures of a node's public address are noted under."""
    return f"{name}/static-ip"
