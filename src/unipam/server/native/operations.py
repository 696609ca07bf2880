"""The native API's operations on spaces, blocks, reservations ...: who may do them, what they do, what they answer.

HTTP is not known here, so that a command on a local database needs none of it (`server.direct`). A writing operation
refuses at once a caller who may not do it, and answers the work of one transaction; so does a reading one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from unipam.addr.prefix import Prefix
from unipam.model import objects
from unipam.model.errors import BadValue
from unipam.model.objects import fold, parse_cidr
from unipam.model.records import Claim
from unipam.plan import blocks, reservations, tree
from unipam.plan import reserve as plan_reserve
from unipam.plan.access import grants, tokens
from unipam.plan.access.callers import Caller, Sight
from unipam.plan.networks import Associated, associated
from unipam.plan.reads import space_use, use_of
from unipam.plan.reservations import Reserved
from unipam.plan.reserve import Wanted
from unipam.plan.tree import By, Node
from unipam.store.api import Tx

if TYPE_CHECKING:
    from unipam.server.native import models as m

MOST_ITEMS = 1000

Shape = dict[str, Any]


class Answer(NamedTuple):
    """What a write leads to."""

    content: Any = None
    status: int = 200
    generation: int = 0


Read = Callable[[Tx], Shape]
List = Callable[[Tx], list[Shape]]
Write = Callable[[Tx, By], Answer]


def require_admin(caller: Caller) -> None:
    """Raises Forbidden unless the caller is an administrator."""
    if not caller.admin:
        raise caller.refusal(f"{caller.name} is no administrator")


def require_planner(caller: Caller, space: str) -> None:
    """Raises Forbidden unless the caller may plan the space."""
    if not caller.may_plan(space):
        raise caller.refusal(f"{caller.name} may not plan the space {space}")


def require_reason(reason: str) -> None:
    """Raises BadValue for a reason that cannot stand in a line of the journal."""
    if not reason.isprintable():
        raise BadValue("X-Reason: must be printable text", field="X-Reason")


class Paging(NamedTuple):
    """Which part of a listing."""

    limit: int
    after: str


def part_of(items: Sequence[Any], paging: Paging, name: Callable[[Any], str]) -> Shape:
    """One part of a listing, whose items are told apart by their names. Raises BadValue for an unknown `after`."""
    start = 0
    if paging.after:
        places = [place for place, item in enumerate(items) if name(item) == paging.after]
        if not places:
            raise BadValue("after: there is no such item (any more): begin anew", field="after", value=paging.after)
        start = places[0] + 1
    part = items[start : start + paging.limit]
    more = start + paging.limit < len(items)
    return {"items": part, "next": name(part[-1]) if more else None}


# ---- spaces


def list_spaces(*, utilisation: bool) -> List:
    """The spaces, by name."""

    def work(tx: Tx) -> list[Shape]:
        rows = [space_shape(node) for node in tree.spaces(tx)]
        for row, node in zip(rows, tree.spaces(tx) if utilisation else (), strict=False):
            row["utilisation"] = space_use(tx, node.id)._asdict()
        return rows

    return work


def read_space(space: str) -> Read:
    """One space."""
    return lambda tx: space_shape(tree.find_space(tx, space))


def use_of_space(space: str) -> Read:
    """How full a space is."""
    return lambda tx: space_use(tx, tree.find_space(tx, space).id)._asdict()


def make_space(caller: Caller, body: m.NewSpace) -> Write:
    """Make a space."""
    require_admin(caller)

    def work(tx: Tx, by: By) -> Answer:
        node = blocks.create_space(tx, by, body.name, body.desc)
        return Answer(space_shape(node), 201, node.claim.generation)

    return work


def change_space(caller: Caller, space: str, body: m.SpaceChange) -> Write:
    """Rename or describe a space anew."""
    require_admin(caller)

    def work(tx: Tx, by: By) -> Answer:
        node = blocks.change_space(tx, by, space, name=body.name, desc=body.desc)
        return Answer(space_shape(node), 200, node.claim.generation)

    return work


def remove_space(caller: Caller, space: str, *, force: bool) -> Write:
    """Remove a space."""
    require_admin(caller)

    def work(tx: Tx, by: By) -> Answer:
        blocks.remove_space(tx, by, space, force=force)
        return Answer(status=204)

    return work


def space_shape(node: Node[objects.Space]) -> Shape:
    """A space."""
    return {"name": node.facts.name, "desc": node.facts.desc, "generation": node.claim.generation}


# ---- blocks


def list_blocks(space: str, overlaps: Prefix | None, parent: str | None, *, utilisation: bool) -> List:
    """The blocks of a space at any depth, each before those inside it, in address order."""

    def work(tx: Tx) -> list[Shape]:
        root = tree.find_space(tx, space)
        found = blocks.blocks(tx, root.id)
        if overlaps is not None:
            found = [node for node in found if node.prefix.overlaps(overlaps)]
        shapes = [block_shape(tx, root.facts.name, node) for node in found]
        for shape, node in zip(shapes, found if utilisation else (), strict=False):
            shape["utilisation"] = use_of(tx, node)._asdict()
        return [s for s in shapes if parent is None or fold(s["parent"] or "") == fold(parent)]

    return work


def read_block(space: str, block: str) -> Read:
    """One block."""

    def work(tx: Tx) -> Shape:
        root = tree.find_space(tx, space)
        return block_shape(tx, root.facts.name, tree.find_block(tx, root.id, block))

    return work


def use_of_block(space: str, block: str) -> Read:
    """How full a block is."""
    return lambda tx: use_of(tx, tree.find_block(tx, tree.find_space(tx, space).id, block))._asdict()


def make_block(caller: Caller, space: str, body: m.NewBlock) -> Write:
    """Make a block."""
    require_planner(caller, space)

    def work(tx: Tx, by: By) -> Answer:
        new = blocks.NewBlock(body.name, parse_cidr(body.cidr), body.parent or "", body.desc)
        node = blocks.create_block(tx, by, space, new)
        return Answer(block_shape(tx, tree.find_space(tx, space).facts.name, node), 201, node.claim.generation)

    return work


def change_block(caller: Caller, space: str, block: str, body: m.BlockChange) -> Write:
    """Rename, resize or describe a block anew."""
    require_planner(caller, space)

    def work(tx: Tx, by: By) -> Answer:
        prefix = None if body.cidr is None else parse_cidr(body.cidr)
        node = blocks.change_block(tx, by, space, block, blocks.BlockChange(body.name, prefix, body.desc))
        return Answer(block_shape(tx, tree.find_space(tx, space).facts.name, node), 200, node.claim.generation)

    return work


def remove_block(caller: Caller, space: str, block: str, *, force: bool) -> Write:
    """Remove a block."""
    require_planner(caller, space)

    def work(tx: Tx, by: By) -> Answer:
        blocks.remove_block(tx, by, space, block, force=force)
        return Answer(status=204)

    return work


def block_shape(tx: Tx, space: str, node: Node[objects.Block]) -> Shape:
    """A block."""
    around = tx.claim(node.claim.parent)
    return {
        "space": space,
        "name": node.facts.name,
        "cidr": str(node.prefix),
        "desc": node.facts.desc,
        "parent": _block_name(around),
        "generation": node.claim.generation,
    }


def _block_name(claim: Claim | None) -> str | None:
    facts = tree.node(claim).facts if claim is not None else None
    return facts.name if isinstance(facts, objects.Block) else None


# ---- reservations


def list_reservations(space: str, block: str | None, status: str | None, *, settled: bool) -> List:
    """The reservations of a space, oldest first in each block."""

    def work(tx: Tx) -> list[Shape]:
        root = tree.find_space(tx, space)
        names = [block] if block is not None else [each.facts.name for each in blocks.blocks(tx, root.id)]
        return [
            reservation_shape(row) for name in names
            for row in reservations.reservations(tx, space, name, with_settled=settled)
            if status is None or row.facts.status == status
        ]  # fmt: skip

    return work


def read_reservation(space: str, block: str, reservation: str) -> Read:
    """One reservation."""
    return lambda tx: reservation_shape(reservations.find(tx, space, block, reservation))


def wanted(caller: Caller, by: By, space: str, body: m.NewReservations, now: float) -> Wanted:
    """What a caller wants to reserve. Raises Forbidden or BadValue."""
    if not caller.may_reserve(space):
        raise caller.refusal(f"{caller.name} may not reserve in the space {space}")
    return Wanted(
        by, space, tuple(body.blocks), body.size or 0,
        None if body.cidr is None else parse_cidr(body.cidr), body.count, body.desc, body.reverse, body.smallest,
        None if body.expires_in is None else now + body.expires_in,
    )  # fmt: skip


def reserve(asked: Wanted) -> Write:
    """Reserve one or several prefixes, all or none."""

    def work(tx: Tx, by: By) -> Answer:
        rows = plan_reserve.reserve(tx, asked._replace(by=by), by.now)
        return Answer([reservation_shape(row) for row in rows], 201)

    return work


def cancel(caller: Caller, space: str, block: str, ids: Sequence[str]) -> Write:
    """Give reservations up, all or none; those that are over already leave the listings (the journal keeps them)."""

    def check(row: Reserved) -> None:
        if not (caller.may_plan(space) or (caller.may_reserve(space) and caller.owns(row.facts))):
            raise caller.refusal(f"the reservation {row.facts.id} is not {caller.name}'s")

    def work(tx: Tx, by: By) -> Answer:
        reservations.cancel(tx, by, space, block, ids, check, archive=True)
        return Answer(status=204)

    return work


def reservation_shape(row: Reserved) -> Shape:
    """A reservation."""
    facts = row.facts
    return {
        "id": facts.id,
        "space": row.space,
        "block": row.block,
        "cidr": row.prefix,
        "desc": facts.desc,
        "status": facts.status,
        "created_on": facts.created_on,
        "created_by": facts.created_by,
        "settled_on": facts.settled_on,
        "settled_by": facts.settled_by,
        "expires_on": row.until,
        "generation": row.generation,
        "tag": {"X-IPAM-RES-ID": facts.id},
    }


# ---- networks, tokens, grants


def list_networks(sight: Sight, space: str, block: str) -> List:
    """The networks of a block that are in sight, in the order in which they came."""

    def work(tx: Tx) -> list[Shape]:
        found = tree.find_block(tx, tree.find_space(tx, space).id, block)
        return [network_shape(each) for each in associated(tx, found) if sight.sees(space, each.facts.id)]

    return work


def network_shape(each: Associated) -> Shape:
    """A network of the cloud in a block."""
    prefixes = [str(prefix) for prefix in each.prefixes]
    return {"id": each.facts.id, "name": each.facts.name, "prefixes": prefixes, "active": each.active}


def list_tokens(caller: Caller) -> List:
    """The local tokens, without their secrets."""
    require_admin(caller)
    return lambda tx: [tokens.shown(tx, each) for each in tokens.tokens(tx)]


def list_grants(caller: Caller) -> List:
    """The grants, by name."""
    require_admin(caller)
    return lambda tx: [grants.shown(tx, each) for each in grants.grants(tx)]
