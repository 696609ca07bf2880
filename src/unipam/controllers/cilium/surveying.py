"""What is asked of Azure about all machines at once: lists of interfaces and models, and the subnets one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from unipam.clients.azure.write.jobs import Ask, Job
from unipam.clients.azure.write.lists import every, taken
from unipam.controllers.cilium.jobs import Document, Model, model_in
from unipam.dialects.cilium.machine import COMPUTE, NETWORK, SCALE_SET_NICS, lists_interfaces
from unipam.dialects.cilium.nics import Nic, Subnet, subnet_of
from unipam.model.errors import SourceFailed

T = TypeVar("T")


def models(scale_set: str) -> Job[dict[str, Model]]:
    """Read the models of all machines of a scale set, by their ids in lower case. Raises SourceFailed."""
    found = yield from every(f"{scale_set}/virtualMachines", COMPUTE)
    return {str(each["id"]).lower(): model_in(each) for each in found}


class Survey(NamedTuple):
    """Everything that was read in one pass, and what could not be read."""

    began: float
    nics: Sequence[Nic]
    scale_sets: list[str]
    subnets: list[Subnet]
    problems: list[str]
    whole: bool
    """Whether every list was read: only then is a machine that is not among the interfaces gone."""


def failed(began: float, error: SourceFailed) -> Survey:
    """Return a survey that has read nothing."""
    return Survey(began, [], [], [], [error.message], whole=False)


def survey(
    group: str,
    began: float,
    nics_of: Callable[[Iterable[Document]], list[Nic]],
    subnet_ids: Callable[[Sequence[Nic]], Iterable[str]],
) -> Job[Survey]:
    """Read the scale sets, interfaces and subnets of a resource group: 2 + V + S requests. Raises nothing.

    Of each page only the interfaces are kept: the documents of 5,000 machines would take 200 MB.
    """
    problems: list[str] = []
    sets = yield from _kept(every(f"{group}/providers/Microsoft.Compute/virtualMachineScaleSets", COMPUTE), problems)
    nics = yield from _kept(taken(f"{group}/providers/Microsoft.Network/networkInterfaces", NETWORK, nics_of), problems)
    filled = [each for each in sets if lists_interfaces(each)]
    for each in filled:
        of_set = taken(f"{each['id']}/networkInterfaces", SCALE_SET_NICS, nics_of)
        nics += yield from _kept(of_set, problems, missing=True)
    whole = not problems
    subnets = []
    for subnet_id in sorted(set(subnet_ids(nics))):
        subnet = yield from read_subnet(subnet_id, problems)
        subnets += [subnet] if subnet else []
    return Survey(began, nics, [str(each["id"]) for each in filled], subnets, problems, whole)


def read_subnet(subnet_id: str, problems: list[str]) -> Job[Subnet | None]:
    """Read a subnet; None where it cannot be read, which is noted among the problems."""
    try:
        return subnet_of((yield Ask(path=subnet_id, version=NETWORK)).read(dict[str, Any]))
    except SourceFailed as error:
        problems.append(error.message)
        return None


def _kept(job: Job[list[T]], problems: list[str], *, missing: bool = False) -> Job[list[T]]:
    """Return a list, or nothing and note why; a scale set without machines may be missing (24185)."""
    try:
        return (yield from job)
    except SourceFailed as error:
        if not (missing and error.facts.get("status") == 404):
            problems.append(error.message)
        return []
