"""The native API's routes, put together."""

from __future__ import annotations

from fastapi import APIRouter

from unipam.server.native.problems import NATIVE

router = APIRouter(prefix=NATIVE)
