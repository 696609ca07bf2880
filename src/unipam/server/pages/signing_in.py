"""Signing in to the pages, with a local token, a link that is good once, or Entra ID; and signing out.

What a session is, is in `plan.access.sessions`; the flow with Entra ID is in `server.code_flow`.
"""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from unipam.model.errors import Forbidden, Missing, NotSignedIn, SourceFailed, Throttled
from unipam.plan.access import sessions, tokens
from unipam.plan.access.callers import Caller
from unipam.plan.access.sessions import WebSession
from unipam.plan.tree import Author
from unipam.server.code_flow import CodeFlow
from unipam.server.pages import browser
from unipam.server.pages.credentials import fields_of
from unipam.server.pages.page import FormDep, bare
from unipam.server.pages.sealing import seal, unseal
from unipam.server.register import Register, RegisterDep, place_of_caller, register_of
from unipam.server.statuses import status_of
from unipam.store.api import Tx

router = APIRouter(prefix="/auth", include_in_schema=False)

_UNKEPT = {"Cache-Control": "no-store"}
FLOW = "-flow"
"""The cookie of a sign-in that is under way."""
GOING = 600.0
"""Seconds that a sign-in with Entra ID may take."""


class Going(msgspec.Struct, frozen=True):
    """A sign-in that is under way: msal's flow, where to go on to, and until when it is waited for."""

    flow: dict[str, Any]
    place: str
    until: float


@router.get("/sign-in")
async def sign_in_page(request: Request) -> HTMLResponse:
    """Ask who it is."""
    return _ask(request, browser.own_place(request.query_params.get("next")))


def _ask(request: Request, place: str, code: int = 200, problem: str = "") -> HTMLResponse:
    entra = browser.with_query("/auth/login", {"next": place}) if register_of(request).flow is not None else ""
    return bare(request, "sign-in.html", code, next=place, problem=problem, entra=entra)


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
    return await _start(request, caller, place, {"token": token.id})


@router.get("/once")
async def with_link(request: Request, register: RegisterDep) -> Response:
    """Sign in with a link that somebody who had a token asked for; it is good once."""
    place = place_of_caller(request)
    register.auth.require_room(place)
    code = request.query_params.get("code", "")
    try:
        number = await register.worker.write(lambda tx, by: sessions.take_link(tx, by, code), Author("unipam"))
    except NotSignedIn as error:
        register.auth.failed(place)
        return _ask(request, "/", 401, error.message)
    session = _new(request, "", "", register.clock())
    session = msgspec.structs.replace(session, token=number)
    caller = await register.worker.read(lambda tx: register.auth.holder(tx, session))
    if caller is None:
        return _ask(request, "/", 401, "The token that this link was made with is good no more.")
    return await _start(request, caller, browser.own_place(request.query_params.get("next")), {"token": number})


@router.get("/login")
async def to_entra(request: Request, register: RegisterDep) -> Response:
    """Send the browser to Entra ID; what the flow needs when it comes back, the browser keeps, sealed."""
    flow = _flow(register)
    redirect = f"{browser.origin(request)}/auth/callback"
    begun = await register.elsewhere(lambda: flow.begin(redirect))
    going = Going(begun, browser.own_place(request.query_params.get("next")), register.clock() + GOING)
    key = await register.worker.read(sessions.shared_key)
    answer = RedirectResponse(begun["auth_uri"], 303, _UNKEPT)
    browser.set_cookie(request, answer, seal(key, FLOW, going), FLOW, GOING)
    return answer


@router.get("/callback")
async def from_entra(request: Request, register: RegisterDep) -> Response:
    """Take the code that Entra ID sent the browser back with, once."""
    place = place_of_caller(request)
    register.auth.require_room(place)
    key = await register.worker.read(sessions.shared_key)
    going = unseal(key, FLOW, browser.cookie(request, FLOW), Going)
    try:
        if going is None or going.until < register.clock():
            raise NotSignedIn("This sign-in was not begun in this browser, or longer than ten minutes ago: begin anew.")
        answer = await _exchange(request, register, going, place)
    except (NotSignedIn, Forbidden, SourceFailed) as error:
        if isinstance(error, NotSignedIn):
            register.auth.failed(place)
        answer = _ask(request, going.place if going else "/", status_of(error), error.message)
    browser.drop_cookie(request, answer, FLOW)
    return answer


async def _exchange(request: Request, register: Register, going: Going, place: str) -> Response:
    """Make a session of the code that came back. Raises NotSignedIn, Forbidden, SourceFailed."""
    flow, state = _flow(register), str(going.flow.get("state"))
    given = await register.elsewhere(lambda: flow.finish(going.flow, dict(request.query_params)))
    claims = await register.auth.claims(given.access, place)
    key = sessions.make_key()
    fields = fields_of(key, given, claims)
    session = _new(request, "", "", register.clock(), **fields)
    caller = await register.worker.read(lambda tx: register.auth.holder(tx, session, given.access))
    assert caller is not None  # a member is somebody, or Forbidden
    await register.worker.write(lambda tx, by: sessions.use_up(tx, by, state, GOING), Author("unipam"))
    return await _start(request, caller, going.place, fields, key)


def _flow(register: Register) -> CodeFlow:
    if register.flow is None:
        raise Missing("people do not sign in to this register with Entra ID: sign in with a token", kind="sign-in")
    return register.flow


def _new(request: Request, subject: str, name: str, now: float, **fields: Any) -> WebSession:
    return WebSession(sessions.make_id(), subject, name, now, now, browser.client_of(request), **fields)


async def _start(request: Request, caller: Caller, place: str, fields: dict[str, Any], key: str = "") -> Response:
    """Open a session for a caller, and go on to a place of this server. One that the browser had before is over."""
    register = register_of(request)
    key, now, former = key or sessions.make_key(), register.clock(), browser.cookie(request)
    session = _new(request, caller.subject, caller.name, now, **fields)

    def work(tx: Tx, by: Author) -> None:
        before = sessions.find_session(tx, former, now) if former else None
        if before is not None:
            sessions.end_session(tx, by, before.id)
        sessions.open_session(tx, by, key, session)

    await register.worker.write(work, caller.author())
    answer = RedirectResponse(place, 303, _UNKEPT)
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
    answer = RedirectResponse("/auth/sign-in", 303, _UNKEPT)
    browser.drop_cookie(page.request, answer)
    return answer
