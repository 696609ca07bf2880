"""What the native API works out from what it is sent, and keeps nothing of: a cluster's sizes, a node's troubles."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.responses import Response

from unipam.model.errors import BadValue
from unipam.server.calculations import diagnosed, sizing_of
from unipam.server.native.requests import problems
from unipam.server.register import CallerDep, RegisterDep, reply
from unipam.server.routing import Router

router = Router(tags=["questions"])


@router.post("/sizing", response_model=dict[str, Any], responses=problems(), openapi_extra={
    "requestBody": {"required": True, "content": {
        "application/json": {"schema": {"type": "object"}}, "application/yaml": {"schema": {"type": "string"}},
    }}
})  # fmt: skip
async def sizing(request: Request, register: RegisterDep, _: CallerDep) -> Response:
    """The plan of a described AKS cluster, as `unipam sizing -o json` answers: needs, places, limits, findings."""
    text = _decoded(await request.body())
    return reply(await register.in_thread(lambda: sizing_of(text)))


def _decoded(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise BadValue("the description is not UTF-8 text", field="description") from None


@router.post("/diagnose", response_model=dict[str, Any], responses=problems(), openapi_extra={
    "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": {
        "type": "object", "properties": {
            "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
            "text": {"type": "string"},
        }
    }}}}
})  # fmt: skip
async def diagnose(request: Request, register: RegisterDep, _: CallerDep) -> Response:
    """What is wrong by these logs, states and dumps, as `unipam diagnose -o json` answers. Nothing of it is kept."""
    return reply(await diagnosed(request, register))
