"""What Azure is known to have. What could not be read stays as it was, and a list never undoes what is newer (A11)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from unipam.controllers.cilium.jobs import Model, Served
from unipam.controllers.cilium.surveying import Survey
from unipam.dialects.cilium.formulas import BLOCK
from unipam.dialects.cilium.nics import Nic, Subnet, nics_of

_NONE: list[Nic] = []
SETTLING = 120.0
"""Seconds for which answers may lag behind a write: until then lists only count where they agree with it."""


class Inventory:
    """Interfaces by machine, subnets and models. Ids are in lower case."""

    def __init__(self, *, use_primary: bool = False) -> None:
        self.subnets: dict[str, Subnet] = {}
        self.scale_sets: list[str] = []
        self.problems: list[str] = []
        self.surveyed = False
        self._since = math.inf
        """When all was surveyed for the first time: what was published before is not known."""
        self._use_primary = use_primary
        self._nics: dict[str, list[Nic]] = {}
        self._models: dict[str, Model] = {}
        self._changed: dict[str, float] = {}
        """When a machine was last seen by itself: a list that began before says nothing of it."""
        self._plain: dict[str, int] = {}
        """Subnets in which no block was to be had, and what was free in them then."""
        self._granted: dict[str, int] = defaultdict(int)
        """Addresses of a subnet that were given since it was read, and that are being given."""

    def nics(self, instance: str) -> list[Nic]:
        """Return a machine's interfaces."""
        return self._nics.get(instance, _NONE)

    def model(self, path: str) -> Model | None:
        """Return what was last read of a machine, for a write at that version."""
        return self._models.get(path.lower())

    def keep_model(self, path: str, model: Model | None) -> None:
        """Keep what was read of a machine; with None have it read anew before the next write."""
        if model is None:
            self._models.pop(path.lower(), None)
        else:
            self._models[path.lower()] = model

    def forget(self, instance: str) -> None:
        """Have a machine's interfaces read anew before anything is said of them."""
        self._nics.pop(instance, None)

    def learn_models(self, found: Mapping[str, Model]) -> None:
        """Keep models, where none is known that is newer."""
        for path, model in found.items():
            self._models.setdefault(path, model)

    def room(self) -> dict[str, Subnet]:
        """Return the subnets with what is left in them."""
        return {
            name: each._replace(free=max(0, each.free - self._granted[name]), blocks=name not in self._plain)
            for name, each in self.subnets.items()
        }

    def without_blocks(self, subnet: str) -> None:
        """Count a subnet as one in which no block is to be had, until it has room for another one than now."""
        self._plain[subnet.lower()] = self.subnets[subnet.lower()].free if subnet.lower() in self.subnets else 0

    def grant(self, subnet: str, count: int) -> None:
        """Count addresses as given, or with a negative number as given back, until the subnet is read anew."""
        self._granted[subnet.lower()] = max(0, self._granted[subnet.lower()] + count)

    def exhausted(self, subnet: str) -> tuple[str, int]:
        """Count a subnet as full until it is read anew: others fill it, too. Return it, and what it claims to have."""
        free = self.subnets[subnet.lower()].free if subnet.lower() in self.subnets else 0
        self._granted[subnet.lower()] = free
        return subnet.lower(), free

    def learn_subnet(self, subnet: Subnet | None) -> None:
        """Keep a subnet that was read."""
        if subnet is not None:
            self.subnets[subnet.id.lower()] = subnet
            if subnet.free >= self._plain.get(subnet.id.lower(), subnet.free) + BLOCK:
                self._plain.pop(subnet.id.lower())

    def served(self, path: str, instance: str, served: Served, now: float) -> None:
        """Take in what became of one machine. Of an interface that stands alone only this one was read."""
        seen = self.nics_of(served.nics)
        ids = {each.id.lower() for each in seen}
        self._nics[instance] = [*(each for each in self.nics(instance) if each.id.lower() not in ids), *seen]
        self._models[path.lower()] = served.model
        self._changed[instance] = now

    def surveyed_all(self, found: Survey, busy: Iterable[str]) -> None:
        """Take in a whole survey, except for machines that have changed since it began, or that are being changed."""
        self.surveyed = self.surveyed or found.whole
        self._since = min(self._since, found.began if found.whole else math.inf)
        self.problems = found.problems
        self.scale_sets = found.scale_sets or self.scale_sets
        by_instance: dict[str, list[Nic]] = defaultdict(list)
        for nic in found.nics:
            by_instance[nic.instance].append(nic)
        kept = {name for name in self._changed if self._is_older(name, by_instance, found.began)} | set(busy)
        for instance in {*self._nics, *by_instance} - kept:
            if instance in by_instance:
                self._nics[instance] = by_instance[instance]
            elif found.whole:
                self._nics.pop(instance)
                self._changed.pop(instance, None)
        for subnet in found.subnets:
            self.learn_subnet(subnet)
            self._granted.pop(subnet.id.lower(), None)

    def nics_of(self, documents: Iterable[Mapping[str, Any]]) -> list[Nic]:
        """Return the interfaces of machines that documents tell."""
        return nics_of(documents, use_primary=self._use_primary)

    def _is_older(self, instance: str, listed: Mapping[str, list[Nic]], began: float) -> bool:
        """Return whether a list is older than what was seen of a machine by itself: it began before, or lags behind."""
        moment = self._changed[instance]
        if moment >= began:
            return True
        return moment >= began - SETTLING and _names(listed.get(instance, ())) != _names(self.nics(instance))

    def is_settled(self, instance: str, now: float) -> bool:
        """Return whether a machine has not changed for so long that no answer lags behind, as far as anybody knows."""
        return self._changed.get(instance, self._since) + SETTLING <= now

    def subnet_ids(self, found: Iterable[Nic]) -> set[str]:
        """Return the subnets that these interfaces, and those known already, are in."""
        known = {nic.subnet for nics in self._nics.values() for nic in nics}
        return {each for each in known | {nic.subnet for nic in found} if each}


def _names(nics: Iterable[Nic]) -> set[tuple[str, str]]:
    return {(nic.id.lower(), each.configuration) for nic in nics for each in nic.addresses}
