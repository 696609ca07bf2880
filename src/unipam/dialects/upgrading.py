"""From host-local to Calico's IPAM on one node, and back: host-local's directory, and what Calico is told.

It stands above the two dialects, of which it knows both. Nothing is removed: once every lease is Calico's, host-local's
directory is put aside, with a record of what was done, by which all of it can be undone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from unipam.addr.prefix import format_address, parse_address
from unipam.dialects.calico import moving
from unipam.dialects.calico.calicoctl import locking
from unipam.dialects.calico.engine.session import Session
from unipam.dialects.calico.moving import ASSIGN, Lease, Plan, Step
from unipam.dialects.calico.rules.names import Tunnel
from unipam.dialects.host_local import directory
from unipam.model.errors import Missing, Refused, StoreBroken, UnipamError

ASIDE = "moved-to-calico"
"""The directory beside host-local's data directory in which a network's own is put aside."""


class _Assigned(msgspec.Struct):
    address: str
    handle: str
    tunnel: str = ""


class _Record(msgspec.Struct):
    """What was, or was about to be, assigned."""

    node: str
    network: str
    assigned: list[_Assigned]


class Place(NamedTuple):
    """Where host-local keeps a network's leases, and where they are put aside."""

    data_dir: str
    network: str

    @property
    def directory(self) -> str:
        """Host-local's own."""
        return os.path.join(self.data_dir, self.network)

    @property
    def aside(self) -> str:
        """Where it is put."""
        return os.path.join(os.path.dirname(os.path.abspath(self.data_dir)), ASIDE, self.network)

    @property
    def record(self) -> Path:
        """What was done."""
        return Path(f"{self.aside}.json")


def leases(place: Place) -> list[Lease]:
    """Return what host-local has handed out. Raises Missing without a directory, Refused where it is not host-local's.

    The leases that unipam's own host-local took over are in its ledger; they are given back first.
    """
    if not os.path.isdir(place.directory):
        raise Missing(f"there is no directory {place.directory}: nothing to move", path=place.directory)
    if not directory.exists(place.directory):
        again = f"unipam adopt host-local --rollback --data-dir {place.data_dir} --network {place.network}"
        problem = f"the leases of {place.network} are in unipam's ledger"
        raise Refused(f"{problem}: give them back to host-local first ({again})", network=place.network)
    found = directory.scan(place.directory, 1, 0.0)
    return [Lease(claim.first, claim.owner.holder) for claim in found.inheritance.claims]


def preview(session: Session, node: str, place: Place) -> Plan:
    """Return what `move` would do."""
    return moving.plan(session, node, place.network, leases(place))


def move(session: Session, node: str, place: Place, *, lock: bool = True, force: bool = False) -> Plan:
    """Assign every lease in Calico's datastore, and put host-local's directory aside; what was done.

    With `lock` the cluster's datastore is locked meanwhile. Raises Refused, having changed nothing, where a lease
    cannot be moved, unless `force` leaves it out. A failure half way leaves what was assigned: it may be repeated, or
    undone.
    """
    with directory.locked(place.directory):
        planned = preview(session, node, place)
        if planned.refused and not force:
            told = "; ".join(f"{format_address(step.address)}: {step.why}" for step in planned.refused[:3])
            count = len(planned.refused)
            raise Refused(f"{count} leases cannot be moved ({told}): see --dry-run; --force leaves them out")
        locked = lock and locking.set_locked(session, locked=True)
        try:
            _carry_out(session, node, place, planned)
        finally:
            if locked:
                locking.set_locked(session.for_cleanup(), locked=False)
    return planned


def _carry_out(session: Session, node: str, place: Place, planned: Plan) -> None:
    _write(place, _Record(node, place.network, _recorded(place, planned)))
    for other, block in moving.claim(session, planned.claims):
        if other == node:
            raise Refused(f"{block} of {node}'s range is not its own in Calico: look at `unipam calico ipam check`")
    for step in planned.steps:
        if step.what == ASSIGN:
            moving.assign(session, node, step)
    try:
        os.rename(place.directory, place.aside)
    except OSError as error:
        problem = f"cannot put {place.directory} aside to {place.aside}: {error.strerror}"
        raise StoreBroken(problem, path=place.directory) from error


def _recorded(place: Place, planned: Plan) -> list[_Assigned]:
    """Return what is assigned now, and what an interrupted run before had on its list."""
    now = [
        _Assigned(format_address(step.address), step.handle, step.tunnel.name if step.tunnel else "")
        for step in planned.steps
        if step.what == ASSIGN
    ]
    before = _read(place).assigned if place.record.exists() else []
    return [*now, *(each for each in before if each not in now)]


def _write(place: Place, record: _Record) -> None:
    try:
        place.record.parent.mkdir(mode=0o700, exist_ok=True)
        draft = place.record.with_suffix(".new")
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1))
        draft.rename(place.record)
    except OSError as error:
        raise StoreBroken(f"cannot write {place.record}: {error.strerror}", path=str(place.record)) from error


def _read(place: Place) -> _Record:
    try:
        return msgspec.json.decode(place.record.read_bytes(), type=_Record)
    except FileNotFoundError as error:
        problem = f"there is no {place.record}: {place.network} was not moved from here"
        raise Missing(problem, network=place.network) from error
    except (OSError, msgspec.DecodeError) as error:
        raise StoreBroken(f"{place.record} cannot be read: {error}", path=str(place.record)) from error


class Undone(NamedTuple):
    """What moving back does: addresses that are released, those given up meanwhile, and pods host-local knows not."""

    released: list[str]
    gone: list[str]
    strangers: list[str]


def undo(session: Session, place: Place, *, dry_run: bool = False) -> Undone:
    """Release what `move` assigned, and put host-local's directory back, without what was given up meanwhile.

    Raises Missing where nothing was moved.
    """
    record = _read(place)
    steps = [
        Step(parse_address(each.address), ASSIGN, "", each.handle, {}, _tunnel(each.tunnel)) for each in record.assigned
    ]
    unknown = moving.strangers(session, record.node, [step.handle for step in steps])
    texts = [each.address for each in record.assigned]
    if dry_run:
        return Undone(texts, [], unknown)
    gone, failed = moving.give_back(session, record.node, steps)
    if failed:
        raise failed[0]
    moving.unclaim(session, record.node)
    lost = [format_address(address) for address in gone]
    _put_back(place, lost)
    return Undone([text for text in texts if text not in lost], lost, unknown)


def _tunnel(name: str) -> Tunnel | None:
    return Tunnel[name] if name else None


def _put_back(place: Place, gone: Sequence[str]) -> None:
    try:
        if not os.path.isdir(place.directory):
            os.rename(place.aside, place.directory)
        for name in gone:
            Path(place.directory, name).unlink(missing_ok=True)
        place.record.unlink()
    except OSError as error:
        raise StoreBroken(f"cannot put {place.directory} back: {error.strerror}", path=place.directory) from error


# As the original's init container ------------------------------------------------------------------------------------

NETWORK = Place("/var/lib/cni/networks", "k8s-pod-network")
"""Where the original looks for leases."""
BINARIES = ("/host/opt/cni/bin/calico", "/host/opt/cni/bin/host-local")
"""What it removes, so that the runtime starts nothing of the old ones."""
PAUSE = 5.0
"""Seconds that it gives to calls that are under way."""


def upgrade(
    session: Session, node: str, place: Place = NETWORK, sleep: Callable[[float], None] = lambda _: None
) -> Iterator[str]:
    """Do what `calico-ipam -upgrade` does once; yield what it says. Leases without a pod are dropped, as by it.

    Raises what stands in the way: it is to be called again.
    """
    if not os.path.isdir(place.directory):
        yield "host-local IPAM data dir not found; no migration necessary, successfully exiting..."
        return
    there = bool(leases(place))
    if there:
        for binary in BINARIES:
            Path(binary).unlink(missing_ok=True)
        sleep(PAUSE)
    done = move(session, node, place, lock=there)
    yield f"assigned {sum(step.what == ASSIGN for step in done.steps)} addresses in Calico IPAM"


def attempt(session: Session, node: str, tell: Callable[[str], None], sleep: Callable[[float], None]) -> bool:
    """Try to upgrade once, telling of it; whether it is done."""
    try:
        for text in upgrade(session, node, sleep=sleep):
            tell(text)
    except (UnipamError, OSError) as error:
        tell(f"failed to migrate ipam, retrying... error={error}")
        return False
    return True
