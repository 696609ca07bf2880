"""Signing in to the pages with a local token, and signing out. What a session is, is in `plan.access.sessions`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from unipam.model.errors import NotSignedIn, Throttled
from unipam.plan.access import sessions, tokens
from unipam.plan.access.callers import Caller
from unipam.plan.access.sessions import WebSession
from unipam.plan.tree import Author
from unipam.server.pages import browser
from unipam.server.pages.page import FormDep, bare
from unipam.server.register import Register, RegisterDep, place_of_caller
from unipam.store.api import Tx

router = APIRouter(prefix="/auth", include_in_schema=False)

_LONGEST_CLIENT = 200


@router.get("/sign-in")
async def sign_in_page(request: Request) -> HTMLResponse:
    """Ask who it is."""
    return _ask(request, browser.own_place(request.query_params.get("next")))


def _ask(request: Request, place: str, status: int = 200, problem: str = "") -> HTMLResponse:
    return bare(request, "sign-in.html", status, next=place, problem=problem)


@router.post("/token")
async def with_token(request: Request, register: RegisterDep) -> Response:
    """Exchange a local token for a session of the same rights; the token itself is kept nowhere."""
    browser.require_own_origin(request)
    fields = browser.texts(await browser.read_form(request))
    place = browser.own_place(fields.get("next"))
    text = fields.get("token", "").strip()
    if not text:
        return _ask(request, place, 400, "Paste a token.")
    try:
        caller = await register.auth.caller(f"Bearer {text}", place_of_caller(request))
    except (NotSignedIn, Throttled) as error:
        return _ask(request, place, 429 if isinstance(error, Throttled) else 401, error.message)
    token = await register.worker.read(lambda tx: tokens.recognise(tx, text, register.clock()))
    if token is None:
        return _ask(request, place, 401, "This is no local token: people of the tenant sign in with Entra ID.")
    return await start(request, register, caller, place, token=token.id)


async def start(request: Request, register: Register, caller: Caller, place: str, **more: Any) -> Response:
    """Open a session for a caller, and go on to a place of this server. One that the browser had before is over."""
    key, now = sessions.make_key(), register.clock()
    client = "".join(c for c in request.headers.get("user-agent", "")[:_LONGEST_CLIENT] if c.isprintable())
    session = WebSession(sessions.make_id(), caller.subject, caller.name, now, now, client, **more)
    former = browser.cookie(request)

    def work(tx: Tx, by: Author) -> None:
        before = sessions.find_session(tx, former, now) if former else None
        if before is not None:
            sessions.end_session(tx, by, before.id)
        sessions.open_session(tx, by, key, session)

    await register.worker.write(work, caller.author())
    answer = RedirectResponse(place, 303, {"Cache-Control": "no-store"})
    browser.set_cookie(request, answer, key)
    return answer


@router.post("/sign-out")
async def sign_out(form: FormDep) -> Response:
    """End the session; with `everywhere`, all of this person's."""
    page = form.page

    def work(tx: Tx, by: Author) -> None:
        if form.fields.get("everywhere"):
            sessions.end_sessions_of(tx, by, page.web.subject)
        else:
            sessions.end_session(tx, by, page.web.id)

    await page.write(work)
    answer = RedirectResponse("/auth/sign-in", 303, {"Cache-Control": "no-store"})
    browser.drop_cookie(page.request, answer)
    return answer
