"""A plan's document comes in: what is not there yet is created, what cannot be is reported. See `export`."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from unipam.addr.prefix import Prefix
from unipam.model import objects
from unipam.model.cloud import Snapshot, key
from unipam.model.errors import BadValue, Refused
from unipam.model.objects import Endpoint, External, Subnet
from unipam.model.records import SPACE, Claim, Owner
from unipam.plan import tree
from unipam.plan.blocks import NewBlock, create_block, create_space, name_of, settled_key
from unipam.plan.reservations import Settled, is_id
from unipam.plan.transfer.export import Document, Item
from unipam.plan.tree import Author, Draft
from unipam.store.api import Tx


class Conflict(NamedTuple):
    """An object that could not come in, and why."""

    kind: str
    place: str
    name: str
    problem: str


class Report(NamedTuple):
    """What came in, what was there already, and what could not."""

    created: int
    present: int
    conflicts: tuple[Conflict, ...]


def move_in(tx: Tx, by: Author, document: Document, snapshot: Snapshot, *, keep_going: bool = False) -> Report:
    """Create everything of the document that is not there yet.

    Raises Refused with the fact `report` when anything conflicts, unless `keep_going` leaves that out.
    """
    importer = _Importer(tx, by, snapshot)
    importer.move(document.items, (), None)
    report = Report(importer.created, importer.present, tuple(importer.conflicts))
    if report.conflicts and not keep_going:
        first = report.conflicts[0]
        raise Refused(
            f"{len(report.conflicts)} objects conflict with the plan, so nothing was changed; the first is the"
            f" {first.kind} {first.name}: {first.problem}",
            report=report,
        )
    return report


class _Importer:
    """Moves a document's objects in, inside one transaction."""

    def __init__(self, tx: Tx, by: Author, snapshot: Snapshot) -> None:
        self._tx = tx
        self._by = by
        self._snapshot = snapshot
        self.created = self.present = 0
        self.conflicts: list[Conflict] = []

    def move(self, items: list[Item], place: tuple[str, ...], parent: Claim | None) -> None:
        """Create what is not there yet; what cannot be created is a conflict, and what it holds is not tried."""
        for item in items:
            try:
                claim = self._one(item, place, parent)
            except (Refused, BadValue) as error:
                self.conflicts.append(Conflict(item.kind, "/".join(place), item.name or item.id, error.message))
                continue
            if claim is not None:
                self.move(item.items, (*place, item.name), claim)

    def _one(self, item: Item, place: tuple[str, ...], parent: Claim | None) -> Claim | None:
        there = self._there(item, parent)
        if there is not None:
            self.present += 1
            return there
        made = self._make(item, place, parent)
        self.created += 1
        return made

    def _make(self, item: Item, place: tuple[str, ...], parent: Claim | None) -> Claim | None:
        if item.kind == SPACE and parent is None:
            return create_space(self._tx, self._by, item.name, item.desc).claim
        if item.kind == objects.BLOCK:
            return self._block(item, place, _require(parent, item, SPACE, objects.BLOCK))
        if item.kind == objects.NETWORK:
            return self._network(item, _require(parent, item, objects.BLOCK))
        if item.kind == objects.RESERVATION:
            return self._reservation(item, _require(parent, item, objects.BLOCK))
        if item.kind == objects.EXTERNAL:
            return self._named(item, _require(parent, item, objects.BLOCK), External)
        if item.kind == objects.SUBNET:
            return self._named(item, _require(parent, item, objects.EXTERNAL), Subnet)
        if item.kind == objects.ENDPOINT:
            return self._named(item, _require(parent, item, objects.SUBNET), Endpoint)
        raise BadValue(f"a {item.kind!r} is nothing that could be here", field="kind", value=item.kind)

    def _there(self, item: Item, parent: Claim | None) -> Claim | None:
        """Return the same object, if it is there already, at the same place."""
        if item.kind == SPACE and parent is None:
            number = self._tx.space(objects.fold(item.name)) if objects.is_name(item.name) else None
            return None if number is None else self._tx.claim(number)
        if parent is None or not item.prefix or item.settled_on is not None:
            return None
        prefix = _prefix(item)
        claim = self._tx.claim_at(parent.id, prefix.first)
        if claim is None or claim.kind != item.kind or tree.prefix_of(claim) != prefix:
            return None
        return claim if objects.fold(name_of(tree.node(claim))) == objects.fold(item.id or item.name) else None

    def _block(self, item: Item, place: tuple[str, ...], parent: Claim) -> Claim:
        around = place[-1] if parent.kind == objects.BLOCK else ""
        return create_block(self._tx, self._by, place[0], NewBlock(item.name, _prefix(item), around, item.desc)).claim

    def _network(self, item: Item, block: Claim) -> Claim:
        """Return a network's claims: the prefix that the document gives, or those that the cloud tells of."""
        if not item.id.isprintable() or not item.id:
            raise BadValue("a network needs its resource id", field="id", value=item.id)
        known = self._snapshot.network(item.id)
        around = tree.prefix_of(block)
        prefixes = (
            [_prefix(item)] if item.prefix else [p for p in (known.prefixes if known else ()) if around.contains(p)]
        )
        if not prefixes:
            raise BadValue(f"the prefixes of {item.id} are not known: connect the cloud first", field="id")
        facts, owner = objects.Network(item.id, item.name or item.id.rpartition("/")[2]), Owner(key(item.id))
        return [self._place(block, prefix, owner, facts) for prefix in prefixes][-1]

    def _reservation(self, item: Item, block: Claim) -> Claim | None:
        if not is_id(item.id):
            raise BadValue(f"{item.id!r} is no reservation id", field="id", value=item.id)
        facts = objects.Reservation(
            item.id, item.created_on, item.created_by, item.subject or item.created_by, item.status or objects.WAIT,
            objects.check_remark(item.desc or None), item.settled_on, item.settled_by,
        )  # fmt: skip
        prefix = _prefix(item)
        if facts.settled_on is None:
            return self._place(block, prefix, Owner(item.id), facts, item.until)
        key = settled_key(int(block.owner.interface), block.id, item.id)
        self._tx.set_note(key, msgspec.json.encode(Settled(str(prefix), facts)).decode())
        return None

    def _named(self, item: Item, parent: Claim, kind: type[External] | type[Subnet] | type[Endpoint]) -> Claim:
        facts = kind(objects.check_name(item.kind, item.name), item.desc and objects.check_text(item.kind, item.desc))
        tree.refuse_name(self._tx, parent.id, kind, item.name)
        return self._place(parent, _prefix(item), Owner(objects.fold(item.name)), facts)

    def _place(
        self, parent: Claim, prefix: Prefix, owner: Owner, facts: objects.Facts, until: float | None = None
    ) -> Claim:
        tree.require_inside(prefix, tree.prefix_of(parent), f"the {parent.kind} {parent.owner.holder}")
        tree.refuse_overlap(self._tx, parent.id, prefix)
        return tree.create(self._tx, self._by, Draft(parent.id, prefix, owner, facts, until))


def _prefix(item: Item) -> Prefix:
    """Return the item's prefix; an endpoint may be written as an address alone."""
    alone = item.kind == objects.ENDPOINT and "/" not in item.prefix
    return objects.parse_cidr(f"{item.prefix}/{128 if ':' in item.prefix else 32}" if alone else item.prefix, "prefix")


def _require(parent: Claim | None, item: Item, *kinds: str) -> Claim:
    if parent is None or parent.kind not in kinds:
        raise BadValue(f"a {item.kind} must be inside a {' or a '.join(kinds)}", field="kind", value=item.kind)
    return parent
