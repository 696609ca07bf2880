"""What pages load besides themselves: style, scripts, pictures. All of it lies in the package.

Each file is served under a name with a digest of its content in it, so browsers may keep it for ever: a new version has
a new name.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import mimetypes
from typing import NamedTuple

import structlog
from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

ROOT = "/assets"
_KEPT = "public, max-age=31536000, immutable"

log = structlog.get_logger()
router = APIRouter(prefix=ROOT, include_in_schema=False)


class Asset(NamedTuple):
    """One file as it is served."""

    name: str
    content: bytes
    media_type: str


@functools.cache
def _assets() -> dict[str, Asset]:
    """Return every file by its name in the package."""
    found = {}
    for file in importlib.resources.files(__package__).joinpath("assets").iterdir():
        stem, _, suffix = file.name.rpartition(".")
        content = file.read_bytes()
        name = f"{stem}.{hashlib.sha256(content).hexdigest()[:16]}.{suffix}"
        found[file.name] = Asset(name, content, mimetypes.guess_type(file.name)[0] or "application/octet-stream")
    if "htmx.js" not in found:
        log.warning("htmx is missing from this installation: pages work without it, but load whole at each click")
    return found


def asset(name: str) -> str:
    """Return the address of a file; empty when this installation lacks it (htmx, in a source tree never built)."""
    found = _assets().get(name)
    return f"{ROOT}/{found.name}" if found else ""


@functools.cache
def _served() -> dict[str, Asset]:
    return {each.name: each for each in _assets().values()}


@router.get("/{name}")
async def serve(name: str) -> Response:
    """Answer with a file, by its name with the digest in it."""
    found = _served().get(name)
    if found is None:
        raise HTTPException(404, "There is no such file.")
    return Response(found.content, headers={"Cache-Control": _KEPT}, media_type=found.media_type)
