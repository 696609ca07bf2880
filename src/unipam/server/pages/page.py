"""One request for a page: who asks, how that person wants pages to look, and how an answer is made of a template."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, TypeVar
from urllib.parse import quote

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import FormData

from unipam.model.errors import BadValue, Forbidden, NotSignedIn
from unipam.plan.access import preferences, sessions
from unipam.plan.access.callers import EVERYWHERE, Caller
from unipam.plan.access.preferences import Preferences
from unipam.plan.access.sessions import WebSession
from unipam.plan.cloud.cache import OLD
from unipam.plan.permissions import Need, UseCase, require
from unipam.plan.tree import Author
from unipam.server.pages import browser, columns, navigation, shell
from unipam.server.pages.credentials import held_by, renewed
from unipam.server.pages.headers import page_headers
from unipam.server.pages.templating import render
from unipam.server.pages.words import Moments
from unipam.server.register import Register, Session, place_of_caller, register_of
from unipam.store.api import Tx

T = TypeVar("T")

OVER = "Your session is over, or was ended: sign in again."
NOBODY = "Sign in to see this page."


class Fresh(NamedTuple):
    """What a page makes anew of its kind: what to call that, where, and why not, where the person may not."""

    text: str
    place: str
    refused: str = ""


class Head(NamedTuple):
    """What stands around a page's content.

    `title` is the page's name, `lead` the question that it answers. `crumbs` are the pages above it (address, name).
    `command` is the command line that shows the same, without `unipam`; `api` the path of the native API, with its
    query, and `sends` the words of curl for what it is sent. They are empty where nothing asks for just this.
    `exports`: the page answers `?format=csv|json`. `seen` is when the cloud was seen of which it tells (epoch
    seconds; 0: never; None: it tells of none). `past`: it can show the plan as it was (`?at=`). `listing` is the list
    on it whose columns can be chosen. `fresh` makes something new of the kind that the page is about.
    """

    title: str
    lead: str = ""
    crumbs: tuple[tuple[str, str], ...] = ()
    command: str = ""
    api: str = ""
    sends: str = ""
    exports: bool = False
    seen: float | None = None
    past: bool = False
    listing: str = ""
    fresh: Fresh | None = None


@dataclass
class Page:
    """A request of somebody who signed in."""

    request: Request
    session: Session
    web: WebSession
    key: str
    preferences: Preferences
    at: float | None = None

    @property
    def register(self) -> Register:
        """Return the register."""
        return self.session.register

    @property
    def caller(self) -> Caller:
        """Return who asks."""
        return self.session.caller

    @property
    def moments(self) -> Moments:
        """Return how moments are written for this person."""
        return Moments(self.register.clock(), self.preferences.zone)

    @property
    def iso_at(self) -> str:
        """Return the moment of the past that is shown, as command lines take it; empty: now."""
        return "" if self.at is None else self.moments.machine(self.at)

    @property
    def wanted_format(self) -> str:
        """Return `csv` or `json`, where the rows of the page are wanted as a file; else nothing."""
        wanted = self.request.query_params.get("format", "")
        return wanted if wanted in ("csv", "json") else ""

    @property
    def is_part(self) -> bool:
        """Return whether htmx asks for a part of the page: then a template of that part is rendered."""
        return self.request.headers.get("hx-request") == "true" and "hx-boosted" not in self.request.headers

    def query(self, name: str, default: str = "") -> str:
        """Return a value of the query, without blanks around it."""
        return browser.query_of(self.request).get(name, default).strip()

    def may(self, use_case: UseCase, space: str = "") -> str:
        """Return why the caller may not do this; empty when it may. Show it where the button would be."""
        try:
            require(self.caller, use_case, space)
        except Forbidden as error:
            return _needs(Need(str(error.facts["needs"])), space)
        return ""

    def may_in_any(self, use_case: UseCase, spaces: Sequence[str]) -> str:
        """Return why the caller may do this in none of these spaces; empty when it may in one."""
        return "" if any(not self.may(use_case, space) for space in spaces) else self.may(use_case)

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Do work on one consistent state."""
        return await self.session.read(work)

    async def write(self, work: Callable[[Tx, Author], T], author: Author | None = None) -> T:
        """Do work as one transaction of the caller's."""
        return await self.register.worker.write(work, author or self.caller.author())

    def render(self, template: str, head: Head, /, code: int = 200, **model: object) -> HTMLResponse:
        """Answer with a page. A template of the page's gets `frame`, `head` and what else is given."""
        frame = Frame.of(self)
        text = render(template, frame=frame, head=head, **model)
        answer = HTMLResponse(text, code, page_headers(secure=browser.is_secure(self.request)))
        if frame.done:
            browser.drop_cookie(self.request, answer, browser.DONE)
        return answer

    def go(self, place: str, done: str = "") -> Response:
        """Answer with another page of ours, which says what was done: to load that again does not do it again."""
        part = self.request.headers.get("hx-request") == "true"
        answer = Response(status_code=204, headers={"HX-Redirect": place}) if part else RedirectResponse(place, 303)
        if done:
            browser.set_cookie(self.request, answer, quote(done), browser.DONE, lasts=30)
        return answer


def _shown(paths: frozenset[str], register: Register) -> frozenset[str]:
    """Return the pages that the navigation shows: that of leases only where there is a ledger to read."""
    return paths if register.node is not None else paths - {"/leases"}


def _needs(need: Need, space: str) -> str:
    """Return what somebody needs in the words of the roles that one can be given."""
    if need is Need.ADMIN:
        return "needs administrator"
    planner = f"needs planner on {space}" if space else "needs planner"
    return f"{planner}, or to be who reserved it" if need in (Need.OWNER, Need.OWNING_RESERVER) else planner


def role_of(caller: Caller) -> str:
    """Return what a caller may do, in words."""
    if caller.admin:
        return "administrator"
    if EVERYWHERE in caller.plans:
        return "planner of every space"
    planned = f"planner of {', '.join(sorted(caller.plans))}" if caller.plans else ""
    return planned or ("may reserve in every space" if caller.reserves else "reader")


class Frame(NamedTuple):
    """What the base template shows of a request."""

    place: str
    path: str
    query: dict[str, str]
    groups: list[navigation.Group]
    caller: Caller
    preferences: Preferences
    moments: Moments
    form_token: str
    version: str
    origin: str
    at: float | None
    paths: frozenset[str]
    done: str

    @classmethod
    def of(cls, page: Page) -> Frame:
        """Return the frame of a page."""
        request = page.request
        place = browser.place_of(request)
        return cls(
            place, place.partition("?")[0], browser.query_of(request),
            navigation.groups(_shown(request.app.state.pages, page.register)), page.caller, page.preferences,
            page.moments, browser.form_token(page.key), page.register.version, browser.origin(request), page.at,
            request.app.state.pages, browser.done(request),
        )  # fmt: skip

    @property
    def role(self) -> str:
        """Return what the person may do, in words."""
        return role_of(self.caller)

    def is_old(self, seen: float) -> bool:
        """Return whether what was seen of the cloud then is older than it should be."""
        return self.moments.now - seen > OLD

    def columns(self, name: str) -> tuple[str, ...]:
        """Return the columns of a list that this person sees."""
        return self.preferences.shown(name)

    def headings(self, name: str) -> list[tuple[str, str]]:
        """Return the headings of those columns, and of which kind each is."""
        return columns.headings(self.preferences, name)

    def choices(self, name: str) -> list[tuple[str, str, bool]]:
        """Return every column that the list can have: its key, its heading, and whether it is shown."""
        return columns.choices(self.preferences, name)

    def with_query(self, **changed: object) -> str:
        """Return this page's address with these values changed in its query; None or "" takes one away."""
        return browser.with_query(self.path, {**self.query, **changed})

    def link(self, path: str) -> str:
        """Return the address of another page of ours, at the same moment of the past as this one if it shows one."""
        if self.at is None:
            return path
        return f"{path}{'&' if '?' in path else '?'}at={quote(self.query['at'])}"

    def curl(self, api: str, sends: str = "") -> str:
        """Return the command that asks the API for what the page shows."""
        return shell.curl(f"{self.origin}/api/v1{api}", sends)


async def open_page(request: Request) -> Page:
    """Return the page of a request. Raises NotSignedIn, and BadValue for a moment that is none."""
    register = register_of(request)
    key = browser.cookie(request)
    web = await register.worker.read(lambda tx: sessions.find_session(tx, key, register.clock()))
    if web is None:
        raise NotSignedIn(OVER if key else NOBODY)
    web = await renewed(register, key, web, place_of_caller(request))
    caller, preferred = await register.worker.read(lambda tx: _caller(register, tx, key, web))
    request.state.caller = caller
    page = Page(request, Session(register, caller), web, key, preferred)
    request.state.page = page
    page.at = _moment(page)
    await _notice(register, key, web)
    return page


def _caller(register: Register, tx: Tx, key: str, web: WebSession) -> tuple[Caller, Preferences]:
    """Return whom a session stands for, and what that person prefers. Raises NotSignedIn, Forbidden."""
    held = held_by(key, web)
    credential = held.access if held is not None and register.clock() < held.ends else ""
    caller = register.auth.holder(tx, web, credential)
    if caller is None:
        raise NotSignedIn(OVER)
    return caller, preferences.preferences(tx, web.subject)


def _moment(page: Page) -> float | None:
    text = page.query("at")
    if not text:
        return None
    try:
        return page.moments.parse(text)
    except (ValueError, OverflowError, OSError):
        raise BadValue(f"at: {text!r} is no moment: write it as 2026-03-01T12:00", field="at", value=text) from None


async def _notice(register: Register, key: str, web: WebSession) -> None:
    """Write down now and then that a session is used, so that it does not end by idleness."""
    now = register.clock()
    if now - web.seen < sessions.NOTICED:
        return

    def work(tx: Tx, _: Author) -> None:
        current = sessions.find_session(tx, key, now)  # it may have been ended meanwhile
        if current is not None:
            sessions.store_session(tx, key, sessions.seen_at(current, now))

    await register.worker.write(work, Author("unipam"))


class Form(NamedTuple):
    """A form that was sent from one of our pages."""

    page: Page
    fields: dict[str, str]
    whole: FormData


async def open_form(request: Request) -> Form:
    """Return the page and the fields of a form. Raises NotSignedIn with the page to come back to, Forbidden."""
    browser.require_own_origin(request)
    form = await browser.read_form(request)
    fields = browser.texts(form)
    if fields.get(browser.PAGE):  # what is refused is shown there again, with its filters
        request.state.stood_on = browser.own_place(fields[browser.PAGE])
    try:
        page = await open_page(request)
    except NotSignedIn as error:
        raise NotSignedIn(error.message, place=_form_again(form)) from None
    browser.require_form_token(fields.pop(browser.FORM_TOKEN, ""), page.key)
    fields.pop(browser.PAGE, None)
    return Form(page, fields, form)


def _form_again(form: FormData) -> str:
    """Return the address of the form's page with what was filled in, and every box that was ticked."""
    page = browser.own_place(browser.texts(form).get(browser.PAGE))
    filled: dict[str, list[str]] = {}
    for name, value in form.multi_items():
        if isinstance(value, str) and value and name not in (browser.FORM_TOKEN, browser.PAGE):
            filled.setdefault(name, []).append(value)
    joined = browser.with_query(page.partition("?")[0], filled)
    return joined if len(quote(joined)) <= browser.LONGEST_PLACE else page


PageDep = Annotated[Page, Depends(open_page)]
FormDep = Annotated[Form, Depends(open_form)]


def bare(request: Request, template: str, /, code: int = 200, **model: Any) -> HTMLResponse:
    """Answer with a page outside the frame: for whoever has not signed in."""
    text = render(template, **model)
    return HTMLResponse(text, code, page_headers(secure=browser.is_secure(request)))
