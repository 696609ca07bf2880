"""Which routes a table must hold: one for each node and range, beside what others put there (spec kubenet §2).

One change of the whole table serves all nodes, and at no instant is a living node's route missing. What is not ours is
sent back as it was read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from unipam.addr.prefix import Prefix, format_address
from unipam.dialects.kubenet.naming import HOP, is_ours, is_slot, is_within, node_of, prefix_of, route_name
from unipam.dialects.kubenet.node import Node
from unipam.dialects.kubenet.policy import Policy
from unipam.model.finding import Finding

Route = Mapping[str, Any]

LIMIT = 400
"""Routes in a table (spec kubenet §2.3; some subscriptions have more)."""
NEARLY = 0.9
"""The share of the limit from which on it is told."""


class Wanted(NamedTuple):
    """A route that a node needs. Without a `hop`, which nobody knows at the moment, it stays as it is."""

    node: str
    name: str
    cidr: str
    prefix: Prefix
    hop: str


class Change(NamedTuple):
    """One difference between the table and what it must hold."""

    verb: str
    name: str
    before: Route | None
    after: Route | None


class Plan(NamedTuple):
    """The routes that the table must hold, in order; what differs; what each node lacks; and what is wrong."""

    routes: list[Route]
    changes: list[Change]
    unserved: dict[str, str]
    """By node: why it has no route, and gets none by writing."""
    findings: list[Finding]


def desired(
    routes: Sequence[Route],
    nodes: Iterable[Node],
    policy: Policy,
    *,
    limit: int = LIMIT,
    known: Collection[str] = (),
    withheld: Collection[str] = (),
) -> Plan:
    """Return what a table with these routes must hold.

    `known` are names of nodes that were seen earlier, `withheld` names of routes that Azure refuses to take, in lower
    case.
    """
    nodes = sorted(nodes, key=lambda each: (each.created, each.name))
    names = {each.name.lower() for each in nodes} | {each.lower() for each in known}
    unserved: dict[str, str] = {}
    wanted = _wanted(nodes, policy, _by_name(routes), unserved)
    needs = {each.name.lower(): each for each in wanted}
    ours = [is_ours(each, policy, names) or _is_as_needed(each, needs) for each in routes]
    foreign = [each for each, own in zip(routes, ours, strict=True) if not own]
    present = {str(each["name"]).lower(): each for each, own in zip(routes, ours, strict=True) if own}
    wanted = _served_once(wanted, present, unserved)
    wanted = _beside(foreign, wanted, unserved)
    wanted = _taken_by_azure(wanted, present, withheld, unserved)
    wanted = _within_limit(wanted, present, limit - len(foreign), unserved)
    made, changes = _merged(routes, ours, wanted)
    told = [Finding("no route", name, why, _way_out(why)) for name, why in unserved.items()]
    told += _foreign_within(foreign, policy) + _nearly_full(len(made), limit)
    return Plan(made, changes, unserved, told)


def _wanted(
    nodes: Iterable[Node], policy: Policy, table: Mapping[str, Route], unserved: dict[str, str]
) -> list[Wanted]:
    found = []
    for node in nodes:
        if not node.managed:
            continue
        for cidr, prefix in zip(node.ranges, node.prefixes, strict=False):
            hop = node.address(prefix.family)
            name = route_name(node.name, cidr, dual=policy.dual)
            need = Wanted(node.name, name, cidr, prefix, "" if hop is None else format_address(hop))
            if why := "" if _names(table, need) else _why_not_new(need, policy):
                unserved[node.name] = why
            else:
                found.append(need)
    return found


def _why_not_new(need: Wanted, policy: Policy) -> str:
    """Return why a route that the table does not have cannot be added to it; empty where it can."""
    if not is_slot(need.prefix, policy):
        return f"its range {need.cidr} is none of the cluster's, so that a route could lead others' packets astray"
    return "" if need.hop else f"it has no internal IPv{need.prefix.family} address that its route could name"


def _is_as_needed(route: Route, needs: Mapping[str, Wanted]) -> bool:
    """Return whether a route is what a node needs in all, so that it is its own, wherever it leads."""
    need = needs.get(str(route.get("name", "")).lower())
    return need is not None and _serves(route, need)


def _by_name(routes: Iterable[Route]) -> dict[str, Route]:
    """Return the routes that lead to an appliance, as nodes' do, by their names in lower case."""
    found = ((each, each.get("properties") or {}) for each in routes)
    return {str(each.get("name", "")).lower(): each for each, of in found if of.get("nextHopType") == HOP}


def _served_once(wanted: list[Wanted], present: Mapping[str, Route], unserved: dict[str, str]) -> list[Wanted]:
    """Return one route for each prefix: whose it is in the table already, or else the eldest node's."""
    holders: dict[Prefix, Wanted] = {}
    for each in wanted:
        holder = holders.setdefault(each.prefix, each)
        if holder is not each and _names(present, each) and not _names(present, holder):
            holders[each.prefix] = each
    for each in wanted:
        holder = holders[each.prefix]
        if holder is not each:
            unserved[each.node] = f"{holder.node} has the same range {each.cidr}"
    return [each for each in wanted if holders[each.prefix] is each]


def _names(present: Mapping[str, Route], wanted: Wanted) -> bool:
    route = present.get(wanted.name.lower())
    return route is not None and prefix_of(route) == wanted.prefix


def _beside(foreign: Iterable[Route], wanted: Iterable[Wanted], unserved: dict[str, str]) -> list[Wanted]:
    """Return the routes that no foreign one is in the way of: by its prefix, or by its name."""
    prefixes = {prefix_of(each): str(each.get("name")) for each in foreign}
    names = {str(each.get("name")).lower(): each for each in foreign}
    fit = []
    for each in wanted:
        if each.prefix in prefixes:
            unserved[each.node] = f"the foreign route {prefixes[each.prefix]!r} leads to its range {each.cidr}"
        elif each.name.lower() in names:
            unserved[each.node] = f"a foreign route has the name {each.name!r}"
        else:
            fit.append(each)
    return fit


def _taken_by_azure(
    wanted: Iterable[Wanted], present: Mapping[str, Route], withheld: Collection[str], unserved: dict[str, str]
) -> list[Wanted]:
    """Return the routes that Azure does not refuse; one that the table has stays as it is."""
    taken = []
    for each in wanted:
        if each.name.lower() not in withheld:
            taken.append(each)
            continue
        unserved[each.node] = f"Azure refuses its route {each.name!r} to {each.cidr} by {each.hop}"
        if _names(present, each):
            taken.append(each._replace(hop=""))
    return taken


def _within_limit(
    wanted: list[Wanted], present: Mapping[str, Route], room: int, unserved: dict[str, str]
) -> list[Wanted]:
    """Return the routes that the table has, and as many of the eldest other nodes as it has room for besides.

    What it has is kept whatever the limit is: Azure has taken it, so it is the limit that is wrong.
    """
    if len(wanted) <= room:
        return wanted
    taken = {each for each in wanted if _names(present, each)}
    taken.update([each for each in wanted if each not in taken][: max(room - len(taken), 0)])
    for each in wanted:
        if each not in taken:
            unserved[each.node] = f"the table is full: it has room for {max(room, 0)} routes of nodes"
    return [each for each in wanted if each in taken]


def _merged(routes: Sequence[Route], ours: Sequence[bool], wanted: list[Wanted]) -> tuple[list[Route], list[Change]]:
    """Return the table's routes in their order with ours put right, and new ones at the end; and every difference."""
    missing = {each.name.lower(): each for each in wanted}
    made: list[Route] = []
    changes: list[Change] = []
    for route, own in zip(routes, ours, strict=True):
        name = str(route.get("name", ""))
        need = missing.pop(name.lower(), None) if own else None
        if not own:
            made.append(route)
        elif need is None:
            changes.append(Change("remove", name, route, None))
        else:
            after = route if _serves(route, need) or not need.hop else _route(need, name)
            made.append(after)
            changes += [Change("change", name, route, after)] if after is not route else []
    added = [_route(each, each.name) for each in missing.values()]
    changes += [Change("add", str(each["name"]), None, each) for each in added]
    return made + added, changes


def _serves(route: Route, need: Wanted) -> bool:
    properties = route.get("properties") or {}
    return (prefix_of(route), properties.get("nextHopType"), properties.get("nextHopIpAddress")) == (
        need.prefix,
        HOP,
        need.hop,
    )


def _route(need: Wanted, name: str) -> Route:
    properties = {"addressPrefix": need.cidr, "nextHopType": HOP, "nextHopIpAddress": need.hop}
    return {"name": name, "properties": properties}


def _foreign_within(foreign: Iterable[Route], policy: Policy) -> list[Finding]:
    return [
        Finding(
            "foreign route",
            str(each.get("name")),
            f"it leads to {prefix_of(each)}, within the nodes' ranges, and is not ours by its name",
            f"if {node_of(str(each.get('name')))} is gone for good: az network route-table route delete",
        )
        for each in foreign
        if is_within(each, policy)
    ]


def _nearly_full(count: int, limit: int) -> list[Finding]:
    if count < NEARLY * limit:
        return []
    text = f"it holds {count} routes of at most {limit}: {max(limit - count, 0)} more fit"
    return [Finding("table nearly full", "route table", text, "ask Azure for a higher limit, or move to Overlay")]


def _way_out(why: str) -> str:
    if "full" in why:
        return "remove foreign routes, ask Azure for a higher limit (--route-limit), or move to Overlay"
    if "astray" in why:
        return "see what is said of its range; or add the route by hand, under the node's name: then it is kept"
    if "same range" in why:
        return "drain the younger node, and delete its Node object, so that it registers anew"
    if "foreign" in why:
        return "remove or rename that route"
    if "refuses" in why:
        return "see what Azure said of it in the controller's log; it is tried again every ten minutes"
    return "look why the node's cloud provider does not report its address"


def verified(routes: Iterable[Route], nodes: Iterable[Node], policy: Policy) -> dict[str, bool]:
    """Return for each node with ranges whether a table with these routes leads to all of them."""
    present = _by_name(routes)
    found: dict[str, bool] = {}
    for node in nodes:
        if not node.ranges:
            continue
        needs = _wanted([node], policy, present, {})
        complete = len(needs) == len(node.ranges)
        found[node.name] = not node.managed or (complete and all(_present(present, each) for each in needs))
    return found


def _present(present: Mapping[str, Route], need: Wanted) -> bool:
    route = present.get(need.name.lower())
    return route is not None and _serves(route, need)
