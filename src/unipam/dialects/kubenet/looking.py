"""What the route table, the Nodes and the machines' interfaces disagree on, and the ways out (spec kubenet §4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from unipam.addr.prefix import format_address
from unipam.dialects.kubenet import routes
from unipam.dialects.kubenet.naming import node_of
from unipam.dialects.kubenet.node import Node
from unipam.dialects.kubenet.policy import Policy
from unipam.dialects.kubenet.ranges import findings as of_ranges
from unipam.model.finding import Finding


class Seen(NamedTuple):
    """A route table as Azure shows it: its id, its routes, and the subnets that use it (ids in lower case)."""

    id: str
    routes: Sequence[Mapping[str, Any]]
    subnets: Sequence[str] = ()


class Interface(NamedTuple):
    """What a machine's interface has to do with routes: its addresses, and whether it takes what is not for them."""

    addresses: frozenset[str]
    forwards: bool


def interfaces_of(documents: Iterable[Mapping[str, Any]]) -> dict[str, list[Interface]]:
    """Return interfaces as Azure gives them, by their machine's id in lower case."""
    found: dict[str, list[Interface]] = {}
    for each in documents:
        properties = each.get("properties") or {}
        machine = str((properties.get("virtualMachine") or {}).get("id") or "").lower()
        configurations = [one.get("properties") or {} for one in properties.get("ipConfigurations") or ()]
        addresses = frozenset(str(one["privateIPAddress"]) for one in configurations if one.get("privateIPAddress"))
        if machine:
            found.setdefault(machine, []).append(Interface(addresses, bool(properties.get("enableIPForwarding"))))
    return found


def findings(
    nodes: Iterable[Node],
    policy: Policy,
    *,
    table: Seen | None = None,
    subnet: str = "",
    limit: int = routes.LIMIT,
    interfaces: Mapping[str, Sequence[Interface]] | None = None,
) -> list[Finding]:
    """Return what is wrong; `table` and `interfaces` are None where Azure was not asked for them."""
    nodes = list(nodes)
    found = of_ranges(nodes, policy)
    if table is not None:
        found += [*_against_table(nodes, policy, table, limit), *unused(table.id, table.subnets, subnet)]
    if interfaces is not None:
        found += [each for node in nodes if node.managed for each in _against_interfaces(node, interfaces)]
    return sorted(found)


def unused(table: str, subnets: Sequence[str], subnet: str) -> list[Finding]:
    """Return whether the nodes' subnet uses another table, or none; nothing where it is not named."""
    if not subnet or subnet.lower() in subnets:
        return []
    text = f"the nodes' subnet does not use the route table {table}: no route in it has effect"
    return [
        Finding("table not in use", subnet, text, f"az network vnet subnet update --ids {subnet} --route-table {table}")
    ]


def _against_table(nodes: list[Node], policy: Policy, table: Seen, limit: int) -> Iterator[Finding]:
    plan = routes.desired(table.routes, nodes, policy, limit=limit)
    yield from plan.findings
    missing = [each for each in plan.changes if each.verb == "add"]
    kept = sum(1 for each in routes.verified(table.routes, nodes, policy).values() if each)
    if len(missing) > 1 and not kept:
        text = f"it has none of the {len(missing)} routes of nodes: somebody has emptied it, or another one is meant"
        yield Finding("table emptied", table.id, text, _REPAIR)
        return
    by_name = {each.name.lower(): each for each in nodes}
    for change in plan.changes:
        yield _differs(change, by_name.get(node_of(change.name).lower()))


_REPAIR = "look whether unipam controller --kubenet runs, and what its log says of the table: it repairs that"


def _differs(change: routes.Change, node: Node | None) -> Finding:
    route = (change.after or change.before or {}).get("properties") or {}
    prefix, hop = route.get("addressPrefix"), route.get("nextHopIpAddress")
    name = node.name if node else node_of(change.name)
    if change.verb == "add":
        created = node is not None and node.condition == ("False", "RouteCreated")
        said = ", though its NetworkUnavailable says RouteCreated" if created else ""
        return Finding("route missing", name, f"no route leads to its range {prefix} by {hop}{said}", _REPAIR)
    if change.verb == "change":
        before = (change.before or {}).get("properties") or {}
        text = (
            f"its route {change.name!r} leads to {before.get('addressPrefix')} by {before.get('nextHopIpAddress')};"
            f" its range is {prefix}, and its address {hop}"
        )
        return Finding("route differs", name, text, _REPAIR)
    return Finding("route of no node", name, f"the route {change.name!r} leads to {prefix} by {hop}", _REPAIR)


def _against_interfaces(node: Node, interfaces: Mapping[str, Sequence[Interface]]) -> Iterator[Finding]:
    found = interfaces.get(node.machine, ())
    if not found:
        text = f"Azure has no interface of its machine {node.machine or '(no providerID)'} in this resource group"
        yield Finding("no machine", node.name, text, "delete the Node, if the machine is gone; else name its group")
        return
    for address in map(format_address, node.addresses):
        holder = next((each for each in found if address in each.addresses), None)
        if holder is None:
            text = f"the Node's address {address}, to which its route leads, is none of its interfaces'"
            yield Finding("address differs", node.name, text, "restart its kubelet: it tells the address that it has")
        elif not holder.forwards:
            text = f"its interface with {address} does not take packets that are for pods (enableIPForwarding is off)"
            yield Finding("no forwarding", node.name, text, "az network nic update --ip-forwarding true, or the set's")
