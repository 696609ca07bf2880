"""`ipam show`: how full pools are, who has an address, what is borrowed, and the configuration (spec §3.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from unipam.addr.prefix import format_address
from unipam.dialects.calico.calicoctl.allocations import Allocation, of_blocks
from unipam.dialects.calico.calicoctl.table import table
from unipam.dialects.calico.documents.block import Block
from unipam.dialects.calico.documents.configuration import ENABLED, Configuration
from unipam.dialects.calico.engine.session import Session
from unipam.dialects.calico.rules.pools import find
from unipam.dialects.calico.rules.utilization import PoolUsage, Usage

_MOST = (1 << 63) - 1
"""What the original counts up to."""
_NUMBERS = ("IPS TOTAL", "IPS IN USE", "IPS RESERVED", "IPS FREE")


def usage_table(pools: Sequence[PoolUsage], *, blocks: bool) -> str:
    """Return how full each pool is, and each block, as calicoctl prints it."""
    rows = []
    for each in pools:
        if each.usage:
            rows.append(_row("IP Pool", each.usage))
        if blocks:
            rows += [_row("Block", usage) for usage in each.blocks]
    return table(("GROUPING", "CIDR", *_NUMBERS), rows, _NUMBERS)


def _row(kind: str, usage: Usage) -> list[str]:
    capacity, *counts = (min(count, _MOST) for count in usage[1:])
    shares = [f"{count:.5g} ({100 * count / capacity:.0f}%)" for count in counts]
    return [kind, str(usage.prefix), f"{capacity:.5g}", *shares]


def usage_rows(pools: Sequence[PoolUsage], *, blocks: bool) -> list[dict[str, Any]]:
    """Return the same as records, with whole numbers."""
    rows = []
    for each in pools:
        of = {"pool": each.pool.name if each.pool else None}
        if each.usage:
            rows.append({"grouping": "IP Pool", **of, **_record(each.usage)})
        if blocks:
            rows += [{"grouping": "Block", **of, **_record(usage)} for usage in each.blocks]
    return rows


def _record(usage: Usage) -> dict[str, Any]:
    counts = {"size": usage.capacity, "used": usage.in_use, "reserved": usage.reserved, "free": usage.free}
    return {"cidr": str(usage.prefix), **counts}


def holder(session: Session, address: int) -> Allocation | None:
    """Return who holds an address, whatever has become of its pool; None for nobody. What cools is held by nobody."""
    pool = find(session.pools(), address)
    for block in [_block(session, pool.block_of(address))] if pool else _all_blocks(session):
        if block is not None and block.prefix.first <= address <= block.prefix.last:
            ordinal = address - block.prefix.first
            return None if block.allocations[ordinal] is None else Allocation(address, block, ordinal)
    return None


def _block(session: Session, prefix: Any) -> Block | None:
    from unipam.model.errors import NotFound

    try:
        return session.block(prefix).value
    except NotFound:
        return None


def _all_blocks(session: Session) -> Iterable[Block]:
    return (stored.value for stored in session.blocks().values() if stored)


def address_lines(address: int, found: Allocation | None) -> Iterator[str]:
    """Yield what calicoctl prints of an address."""
    text = format_address(address)
    if found is None:
        yield f"{text} is not assigned"
        return
    yield f"IP {text} is in use"
    yield f"Handle ID: {found.attribute.get('handle_id') or '<none>'}"
    yield from _attributes("Active Owner Attributes", found.noted) or ["No Active Owner attributes defined"]
    yield from _attributes("Alternate Owner Attributes", found.attribute.get("alternateOwnerAttrs") or {})


def _attributes(title: str, of: dict[str, str]) -> list[str]:
    return [f"{title}:", *(f"  {name}: {value}" for name, value in sorted(of.items()))] if of else []


def address_record(address: int, found: Allocation | None) -> dict[str, Any]:
    """Return the same as a record."""
    if found is None:
        return {"ip": format_address(address), "assigned": False}
    alternate = found.attribute.get("alternateOwnerAttrs")
    return {
        "ip": format_address(address),
        "assigned": True,
        "handle": found.attribute.get("handle_id"),
        "sequence": found.sequence,
        "block": found.block.cidr,
        "affinity": found.block.affinity,
        "cooling": found.cools,
        "attributes": found.noted,
        **({"alternate_attributes": alternate} if alternate else {}),
    }


class Borrowed(NamedTuple):
    """Addresses that are used elsewhere than on their block's node, and how many nobody can tell it of."""

    allocations: list[Allocation]
    unknown: int


def borrowed(blocks: Iterable[Block]) -> Borrowed:
    """Return what is borrowed. Of old allocations nobody noted the node; what cools is not used at all."""
    used = [each for each in of_blocks(blocks) if not each.cools and not each.is_windows]
    known = [each for each in used if "node" in each.noted]
    return Borrowed([each for each in known if each.noted["node"] != block_owner(each.block)], len(used) - len(known))


def block_owner(block: Block) -> str:
    """Return who owns a block, whatever it is; empty for nobody."""
    _, _, host = (block.affinity or "").rpartition(":")
    return host


_BORROWED = ("IP", "BORROWING-NODE", "BLOCK", "BLOCK OWNER", "TYPE", "ALLOCATED-TO")


def borrowed_table(found: Borrowed) -> str:
    """Return what is borrowed, as calicoctl prints it."""
    text = table(_BORROWED, [list(row.values()) for row in borrowed_rows(found)])
    if not found.unknown:
        return text
    told = "IP allocations without an explicit node association. Unable to determine if they are borrowed."
    return f"{text}\nNote: found {found.unknown} {told}\n"


def borrowed_rows(found: Borrowed) -> list[dict[str, str]]:
    """Return the same as records."""
    names = ("ip", "node", "block", "owner", "type", "holder")
    return [
        dict(zip(names, (e.text, e.noted["node"], e.block.cidr, block_owner(e.block), *_use(e)), strict=True))
        for e in found.allocations
    ]


def _use(each: Allocation) -> tuple[str, str]:
    """Return what uses an address, and its name."""
    noted = each.noted
    for name, kind in (("vmi-name", "vmi"), ("pod", "pod")):
        if name in noted:
            return kind, f"{noted.get('namespace', '')}/{noted[name]}"
    return noted.get("type", ""), ""


def configuration_rows(found: Configuration) -> list[dict[str, Any]]:
    """Return the configuration, by the names that calicoctl prints."""
    values = {
        "StrictAffinity": found.strict,
        "AutoAllocateBlocks": found.auto_allocate,
        "MaxBlocksPerHost": found.max_blocks,
        "KubeVirtVMAddressPersistence": found.persistence or ENABLED,
        "IPCooldownSeconds": found.cooldown,
    }
    return [{"property": name, "value": value} for name, value in values.items()]


def configuration_table(found: Configuration) -> str:
    """Return the configuration as calicoctl prints it."""
    rows = [[str(row["property"]), _go(row["value"])] for row in configuration_rows(found)]
    return table(("PROPERTY", "VALUE"), rows)


def _go(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
