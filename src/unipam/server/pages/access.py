"""The pages on who may do what: tokens, grants, administrators, subscriptions, sessions, and a check."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from fastapi import APIRouter
from fastapi.responses import Response

from unipam.model.errors import BadValue, UnipamError
from unipam.plan import tree
from unipam.plan.access import callers, grants, sessions, tokens
from unipam.plan.access.abilities import abilities, person
from unipam.plan.access.callers import Admin, Caller
from unipam.plan.access.grants import Grantee
from unipam.plan.parts import Paging, part_of
from unipam.plan.permissions import UseCase
from unipam.plan.tree import Author
from unipam.server.pages.forms import Problem, author_of, do, fresh_key
from unipam.server.pages.page import Form, FormDep, Head, Page, PageDep
from unipam.server.pages.page import role_of as words_of
from unipam.store.api import Tx

router = APIRouter(prefix="/access", include_in_schema=False)

TABS = (
    ("/access", "Tokens"), ("/access/grants", "Grants"), ("/access/admins", "Administrators"),
    ("/access/subscriptions", "Subscriptions"), ("/access/sessions", "Sessions"), ("/access/check", "What may X do?"),
)  # fmt: skip
DAY = 86_400.0

_PAGE = 50
"""Rows of a tab at once: each has a form of its own."""


class Tab(NamedTuple):
    """One of these pages: its place, its question, what it needs, and what it reads."""

    place: str
    lead: str
    use_case: UseCase
    read: Callable[[Tx], Any]
    api: str = ""
    command: str = ""


def _tokens(tx: Tx) -> list[dict[str, Any]]:
    return [tokens.shown(tx, each) for each in tokens.tokens(tx)]


def _grants(tx: Tx) -> list[dict[str, Any]]:
    return [grants.shown(tx, each) for each in grants.grants(tx)]


TOKENS = Tab("/access", "Which programs and people have a token?", UseCase.LIST_TOKENS, _tokens, "/tokens",
             "register token list")  # fmt: skip
GRANTS = Tab("/access/grants", "What may the groups and roles of Entra ID do?", UseCase.LIST_GRANTS, _grants,
             "/grants", "register grant list")  # fmt: skip
ADMINS = Tab("/access/admins", "Who administrates, by name?", UseCase.LIST_ADMINS, callers.admins)
HIDDEN = Tab("/access/subscriptions", "Which subscriptions do listings leave out?", UseCase.LIST_EXCLUSIONS,
             callers.exclusions)  # fmt: skip


async def _show(
    page: Page, tab: Tab, form: Form | None = None, error: UnipamError | None = None, **more: Any
) -> Response:
    """Show a tab; with an error, its form as it was filled in."""
    needs, rows = page.may(tab.use_case), []
    if not needs:
        rows = await page.read(tab.read)
    numbered = [{"number": str(number), "row": row} for number, row in enumerate(rows, start=1)]
    whole = tab is HIDDEN  # which tells of every subscription whether it is among these
    part = part_of(numbered, Paging(len(rows) + 1 if whole else _PAGE, page.query("after")), "number")
    names = await page.read(lambda tx: [space.facts.name for space in tree.spaces(tx)])
    head = Head("Access", tab.lead, command=tab.command, api=tab.api)
    problem = None if error is None else Problem.of(error)
    typed = dict(page.request.query_params) if form is None else form.fields
    chosen = (
        [str(each) for each in form.whole.getlist("spaces")] if form else page.request.query_params.getlist("spaces")
    )
    return page.render(
        "access.html", head, problem.status if problem else 200, tabs=TABS, tab=tab.place, needs=needs,
        rows=[each["row"] for each in part["items"]], part=part,
        names=names, typed=typed, chosen=chosen, problem=problem, key=fresh_key(), mine=words_of(page.caller), **more,
    )  # fmt: skip


async def _or_again(form: Form, tab: Tab, work: Callable[[], Any], **more: Any) -> Response:
    """Answer with what work answers; when it is refused, with the form as it was filled in."""
    try:
        answer: Response = await work()
    except UnipamError as error:
        return await _show(form.page, tab, form, error, **more)
    return answer


@router.get("")
async def token_page(page: PageDep) -> Response:
    """Show the tokens."""
    return await _show(page, TOKENS)


@router.post("")
async def make_token(form: FormDep) -> Response:
    """Make a token, and show its text this once."""
    page = form.page
    page.session.require(UseCase.MAKE_TOKEN)

    async def work() -> Response:
        days = form.fields.get("days", "").strip()
        if days and not (days.isascii() and days.isdigit() and 0 < int(days[:6]) < 36_500):
            raise BadValue(f"days: {days!r} must be a number of days, or nothing", field="days")
        name, role = form.fields.get("name", "").strip(), form.fields.get("role", "")

        def make(tx: Tx, by: Author) -> str:
            until = by.now + int(days) * DAY if days else None
            return tokens.create_token(tx, by, name, role, _spaces(form, role), until)[1]

        text = await page.write(make, author_of(form))
        return await _show(page, TOKENS, fresh=text, fresh_name=name)

    return await _or_again(form, TOKENS, work)


@router.post("/tokens/{number}/revoke")
async def revoke_token(form: FormDep, number: str) -> Response:
    """Revoke a token; the sessions opened with it are over."""
    form.page.session.require(UseCase.REVOKE_TOKEN)
    return await do(
        form, lambda tx, by: tokens.revoke_token(tx, by, number),
        lambda token: ("/access", f"The token {token.name} is revoked."),
    )  # fmt: skip


@router.get("/grants")
async def grant_page(page: PageDep) -> Response:
    """Show the grants."""
    return await _show(page, GRANTS)


@router.post("/grants")
async def make_grant(form: FormDep) -> Response:
    """Make a grant."""
    form.page.session.require(UseCase.MAKE_GRANT)
    fields = {name: value.strip() for name, value in form.fields.items()}
    group, app_role, role = fields.get("group") or None, fields.get("app_role") or None, fields.get("role", "")
    name = fields.get("name", "")

    def make(tx: Tx, by: Author) -> object:
        return grants.create_grant(tx, by, name, Grantee(group, app_role), role, _spaces(form, role))

    return await _or_again(form, GRANTS, lambda: do(form, make, lambda _: (GRANTS.place, f"The grant {name} is made.")))


@router.post("/grants/{name}/revoke")
async def revoke_grant(form: FormDep, name: str) -> Response:
    """Take a grant back."""
    form.page.session.require(UseCase.REVOKE_GRANT)
    done = (GRANTS.place, f"The grant {name} is taken back.")
    return await do(form, lambda tx, by: grants.revoke_grant(tx, by, name), lambda _: done)


def _spaces(form: Form, role: str) -> list[str]:
    """Return the spaces that were ticked; other roles than a planner's need none."""
    return [str(each) for each in form.whole.getlist("spaces")] if role == callers.PLANNER else []


@router.get("/admins")
async def admin_page(page: PageDep) -> Response:
    """Show the administrators."""
    return await _show(page, ADMINS)


@router.post("/admins")
async def add_admin(form: FormDep) -> Response:
    """Make somebody an administrator."""
    form.page.session.require(UseCase.CHANGE_ADMINS)
    fields = {name: value.strip() for name, value in form.fields.items()}

    def add(tx: Tx, by: Author) -> None:
        kind: Literal["User", "Principal"] = "Principal" if fields.get("type") == "Principal" else "User"
        name = fields.get("name", "")
        if not (0 < len(name) <= 256 and name.isprintable()):
            raise BadValue("name: say who it is", field="name")
        callers.add_admin(tx, by, Admin(kind, name, _object_id(fields.get("id", "")), fields.get("email") or None))

    done = (ADMINS.place, f"{fields.get('name')} is an administrator.")
    return await _or_again(form, ADMINS, lambda: do(form, add, lambda _: done))


def _object_id(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise BadValue(f"id: {text!r} is no object id, as Entra ID shows it", field="id", value=text) from None


@router.post("/admins/{object_id}/remove")
async def remove_admin(form: FormDep, object_id: str) -> Response:
    """Let somebody be no administrator any more."""
    form.page.session.require(UseCase.CHANGE_ADMINS)
    done = (ADMINS.place, "One administrator less.")
    return await do(form, lambda tx, by: callers.remove_admin(tx, by, object_id), lambda _: done)


@router.get("/subscriptions")
async def subscription_page(page: PageDep) -> Response:
    """Show the subscriptions, and which of them listings leave out."""
    snapshot = await page.register.last_snapshot()
    return await _show(page, HIDDEN, subscriptions=sorted(snapshot.subscriptions, key=lambda each: each.name))


@router.post("/subscriptions/{number}")
async def exclude(form: FormDep, number: str) -> Response:
    """Leave a subscription out of listings, or show it again."""
    form.page.session.require(UseCase.CHANGE_EXCLUSIONS)
    if form.fields.get("do") == "include":
        done = (HIDDEN.place, f"{number} is shown again.")
        return await do(form, lambda tx, by: callers.include(tx, by, number), lambda _: done)
    done = (HIDDEN.place, f"{number} is left out of listings.")
    return await do(form, lambda tx, by: callers.exclude(tx, by, [_object_id(number)]), lambda _: done)


@router.get("/sessions")
async def session_page(page: PageDep) -> Response:
    """Show who is signed in."""
    now = page.register.clock()
    tab = Tab("/access/sessions", "Who is signed in?", UseCase.LIST_SESSIONS, lambda tx: sessions.sessions(tx, now),
              "/sessions")  # fmt: skip
    return await _show(page, tab, own=page.web.id)


@router.post("/sessions/{number}/end")
async def end_session(form: FormDep, number: str) -> Response:
    """End a session."""
    form.page.session.require(UseCase.END_SESSION)
    done = ("/access/sessions", "The session is over.")
    return await do(form, lambda tx, by: sessions.end_session(tx, by, number), lambda _: done)


@router.get("/check")
async def check(page: PageDep) -> Response:
    """Show what somebody may do."""
    token, object_id = page.query("token"), page.query("person")
    asked = token or object_id
    if asked:
        page.session.require(UseCase.CHECK_RIGHTS)
    tab = Tab("/access/check", "What may somebody do?", UseCase.CHECK_RIGHTS, _tokens)
    known = [] if page.may(UseCase.CHECK_RIGHTS) else await page.read(tokens.tokens)
    ids = [(each.id, each.name) for each in known]
    if not asked:
        return await _show(page, tab, found=None, ids=ids)
    groups, app_roles = page.query("groups").replace(",", " ").split(), page.query("roles").replace(",", " ").split()
    reserves = page.register.auth.members_reserve

    def work(tx: Tx) -> Any:
        if token:
            one = tokens.find_token(tx, token, page.register.clock())
            caller = Caller("", "") if one is None else tokens.caller_of(tx, one)
        else:
            caller = person(tx, object_id, groups, app_roles, reserves=reserves)
        return words_of(caller), abilities(tx, caller)

    return await _show(page, tab, found=await page.read(work), ids=ids)
