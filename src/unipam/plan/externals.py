"""External networks, their subnets and endpoints: what no cloud tells of. Functions of one transaction.

All three are named prefixes under a parent and share their rules; an endpoint is one address. See `plan.tree`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import msgspec

from unipam.addr.prefix import BITS, Prefix, format_address, parse_address
from unipam.addr.ranges import RangeSet
from unipam.model import objects
from unipam.model.errors import BadValue, Duplicate, Exhausted, Missing, NotEmpty, Overlap
from unipam.model.objects import Endpoint, External, F, Subnet
from unipam.model.records import Owner
from unipam.plan import tree
from unipam.plan.free import FreeSpace, next_free
from unipam.plan.tree import Author, Draft, Node
from unipam.store.api import Tx

N = TypeVar("N", External, Subnet, Endpoint)
T = TypeVar("T")
R = TypeVar("R")


class NewPrefix(NamedTuple):
    """A named prefix that is to be: `prefix` itself, or a free one of length `bits` as people write it.

    `reverse` and `smallest` say which free one (`model.plan.choose`). Without a description (None) it is empty.
    """

    name: str
    desc: str | None
    prefix: Prefix | None = None
    bits: int = 0
    reverse: bool = False
    smallest: bool = False

    @property
    def takes_any(self) -> bool:
        """Return whether any free prefix will do."""
        return self.prefix is None


class NewEndpoint(NamedTuple):
    """An endpoint that is to be; without an address it gets the lowest free host address."""

    name: str
    desc: str
    address: int | None = None

    @property
    def takes_any(self) -> bool:
        """Return whether any free address will do."""
        return self.address is None


New = NewPrefix | NewEndpoint


class Change(NamedTuple):
    """What is to be different; None: nothing."""

    name: str | None = None
    desc: str | None = None
    prefix: Prefix | None = None


_INNER: dict[str, type[External] | type[Subnet] | type[Endpoint]] = {
    objects.BLOCK: External,
    objects.EXTERNAL: Subnet,
    objects.SUBNET: Endpoint,
}
"""What lies in what."""


def inner(tx: Tx, holder: Node[Any]) -> list[Node[Any]]:
    """Return the externals of a block, the subnets of an external, or the endpoints of a subnet, in address order."""
    return tree.children(tx, holder.id, _INNER[holder.claim.kind])


class Place(NamedTuple):
    """A block of a space, or what the `names` lead to from there: an external network, its subnet, its endpoint."""

    space: str
    block: str
    names: tuple[str, ...] = ()

    def find(self, tx: Tx) -> Node[Any]:
        """Return what is there. Raises Missing."""
        block = tree.find_block(tx, tree.find_space(tx, self.space).id, self.block)
        found: Node[Any] = block
        for name in self.names:
            found = tree.find_child(tx, found.id, _INNER[found.claim.kind], name)
        return found


def create_all(tx: Tx, by: Author, holder: Node[Any], new: Sequence[New]) -> list[Node[Any]]:
    """Make externals, subnets or endpoints, all or none, those that name their place first. Raises as `create`."""
    return _in_turn(new, lambda each: each.takes_any, lambda each: create(tx, by, holder, each))


def create(tx: Tx, by: Author, holder: Node[Any], new: New) -> Node[Any]:
    """Make an external in a block, a subnet in an external, or an endpoint in a subnet.

    Raises BadValue, NameTaken, Outside, Overlap or Exhausted.
    """
    if isinstance(new, NewEndpoint):
        new = NewPrefix(new.name, new.desc, Prefix(_host(tx, holder) if new.address is None else new.address, BITS))
    return _create(tx, by, holder, _INNER[holder.claim.kind], new)


def _in_turn(new: Sequence[T], takes_any: Callable[[T], bool], make: Callable[[T], R]) -> list[R]:
    """Make each, and those that take any free place after those that name theirs; what was made, in the given order."""
    made = {turn: make(new[turn]) for turn in sorted(range(len(new)), key=lambda turn: takes_any(new[turn]))}
    return [made[turn] for turn in range(len(new))]


def replace_externals(tx: Tx, by: Author, block: Node[objects.Block], new: Sequence[NewPrefix]) -> list[Node[External]]:
    """Let a block have exactly these external networks from now on, in this order; return them so.

    One stays, with its subnets, when its name or its prefix comes again; that it holds nothing is the condition for
    another prefix outside of it, and for going. Raises Duplicate, NotEmpty, BadValue, Outside or Overlap.
    """
    names = {objects.fold(each.name): each for each in new}
    if len(names) != len(new):
        raise Duplicate("an external network's name comes twice", field="name")
    _refuse_overlap_among(new)
    stay = _staying(tx, block, names)
    for there in inner(tx, block):
        if there.id not in {node.id for node in stay.values()}:
            remove(tx, by, there)
    made = _in_turn(
        new,
        lambda each: objects.fold(each.name) not in stay,
        lambda each: _become(tx, by, block, stay.get(objects.fold(each.name)), each),
    )
    return tree.reorder(tx, by, made)


def _staying(tx: Tx, block: Node[objects.Block], names: Mapping[str, NewPrefix]) -> dict[str, Node[External]]:
    """Return the external networks that stay, by the names that they will have."""
    there = {node.claim.owner.holder: node for node in inner(tx, block)}
    renamed: dict[Prefix | None, Node[External]] = {n.prefix: n for name, n in there.items() if name not in names}
    found = {name: there.get(name) or renamed.get(each.prefix) for name, each in names.items()}
    return {
        name: node
        for name, node in found.items()
        if node is not None and (node.prefix == names[name].prefix or next(tx.claims(node.id), None) is not None)
    }


def _refuse_overlap_among(new: Sequence[NewPrefix]) -> None:
    taken = RangeSet()
    for prefix in (each.prefix for each in new if each.prefix is not None):
        if taken.overlaps(prefix.first, prefix.last):
            raise Overlap(f"{prefix} overlaps another one of the list", prefix=str(prefix), among=objects.EXTERNAL)
        taken.add(prefix.first, prefix.last)


def _become(
    tx: Tx, by: Author, block: Node[objects.Block], node: Node[External] | None, new: NewPrefix
) -> Node[External]:
    if node is None:
        return create(tx, by, block, new)
    return change(tx, by, node, Change(new.name, new.desc, new.prefix))


def _create(tx: Tx, by: Author, parent: Node[F], kind: type[N], new: NewPrefix) -> Node[N]:
    tag = str(kind.__struct_config__.tag)
    facts = kind(objects.check_name(tag, new.name), "" if new.desc is None else objects.check_text(tag, new.desc))
    tree.refuse_name(tx, parent.id, kind, new.name)
    prefix = _fit(tx, parent, new) if new.prefix is None else new.prefix
    tree.require_inside(prefix, parent.prefix, f"the {parent.claim.kind} {parent.claim.owner.holder}")
    tree.refuse_overlap(tx, parent.id, prefix)
    return Node(tree.create(tx, by, Draft(parent.id, prefix, Owner(objects.fold(new.name)), facts)), facts)


def _fit(tx: Tx, parent: Node[F], new: NewPrefix) -> Prefix:
    prefix = next_free(FreeSpace(tx), parent, new.bits, reverse=new.reverse, smallest=new.smallest)
    if prefix is None:
        raise Exhausted(f"no free /{new.bits} in {parent.claim.owner.holder} ({parent.prefix})", size=new.bits)
    return prefix


def change(tx: Tx, by: Author, found: Node[N], new: Change) -> Node[N]:
    """Rename, resize or describe an external, subnet or endpoint anew.

    Raises BadValue, NameTaken, Outside, Overlap or Stale.
    """
    tag, kind, facts = found.claim.kind, type(found.facts), found.facts
    name = objects.check_name(tag, facts.name if new.name is None else new.name)
    desc = facts.desc if new.desc is None else objects.check_text(tag, new.desc)
    tree.refuse_name(tx, found.claim.parent, kind, name, but=found.id)
    tree.refuse_stale(by, found.claim)
    by, claim = by._replace(expect=None), found.claim
    if new.prefix is not None and new.prefix != found.prefix:
        _require_place(tx, found, new.prefix)
        claim = tree.move(tx, by, claim, new.prefix)
    changed = msgspec.structs.replace(facts, name=name, desc=desc)
    if changed != facts:
        claim = tree.change(tx, by, claim, changed, owner=Owner(objects.fold(name)))
    return Node(claim, changed)


def _require_place(tx: Tx, found: Node[F], prefix: Prefix) -> None:
    parent = tx.claim(found.claim.parent)
    assert parent is not None
    tree.require_inside(prefix, tree.prefix_of(parent), f"the {parent.kind} {parent.owner.holder}")
    tree.refuse_overlap(tx, parent.id, prefix, but=found.id)


def remove(tx: Tx, by: Author, found: Node[F], *, force: bool = False) -> None:
    """Remove an external or a subnet; with `force` with all it holds. Raises NotEmpty or Stale."""
    held = next(tx.claims(found.id), None)
    if held is not None and not force:
        raise NotEmpty(
            f"the {found.claim.kind} {found.claim.owner.holder} still holds the {held.kind} {held.owner.holder}:"
            " remove it first, or use force",
            of=found.claim.kind,
            value=found.claim.owner.holder,
            holds=held.kind,
        )
    tree.remove_tree(tx, by, found.claim)


def host_range(subnet: Prefix) -> tuple[int, int]:
    """Return the addresses that endpoints get by themselves.

    Not the first, which is the network's own and in IPv6 every router's (RFC 4291 §2.6.1), nor in IPv4 the last, which
    is for broadcasts. In a subnet of two addresses both are hosts' (RFC 3021, RFC 6164).
    """
    if subnet.size <= 2:
        return subnet.first, subnet.last
    return subnet.first + 1, subnet.last - (subnet.family == 4)


def free_addresses(tx: Tx, subnet: Node[Subnet], limit: int) -> list[int]:
    """Return the addresses that endpoints would get next, in this order, at most `limit`."""
    gaps = tx.gaps(subnet.id, *host_range(subnet.prefix))
    return list(islice((address for gap in gaps for address in range(gap.first, gap.last + 1)), limit))


def _host(tx: Tx, subnet: Node[Subnet]) -> int:
    address = tx.gap(subnet.id, *host_range(subnet.prefix))
    if address is None:
        raise Exhausted(f"no host address is free in {subnet.facts.name} ({subnet.prefix})")
    return address


def replace_endpoints(tx: Tx, by: Author, subnet: Node[Subnet], new: Sequence[NewEndpoint]) -> list[Node[Endpoint]]:
    """Let the subnet have exactly these endpoints from now on, in this order; those that stay the same are not touched.

    Those without an address get one after the others have theirs. Raises Duplicate (fact `field`: name or ip),
    BadValue, Exhausted or Outside.
    """
    _refuse_impossible(subnet, new)
    kept = _drop_others(tx, by, subnet, new)
    made = _in_turn(
        new,
        lambda each: each.takes_any,
        lambda each: kept.get(objects.fold(each.name)) or create(tx, by, subnet, each),
    )
    return tree.reorder(tx, by, made)


def _refuse_impossible(subnet: Node[Subnet], new: Sequence[NewEndpoint]) -> None:
    names = [objects.fold(each.name) for each in new]
    if len(set(names)) != len(names):
        raise Duplicate("an endpoint's name comes twice", field="name")
    for each in new:
        objects.check_name(objects.ENDPOINT, each.name)
        objects.check_text(objects.ENDPOINT, each.desc)
    first, last = host_range(subnet.prefix)
    explicit = [each.address for each in new if each.address is not None]
    if len(new) - len({a for a in explicit if not first <= a <= last}) > last - first + 1:
        raise Exhausted(f"{len(new)} endpoints are more than {subnet.prefix} has addresses for")
    if len(set(explicit)) != len(explicit):
        raise Duplicate("an endpoint's address comes twice", field="ip")
    for address in explicit:
        tree.require_inside(Prefix(address, BITS), subnet.prefix, f"the subnet {subnet.facts.name}")


def _drop_others(tx: Tx, by: Author, subnet: Node[Subnet], new: Sequence[NewEndpoint]) -> dict[str, Node[Endpoint]]:
    """Remove the endpoints that do not stay exactly as they are; those that do, by name."""
    wanted = {objects.fold(each.name): each for each in new}
    kept = {}
    for there in inner(tx, subnet):
        each = wanted.get(there.claim.owner.holder)
        if each and (each.name, each.desc, each.address) == (there.facts.name, there.facts.desc, there.claim.first):
            kept[there.claim.owner.holder] = there
        else:
            tree.remove(tx, by, there.claim)
    return kept


def remove_endpoints(tx: Tx, by: Author, subnet: Node[Subnet], names: Sequence[str]) -> None:
    """Remove endpoints by name, all or none. Raises Duplicate or Missing."""
    if len({objects.fold(name) for name in names}) != len(names):
        raise Duplicate("an endpoint is named twice", field="name")
    found, unknown = [], []
    for name in names:
        try:
            found.append(tree.find_child(tx, subnet.id, Endpoint, name))
        except Missing:
            unknown.append(name)
    if unknown:
        raise Missing(f"no such endpoint: {', '.join(unknown)}", kind=objects.ENDPOINT, value=unknown)
    for node in found:
        tree.remove(tx, by, node.claim)


def parse_ip(text: str) -> int:
    """Parse an endpoint's address. Raises BadValue."""
    try:
        return parse_address(text)
    except ValueError as error:
        raise BadValue(f"ip: {error}", field="ip", value=text) from None


def address_text(node: Node[Endpoint]) -> str:
    """Return an endpoint's address as people write it."""
    return format_address(node.claim.first)
