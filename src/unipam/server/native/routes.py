"""The native API's routers, those first that are asked for most."""

from __future__ import annotations

from unipam.server.native import access, questions, reservations, spaces

ROUTERS = (reservations.router, spaces.router, questions.router, access.router)
