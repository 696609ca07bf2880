"""`ipam check --fix`: what can be proven wrong is put right, and nothing else.

Each repair reads what it changes again, writes at the revisions that it read, and so changes nothing that somebody else
has meanwhile put right or made use of. What is proven, and how:

- a handle that counts other than its blocks hold: the blocks are written anew first (`engine.recounting`);
- a handle that is marked as deleted: whoever removes one in Kubernetes marks it first;
- an affinity whose block is not there, or is another's: affinities are removed after their blocks, and last of all;
  one that is pending is somebody's who is at it, unless there is no such node;
- a block that names an owner without an affinity: affinities come before blocks. It gets one, or, if its node is
  gone, is given up;
- a block that is nobody's and holds nothing;
- a leak, by the rules of the garbage controller: who lives is asked for once more, now. It is released by handle and
  sequence number, all addresses of a handle or none, if it is older than `GRACE`, so that no pod is on its way up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from unipam.addr.prefix import Prefix, format_address, parse_prefix
from unipam.dialects.calico.calicoctl.checking import Checked
from unipam.dialects.calico.calicoctl.explaining import since
from unipam.dialects.calico.calicoctl.observing import affinities, listed
from unipam.dialects.calico.datastore.keys import HOST, AffinityKey, NodeKey, WorkloadKey
from unipam.dialects.calico.documents import affinity as affinity_documents
from unipam.dialects.calico.documents.affinity import PENDING
from unipam.dialects.calico.documents.pod import of_workloads
from unipam.dialects.calico.documents.times import SECOND
from unipam.dialects.calico.engine import claiming, releasing
from unipam.dialects.calico.engine.recounting import recount
from unipam.dialects.calico.engine.session import Owner, Session, affinity_key, owner
from unipam.dialects.calico.rules.garbage import Leak, Policy, candidates_of, still_garbage
from unipam.dialects.calico.rules.leases import Kind, Lease, of_block
from unipam.dialects.calico.rules.liveness import Living, PodName
from unipam.dialects.calico.rules.releasing import Wish
from unipam.model.errors import Conflict, Mismatch, NotFound, Stale, UnipamError, Unreadable

GRACE = int(Policy().writes * SECOND)
"""How old an address is, in nanoseconds, before it may be a leak: `check` looks once, and not twice as a controller."""


class Repair(NamedTuple):
    """What is wrong with what, what is done about it, and the doing, which says what came of it."""

    what: str
    wrong: str
    action: str
    do: Callable[[Session], str]


def plan(session: Session, checked: Checked) -> list[Repair]:
    """Return the repairs that what was checked calls for, in the order in which they are made."""
    nodes = _nodes(session)
    return [
        *_leaks(session, checked, nodes),
        *_handles(checked),
        *_affinities(session, checked, nodes),
        *_blocks(session, checked, nodes),
    ]


def carry_out(session: Session, repairs: list[Repair]) -> Iterator[tuple[Repair, str]]:
    """Make each repair; yield what came of it. What goes wrong with one does not touch the others."""
    for repair in repairs:
        try:
            yield repair, repair.do(session)
        except (NotFound, Conflict):
            yield repair, "left alone: it has changed meanwhile"
        except UnipamError as error:
            yield repair, f"failed: {error.message}"


_UNCHANGED = "left alone: it is in order by now"


# Handles -----------------------------------------------------------------------------------------------------------


def _handles(checked: Checked) -> Iterator[Repair]:
    held: dict[str, dict[str, int]] = {}
    for several in checked.allocations.values():
        for each in several:
            if each.handle and not each.cools:
                counts = held.setdefault(each.handle, {})
                counts[each.block.cidr] = counts.get(each.block.cidr, 0) + 1
    hidden = {name for name, _ in checked.observed.broken}
    for name in sorted({*held, *checked.observed.handles}):
        item, holds = checked.observed.handles.get(name), held.get(name, {})
        counted = dict((item.document.get("block") or {}) if item else {})
        marked = item is not None and item.document.get("deleted") is True
        if marked and not holds:
            wrong = "it is marked as deleted, and still there"
            yield Repair(f"handle {name}", wrong, "end its removal", _ender(name))
            continue
        if (counted == holds and holds and not marked) or hidden & set(counted):
            continue
        yield Repair(
            f"handle {name}",
            _miscounted(counted, holds, missing=item is None),
            _recounting(holds),
            _recounter(name, holds),
        )


def _miscounted(counted: dict[str, int], holds: dict[str, int], *, missing: bool) -> str:
    if missing:
        return f"it is missing, and holds {sum(holds.values())}"
    return f"it counts {sum(counted.values())}, and holds {sum(holds.values())}"


def _ender(name: str) -> Callable[[Session], str]:
    """Return what ends a removal that somebody began: to ask for the handle does."""

    def do(session: Session) -> str:
        try:
            session.handle(name)
        except NotFound:
            return "removed"
        return _UNCHANGED

    return do


def _recounting(holds: dict[str, int]) -> str:
    return "count what it holds" if holds else "remove it"


def _recounter(name: str, holds: dict[str, int]) -> Callable[[Session], str]:
    def do(session: Session) -> str:
        found = recount(session, name, [parse_prefix(cidr) for cidr in holds])
        return f"counts {sum(found.after.values())}" if found else _UNCHANGED

    return do


# Affinities and blocks ---------------------------------------------------------------------------------------------


def _affinities(session: Session, checked: Checked, nodes: set[str]) -> Iterator[Repair]:
    owners = {stored.value.cidr: stored.value.affinity for stored in checked.observed.blocks}
    hidden = {name for name, _ in checked.observed.broken}
    for item in affinities(session):
        key = item.key
        assert isinstance(key, AffinityKey)
        if key.cidr in hidden or owners.get(key.cidr) == f"{key.kind}:{key.host}":
            continue
        try:
            pending = affinity_documents.read(item.document, str(key)).state == PENDING
        except Unreadable:
            continue
        if pending and (key.kind != HOST or key.host in nodes):
            continue
        wrong = f"the block is {owners[key.cidr] or 'nobody'}'s" if key.cidr in owners else "there is no such block"
        yield Repair(str(key), wrong, "remove it", _remover(Owner(key.host, key.kind), parse_prefix(key.cidr)))


def _remover(own: Owner, prefix: Prefix) -> Callable[[Session], str]:
    """Return what removes an affinity unless its block is there by now."""

    def do(session: Session) -> str:
        found = session.affinity(own, prefix)
        try:
            if session.block(prefix).value.affinity == str(own):
                return _UNCHANGED
        except NotFound:
            pass
        session.datastore.delete(found.item.key, found.item.revision, session.deadline)
        return "removed"

    return do


def _blocks(session: Session, checked: Checked, nodes: set[str]) -> Iterator[Repair]:
    known = {item.key for item in affinities(session)}
    for stored in checked.observed.blocks:
        block, own = stored.value, owner(stored.value.affinity)
        if own is None:
            if block.affinity is None and block.empty:
                yield Repair(
                    f"block {block.cidr}", "it is nobody's, and holds nothing", "remove it", _emptier(block.prefix)
                )
        elif affinity_key(own, block.prefix) not in known:
            gone = own.kind == HOST and own.host not in nodes
            action = "give it up: the node is gone" if gone else "write the affinity"
            yield Repair(
                f"block {block.cidr}",
                f"it is {own}'s, who has no affinity to it",
                action,
                _claimer(own, block.prefix, gone),
            )


def _emptier(prefix: Prefix) -> Callable[[Session], str]:
    def do(session: Session) -> str:
        found = session.block(prefix)
        if found.value.affinity is not None or not found.value.empty:
            return _UNCHANGED
        session.datastore.delete(found.item.key, found.item.revision, session.deadline)
        return "removed"

    return do


def _claimer(own: Owner, prefix: Prefix, gone: bool) -> Callable[[Session], str]:
    def do(session: Session) -> str:
        try:
            if session.block(prefix).value.affinity != str(own) or _is_there(session, own, prefix):
                return _UNCHANGED
            claiming.claim(session, own, prefix)
        except (Mismatch, Stale):
            return _UNCHANGED
        if not gone:
            return "the affinity is there"
        claiming.give_up(session, own, prefix, must_be_empty=False)
        return "given up"

    return do


def _is_there(session: Session, own: Owner, prefix: Prefix) -> bool:
    try:
        return bool(session.affinity(own, prefix))
    except NotFound:
        return False


# Leaks -------------------------------------------------------------------------------------------------------------


def _leaks(session: Session, checked: Checked, nodes: set[str]) -> Iterator[Repair]:
    """Yield the handles of which nobody uses any address, by the rules of the controller (`rules.garbage`)."""
    blocks = [of_block(stored.value) for stored in checked.observed.blocks]
    by_handle: dict[str, list[Leak]] = {}
    for leak in candidates_of(blocks, _living(session, nodes))[0]:
        by_handle.setdefault(leak.lease.handle, []).append(leak)
    live = _read_once()
    for handle, several in sorted(by_handle.items()):
        if handle and all(_is_suspect(leak.lease, checked, session.clock()) for leak in several):
            texts = ", ".join(format_address(leak.lease.address) for leak in several)
            why = ", ".join(dict.fromkeys(leak.why for leak in several))
            yield Repair(
                f"handle {handle}", f"nobody uses {texts}: {why}", f"release {texts}", _releaser(several, live)
            )


def _is_suspect(lease: Lease, checked: Checked, moment: int) -> bool:
    """Return whether nobody was seen to use an address, and its pod is not on its way up."""
    if lease.address not in checked.leaked:
        return False
    assigned = max(since(each.noted.get("timestamp", "")) or 0 for each in checked.allocations[lease.address])
    return lease.kind is not Kind.POD or moment - assigned * SECOND > GRACE


def _living(session: Session, nodes: set[str] | None = None) -> Living:
    """Return who lives now. Of virtual machines nobody tells here, so that none is gone."""
    documents: dict[PodName, list[dict[str, Any]]] = {}
    for item in listed(session, WorkloadKey):
        assert isinstance(item.key, WorkloadKey)
        pod = str((item.document.get("spec") or {}).get("pod") or "")
        documents.setdefault((item.key.namespace, pod), []).append(item.document)
    pods = {name: of_workloads(several) for name, several in documents.items()}
    return Living(pods, frozenset(_nodes(session) if nodes is None else nodes))


def _read_once() -> Callable[[Session], Living]:
    """Return what reads who lives when the first repair asks."""
    found: list[Living] = []

    def read(session: Session) -> Living:
        if not found:
            found.append(_living(session))
        return found[0]

    return read


def _nodes(session: Session) -> set[str]:
    return {item.key.name for item in listed(session, NodeKey) if isinstance(item.key, NodeKey)}


def _releaser(several: list[Leak], live: Callable[[Session], Living]) -> Callable[[Session], str]:
    """Return what releases leaks that are ones still, by who lives then."""

    def do(session: Session) -> str:
        if len(still_garbage(several, live(session))) < len(several):
            return "left alone: it is used"
        wishes = [Wish(leak.lease.address, leak.lease.handle, leak.lease.sequence) for leak in several]
        outcome = releasing.release(session, wishes)
        if isinstance(outcome.error, Conflict):
            return "left alone: it was handed out anew"
        if outcome.error:
            raise outcome.error
        return "released" if len(outcome.unheld) < len(wishes) else _UNCHANGED

    return do
