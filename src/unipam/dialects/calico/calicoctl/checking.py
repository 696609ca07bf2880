"""`ipam check`: blocks, handles and those who use addresses, held against one another (spec §3.2).

Everything is in order of addresses and names; the original prints some of it in any order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from unipam.addr.prefix import format_address, parse_prefix
from unipam.dialects.calico.calicoctl.allocations import Allocation, of_blocks
from unipam.dialects.calico.calicoctl.observing import Observed, Use
from unipam.dialects.calico.datastore.api import Item
from unipam.dialects.calico.datastore.metadata import uid
from unipam.dialects.calico.rules.checking import problems
from unipam.dialects.calico.rules.pools import find

_MOST_NODES = 20
"""How many nodes are named of those with the most allocations."""


class Checked(NamedTuple):
    """What was found. Nobody uses what is `leaked`; what is `outside` all pools, or `unassigned`, is used."""

    observed: Observed
    allocations: dict[int, list[Allocation]]
    users: dict[int, list[str]]
    leaked: list[int]
    outside: list[int]
    unassigned: list[int]
    idle: list[Item]
    missing: list[str]
    invalid: list[tuple[str, str]]

    @property
    def problems(self) -> int:
        """How many there are, as calicoctl counts: handles that are missing do not count."""
        kinds = (self.leaked, self.outside, self.unassigned, self.idle, self.invalid)
        return sum(len(each) for each in kinds)


def check(observed: Observed, moment: int) -> Checked:
    """Hold all that was observed against one another; `moment` is now, in nanoseconds since the epoch."""
    allocations: dict[int, list[Allocation]] = {}
    for each in of_blocks(stored.value for stored in observed.blocks):
        allocations.setdefault(each.address, []).append(each)
    users = _users(observed, allocations)
    stray = [address for address in sorted(users) if address not in allocations]
    active = [pool for pool in observed.pools if pool.enabled]
    held = {each.handle for several in allocations.values() for each in several if each.handle}
    return Checked(
        observed,
        allocations,
        users,
        [a for a, several in sorted(allocations.items()) if a not in users and not any(e.cools for e in several)],
        [address for address in stray if find(active, address) is None],
        [address for address in stray if find(active, address) and not _is_hidden(observed, address)],
        [item for handle, item in sorted(observed.handles.items()) if handle not in held],
        sorted(held - set(observed.handles)),
        list(_invalid(observed, moment)),
    )


def _users(observed: Observed, allocations: dict[int, list[Allocation]]) -> dict[int, list[str]]:
    users: dict[int, list[str]] = {}
    windows = [
        Use(a, "Reserved for Windows") for a, several in allocations.items() if any(e.is_windows for e in several)
    ]
    for use in (*windows, *observed.tunnels, *observed.services, *observed.workloads):
        users.setdefault(use.address, []).append(use.who)
    return users


def _is_hidden(observed: Observed, address: int) -> bool:
    """Return whether an address lies in a block that cannot be read, so that nobody knows whether it is assigned."""
    for name, _ in observed.broken:
        try:
            prefix = parse_prefix(name)
        except ValueError:
            continue
        if prefix.first <= address <= prefix.last:
            return True
    return False


def _invalid(observed: Observed, moment: int) -> Iterator[tuple[str, str]]:
    for stored in observed.blocks:
        if found := problems(stored.value, moment):
            yield stored.value.cidr, found[0]
    yield from observed.broken


def report(checked: Checked, version: str) -> dict[str, Any]:
    """Return what `ipam check -o` writes, made by this version."""
    cluster = checked.observed.cluster
    leaked = [{"ID": item.key.id, "UID": uid(item.origin), "Revision": item.revision} for item in checked.idle]  # type: ignore[union-attr]
    return {
        "version": version,
        "clusterGUID": cluster.guid,
        "datastoreLocked": cluster.locked,
        "clusterInformationRevision": cluster.revision,
        "clusterType": cluster.kind,
        "allocations": {
            format_address(address): [each.reported(checked.users.get(address, [])) for each in several]
            for address, several in checked.allocations.items()
        },
        **({"leakedHandles": leaked} if leaked else {}),
    }


def lines(checked: Checked, *, everything: bool, problems: bool) -> Iterator[str]:
    """Yield what calicoctl prints; with `problems` also each that was found, with `everything` each address too."""
    problems = problems or everything
    yield from ("Checking IPAM for inconsistencies...", "")
    yield from _of_blocks(checked, everything)
    yield from _of_pools(checked)
    yield from _of_users(checked, everything)
    yield from _of_nodes(checked)
    yield from _of_leaks(checked, problems)
    yield from _of_strays(checked, problems)
    yield from _of_handles(checked, everything, problems)
    yield "Validating IPAMBlock structures..."
    for name, why in checked.invalid:
        yield f"  IPAMBlock BlockKey(cidr={name}) is invalid: {why}"
    yield f"Found {len(checked.invalid)} invalid IPAMBlocks."
    yield f"Check complete; found {checked.problems} problems."


def _of_blocks(checked: Checked, everything: bool) -> Iterator[str]:
    blocks = [stored.value for stored in checked.observed.blocks]
    yield from ("Loading all IPAM blocks...", f"Found {len(blocks)} IPAM blocks.")
    for block in blocks:
        yield f" IPAM block {block.cidr} affinity={block.affinity or '<none>'}:"
        for each in of_blocks([block]) if everything else ():
            yield f"  {each.text} allocated; attrs {each.described()}"
    yield f"IPAM blocks record {sum(map(len, checked.allocations.values()))} allocations."
    yield ""


def _of_pools(checked: Checked) -> Iterator[str]:
    active = [pool.cidr for pool in checked.observed.pools if pool.enabled]
    yield from ("Loading all IPAM pools...", *(f"  {cidr}" for cidr in active), f"Found {len(active)} active IP pools.")
    yield ""


def _of_users(checked: Checked, everything: bool) -> Iterator[str]:
    seen = checked.observed
    yield from ("Loading all nodes.", *_belonging(seen.tunnels, everything))
    yield from (f"Found {len(seen.tunnels)} node tunnel IPs.", "")
    yield "Loading all service load balancer IPs."
    if seen.balancers is None:
        yield "No configuration for LoadBalancer kubecontroller found, skipping service check"
    else:
        yield from _belonging(seen.services, everything)
        yield f"Found {seen.balancers} service load balancer(s)."
    yield from ("", "Loading all workload endpoints.", *_belonging(seen.workloads, everything))
    yield f"Found {len(seen.workloads)} workload IPs."
    yield from (f"Workloads and nodes are using {len(checked.users)} IPs.", "")


def _belonging(uses: tuple[Use, ...], everything: bool) -> list[str]:
    return [f"  {format_address(use.address)} belongs to {use.who}" for use in uses] if everything else []


def _of_nodes(checked: Checked) -> Iterator[str]:
    yield from ("Loading all handles", f"Looking for top (up to {_MOST_NODES}) nodes by allocations...")
    counts: dict[str, int] = {}
    for several in checked.allocations.values():
        for each in several:
            counts[each.node] = counts.get(each.node, 0) + 1
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    yield from (f"  {node} has {count} allocations" for node, count in ordered[:_MOST_NODES])
    if ordered:
        yield f"Node with most allocations has {ordered[0][1]}; median is {ordered[len(ordered) // 2][1]}"
    yield ""


def _of_leaks(checked: Checked, problems: bool) -> Iterator[str]:
    yield "Scanning for IPs that are allocated but not actually in use..."
    for address in checked.leaked if problems else ():
        yield from (f"  {each.text} leaked; attrs {each.described()}" for each in checked.allocations[address])
    yield f"Found {len(checked.leaked)} IPs that are allocated in IPAM but not actually in use."


def _of_strays(checked: Checked, problems: bool) -> Iterator[str]:
    yield "Scanning for IPs that are in use by a workload or node but not allocated in IPAM..."
    for address, owners in sorted(checked.users.items()) if problems else ():
        text = format_address(address)
        if len(owners) > 1:
            yield f"  {text} has multiple owners."
        if address in checked.outside:
            yield from (f"  {text} in use by {who} is not in any active IP pool." for who in owners)
        if address in checked.unassigned:
            told = "and in active IPAM pool but has no IPAM allocation."
            yield from (f"  {text} in use by {who} {told}" for who in owners)
    yield f"Found {len(checked.outside)} in-use IPs that are not in active IP pools."
    count = len(checked.unassigned)
    yield f"Found {count} in-use IPs that are in active IP pools but have no corresponding IPAM allocation."
    yield ""


def _of_handles(checked: Checked, everything: bool, problems: bool) -> Iterator[str]:
    yield "Scanning for IPAM handles with no matching IPs..."
    for item in checked.idle if everything else ():
        yield f"  {item.key.id} doesn't have any active IPs."  # type: ignore[union-attr]
    good = len(checked.observed.handles) - len(checked.idle)
    yield f"Found {len(checked.idle)} handles with no matching IPs (and {good} handles with matches)."
    yield "Scanning for IPs with missing handle..."
    for handle in checked.missing if problems else ():
        yield f"  {handle} is in use in a block but doesn't exist."
    yield f"Found {len(checked.missing)} handles mentioned in blocks with no matching handle resource."
