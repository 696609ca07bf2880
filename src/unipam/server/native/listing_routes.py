"""Listings of the native API across blocks and spaces: objects, the tree, what is seen of the cloud."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Query
from fastapi.responses import Response

from unipam.model.cloud import Snapshot
from unipam.plan.branches import DEEPEST, SHOWN, Filter
from unipam.plan.cloud.endpoints import is_wanted
from unipam.plan.cloud.peerings import component
from unipam.plan.cloud.standing import STANDINGS, Wanted, chosen
from unipam.plan.listing import LISTED, ORDERS, Wish
from unipam.plan.parts import Paging
from unipam.server.looking import seen_of, standings_for
from unipam.server.native import documented as shapes
from unipam.server.native import listings
from unipam.server.native import models as m
from unipam.server.native.listings import Asked
from unipam.server.native.operations import MOST_ITEMS
from unipam.server.native.requests import Paged, page, problems
from unipam.server.register import Session, SessionDep, reply
from unipam.server.routing import Router

router = Router(tags=["plan"])
cloud_router = Router(prefix="/cloud", tags=["cloud"])

_LONG = Query(max_length=2048)


async def _wish(  # noqa: PLR0913, PLR0917 (query parameters)
    kind: Annotated[str, Query(max_length=32, description=f"One of {', '.join(LISTED)}.")],
    space: Annotated[str, Query(max_length=64, description="Only those of this space.")] = "",
    block: Annotated[str, Query(max_length=64, description="Only those of this block of the space.")] = "",
    q: Annotated[str, Query(max_length=256, description="Only those with this text, or at this prefix.")] = "",
    status: Annotated[str, Query(max_length=32, description="Only those with this status.")] = "",
    sort: Annotated[str, Query(max_length=16, description=f"By {', '.join(ORDERS)}; `-` turns it round.")] = "cidr",
    after: Annotated[str, _LONG] = "",
    limit: Annotated[int, Query(ge=1, le=MOST_ITEMS)] = 100,
) -> Wish:
    return Wish(kind, space, block, q, status, sort, after, limit)


@router.get("/objects", response_model=shapes.OBJECTS, responses=problems(404))
async def list_objects(session: SessionDep, wish: Annotated[Wish, Depends(_wish)]) -> Response:
    """Objects of one kind across blocks and spaces: blocks, reservations that wait, networks, externals."""
    visibility = await session.visibility(wish.space or None)
    return reply(await session.read(listings.list_objects(visibility, wish)))


async def asked_branches(  # noqa: PLR0913, PLR0917 (query parameters)
    under: Annotated[str, Query(max_length=512, description="Names from the space down, with slashes.")] = "",
    show: Annotated[str, Query(max_length=8, description=f"One of {', '.join(SHOWN)}.")] = "both",
    least: Annotated[int, Query(alias="min", ge=0, le=128, description="The shortest prefix length.")] = 0,
    most: Annotated[int, Query(alias="max", ge=0, le=128, description="The longest prefix length.")] = 128,
    size: Annotated[
        int | None, Query(ge=0, le=128, description="Cut what is free into prefixes of this length.")
    ] = None,
    depth: Annotated[int, Query(ge=1, le=DEEPEST, description="Levels.")] = 1,
    at: Annotated[float | None, Query(ge=0, allow_inf_nan=False, description="As it was; epoch seconds.")] = None,
    after: Annotated[str, Query(max_length=64)] = "",
    limit: Annotated[int, Query(ge=1, le=MOST_ITEMS)] = 200,
) -> Asked:
    """Return which part of the tree is asked for."""
    return Asked(under, Filter(show, least, most, size, after, limit), depth, at)


@router.get("/tree", response_model=shapes.BRANCHES, responses=problems(404))
async def list_branches(session: SessionDep, asked: Annotated[Asked, Depends(asked_branches)]) -> Response:
    """What lies directly under something, and what is free there, in address order, with how full each is."""
    space = asked.path[0] if asked.path else None
    visibility, snapshot = await session.visibility(space), await seen_of(session)
    return reply(await session.read(listings.list_branches(visibility, snapshot, asked)))


@cloud_router.get("/networks", response_model=shapes.STANDINGS, responses=problems())
async def list_cloud_networks(
    session: SessionDep,
    paging: Paged,
    plan: Annotated[str, Query(max_length=16, description=f"Only those that are {', '.join(STANDINGS)}.")] = "",
    overlapping: Annotated[bool | None, Query(description="Only those that overlap another, or that do not.")] = None,
    space: Annotated[str, Query(max_length=64, description="Only those with addresses of this space's blocks.")] = "",
) -> Response:
    """The networks of the cloud and of the plan that the caller may know of: in the plan? overlapping?"""
    rows = chosen(await standings_for(session), Wanted(plan, overlapping, space, paging.text))
    snapshot = await session.register.last_snapshot()
    shapes_of = [msgspec.to_builtins(row) for row in rows]
    return page(shapes_of, paging._replace(text=""), "id", session.register.age(snapshot))


@cloud_router.get("/subnets", response_model=m.Page[m.CloudSubnet], responses=problems())
async def list_cloud_subnets(session: SessionDep, paging: Paged) -> Response:
    """The subnets of all networks of the cloud that the caller may see."""
    snapshot = await session.register.shown(session.caller)
    rows = list(listings.subnet_rows(snapshot.networks.values(), snapshot.taken))
    return page(rows, paging, "id", session.register.age(snapshot))


@cloud_router.get("/endpoints", response_model=shapes.ENDPOINTS, responses=problems())
async def list_cloud_endpoints(
    session: SessionDep,
    paging: Paged,
    orphaned: Annotated[bool | None, Query(description="Only those that lead to nothing, or only the others.")] = None,
) -> Response:
    """What has addresses in the cloud, as far as the caller may see it; `q` may be an address or a prefix."""

    def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
        found = (each for each in snapshot.endpoints if is_wanted(each, paging.text, orphaned))
        return listings.endpoint_rows(found)

    return await _shown(session, paging._replace(text=""), rows)


@cloud_router.get("/subscriptions", response_model=shapes.SUBSCRIPTIONS, responses=problems())
async def list_cloud_subscriptions(session: SessionDep, paging: Paged) -> Response:
    """The subscriptions that the caller may see."""
    return await _shown(session, paging, lambda snapshot: (s._asdict() for s in snapshot.subscriptions))


@cloud_router.get("/peerings", response_model=m.Page[m.PeeredNetwork], responses=problems(404))
async def list_peerings(
    session: SessionDep, paging: Paged, network: Annotated[str, Query(max_length=2048, description="Its resource id.")]
) -> Response:
    """The networks that a network is connected with by peerings, however far, itself first."""
    snapshot = await session.register.shown(session.caller)
    found = component(snapshot, network)
    rows = listings.network_rows(snapshot._replace(networks={each.id: each for each in found}))
    return page(list(rows), paging, "id", session.register.age(snapshot))


async def _shown(session: Session, paging: Paging, rows: Any) -> Response:
    snapshot = await session.register.shown(session.caller)
    return page(list(rows(snapshot)), paging, "id", session.register.age(snapshot))
