"""Who has an address of Calico's and why, or why nobody: what the cluster's documents say, in sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from unipam.addr.prefix import format_address
from unipam.dialects.calico.calicoctl.allocations import Allocation, of_blocks
from unipam.dialects.calico.calicoctl.showing import block_owner, holder
from unipam.dialects.calico.documents.block import Block
from unipam.dialects.calico.documents.pool import MANUAL, Pool
from unipam.dialects.calico.documents.times import SECOND, parse_rfc3339
from unipam.dialects.calico.engine.session import Session, owner
from unipam.dialects.calico.rules.pools import find
from unipam.model.errors import NotFound, Unreadable
from unipam.model.moments import moment


class Lease(NamedTuple):
    """An address that Calico has handed out, as leases are listed. Times are seconds since the epoch."""

    network: str
    address: str
    container: str
    pod: str
    node: str
    state: str
    since: float | None
    until: float | None
    handle: str
    block: str
    sequence: int


def lease(each: Allocation, cooldown: int) -> Lease:
    """Return an allocation as leases are listed; `cooldown` is in seconds."""
    network, dot, container = each.handle.rpartition(".")
    pod = f"{each.noted.get('namespace', '')}/{each.noted['pod']}" if each.noted.get("pod") else ""
    of_pod = bool(dot) and ".vmi." not in each.handle
    released = _released(each)
    return Lease(
        network if of_pod else "",
        each.text,
        container if of_pod else "",
        pod,
        each.node,
        "cooling" if each.cools else "held",
        released if each.cools else since(each.noted.get("timestamp", "")),
        released + cooldown if each.cools and released is not None else None,
        each.handle,
        each.block.cidr,
        each.sequence,
    )


def leases(blocks: Iterable[Block], cooldown: int) -> Iterator[Lease]:
    """Yield every address that is held or cools, but for what Windows hosts keep for themselves."""
    return (lease(each, cooldown) for each in of_blocks(blocks) if not each.is_windows)


def _released(each: Allocation) -> float | None:
    return _seconds(each.attribute.get("releasedAt") or "")


def since(text: str) -> float | None:
    """Return when an address was handed out, by what is noted of it (Go's form of a time); None where it is not."""
    found = re.fullmatch(r"(\d+-\d+-\d+) ([\d:.]+) ([+-]\d\d)(\d\d) \S+.*", text)
    return _seconds(f"{found[1]}T{found[2]}{found[3]}:{found[4]}") if found else None


def _seconds(text: str) -> float | None:
    try:
        return parse_rfc3339(text) / SECOND
    except ValueError:
        return None


def sentences(session: Session, address: int) -> list[str]:
    """Say who has an address and what it lies in, or why nobody has it. Raises SourceFailed."""
    found, pool = holder(session, address), find(session.pools(), address)
    block = found.block if found else _block(session, pool, address)
    cooldown = session.configuration().cooldown
    told = [_held(found, cooldown)] if found else [_free(session, address, pool, block)]
    if found and found.handle:
        told.append(_counted(session, found.handle))
    if block is not None:
        told.append(_lies(session, block))
    told.append(_of_pool(pool, format_address(address)))
    return told


def _block(session: Session, pool: Pool | None, address: int) -> Block | None:
    if pool is None:
        return None
    try:
        return session.block(pool.block_of(address)).value
    except (NotFound, Unreadable):
        return None


def _held(each: Allocation, cooldown: int) -> str:
    told = lease(each, cooldown)
    if each.is_windows:
        return f"{told.address} is kept by the Windows host {each.owner or 'of its block'} for itself."
    if each.cools:
        until = f" until {moment(told.until)}" if told.until is not None else ""
        return f"{told.address} was released at {_when(told.since)} and is not handed out again{until}."
    who = f"pod {told.pod}" if told.pod else each.noted.get("type") or "somebody of whom nothing is noted"
    who += f" of VM {each.noted['vmi-name']}" if "vmi-name" in each.noted else ""
    borrowed = f", borrowed from {block_owner(each.block) or 'a block of nobody'}" if told.node != each.owner else ""
    handle = f"handle {each.handle}" if each.handle else "without a handle, so that only its address releases it"
    at = f" since {_when(told.since)}" if told.since is not None else ""
    return (
        f"{told.address} is held by {who} on {told.node or 'no node'}{at}{borrowed} ({handle}, write {each.sequence})."
    )


def _when(seconds: float | None) -> str:
    return "an unknown time" if seconds is None else moment(seconds)


def _free(session: Session, address: int, pool: Pool | None, block: Block | None) -> str:
    text = format_address(address)
    if address in session.reserved():
        return f"{text} is free, and reserved: nobody is given it who does not ask for it by name."
    if pool is None:
        return f"{text} lies in no pool and no block: Calico never hands it out."
    if block is None:
        return f"{text} is free: nobody has claimed the block {pool.block_of(address)} that it lies in."
    place = block.unallocated.index(address - block.prefix.first) + 1
    return f"{text} is free, number {place} of {len(block.unallocated)} in its block's queue."


def _counted(session: Session, handle: str) -> str:
    try:
        counted = session.handle(handle).value.blocks
    except NotFound:
        return f"The handle {handle} is missing: a DEL would not find the address (`unipam calico ipam check --fix`)."
    except Unreadable as error:
        return error.message
    return f"Its handle counts {sum(counted.values())} addresses in {', '.join(counted) or 'no block'}."


def _lies(session: Session, block: Block) -> str:
    used = sum(index is not None for index in block.allocations)
    told = f"It lies in block {block.cidr}, of which {used} of {block.prefix.size} addresses are in use"
    own = owner(block.affinity)
    if own is None:
        return f"{told}, and which is nobody's: it goes with its last address."
    try:
        state = session.affinity(own, block.prefix).value.state or "confirmed"
    except NotFound:
        state = "missing: `unipam calico ipam check --fix`"
    return f"{told}, and which is {own}'s since {block.claimed or 'an unknown time'} (affinity {state})."


def _of_pool(pool: Pool | None, text: str) -> str:
    if pool is None:
        return f"No pool covers {text}."
    said = [pool.cidr, "enabled" if pool.enabled else "disabled: nothing is handed out of it", " and ".join(pool.uses)]
    said += ["only by name" if pool.mode == MANUAL else "automatic", f"nodes {pool.node_selector or 'all()'}"]
    said += [f"namespaces {pool.namespace_selector}"] if pool.namespace_selector else []
    return f"Its pool is {pool.name} ({', '.join(said)})."
