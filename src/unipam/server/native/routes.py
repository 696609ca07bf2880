"""The native API's routes, put together."""

from __future__ import annotations

from fastapi import APIRouter

from unipam.server.native import access, questions, reservations, spaces
from unipam.server.native.problems import NATIVE

router = APIRouter(prefix=NATIVE)
for _each in (spaces, reservations, questions, access):
    router.include_router(_each.router)
