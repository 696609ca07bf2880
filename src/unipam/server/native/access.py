"""Who the caller is, and local tokens and grants, by the native API."""

from __future__ import annotations

from typing import Any

from fastapi.responses import Response

from unipam.plan.access import preferences
from unipam.server.native import access_operations as operations
from unipam.server.native import models as m
from unipam.server.native.requests import Paged, Writing, page, problems, write
from unipam.server.register import CallerDep, SessionDep, reply
from unipam.server.routing import Router

router = Router(tags=["administration"])
grants_router = Router(prefix="/grants", tags=["administration"])


@router.get("/me", responses=problems())
async def who_am_i(caller: CallerDep) -> dict[str, Any]:
    """Who the caller is, and what it may do."""
    able = {"admin": caller.admin, "plans": sorted(caller.plans), "reserves_everywhere": caller.reserves}
    return {"name": caller.name, **able, "hint": caller.hint or None}


@router.get("/me/preferences", response_model=m.Preferences, responses=problems())
async def read_preferences(session: SessionDep) -> Response:
    """How the caller wants pages to look."""
    found = await session.read(lambda tx: preferences.preferences(tx, session.caller.subject))
    return reply(found)


@router.put("/me/preferences", response_model=m.Preferences, responses=problems())
async def change_preferences(session: SessionDep, body: m.Preferences) -> Response:
    """Let pages look so for the caller from now on."""
    wanted = preferences.Preferences(body.theme, body.density, body.zone, body.columns)
    return reply(await session.write(lambda tx, _: preferences.set_preferences(tx, session.caller.subject, wanted)))


@router.post("/me/sign-in-link", status_code=201, response_model=m.SignInLink, responses=problems())
async def make_sign_in_link(session: SessionDep) -> Response:
    """A link that signs the bearer of a local token in to the pages: once, and within a minute."""
    return reply(await session.write(operations.make_sign_in_link(session.caller)), 201)


@router.get("/sessions", response_model=m.Page[m.WebSession], responses=problems())
async def list_sessions(session: SessionDep, paging: Paged) -> Response:
    """Who is signed in to the pages, the latest first."""
    now = session.register.clock()
    return page(await session.read(operations.list_sessions(session.caller, now)), paging, "id")


@router.delete("/sessions/{name}", status_code=204, response_class=Response, responses=problems(404))
async def end_session(session: SessionDep, terms: Writing, name: str) -> Response:
    """End a session by its id."""
    return await write(session, terms, operations.end_session(session.caller, name))


@router.get("/tokens", response_model=m.Page[m.Token], responses=problems())
async def list_tokens(session: SessionDep, paging: Paged) -> Response:
    """The local tokens, without their secrets."""
    return page(await session.read(operations.list_tokens(session.caller)), paging, "id")


@router.post("/tokens", status_code=201, response_model=m.FreshToken, responses=problems(404, 409))
async def make_token(session: SessionDep, terms: Writing, body: m.NewToken) -> Response:
    """A new local token; its text is shown this once, and kept nowhere."""
    return await write(session, terms, operations.make_token(session.caller, body, terms.key))


@router.delete("/tokens/{name}", status_code=204, response_class=Response, responses=problems(404))
async def drop_token(session: SessionDep, terms: Writing, name: str) -> Response:
    """Revoke a token by its name or id."""
    return await write(session, terms, operations.drop_token(session.caller, name))


@grants_router.get("", response_model=m.Page[m.Grant], responses=problems())
async def list_grants(session: SessionDep, paging: Paged) -> Response:
    """The grants, by name."""
    return page(await session.read(operations.list_grants(session.caller)), paging)


@grants_router.post("", status_code=201, response_model=m.Grant, responses=problems(404, 409))
async def make_grant(session: SessionDep, terms: Writing, body: m.NewGrant) -> Response:
    """A new grant; what it gives adds to what its people may do anyway."""
    return await write(session, terms, operations.make_grant(session.caller, body))


@grants_router.delete("/{name}", status_code=204, response_class=Response, responses=problems(404))
async def drop_grant(session: SessionDep, terms: Writing, name: str) -> Response:
    """Take a grant back, by its name."""
    return await write(session, terms, operations.drop_grant(session.caller, name))
