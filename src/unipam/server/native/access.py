"""Local tokens, and moving plans out and in, by the native API; for administrators."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import Response

from unipam.model.errors import Forbidden
from unipam.plan.access import tokens
from unipam.plan.transfer.export import export, read_document
from unipam.plan.transfer.importing import move_in
from unipam.plan.tree import By
from unipam.server.native import inquiries as ask
from unipam.server.native import models as m
from unipam.server.native.common import Paged, Writing, page, problems, write
from unipam.server.native.operations import Answer, require_admin
from unipam.server.register import Here, Signed, reply
from unipam.server.routing import Router
from unipam.store.api import Tx

router = Router(tags=["administration"])


@router.get("/me", responses=problems())
async def who_am_i(caller: Signed) -> dict[str, Any]:
    """Who the caller is, and what it may do."""
    able = {"admin": caller.admin, "plans": sorted(caller.plans), "reserves_everywhere": caller.reserves}
    return {"name": caller.name, **able, "hint": caller.hint or None}


@router.get("/tokens", response_model=m.Page[m.Token], responses=problems())
async def list_tokens(register: Here, caller: Signed, paging: Paged) -> Response:
    """The local tokens, without their secrets."""
    return page(await register.desk.read(ask.list_tokens(caller)), paging, lambda row: str(row["id"]))


@router.post("/tokens", status_code=201, response_model=m.FreshToken, responses=problems(404, 409))
async def make_token(register: Here, caller: Signed, terms: Writing, body: m.NewToken) -> Response:
    """A new local token; its text is shown this once, and kept nowhere."""
    require_admin(caller)
    if terms.key:
        raise Forbidden("a token's text is not kept, so this request cannot be repeated by a key", field="key")

    def work(tx: Tx, by: By) -> Answer:
        until = None if body.expires_in is None else by.now + body.expires_in
        token, text = tokens.create_token(tx, by, body.name, body.role, body.spaces, until)
        return Answer({**tokens.shown(tx, token), "token": text}, 201)

    return await write(register, caller, terms, work)


@router.delete("/tokens/{name}", status_code=204, response_class=Response, responses=problems(404))
async def drop_token(register: Here, caller: Signed, terms: Writing, name: str) -> Response:
    """Revoke a token by its name or id."""
    require_admin(caller)

    def work(tx: Tx, by: By) -> Answer:
        tokens.revoke_token(tx, by, name)
        return Answer(status=204)

    return await write(register, caller, terms, work)


@router.get("/export", responses=problems())
async def export_plan(register: Here, caller: Signed) -> Response:
    """The whole plan as a document."""
    require_admin(caller)
    document = await register.desk.read(lambda tx: export(tx, register.clock()))
    return reply(document)


@router.post("/import", response_model=m.Report, responses=problems(409), openapi_extra={
    "requestBody": {"required": True, "content": {"application/json": {"schema": {}}}}
})  # fmt: skip
async def import_plan(
    request: Request,
    register: Here,
    caller: Signed,
    terms: Writing,
    keep_going: Annotated[bool, Query(description="Leave out what conflicts, instead of refusing all.")] = False,
) -> Response:
    """Create everything of a document that is not there yet; also of the answer of the original's GET /api/spaces."""
    require_admin(caller)
    body = await request.body()
    document = await register.aside(lambda: read_document(body))
    snapshot = await register.last_snapshot()

    def work(tx: Tx, by: By) -> Answer:
        report = move_in(tx, by, document, snapshot, keep_going=keep_going)
        return Answer({**report._asdict(), "conflicts": [each._asdict() for each in report.conflicts]})

    return await write(register, caller, terms, work)
