"""What is asked of Azure for a machine: its model, a write of it, and its interfaces until they show what was written.

The interfaces are looked at instead of the operation where that is enough: they tell the addresses in the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from unipam.clients.azure.arm import Answer
from unipam.clients.azure.write.jobs import WRITTEN, Ask, Job, Pause
from unipam.clients.azure.write.operations import patiently, until_ended
from unipam.clients.azure.write.verdicts import Kind, judge
from unipam.dialects.cilium.formulas import BLOCK
from unipam.dialects.cilium.leftovers import Known, leftovers
from unipam.dialects.cilium.machine import (
    NETWORK,
    SCALE_SET_NICS,
    Machine,
    configurations,
    is_block,
    is_of_scale_set,
    names,
    nic_of,
    with_more,
    without,
)
from unipam.model.errors import Missing, SourceFailed

Document = Mapping[str, Any]

FIRST_LOOK = 0.5
"""Seconds after a write until the interfaces are looked at for the first time."""
_LOOKS, _STALE = 5, 2.0
"""Looks at interfaces after the operation has ended, and seconds between them: what is read may be old."""
_TRIES = 3


class Model(NamedTuple):
    """A machine's document, or that of an interface which stands alone; `etag` is empty where the service has none."""

    document: Document
    etag: str


class Served(NamedTuple):
    """What became of a machine: its model, its interfaces, and how many addresses were added or removed."""

    model: Model
    nics: Sequence[Document]
    changed: int


class Unserved(NamedTuple):
    """Why a machine was not served, and the model that was read, where a refusal shows that it was not written."""

    error: SourceFailed
    model: Model | None


class More(NamedTuple):
    """Configurations: so many with one address, so many with a block."""

    single: int
    blocks: int = 0

    @property
    def addresses(self) -> int:
        """Return how many addresses they have."""
        return self.single + self.blocks * BLOCK


Wanted = Callable[[Sequence[Document]], More]
"""Says by the configurations of an interface's model how many more are to be added; a negative number is none."""
Change = Callable[[Machine, Document], tuple[Document | None, int]]
"""Makes of a model the body to be written, and says how many addresses that adds; None where nothing is to change."""


def counted(configurations: Iterable[Document]) -> More:
    """Return how many there are of each kind; those of IPv6 count as single ones."""
    found = [is_block(each) for each in configurations]
    return More(found.count(False), found.count(True))


def grow(
    machine: Machine, model: Model | None, wanted: Wanted, dice: Iterable[str], known: Known | None = None
) -> Job[Served | Unserved]:
    """Add configurations to an interface and wait for their addresses; to the first, where none is named.

    A model that was read earlier is written at its version; where the service has no versions it is read anew. What an
    earlier write has left in the model counts as added: nothing is asked for twice. After one that failed it is left
    out where that is safe by what is `known`.
    """

    def change(machine: Machine, document: Document) -> tuple[Document | None, int]:
        before = configurations(document, machine.nic)
        more = More(*(max(0, each) for each in wanted(before)))
        if not any(more):
            return None, 0
        new = names(sum(more), {str(each.get("name")) for each in before}, dice)
        return with_more(document, machine.nic, new[: more.single], new[more.single :]), more.addresses

    return (yield from _amended(machine, model, change, known))


def shrink(
    machine: Machine, model: Model | None, gone: Collection[str], known: Known | None = None
) -> Job[Served | Unserved]:
    """Remove configurations of these names from an interface, and what a failed write has left, as `grow` does."""

    def change(machine: Machine, document: Document) -> tuple[Document | None, int]:
        there = [each for each in configurations(document, machine.nic) if each.get("name") in gone]
        count = -counted(there).addresses
        return (without(document, machine.nic, _names(there)), count) if there else (None, 0)

    return (yield from _amended(machine, model, change, known))


def _amended(machine: Machine, model: Model | None, change: Change, known: Known | None) -> Job[Served | Unserved]:
    for attempt in range(_TRIES):
        try:
            if model is None or not model.etag:
                model = model_of((yield Ask(path=machine.path, version=machine.version)))
            return (yield from _written(machine, model, change, known))
        except SourceFailed as error:
            kind = judge(error).kind
            if kind is not Kind.CHANGED or attempt == _TRIES - 1:
                refused = kind is Kind.PERMANENT and "status" in error.facts  # else the operation failed later
                return Unserved(error, model if refused else None)
            model = None
    raise AssertionError("unreachable")


def _written(machine: Machine, model: Model, change: Change, known: Known | None) -> Job[Served]:
    """Write a model with the change, at the version that was read. Raises SourceFailed."""
    try:
        machine = machine._replace(nic=machine.nic or nic_of(model.document))
        document = yield from _tidied(machine, model.document, known)
        body, count = change(machine, document)
    except Missing as error:
        raise SourceFailed(error.message, source="azure", code="InterfaceMissing") from error
    if body is None:
        nics = yield from interfaces(machine.path)
        shown = _shows(nics, machine.nic, _names(configurations(document, machine.nic)))
        if shown:
            return Served(model, nics, 0)
        if not any(map(_has_failed, (model.document, *nics))):  # what is told of the one or the other lags behind
            return Served(model._replace(etag=""), nics, 0)  # without a version it is read anew before the next write
        body = with_more(model.document, machine.nic, ())  # an earlier write failed halfway: once more as it is
    begun = yield from patiently(Ask("PUT", machine.path, machine.version, body, model.etag, WRITTEN))
    nics = yield from _until_shown(begun, machine, _names(configurations(body, machine.nic)))
    return Served(_model_after(begun, machine, nics), nics, count)


def _tidied(machine: Machine, document: Document, known: Known | None) -> Job[Document]:
    """Return a model without what no interface has: Azure would be asked for it anew with every write.

    Where the subnet is full, it would refuse even those that give addresses back.
    """
    if known is None or not _has_failed(document):
        return document
    told = yield from interfaces(machine.path)
    return without(document, machine.nic, leftovers(document, machine.nic, known, told))


def _model_after(begun: Answer, machine: Machine, nics: Sequence[Document]) -> Model:
    """Return what the next write begins with.

    An interface that stands alone is its own model, so it is taken as it was read last: the answer to a write may still
    show configurations that it removes, and these would come back.
    """
    return model_of(begun) if is_of_scale_set(machine.path) else model_in(nics[0])


def _until_shown(begun: Answer, machine: Machine, expected: set[str]) -> Job[list[Document]]:
    """Wait until the interface has exactly these configurations, each done; return the machine's interfaces."""
    yield Pause(FIRST_LOOK, f"{begun.asked} is under way")
    found = yield from interfaces(machine.path, follows=True)
    if _shows(found, machine.nic, expected):
        return found
    yield from until_ended(begun, Ask(path=machine.path, version=machine.version))
    for _ in range(_LOOKS):
        found = yield from interfaces(machine.path, follows=True)
        if _shows(found, machine.nic, expected):
            break
        yield Pause(_STALE, f"{begun.asked} has ended, and the interface does not show it yet")
    return [_trimmed(each, machine.nic, expected) for each in found]


def _trimmed(document: Document, nic: str, expected: set[str]) -> Document:
    """Return an interface without what was taken from it, which an old answer may show still."""
    if str(document.get("name", "")).lower() != nic.lower():
        return document
    properties = document.get("properties") or {}
    kept = [each for each in properties.get("ipConfigurations") or () if each.get("name") in expected]
    return {**document, "properties": {**properties, "ipConfigurations": kept}}


def _shows(nics: Iterable[Document], nic: str, expected: set[str]) -> bool:
    for each in nics:
        if str(each.get("name", "")).lower() == nic.lower():
            there = each.get("properties", {}).get("ipConfigurations") or []
            done = all(str(c["properties"].get("provisioningState", "")).lower() == "succeeded" for c in there)
            return done and _names(there) == expected
    return False


def _has_failed(model: Document) -> bool:
    return str((model.get("properties") or {}).get("provisioningState", "")).lower() in {"failed", "canceled"}


def _names(found: Iterable[Mapping[str, Any]]) -> set[str]:
    return {str(each.get("name")) for each in found}


def model_of(answer: Answer) -> Model:
    """Return the model that an answer tells. Raises SourceFailed."""
    return model_in(answer.read(dict[str, Any]), answer.etag)


def model_in(document: Document, etag: str = "") -> Model:
    """Return the model that a document is; `etag` counts where it names none itself."""
    return Model(document, str(document.get("etag") or etag))


def interfaces(path: str, *, follows: bool = False) -> Job[list[Document]]:
    """Read the interfaces of a scale set's machine, or the one that this is. Raises SourceFailed."""
    if not is_of_scale_set(path):
        return [(yield Ask(path=path, version=NETWORK, follows=follows)).read(dict[str, Any])]
    answer = yield Ask(path=f"{path}/networkInterfaces", version=SCALE_SET_NICS, follows=follows)
    return list(answer.read(dict[str, Any]).get("value") or ())
