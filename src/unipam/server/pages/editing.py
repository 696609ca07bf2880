"""Forms that make, change and remove the plan's objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fastapi import APIRouter
from fastapi.responses import Response

from unipam.addr.prefix import BITS, Prefix
from unipam.model.errors import BadValue, Missing, NotSignedIn, UnipamError
from unipam.model.objects import parse_cidr
from unipam.plan import blocks, externals, tree
from unipam.plan.blocks import BlockChange, NewBlock
from unipam.plan.externals import Change, NewEndpoint, NewPrefix, Place, parse_ip
from unipam.plan.permissions import UseCase, require
from unipam.plan.tree import Author
from unipam.server.pages.forms import Problem, do, fresh_key
from unipam.server.pages.objects import Subject, block_subject, external_subject, show, space_subject
from unipam.server.pages.page import Form, FormDep, Head, Page, PageDep
from unipam.server.pages.places import block_place, external_place, space_place
from unipam.store.api import Tx

router = APIRouter(include_in_schema=False)


class Kind(NamedTuple):
    """What a form for a new object asks: (name, label, hint) of each field; which use case it is; what is around it."""

    title: str
    fields: tuple[tuple[str, str, str], ...]
    use_case: UseCase
    around: tuple[str, ...]


_NAME = ("name", "Name", "Letters, digits, . _ -")
_DESC = ("desc", "Description", "Letters, digits, spaces, / . _ -")
_SIZED = (("cidr", "Prefix", "Exactly this one, or:"), ("size", "Prefix length", "The next that is free, such as 24."))
_KINDS = {
    "space": Kind("New space", (_NAME, _DESC), UseCase.MAKE_SPACE, ()),
    "block": Kind(
        "New block", (_NAME, ("cidr", "Prefix", "Such as 10.0.0.0/16 or 2001:db8::/48"), _DESC), UseCase.MAKE_BLOCK,
        ("space", "parent"),
    ),
    "external": Kind("New external network", (_NAME, *_SIZED, _DESC), UseCase.MAKE_EXTERNAL, ("space", "block")),
    "subnet": Kind("New subnet", (_NAME, *_SIZED, _DESC), UseCase.MAKE_EXTERNAL, ("space", "block", "external")),
    "endpoint": Kind(
        "New endpoint", (_NAME, ("ip", "Address", "Empty: the lowest that is free."), _DESC), UseCase.MAKE_EXTERNAL,
        ("space", "block", "external", "subnet"),
    ),
}  # fmt: skip


@router.get("/new/{what}")
async def new(page: PageDep, what: str) -> Response:
    """A form for something new."""
    return _show_new(page, what, dict(page.request.query_params))


def _show_new(page: Page, what: str, typed: Mapping[str, str], problem: Problem | None = None) -> Response:
    kind = _kind(what)
    space = typed.get("space", "")
    crumbs = [("/plan", "Plan")]
    if space:
        crumbs.append((space_place(space), space))
    if typed.get("block"):
        crumbs.append((block_place(space, typed["block"]), typed["block"]))
    where = ", ".join(f"in the {name} {typed[name]}" for name in kind.around[-1:] if typed.get(name))
    head = Head(kind.title, where, tuple(crumbs))
    return page.render(
        "new.html", head, problem.status if problem else 200, what=what, kind=kind, typed=typed, problem=problem,
        key=fresh_key(), refused=page.may(kind.use_case, space),
    )  # fmt: skip


def _kind(what: str) -> Kind:
    if what not in _KINDS:
        raise Missing(f"there is nothing called {what} to make", kind=what, value=what)
    return _KINDS[what]


@router.post("/new/{what}")
async def make(form: FormDep, what: str) -> Response:
    """Make what the form describes, and go to its page."""
    kind, fields = _kind(what), {name: value.strip() for name, value in form.fields.items()}
    try:
        require(form.page.caller, kind.use_case, fields.get("space", ""))
        return await do(form, lambda tx, by: _MAKE[what](tx, by, fields), lambda place: (place, "It is made."))
    except NotSignedIn:
        raise
    except UnipamError as error:
        return _show_new(form.page, what, fields, Problem.of(error))


def _make_space(tx: Tx, by: Author, given: Mapping[str, str]) -> str:
    return space_place(blocks.create_space(tx, by, given.get("name", ""), given.get("desc", "")).facts.name)


def _make_block(tx: Tx, by: Author, given: Mapping[str, str]) -> str:
    space = given.get("space", "")
    wanted = NewBlock(
        given.get("name", ""), parse_cidr(given.get("cidr", "")), given.get("parent", ""), given.get("desc", "")
    )
    return block_place(space, blocks.create_block(tx, by, space, wanted).facts.name)


def _make_prefix(*around: str) -> Callable[[Tx, Author, Mapping[str, str]], str]:
    def make(tx: Tx, by: Author, given: Mapping[str, str]) -> str:
        names = [given.get(name, "") for name in ("space", "block", *around)]
        place = Place(names[0], names[1], tuple(names[2:]))
        cidr, size = given.get("cidr", ""), given.get("size", "").removeprefix("/")
        if bool(cidr) == bool(size):
            raise BadValue("give either a prefix or a length", field="cidr")
        new = NewPrefix(given.get("name", ""), given.get("desc", ""), parse_cidr(cidr) if cidr else None, _number(size))
        externals.create(tx, by, place.find(tx), new)
        return external_place(*names, new.name)

    return make


def _number(text: str) -> int:
    if text and not (text.isascii() and text.isdigit() and len(text) < 4):
        raise BadValue(f"size: {text!r} is no prefix length", field="size", value=text)
    return int(text or 0)


def _make_endpoint(tx: Tx, by: Author, given: Mapping[str, str]) -> str:
    names = [given.get(name, "") for name in ("space", "block", "external", "subnet")]
    ip = given.get("ip", "")
    new = NewEndpoint(given.get("name", ""), given.get("desc", ""), parse_ip(ip) if ip else None)
    externals.create(tx, by, Place(names[0], names[1], tuple(names[2:])).find(tx), new)
    return external_place(*names, new.name)


_MAKE: dict[str, Callable[[Tx, Author, Mapping[str, str]], str]] = {
    "space": _make_space,
    "block": _make_block,
    "external": _make_prefix(),
    "subnet": _make_prefix("external"),
    "endpoint": _make_endpoint,
}


# ---- changing and removing


async def _changed(
    form: Form, find: Callable[[Tx], Subject], use_case: UseCase, space: str, change: Callable[[Tx, Author], str]
) -> Response:
    """Change or remove an object; where that cannot be, show its page again with what was typed."""
    try:
        require(form.page.caller, use_case, space)
        removes = form.page.request.url.path.endswith("/remove")
        done = "It is removed." if removes else "It is changed."
        return await do(form, change, lambda place: (place, done), frees=removes)
    except NotSignedIn:
        raise
    except UnipamError as error:
        return await show(form.page, find, "", "", problem=Problem.of(error), typed=form.fields)


def _require_name(form: Form, name: str) -> None:
    """Refuse to remove what was not named. Raises BadValue."""
    if form.fields.get("confirm", "").strip().lower() != name.lower():
        raise BadValue(f"type {name} to confirm that it is meant", field="confirm")


@router.post("/spaces/{space}")
async def change_space(form: FormDep, space: str) -> Response:
    """Rename or describe a space anew."""

    def change(tx: Tx, by: Author) -> str:
        given = form.fields
        found = blocks.change_space(
            tx, by, space, name=given.get("name", "").strip(), desc=given.get("desc", "").strip()
        )
        return space_place(found.facts.name)

    return await _changed(form, lambda tx: space_subject(tx, form.page, space), UseCase.CHANGE_SPACE, space, change)


@router.post("/spaces/{space}/remove")
async def remove_space(form: FormDep, space: str) -> Response:
    """Remove a space."""

    def change(tx: Tx, by: Author) -> str:
        _require_name(form, tree.find_space(tx, space).facts.name)
        blocks.remove_space(tx, by, space, force=form.fields.get("force") == "yes")
        return "/plan"

    return await _changed(form, lambda tx: space_subject(tx, form.page, space), UseCase.REMOVE_SPACE, space, change)


@router.post("/spaces/{space}/blocks/{block}")
async def change_block(form: FormDep, space: str, block: str) -> Response:
    """Rename, resize or describe a block anew."""

    def change(tx: Tx, by: Author) -> str:
        given = {name: value.strip() for name, value in form.fields.items()}
        wanted = BlockChange(given.get("name", ""), parse_cidr(given.get("cidr", "")), given.get("desc", ""))
        return block_place(space, blocks.change_block(tx, by, space, block, wanted).facts.name)

    return await _changed(
        form, lambda tx: block_subject(tx, form.page, space, block), UseCase.CHANGE_BLOCK, space, change
    )


@router.post("/spaces/{space}/blocks/{block}/remove")
async def remove_block(form: FormDep, space: str, block: str) -> Response:
    """Remove a block."""

    def change(tx: Tx, by: Author) -> str:
        root = tree.find_space(tx, space)
        _require_name(form, tree.find_block(tx, root.id, block).facts.name)
        blocks.remove_block(tx, by, space, block, force=form.fields.get("force") == "yes")
        return space_place(space)

    return await _changed(
        form, lambda tx: block_subject(tx, form.page, space, block), UseCase.REMOVE_BLOCK, space, change
    )


_EXTERNAL = "/spaces/{space}/blocks/{block}/externals/{external}"
_SUBNET = _EXTERNAL + "/subnets/{subnet}"
_ENDPOINT = _SUBNET + "/endpoints/{endpoint}"


@router.post(_EXTERNAL)
@router.post(_SUBNET)
@router.post(_ENDPOINT)
async def change_external(form: FormDep) -> Response:
    """Rename, move or describe an external network, a subnet or an endpoint anew."""
    place = _place(form)

    def change(tx: Tx, by: Author) -> str:
        given = {name: value.strip() for name, value in form.fields.items()}
        prefix = _prefix(given.get("cidr", ""), len(place.names))
        node: Any = place.find(tx)
        found = externals.change(tx, by, node, Change(given.get("name", ""), given.get("desc", ""), prefix))
        return external_place(place.space, place.block, *place.names[:-1], found.facts.name)

    return await _changed(
        form, lambda tx: external_subject(tx, form.page, place), UseCase.CHANGE_EXTERNAL, place.space, change
    )


def _prefix(text: str, depth: int) -> Prefix:
    return Prefix(parse_ip(text), BITS) if depth == 3 else parse_cidr(text)


@router.post(_EXTERNAL + "/remove")
@router.post(_SUBNET + "/remove")
@router.post(_ENDPOINT + "/remove")
async def remove_external(form: FormDep) -> Response:
    """Remove an external network, a subnet or an endpoint."""
    place = _place(form)

    def change(tx: Tx, by: Author) -> str:
        node: Any = place.find(tx)
        _require_name(form, str(node.facts.name))
        externals.remove(tx, by, node, force=form.fields.get("force") == "yes")
        return external_place(place.space, place.block, *place.names[:-1])

    return await _changed(
        form, lambda tx: external_subject(tx, form.page, place), UseCase.REMOVE_EXTERNAL, place.space, change
    )


def _place(form: Form) -> Place:
    given = form.page.request.path_params
    names = tuple(given[name] for name in ("external", "subnet", "endpoint") if name in given)
    return Place(given["space"], given["block"], names)
