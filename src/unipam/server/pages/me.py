"""The page on oneself: what one may do, how pages look, where one is signed in."""

from __future__ import annotations

from typing import cast, get_args

from fastapi import APIRouter
from fastapi.responses import Response
from msgspec.structs import replace

from unipam.model.errors import BadValue, UnipamError
from unipam.plan.access import preferences, sessions
from unipam.plan.access.preferences import Preferences
from unipam.server.pages import browser
from unipam.server.pages.forms import Problem
from unipam.server.pages.page import Form, FormDep, Head, Page, PageDep

router = APIRouter(include_in_schema=False)

_SHOWN = 20
"""Sessions of one person that are shown, the latest ones."""
THEMES, DENSITIES = get_args(preferences.Theme), get_args(preferences.Density)


@router.get("/me")
async def me(page: PageDep) -> Response:
    """Show who one is."""
    return await _show(page)


async def _show(page: Page, form: Form | None = None, error: UnipamError | None = None) -> Response:
    now = page.register.clock()
    every = await page.read(lambda tx: sessions.sessions(tx, now))
    mine = [each for each in every if each.subject == page.web.subject]
    typed = form.fields if form else {**_as_texts(page.preferences), **page.request.query_params}
    problem = None if error is None else Problem.of(error)
    head = Head("Me", "What may I do, and how do pages look to me?", api="/me")
    return page.render(
        "me.html", head, problem.status if problem else 200, mine=mine[:_SHOWN], more=len(mine) - _SHOWN,
        own=page.web.id, typed=typed, problem=problem, zones=preferences.zones(), themes=THEMES, densities=DENSITIES,
    )  # fmt: skip


def _as_texts(preferred: Preferences) -> dict[str, str]:
    return {"theme": preferred.theme, "density": preferred.density, "zone": preferred.zone}


@router.get("/keys")
async def keys(page: PageDep) -> Response:
    """Show the keys that pages know; to the key `?` as a part, for a dialog."""
    return page.render("keys-dialog.html" if page.is_part else "keys.html", Head("Keys", "What can be done by a key?"))


@router.post("/me")
async def change(form: FormDep) -> Response:
    """Let pages look so from now on."""
    page = form.page
    theme, density = form.fields.get("theme", ""), form.fields.get("density", "")
    try:
        for field, value, known in (("theme", theme, THEMES), ("density", density, DENSITIES)):
            if value not in known:
                raise BadValue(f"{field}: {value!r} is none of {', '.join(known)}", field=field, value=value)
        wanted = replace(
            page.preferences, theme=cast("preferences.Theme", theme), density=cast("preferences.Density", density),
            zone=form.fields.get("zone", ""),
        )  # fmt: skip
        await page.write(lambda tx, _: preferences.set_preferences(tx, page.web.subject, wanted))
    except BadValue as error:
        return await _show(page, form, error)
    return page.go("/me", "Pages look so from now on.")


@router.post("/me/columns")
async def choose(form: FormDep) -> Response:
    """Let a list have these columns from now on, or the usual ones again."""
    page, name = form.page, form.fields.get("list", "")
    if name not in preferences.LISTS:
        raise BadValue(f"list: {name!r} is none of {', '.join(preferences.LISTS)}", field="list", value=name)
    chosen = tuple(str(each) for each in form.whole.getlist("column"))
    others = {key: value for key, value in page.preferences.columns.items() if key != name}
    columns = others if "usual" in form.fields else {**others, name: chosen}
    wanted = replace(page.preferences, columns=columns)
    await page.write(lambda tx, _: preferences.set_preferences(tx, page.web.subject, wanted))
    return page.go(browser.place_of(page.request))
