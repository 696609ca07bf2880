"""What the Resource Manager refuses to store.

A table whose routes collide or are too many is refused whole (spec kubenet §4: "blocks the whole batch"). The code of
the second is a guess: no Azure answer with it was found.
"""

from __future__ import annotations

from typing import Any

from tests.fakes.azure_http import Refused

ROUTES = 400


def check(path: str, body: dict[str, Any]) -> None:
    """Look at what is to be stored. Raises Refused."""
    if "/routetables/" in path.lower():
        _check_routes(body.get("properties", {}).get("routes") or [])


def _check_routes(routes: list[dict[str, Any]]) -> None:
    if len(routes) > ROUTES:
        raise Refused(400, "RouteTableLimitReached", f"A route table cannot have more than {ROUTES} routes.")
    by_prefix: dict[str, str] = {}
    names: set[str] = set()
    for route in routes:
        name, prefix = route["name"], route["properties"]["addressPrefix"]
        other = by_prefix.setdefault(prefix, name)
        if other != name:
            text = f"Route: {other} conflicts with Route: {name}. Routes cannot have the same AddressPrefix."
            raise Refused(400, "RouteConflict", text)
        if name.lower() in names:
            raise Refused(400, "InvalidRequestFormat", f"There are two routes of the name {name}.")
        names.add(name.lower())
