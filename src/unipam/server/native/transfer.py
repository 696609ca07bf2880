"""Moving whole plans out and in by the native API; for administrators."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from unipam.model.cloud import Snapshot
from unipam.plan.permissions import UseCase
from unipam.plan.transfer.export import Document, export, read_document
from unipam.plan.transfer.importing import Report, move_in
from unipam.server.native import models as m
from unipam.server.native.operations import Shape, Write, shown
from unipam.server.native.requests import Writing, problems, write
from unipam.server.register import SessionDep, reply
from unipam.server.routing import Router
from unipam.store.api import Tx

router = Router(tags=["administration"])


@router.get("/export", responses=problems())
async def export_plan(session: SessionDep) -> Response:
    """The whole plan as a document."""
    session.require(UseCase.EXPORT)
    return reply(await session.read(lambda tx: export(tx, session.register.clock())))


@router.post("/import", response_model=m.Report, responses=problems(409), openapi_extra={
    "requestBody": {"required": True, "content": {"application/json": {"schema": {}}}}
})  # fmt: skip
async def import_plan(
    request: Request,
    session: SessionDep,
    terms: Writing,
    keep_going: Annotated[bool, Query(description="Leave out what conflicts, instead of refusing all.")] = False,
) -> Response:
    """Create everything of a document that is not there yet; also of the answer of the original's GET /api/spaces."""
    session.require(UseCase.IMPORT)
    body = await request.body()
    document = await session.register.in_thread(lambda: read_document(body))
    return await write(session, terms, _importing(document, await session.register.last_snapshot(), keep_going))


def _importing(document: Document, snapshot: Snapshot, keep_going: bool) -> Write:
    return shown(lambda tx, by: move_in(tx, by, document, snapshot, keep_going=keep_going), _shape)


def _shape(_: Tx, report: Report) -> Shape:
    return {**report._asdict(), "conflicts": [each._asdict() for each in report.conflicts]}
