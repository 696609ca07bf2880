"""The native API's routers, those first that are asked for most."""

from __future__ import annotations

from unipam.server.native import (
    access,
    calculations,
    cloud_subnets,
    externals,
    forecasts,
    journal,
    leases,
    listing_routes,
    questions,
    reservations,
    spaces,
    transfer,
)

ROUTERS = (
    reservations.router,
    spaces.router,
    questions.router,
    forecasts.router,
    journal.router,
    listing_routes.router,
    listing_routes.cloud_router,
    calculations.router,
    cloud_subnets.router,
    leases.router,
    externals.router,
    access.router,
    transfer.router,
    access.grants_router,
)
