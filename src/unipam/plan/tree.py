"""The plan's objects: find, create, change and remove them, each change with its line in the journal.

Use cases (the other modules beside this one) are functions of a transaction; `Plan` runs them, alone or as a rehearsal.
An object's number is that of the journal entry that created it, its generation that of the entry that touched it last,
and an entry names the generation that it replaces: so the journal alone gives the plan at any past moment
(`plan.history`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar, cast

import msgspec

from unipam.addr.prefix import BITS, Prefix, truncate
from unipam.model import objects
from unipam.model.errors import BadValue, Missing, NameTaken, Outside, Overlap, Stale
from unipam.model.objects import F, Facts
from unipam.model.records import HELD, SPACE, Claim, Entry, Owner, Selection
from unipam.store.api import EVERY, Store, Tx
from unipam.store.reserve import where_full

T = TypeVar("T")
L = TypeVar("L", objects.External, objects.Endpoint)
"""What is listed by a PUT of the whole list."""

CREATE, CHANGE, REMOVE = "create", "change", "remove"
"""The journal's verbs of the plan; removals may have others that say more (`settle`, `vanish`)."""

WHOLE_LINE = Prefix(0, 0)
"""Every address: what a space spans."""


class Author(NamedTuple):
    """Who does it, when and why. `actor` is shown and journalled; `subject` is the same as an unchanging key.

    `call` is the caller's own key for the request; `expect` the generation that it saw, None when it does not care.
    """

    actor: str
    subject: str = ""
    now: float = 0.0
    reason: str = ""
    call: str = ""
    expect: int | None = None


def require_reason(reason: str) -> None:
    """Raise BadValue for a reason that cannot stand in a line of the journal."""
    if not reason.isprintable():
        raise BadValue("the reason must be printable text on one line", field="reason")


class Node(NamedTuple, Generic[F]):
    """An object of the plan: the claim that holds its place, and what is known of it."""

    claim: Claim
    facts: F

    @property
    def id(self) -> int:
        """Return its number, for life."""
        return self.claim.id

    @property
    def prefix(self) -> Prefix:
        """Return its prefix."""
        return prefix_of(self.claim)


def prefix_of(claim: Claim) -> Prefix:
    """Return a claim's addresses as a prefix, which those of every object of the plan are."""
    return Prefix(claim.first, BITS - (claim.last - claim.first).bit_length())


class Draft(NamedTuple):
    """An object that is to be."""

    parent: int
    prefix: Prefix
    owner: Owner
    facts: Facts
    until: float | None = None


def node(claim: Claim) -> Node[Facts]:
    """Return the object that a claim of the plan carries."""
    return Node(claim, objects.decode(claim.details))


def children(tx: Tx, parent: int, kind: type[F]) -> list[Node[F]]:
    """Return the objects of one kind directly under another, in address order; what else lies there is not read."""
    name = str(kind.__struct_config__.tag)
    return [cast("Node[F]", node(claim)) for claim in tx.select(Selection(name, (parent,), limit=EVERY))]


def of_kind(claims: Iterable[Claim], kind: type[F]) -> list[Node[F]]:
    """Return the objects of one kind among claims."""
    name = kind.__struct_config__.tag
    return [cast("Node[F]", node(claim)) for claim in claims if claim.kind == name]


def rank(node: Node[F]) -> int:
    """Return an object's place among its like in the order of making: its number, unless a replaced list moved it."""
    facts = node.facts
    moved = facts.rank if isinstance(facts, objects.Network | objects.External | objects.Endpoint) else 0
    return moved or node.id


def in_order(nodes: Iterable[Node[F]]) -> list[Node[F]]:
    """Return objects in the order in which they were made, or in which a replaced list named them."""
    return sorted(nodes, key=rank)


def spaces(tx: Tx) -> list[Node[objects.Space]]:
    """Return every space, by name."""
    return [cast("Node[objects.Space]", node(found)) for n, _ in tx.spaces() if (found := tx.claim(n)) is not None]


def find_space(tx: Tx, name: str) -> Node[objects.Space]:
    """Return the space of this name, letter case aside. Raises Missing."""
    number = tx.space(objects.fold(name)) if objects.is_name(name) else None
    claim = None if number is None else tx.claim(number)
    if claim is None:
        raise missing(SPACE, name)
    return cast("Node[objects.Space]", node(claim))


def find_block(tx: Tx, space: int, name: str) -> Node[objects.Block]:
    """Return the block of this name at any depth of a space. Raises Missing."""
    if objects.is_name(name):
        for claim in tx.claims_named([objects.fold(name)]):
            if claim.kind == objects.BLOCK and claim.owner.interface == str(space):
                return cast("Node[objects.Block]", node(claim))
    raise missing(objects.BLOCK, name)


def find_child(tx: Tx, parent: int, kind: type[F], name: str) -> Node[F]:
    """Return the object of a kind and name directly under another. Raises Missing."""
    tag = str(kind.__struct_config__.tag)
    if objects.is_name(name):
        for claim in tx.claims_of(parent, objects.fold(name)):
            if claim.kind == tag:
                return cast("Node[F]", node(claim))
    raise missing(tag, name)


def missing(kind: str, name: str) -> Missing:
    """Return the error that there is nothing of this kind and name."""
    return Missing(f"there is no {kind} named {name!r}", kind=kind, value=name)


def refuse_name(tx: Tx, parent: int, kind: type[F], name: str, but: int = 0) -> None:
    """Raise NameTaken when another of the kind under the parent has this name."""
    try:
        found = find_child(tx, parent, kind, name)
    except Missing:
        return
    if found.id != but:
        raise NameTaken(f"there is a {found.claim.kind} named {name} already", kind=found.claim.kind, value=name)


def require_inside(prefix: Prefix, parent: Prefix, what: str) -> None:
    """Raise Outside when the prefix does not lie within the parent."""
    if not parent.contains(prefix):
        raise Outside(f"{prefix} does not lie within {what} ({parent})", prefix=str(prefix), parent=str(parent))


def create(tx: Tx, by: Author, draft: Draft) -> Claim:
    """Make one object. Raises Overlap when its addresses are claimed under the parent."""
    return create_all(tx, [by], [draft])[0]


def create_all(tx: Tx, by: Sequence[Author], drafts: Sequence[Draft]) -> list[Claim]:
    """Make objects, each by its own caller. Raises Overlap, as `create` does."""
    details = [objects.encode(draft.facts) for draft in drafts]
    numbers = tx.record_all(list(map(_creation, by, drafts, details)))
    claims = list(map(_drafted, by, drafts, details, numbers))
    tx.insert_all(claims)
    return claims


def _creation(by: Author, draft: Draft, details: str) -> Entry:
    parent, prefix, owner = draft.parent, draft.prefix, draft.owner
    return Entry(by.now, CREATE, parent, prefix.first, prefix.last, owner, 0, by.actor, by.reason, details)


def _drafted(by: Author, draft: Draft, details: str, number: int) -> Claim:
    parent, prefix, owner, facts, until = draft
    kind, place = str(facts.__struct_config__.tag), (prefix.first, prefix.last)
    return Claim(parent, *place, kind, owner, HELD, by.now, until, number, 0, 0, by.call, details, number)


def _entry(by: Author, verb: str, after: Claim) -> Entry:
    """Return a line of the journal: the claim as it is now, and with its generation the state that it replaces."""
    first, last, owner = after.first, after.last, after.owner
    return Entry(by.now, verb, after.parent, first, last, owner, after.generation, by.actor, by.reason, after.details)


def change(tx: Tx, by: Author, claim: Claim, facts: Facts, *, owner: Owner | None = None, state: str = "") -> Claim:
    """Write down new facts, and a new owner or state where given. Raises Stale when it is not as `by` saw it."""
    owner, details = owner or claim.owner, objects.encode(facts)
    generation = _record(tx, by, claim, CHANGE, claim._replace(owner=owner, details=details))
    since = by.now if state and state != claim.state else claim.since
    changed = claim._replace(
        owner=owner, details=details, state=state or claim.state, since=since, generation=generation
    )
    tx.update(changed)
    return changed


def reorder(tx: Tx, by: Author, wanted: Sequence[Node[L]]) -> list[Node[L]]:
    """Give the objects of a list, all under one parent, the order in which they stand; return them as they are then.

    They share out the places that they had, so what is made later comes after them. One in its place is not touched.
    """
    places = sorted(map(rank, wanted))
    return [_ranked(tx, by, node, place) for node, place in zip(wanted, places, strict=True)]


def _ranked(tx: Tx, by: Author, node: Node[L], place: int) -> Node[L]:
    if rank(node) == place:
        return node
    facts = msgspec.structs.replace(node.facts, rank=place)
    return Node(change(tx, by, node.claim, facts), facts)


def move(tx: Tx, by: Author, claim: Claim, prefix: Prefix) -> Claim:
    """Give an object another prefix; what it holds stays. Raises Overlap, Stale, or Outside for what it holds."""
    _refuse_stranding(tx, claim, prefix)
    moved = claim._replace(first=prefix.first, last=prefix.last)
    moved = moved._replace(generation=_record(tx, by, claim, CHANGE, moved))
    tx.remove(claim)
    tx.insert(moved)
    reopen(tx, claim)
    for length in tx.cursors(claim.id):
        tx.set_cursor(claim.id, length, prefix.first)
    return moved


def _refuse_stranding(tx: Tx, claim: Claim, prefix: Prefix) -> None:
    for child in tx.claims(claim.id):
        if not (prefix.first <= child.first and child.last <= prefix.last):
            raise Outside(
                f"{prefix} would not contain the {child.kind} {child.text} that lies within {claim.text}",
                prefix=str(prefix),
                child=child.text,
                kind=child.kind,
            )


def remove(tx: Tx, by: Author, claim: Claim, verb: str = REMOVE, facts: Facts | None = None) -> None:
    """Take an object away, its addresses are free. `facts` are its last ones, for the journal. Raises Stale."""
    _record(tx, by, claim, verb, claim._replace(details=objects.encode(facts)) if facts else claim)
    tx.remove(claim)
    reopen(tx, claim)


def remove_tree(tx: Tx, by: Author, claim: Claim) -> None:
    """Take an object away with all that it holds, the inmost first."""
    refuse_stale(by, claim)
    for child in list(tx.claims(claim.id)):
        remove_tree(tx, by._replace(expect=None), child)
    remove(tx, by, claim)


def reopen(tx: Tx, claim: Claim) -> None:
    """Lower the floors below which nothing is looked for, since space became free under the claim's parent.

    The cursor number n of a parent is such a floor: no prefix of length n is free below it (`plan.free`).
    """
    for length, floor in tx.cursors(claim.parent).items():
        if floor > claim.first:
            tx.set_cursor(claim.parent, length, truncate(claim.first, length).first)


def refuse_stale(by: Author, claim: Claim) -> None:
    """Raise Stale when the caller saw another generation than the one that is there."""
    if by.expect is not None and by.expect != claim.generation:
        raise Stale(
            f"the {claim.kind} {claim.owner.holder} was changed meanwhile (it is at {claim.generation}, you saw"
            f" {by.expect}): read it again",
            generation=claim.generation,
        )


def _record(tx: Tx, by: Author, before: Claim, verb: str, after: Claim) -> int:
    refuse_stale(by, before)
    return tx.record(_entry(by, verb, after))


def remark(tx: Tx, by: Author, verb: str, what: str, details: str = "") -> None:
    """Write down, in the same journal, a change of what has no place in the tree: who may do what, what is archived."""
    tx.record(Entry(by.now, verb, 0, 0, 0, Owner(what), 0, by.actor, by.reason, details))


def overlaps(tx: Tx, parent: int, prefix: Prefix) -> Iterator[Claim]:
    """Yield the claims under the parent that share addresses with the prefix.

    Of two prefixes that overlap one contains the other, and claims do not overlap: so one around it is the last before.
    """
    before = tx.claim_before(parent, prefix.first)
    if before is not None and before.first < prefix.first <= before.last:
        yield before
        return
    yield from tx.claims(parent, prefix.first, prefix.last)


def refuse_overlap(tx: Tx, parent: int, prefix: Prefix, but: int = 0) -> None:
    """Raise Overlap, with what is in the way, when any address of the prefix is claimed under the parent."""
    if next(tx.gaps(parent, prefix.first, prefix.last), None) == (prefix.first, prefix.last):
        return  # one look instead of one for each prefix that might lie around
    for claim in overlaps(tx, parent, prefix):
        if claim.id != but:
            name = f"the {claim.kind} {claim.owner.holder}" if claim.kind != objects.NETWORK else "a network"
            raise Overlap(  # a network's name is not for everybody (D12)
                f"{prefix} overlaps {name} ({claim.text})",
                prefix=str(prefix),
                other=claim.text,
                kind=claim.kind,
            )


class _Rehearsed(Exception):
    """Carries the result of a rehearsal out of the transaction that is rolled back."""


class Plan:
    """An address plan in a store. One thread at a time."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self.clock = clock

    def write(self, work: Callable[[Tx, Author], T], by: Author, *, rehearse: bool = False, frees: bool = False) -> T:
        """Do work as one transaction; as a rehearsal, everything happens but the end: nothing is changed.

        What `frees` something may use the room that the store keeps for a full disk.
        """
        if frees:
            return where_full(lambda: self.write(work, by, rehearse=rehearse), self.store.make_room)
        result: T
        try:
            with self.store.transaction() as tx:
                result = work(tx, by._replace(now=self.clock()))
                if rehearse:
                    raise _Rehearsed
        except _Rehearsed:
            pass
        return result

    def read(self, work: Callable[[Tx], T]) -> T:
        """Do work on one consistent state."""
        with self.store.reading() as tx:
            return work(tx)
