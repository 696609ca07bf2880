"""Pools are made, changed, deleted and split (spec §1.18, §3.4)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

from unipam.addr.prefix import Prefix, parse_interface, parse_prefix
from unipam.dialects.calico.calicoctl import locking
from unipam.dialects.calico.datastore.api import Item, Selection
from unipam.dialects.calico.datastore.keys import BlockKey, PoolKey
from unipam.dialects.calico.documents.times import rfc3339
from unipam.dialects.calico.engine import affinities
from unipam.dialects.calico.engine.session import Session
from unipam.dialects.calico.rules import pool_checking
from unipam.dialects.calico.rules.pool_checking import Problem, Spec
from unipam.model.errors import BadValue, Missing, NotFound, Refused

Document = dict[str, Any]

PAUSE = 0.5
"""Seconds between disabling a pool and giving up its blocks, so that what is under way can end (spec §5.3)."""
_LONGEST_NAME, _KEPT_OF_NAME = 253, 245


def judge(session: Session, name: str, spec: Spec) -> list[Problem]:
    """Return what speaks against a pool as it would be made or changed. Raises BadValue for a CIDR that is none."""
    found = pool_checking.problems(spec)
    try:
        old = session.datastore.get(PoolKey(name), session.deadline)
    except NotFound:
        return (
            found
            + pool_checking.overlaps(name, spec, session.pools())
            + pool_checking.conflicts(spec, _blocks(session))
        )
    return found + pool_checking.changed(old.document.get("spec") or {}, spec)


def _blocks(session: Session) -> list[Prefix]:
    """Return the place of every block, also of those that cannot be read."""
    listing = session.datastore.list(Selection(BlockKey), session.deadline)
    return [parse_prefix(item.key.cidr) for item in listing.items if isinstance(item.key, BlockKey)]


def apply(session: Session, document: Document, *, dry_run: bool = False) -> str:
    """Make or change a pool; "created", "updated" or "unchanged". Raises Refused with all that speaks against it."""
    name, spec = _read(document)
    if found := judge(session, name, spec):
        raise Refused(f"the pool {name} is refused: {'; '.join(map(str, found))}", pool=name)
    key, wanted = PoolKey(name), pool_checking.defaulted(spec)
    try:
        old = session.datastore.get(key, session.deadline)
    except NotFound:
        if not dry_run:
            session.datastore.create(
                key, resource(session, name, wanted, document.get("metadata") or {}), session.deadline
            )
        return "created"
    if pool_checking.defaulted(old.document.get("spec") or {}) == wanted:
        return "unchanged"
    if not dry_run:
        session.datastore.update(old._replace(document={**old.document, "spec": wanted}), session.deadline)
    return "updated"


def _read(document: Document) -> tuple[str, Spec]:
    if not isinstance(document, dict) or document.get("kind") != "IPPool":
        kind = document.get("kind") if isinstance(document, dict) else None
        raise BadValue(f"this is no IPPool but {kind!r}", field="kind", value=kind)
    name, spec = (document.get("metadata") or {}).get("name"), document.get("spec") or {}
    if not isinstance(name, str) or not name or not isinstance(spec, dict):
        raise BadValue("a pool has a metadata.name and a spec", field="metadata.name", value=name)
    return name, spec


def resource(session: Session, name: str, spec: Spec, metadata: Document) -> Document:
    """Return a new IPPool of projectcalico.org/v3; labels and annotations of `metadata` are kept."""
    kept = {field: metadata[field] for field in ("labels", "annotations") if metadata.get(field)}
    about = {"name": name, "uid": str(uuid.uuid4()), "creationTimestamp": rfc3339(session.clock()), **kept}
    return {"kind": "IPPool", "apiVersion": "projectcalico.org/v3", "metadata": about, "spec": spec}


def delete(
    session: Session, name: str, pause: Callable[[float], None] = time.sleep, *, dry_run: bool = False
) -> list[tuple[str, int]]:
    """Delete a pool: disable it, give up its blocks, remove it.

    Return the blocks in which addresses are held still, and how many: those go with their last address. Raises Missing.
    """
    item = _pool(session, name)
    cidr = _cidr(item)
    if not dry_run:
        item = _disable(session, item)
        pause(PAUSE)
        affinities.give_up_pool(session, cidr)
        session.datastore.delete(item.key, item.revision, session.deadline)
    inside = [stored.value for prefix, stored in session.blocks().items() if stored and cidr.contains(prefix)]
    held = ((block.cidr, sum(index is not None for index in block.allocations)) for block in inside if not block.empty)
    return sorted(held)


def _pool(session: Session, name: str) -> Item:
    try:
        return session.datastore.get(PoolKey(name), session.deadline)
    except NotFound as error:
        raise Missing(f"there is no IP pool {name}: `unipam calico ipam show` lists them", pool=name) from error


def _cidr(item: Item) -> Prefix:
    cidr = str((item.document.get("spec") or {}).get("cidr"))
    try:
        return parse_interface(cidr)[1]
    except ValueError as error:
        raise BadValue(f"{item.key} has a CIDR that is none: {error}", field="cidr", value=cidr) from error


def _disable(session: Session, item: Item) -> Item:
    spec = item.document.get("spec") or {}
    if spec.get("disabled"):
        return item
    changed = {**item.document, "spec": {**spec, "disabled": True}}
    return session.datastore.update(item._replace(document=changed), session.deadline)


def split(
    session: Session, number: int, name: str = "", cidr: str = "", *, dry_run: bool = False
) -> list[tuple[str, str]]:
    """Split a pool into as many of equal size; their names and CIDRs. Blocks and addresses stay as they are.

    Raises Refused while the datastore is not locked, Missing, BadValue.
    """
    if not name and not cidr:
        problem = "no name or CIDR provided. Provide a name or CIDR to denote the IP pool to split"
        raise BadValue(problem, field="name")
    locking.require_locked(session)
    item = _named(session, name, cidr)
    spec = item.document["spec"]
    parts = list(zip(_names(str(item.document["metadata"]["name"]), number), _parts(_cidr(item), number), strict=True))
    _require_whole_blocks(spec, parts)
    if not dry_run:
        item = _disable(session, item)
        for part, prefix in parts:
            of_part = {field: value for field, value in spec.items() if field != "disabled"} | {"cidr": str(prefix)}
            made = resource(session, part, of_part, item.document["metadata"])
            session.datastore.create(PoolKey(part), made, session.deadline)
        session.datastore.delete(item.key, item.revision, session.deadline)
    return [(part, str(prefix)) for part, prefix in parts]


def _named(session: Session, name: str, cidr: str) -> Item:
    if name:
        return _pool(session, name)
    for item in session.datastore.list(Selection(PoolKey), session.deadline).items:
        if (item.document.get("spec") or {}).get("cidr") == cidr:
            return item
    raise Missing(f"unable to find IP pool {name} covering the specified CIDR {cidr}", cidr=cidr)


def _names(name: str, number: int) -> list[str]:
    names = [f"split-{name}-{part}" for part in range(number)]
    return [
        each if len(each) <= _LONGEST_NAME else f"split-{name[:_KEPT_OF_NAME]}-{part}"
        for part, each in enumerate(names)
    ]


def _parts(prefix: Prefix, number: int) -> list[Prefix]:
    power = number.bit_length() - 1
    if number < 2 or number != 1 << power:
        why = f"number to split CIDR into is not a valid power of 2: {number}"
        raise BadValue(f"error splitting the CIDR {prefix} into {number} CIDRs: {why}", field="number", value=number)
    length = prefix.length + power
    if length > 128:
        why = f"the CIDR {prefix} is not large enough to be split into {number} parts"
        raise BadValue(f"error splitting the CIDR {prefix} into {number} CIDRs: {why}", field="number", value=number)
    size = prefix.size // number
    return [Prefix(prefix.first + part * size, length) for part in range(number)]


def _require_whole_blocks(spec: Spec, parts: list[tuple[str, Prefix]]) -> None:
    """Raise BadValue where a part would be smaller than a block, and so could give nobody an address."""
    bits = pool_checking.defaulted(spec)["blockSize"]
    if parts[0][1].bits > bits:
        problem = f"parts of /{parts[0][1].bits} would be smaller than the pool's blocks of /{bits}"
        raise BadValue(f"{problem}: split it into fewer", field="number", value=len(parts))
