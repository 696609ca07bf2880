"""The native API's routers, those first that are asked for most."""

from __future__ import annotations

from unipam.server.native import (
    access,
    cloud_subnets,
    external_endpoints,
    external_subnets,
    externals,
    grants,
    questions,
    reservations,
    spaces,
)

ROUTERS = (
    reservations.router,
    spaces.router,
    questions.router,
    cloud_subnets.router,
    externals.router,
    external_subnets.router,
    external_endpoints.router,
    access.router,
    grants.router,
)
