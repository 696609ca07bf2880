"""Where the plan's objects have their pages. Every object has one address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from unipam.model import objects
from unipam.model.records import SPACE
from unipam.plan.branches import CLOUD_SUBNET, FREE, Branch
from unipam.server.pages.browser import with_query


def _part(name: str) -> str:
    return quote(name, safe="")


def space_place(space: str) -> str:
    """Return the address of a space."""
    return f"/spaces/{_part(space)}"


def block_place(space: str, block: str) -> str:
    """Return the address of a block."""
    return f"{space_place(space)}/blocks/{_part(block)}"


def reservation_place(space: str, block: str, reservation: str) -> str:
    """Return the address of a reservation."""
    return f"{block_place(space, block)}/reservations/{_part(reservation)}"


def external_place(space: str, block: str, *names: str) -> str:
    """Return the address of an external network; of its subnet with a second name, of an endpoint with a third."""
    kinds = ("externals", "subnets", "endpoints")
    return block_place(space, block) + "".join(f"/{k}/{_part(n)}" for k, n in zip(kinds, names, strict=False))


def network_place(resource_id: str) -> str:
    """Return the address of a network of the cloud."""
    return with_query("/network", {"id": resource_id})


def finding_place(**wanted: str) -> str:
    """Return the address of the findings, of those that are wanted."""
    return with_query("/networks", {"tab": "findings", **wanted})


def subnet_place(network_id: str, name: str, prefix: str = "") -> str:
    """Return the address of a subnet of a network of the cloud; `prefix` is one of those that it has."""
    return with_query("/networks/subnet", {"id": network_id, "name": name, "prefix": prefix})


def reserve_place(path: Sequence[str], cidr: str = "", **more: Any) -> str:
    """Return the address at which something of a block can be reserved."""
    where = {"space": path[0] if path else "", "block": path[-1] if len(path) > 1 else ""}
    return with_query("/reserve", {**where, "cidr": cidr, **more})


def take_place(row: Branch) -> str:
    """Return where somebody gets what is free in a row of the tree, or a part of a block; empty: nowhere."""
    path = row.path
    if row.kind == objects.BLOCK:
        return reserve_place(path)
    if row.kind != FREE:
        return ""
    if row.within == objects.BLOCK:
        return reserve_place(path, row.cidr)
    if row.within == objects.EXTERNAL:
        return new_place("subnet", space=path[0], block=path[-2], external=path[-1], cidr=row.cidr)
    return ""


def new_place(what: str, **where: str) -> str:
    """Return the address of the form for a new object of this kind, somewhere."""
    return with_query(f"/new/{what}", where)


def place_of(kind: str, path: Sequence[str], number: str = "") -> str:
    """Return the address of an object by the names from its space down to it; empty for what has none.

    `number` is the id of a reservation, of a network or of one of its subnets.
    """
    depth = {objects.EXTERNAL: 1, objects.SUBNET: 2, objects.ENDPOINT: 3}.get(kind, 0)
    if kind == SPACE:
        return space_place(path[0])
    if kind == objects.BLOCK:
        return block_place(path[0], path[-1])
    if kind == objects.RESERVATION:
        return reservation_place(path[0], path[-2], number)
    if kind == objects.NETWORK:
        return network_place(number)
    if kind == CLOUD_SUBNET:
        return subnet_place(number.partition("/subnets/")[0], path[-1])
    if kind == FREE:
        return reserve_place(path)
    return external_place(path[0], path[-depth - 1], *path[-depth:]) if depth else ""
