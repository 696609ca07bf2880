"""The routers of all pages."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from unipam.server.pages import (
    access,
    address,
    address_map,
    assets,
    diagnose,
    editing,
    endpoints,
    externals,
    forecast,
    journal,
    leases,
    me,
    mending,
    networks,
    objects,
    overview,
    plan,
    reservations,
    reserve,
    search,
    signing_in,
    sizing,
    status,
    subnet,
)

ROUTERS = (
    assets.router,
    signing_in.router,
    overview.router,
    plan.router,
    address_map.router,
    objects.router,
    forecast.router,
    editing.router,
    reserve.router,
    reservations.router,
    networks.router,
    mending.router,
    endpoints.router,
    subnet.router,
    externals.router,
    leases.router,
    sizing.router,
    diagnose.router,
    journal.router,
    search.router,
    address.router,
    access.router,
    me.router,
    status.router,
)


def install(app: FastAPI) -> None:
    """Let the application have the pages, and know which there are: the navigation shows those."""
    for router in ROUTERS:
        app.include_router(router)
    app.state.pages = frozenset(str(route.path) for route in iter_route_contexts(app.routes))
