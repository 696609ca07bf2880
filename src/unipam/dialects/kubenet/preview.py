"""What the controller would write by what there is, and who would have to wait (spec kubenet §6, K28)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from unipam.dialects.kubenet import ranges, routes
from unipam.dialects.kubenet.naming import node_of
from unipam.dialects.kubenet.node import Node
from unipam.dialects.kubenet.policy import Policy


class Difference(NamedTuple):
    """One thing that a write would change, or that no write would: `action` says which."""

    node: str
    action: str
    what: str
    before: str = ""
    after: str = ""


def differences(
    nodes: Sequence[Node], table: Sequence[routes.Route], policy: Policy, *, limit: int = routes.LIMIT
) -> list[Difference]:
    """Return what a controller that begins now would write: ranges for nodes without any, and then the table."""
    given = ranges.desired(nodes, policy, ranges.Memory(), 0.0)
    made = {each.node.uid: tuple(map(str, each.ranges)) for each in given.assignments}
    found = [Difference(each.node.name, "give range", ",".join(made[each.node.uid])) for each in given.assignments]
    found += [Difference(each.name, "no range", "none is free") for each in given.short]
    served = [each._replace(ranges=made.get(each.uid, each.ranges)) for each in nodes]
    return [*found, *_of_table(served, table, policy, limit)]


def _of_table(nodes: Iterable[Node], table: Sequence[routes.Route], policy: Policy, limit: int) -> Iterator[Difference]:
    plan = routes.desired(table, nodes, policy, limit=limit)
    for each in plan.changes:
        yield Difference(
            node_of(each.name), f"{each.verb} route", each.name, _written(each.before), _written(each.after)
        )
    for name, why in plan.unserved.items():
        yield Difference(name, "no route", why)


def _written(route: routes.Route | None) -> str:
    properties = (route or {}).get("properties") or {}
    return f"{properties.get('addressPrefix')} by {properties.get('nextHopIpAddress')}" if route else ""
