"""The native API's routers, those first that are asked for most."""

from __future__ import annotations

from unipam.server.native import (
    access,
    cloud_subnets,
    externals,
    journal,
    questions,
    reservations,
    spaces,
    transfer,
)

ROUTERS = (
    reservations.router,
    spaces.router,
    questions.router,
    journal.router,
    cloud_subnets.router,
    externals.router,
    access.router,
    transfer.router,
    access.grants_router,
)
