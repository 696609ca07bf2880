"""When Azure is read: everything each minute, models of whole scale sets, and subnets that are new."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from unipam.clients.azure.write.jobs import STRAY
from unipam.controllers.cilium import surveying
from unipam.controllers.cilium.asking import Asking
from unipam.controllers.cilium.inventory import Inventory
from unipam.controllers.cilium.jobs import Model
from unipam.controllers.cilium.measures import Measures
from unipam.controllers.cilium.step import Step
from unipam.controllers.cilium.surveying import Survey
from unipam.controllers.election import Tell
from unipam.dialects.cilium.nics import Nic, Subnet
from unipam.dialects.cilium.node import CiliumNode
from unipam.model.errors import SourceFailed

RESYNC = 60.0
"""Seconds between two surveys of everything."""
_FIRST = 5.0
"""The same as long as nothing was surveyed as a whole; each time twice as many."""
_LIST_MODELS_FROM = 3
"""Machines of one scale set whose models are missing from which on they are listed instead of read one by one."""
_SURVEY, _MODELS = "survey", "models"


class Surveys:
    """Keeps the inventory by what Azure says. One thread calls it."""

    def __init__(self, group: str, asking: Asking, inventory: Inventory, tell: Tell, measures: Measures) -> None:
        self._group, self._asking, self._inventory, self._tell, self._measures = (
            group, asking, inventory, tell, measures,
        )  # fmt: skip
        self.unpublished: Callable[[], None] = lambda: None
        """Is called when a subnet was learnt: whoever is in it is to be published anew."""
        self._next = 0.0
        self._strays = math.inf
        """Until when a write may arrive that the process before this one has sent."""
        self._surveyed, self._first = 0.0, _FIRST / 2
        self._unseen: dict[str, float] = {}
        """By node: since when its machine is in no list."""
        self._listed: dict[str, float] = {}

    def due(self) -> float:
        """Return when the next survey is."""
        return math.inf if self._asking.busy(_SURVEY) else self._next

    @property
    def strays_are_over(self) -> bool:
        """Whether everything was seen since the last write of the process before this one can have arrived."""
        return self._surveyed >= self._strays

    def is_missing(self, node: CiliumNode, nics: Sequence[Nic], now: float) -> bool:
        """Return whether a node's machine has no interface, also by a list that is a minute younger."""
        if nics:
            self._unseen.pop(node.name, None)
            return False
        return self._unseen.setdefault(node.name, now) + RESYNC < self._surveyed

    def forget(self, name: str) -> None:
        """Drop a node that is gone."""
        self._unseen.pop(name, None)

    def begin(self, now: float, busy: Collection[str]) -> None:
        """Begin a survey if it is time for one. Machines that are `busy` when it ends are known better."""
        if now < self._next or self._asking.busy(_SURVEY):
            return
        self._next = now + RESYNC

        def surveyed(found: Survey | SourceFailed, at: float) -> None:
            if isinstance(found, SourceFailed):
                found = surveying.failed(now, found)
            self._inventory.surveyed_all(found, busy)
            self._strays = min(self._strays, now + STRAY)
            self._surveyed = now if found.whole else self._surveyed
            self._measures.surveyed(at - now, well=found.whole)
            if found.problems:
                self._tell("survey incomplete", problems=found.problems)
            if not self._inventory.surveyed:
                self._first = min(2 * self._first, RESYNC)
                self._next = at + self._first

        job = surveying.survey(self._group, now, self._inventory.nics_of, self._inventory.subnet_ids)
        self._asking.start(_SURVEY, job, surveyed, math.inf)

    def list_models(self, steps: Iterable[Step], now: float) -> None:
        """Read the models of whole scale sets where several machines need theirs."""
        lacking = Counter(each.grows_in for each in steps if self._lacks_model(each))
        for scale_set, count in lacking.items():
            if count >= _LIST_MODELS_FROM and now >= self._listed.get(scale_set, 0.0):
                self._listed[scale_set] = now + RESYNC
                self._asking.start((_MODELS, scale_set), surveying.models(scale_set), self._learn_models, math.inf)

    def lists_model(self, step: Step) -> bool:
        """Return whether the model that a node's growth needs is being read with the others of its scale set."""
        return self._lacks_model(step) and self._asking.busy((_MODELS, step.grows_in))

    def _lacks_model(self, step: Step) -> bool:
        return bool(step.grows_in) and not self._inventory.model(step.node.instance)

    def _learn_models(self, found: Mapping[str, Model] | SourceFailed, _: float) -> None:
        if not isinstance(found, SourceFailed):  # else they are read one by one
            self._inventory.learn_models(found)

    def read_subnets(self, subnets: Iterable[str]) -> None:
        """Read those of these subnets that are not known yet."""
        for subnet in set(subnets) - {each.id for each in self._inventory.subnets.values()}:
            self._asking.start(subnet, surveying.read_subnet(subnet, []), self._learn_subnet, math.inf)

    def _learn_subnet(self, found: Subnet | SourceFailed | None, _: float) -> None:
        if isinstance(found, Subnet):
            self._inventory.learn_subnet(found)
            self.unpublished()
