"""A whole plan as a document, out and in. JSON carries everything; CSV the tree's objects, one a line.

Objects stand in the order in which they were made, so that an import makes them in this order again. The answer of the
Azure IPAM application's `GET /api/spaces` is read too, so that its plan can be taken over. How a document comes into
the plan is in `plan.transfer.importing`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import msgspec

from unipam.model import objects
from unipam.model.errors import BadValue
from unipam.model.records import SPACE, Claim
from unipam.plan import tree
from unipam.plan.reservations import Settled, settled
from unipam.store.api import Tx

FORMAT = "unipam-plan/1"


class Item(msgspec.Struct, omit_defaults=True):
    """One object of the plan with what it holds. `id` is that of a network or reservation; times are epoch seconds."""

    kind: str
    name: str = ""
    prefix: str = ""
    desc: str = ""
    id: str = ""
    status: str = ""
    created_on: float = 0.0
    created_by: str = ""
    subject: str = ""
    settled_on: float | None = None
    settled_by: str | None = None
    until: float | None = None
    items: list[Item] = []


class Document(msgspec.Struct):
    """A plan."""

    format: str
    at: float
    items: list[Item]


def export(tx: Tx, now: float) -> Document:
    """Return the whole plan."""
    return Document(FORMAT, now, [_out(tx, each.claim) for each in tree.in_order(tree.spaces(tx))])


def _out(tx: Tx, claim: Claim) -> Item:
    node = tree.node(claim)
    facts = node.facts
    item = Item(claim.kind, prefix="" if claim.kind == SPACE else str(node.prefix), until=claim.until)
    if isinstance(facts, objects.Reservation):
        _put_reservation(item, facts)
    elif isinstance(facts, objects.Network):
        item.id, item.name = facts.id, facts.name
    else:
        item.name, item.desc = facts.name, facts.desc
    item.items = [_out(tx, child.claim) for child in tree.in_order(map(tree.node, tx.claims(claim.id)))]
    if isinstance(facts, objects.Block):
        item.items += [_settled(past) for past in settled(tx, int(claim.owner.interface), claim.id)]
    return item


def _put_reservation(item: Item, facts: objects.Reservation) -> None:
    item.id, item.desc, item.status = facts.id, facts.desc or "", facts.status
    item.created_on, item.created_by, item.subject = facts.created_on, facts.created_by, facts.subject
    item.settled_on, item.settled_by = facts.settled_on, facts.settled_by


def _settled(past: Settled) -> Item:
    item = Item(objects.RESERVATION, prefix=past.cidr)
    _put_reservation(item, past.facts)
    return item


def read_document(data: bytes) -> Document:
    """Read a plan from JSON: ours, or the Azure IPAM application's list of spaces. Raises BadValue."""
    try:
        raw = msgspec.json.decode(data)
        if isinstance(raw, list):
            raw = msgspec.to_builtins(Document(FORMAT, 0.0, [_azure_space(space) for space in raw]))
        document = msgspec.convert(raw, Document)
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BadValue(f"this is no plan: {error!r}", field="document") from None
    if document.format != FORMAT:
        raise BadValue(f"format: {document.format!r} is not {FORMAT}", field="format", value=document.format)
    return document


def _azure_space(space: dict[str, Any]) -> Item:
    return Item(SPACE, space["name"], desc=space["desc"], items=[_azure_block(b) for b in space["blocks"]])


def _azure_block(block: dict[str, Any]) -> Item:
    items = [Item(objects.NETWORK, v["id"].rpartition("/")[2], id=v["id"]) for v in block.get("vnets", [])]
    items += [_azure_external(each) for each in block.get("externals", [])]
    items += [_azure_reservation(each) for each in block.get("resv", [])]
    return Item(objects.BLOCK, block["name"], block["cidr"], items=items)


def _azure_external(each: dict[str, Any]) -> Item:
    subnets = [
        Item(
            objects.SUBNET, s["name"], s["cidr"], s["desc"],
            items=[Item(objects.ENDPOINT, e["name"], e["ip"], e["desc"]) for e in s.get("endpoints", [])],
        )
        for s in each.get("subnets", [])
    ]  # fmt: skip
    return Item(objects.EXTERNAL, each["name"], each["cidr"], each["desc"], items=subnets)


def _azure_reservation(each: dict[str, Any]) -> Item:
    return Item(
        objects.RESERVATION, "", each["cidr"], each.get("desc") or "", each["id"], each["status"],
        float(each["createdOn"]), each["createdBy"], each["createdBy"], each.get("settledOn"), each.get("settledBy"),
    )  # fmt: skip


CSV_COLUMNS = ("kind", "path", "name", "prefix", "desc", "id", "status", "created_by")


def to_csv(document: Document) -> str:
    """Write the tree's objects, one a line; `path` names what they are in, from the space down."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(CSV_COLUMNS)
    table.writerows(_lines(document.items, ()))
    return text.getvalue()


def _lines(items: list[Item], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for item in items:
        place = "/".join(path)
        yield (item.kind, place, item.name, item.prefix, item.desc, item.id, item.status, item.created_by)
        yield from _lines(item.items, (*path, item.name))


_HOLDERS = (SPACE, objects.BLOCK, objects.EXTERNAL, objects.SUBNET)


def from_csv(text: str, now: float) -> Document:
    """Read a plan from such lines; a line's parent must come before it. Raises BadValue with the number of the line."""
    document = Document(FORMAT, now, [])
    known: dict[str, Item] = {"": Item("", items=document.items)}
    table = csv.DictReader(io.StringIO(text))
    if not table.fieldnames or not {"kind", "path", "name"} <= set(table.fieldnames):
        raise BadValue(f"the first line must name the columns: {', '.join(CSV_COLUMNS)}", field="document")
    for number, row in enumerate(table, start=2):
        path = row["path"] or ""
        if path not in known:
            raise BadValue(f"line {number}: nothing before it is at {path!r}", field="path", value=path)
        given = {column: row.get(column) or "" for column in CSV_COLUMNS if column != "path"}
        item = Item(**given, created_on=now if given["kind"] == objects.RESERVATION else 0.0)  # type: ignore[arg-type]
        known[path].items.append(item)
        if item.kind in _HOLDERS:
            known["/".join(filter(None, (path, item.name)))] = item
    return document
