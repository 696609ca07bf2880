"""The pages of one object of the plan: a space, a block, a reservation, an external network and what is in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fastapi import APIRouter
from fastapi.responses import Response

from unipam.model import objects as model
from unipam.model.errors import BadValue, Exhausted, NotSignedIn, UnipamError
from unipam.model.records import SPACE, Claim, prefix_text
from unipam.plan import reads, reservations, tree
from unipam.plan.access import grants
from unipam.plan.branches import Branches, Filter, Tree
from unipam.plan.cloud.drift import Finding
from unipam.plan.externals import Place
from unipam.plan.listing import Paths
from unipam.plan.permissions import UseCase, require
from unipam.plan.reads import Candidate, Use
from unipam.plan.tree import Author, Node
from unipam.server.looking import compared_for, seen_of
from unipam.server.pages.browser import with_query
from unipam.server.pages.forms import Problem, do, fresh_key, last_change
from unipam.server.pages.journal_rows import about
from unipam.server.pages.page import FormDep, Head, Page, PageDep
from unipam.server.pages.places import (
    block_place,
    external_place,
    new_place,
    place_of,
    reservation_place,
    reserve_place,
    space_place,
    take_place,
)
from unipam.server.pages.plan import Line, length
from unipam.server.pages.recipes import recipes
from unipam.server.pages.shell import command
from unipam.store.api import Tx

router = APIRouter(include_in_schema=False)

CHILDREN, FINDINGS = 36, 10
"""Rows of one page. A network's has its resource id in it: with more of them the page would exceed 60 kB."""
_WORDS = {model.EXTERNAL: "external network", model.SUBNET: "subnet of an external network"}
_CANDIDATES = 5


class Changes(NamedTuple):
    """What may be changed about an object, and why not, where it may not. An empty `action` has no form.

    `fields` are (name, label, value, hint). `inside` are the addresses of forms for what may be made in it, with what
    that is.
    """

    action: str
    fields: tuple[tuple[str, str, str, str], ...]
    refused: str
    removable: str
    inside: tuple[tuple[str, str, str], ...] = ()


class Subject(NamedTuple):
    """An object as its page shows it."""

    kind: str
    name: str
    cidr: str
    crumbs: tuple[tuple[str, str], ...]
    path: tuple[str, ...]
    facts: tuple[tuple[str, Any, str], ...]
    claim: Claim
    use: Use | None = None
    use_v6: Use | None = None
    changes: Changes | None = None
    candidates: tuple[Candidate, ...] = ()
    no_room: str = ""
    bits: int | None = None


@router.get("/spaces/{space}")
async def space_page(page: PageDep, space: str) -> Response:
    """All about one space."""
    line = command("space", "show", space)
    return await show(page, lambda tx: space_subject(tx, page, space), line, space_place(space))


@router.get("/spaces/{space}/blocks/{block}")
async def block_page(page: PageDep, space: str, block: str) -> Response:
    """All about one block."""
    line = command("block", "show", space, block)
    return await show(page, lambda tx: block_subject(tx, page, space, block), line, block_place(space, block))


@router.get("/spaces/{space}/blocks/{block}/externals/{external}")
async def external_page(page: PageDep, space: str, block: str, external: str) -> Response:
    """All about one external network."""
    return await _show_external(page, Place(space, block, (external,)))


@router.get("/spaces/{space}/blocks/{block}/externals/{external}/subnets/{subnet}")
async def subnet_page(page: PageDep, space: str, block: str, external: str, subnet: str) -> Response:
    """All about one subnet of an external network."""
    return await _show_external(page, Place(space, block, (external, subnet)))


@router.get("/spaces/{space}/blocks/{block}/externals/{external}/subnets/{subnet}/endpoints/{endpoint}")
async def endpoint_page(page: PageDep, space: str, block: str, external: str, subnet: str, endpoint: str) -> Response:
    """All about one endpoint."""
    return await _show_external(page, Place(space, block, (external, subnet, endpoint)))


@router.get("/spaces/{space}/blocks/{block}/reservations/{number}")
async def reservation_page(page: PageDep, space: str, block: str, number: str) -> Response:
    """All about one reservation."""
    return await show_reservation(page, space, block, number)


async def show_reservation(
    page: Page, space: str, block: str, number: str, problem: Problem | None = None,
    typed: Mapping[str, str] | None = None,
) -> Response:  # fmt: skip
    """Answer with the page of a reservation, or, to htmx, how it stands."""
    subject, row = await page.read(lambda tx: reservation_subject(tx, space, block, number))
    waits = row.facts.settled_on is None
    if page.is_part and page.query("part") == "status":
        return page.render("reservation-status.html", Head("Status"), row=row, waits=waits)
    if page.query("part") == "history":
        lines = await page.read(lambda tx: about(tx, subject.claim))
        return page.render("object-history.html", Head("History"), entries=lines)
    refused = "" if page.caller.owns(row.facts) else page.may(UseCase.CANCEL_RESERVATION, space)
    at = reservation_place(row.space, row.block, number)
    head = Head(subject.name, "A prefix kept for a network to come", subject.crumbs,
                command("reservation", "show", row.space, row.block, number), at)  # fmt: skip
    return page.render(
        "reservation.html", head, problem.status if problem else 200, subject=subject, row=row, waits=waits,
        recipes=recipes(row), refused=refused, problem=problem, key=fresh_key(), typed=typed or {},
    )  # fmt: skip


@router.post("/spaces/{space}/blocks/{block}/reservations/{number}/cancel")
async def cancel_reservation(form: FormDep, space: str, block: str, number: str) -> Response:
    """Give one reservation up."""
    place = reservation_place(space, block, number)

    def work(tx: Tx, by: Author) -> None:
        reservations.cancel(tx, by, space, block, [number], lambda row: require(
            form.page.caller, UseCase.CANCEL_RESERVATION, space, row.facts))  # fmt: skip

    try:
        return await do(form, work, lambda _: (place, "The reservation is given up."), frees=True)
    except NotSignedIn:
        raise
    except UnipamError as error:
        return await show_reservation(form.page, space, block, number, Problem.of(error), form.fields)


async def _show_external(page: Page, place: Place) -> Response:
    words = (("external",), ("external", "subnet"), ("external", "endpoint"))[len(place.names) - 1]
    at = external_place(place.space, place.block, *place.names)
    line = command(*words, "show", place.space, place.block, *place.names)
    return await show(page, lambda tx: external_subject(tx, page, place), line, at)


async def show(
    page: Page,
    find: Callable[[Tx], Subject],
    line: str,
    api: str,
    *,
    problem: Problem | None = None,
    typed: Mapping[str, str] | None = None,
) -> Response:
    """Answer with the page of an object; after a form that was not carried out, with the `problem` and what was typed.

    Raises Missing.
    """
    if page.query("part") == "history":
        lines = await page.read(lambda tx: about(tx, find(tx).claim))
        return page.render("object-history.html", Head("History"), entries=lines)
    snapshot, visibility = await seen_of(page.session), await page.session.visibility()

    def work(tx: Tx) -> tuple[Subject, Branches | None, list[str], str]:
        subject = find(tx)
        under = Filter(limit=CHILDREN, start=page.query("from"))
        holds = subject.kind in (SPACE, model.BLOCK, model.EXTERNAL, model.SUBNET)
        rows = Tree(tx, visibility, snapshot).under(subject.path, under) if holds else None
        reach = _reach(tx, subject.path[0]) if page.caller.admin else []
        return subject, rows, reach, last_change(tx, page, subject.claim) if problem and problem.is_stale else ""

    subject, rows, reach, changed = await page.read(work)
    findings = await findings_about(page, subject)
    head = Head(subject.name, f"All about this {subject.kind}", subject.crumbs, line, api, seen=snapshot.taken or None)
    return page.render(
        "object.html", head, problem.status if problem else 200, subject=subject, lines=_lines(rows),
        more=rows.next if rows else None, total=rows.total if rows else 0, key=fresh_key(),
        findings=findings[:FINDINGS],
        unlisted=max(0, len(findings) - FINDINGS), reach=reach, problem=problem, typed=typed or {}, changed=changed,
        reserve_refused=lambda space: page.may(UseCase.RESERVE, space),
    )  # fmt: skip


def _lines(rows: Branches | None) -> list[Line]:
    found = []
    for row in rows.rows if rows else ():
        toggle = with_query("/plan", {"open": "/".join(row.path)}) if row.holds else ""
        found.append(Line(row, 0, False, toggle, place_of(row.kind, row.path, row.id), take_place(row)))
    return found


def _reach(tx: Tx, space: str) -> list[str]:
    """Return the grants that reach a space, in words."""
    shown = (grants.shown(tx, each) for each in grants.grants(tx))
    reaching = (g for g in shown if g["role"] == "admin" or {"*", space} & set(g["spaces"]))
    return [f"{g['name']}: {g['role']} to {g['group'] or g['app_role']}" for g in reaching]


async def findings_about(page: Page, subject: Subject) -> list[Finding]:
    """Return the findings about an object, for whoever may compare the plan with the cloud."""
    if page.may(UseCase.COMPARE_WITH_CLOUD):
        return []
    space, names = subject.path[0], subject.path[1:]
    return [
        each
        for each in (await compared_for(page.session)).findings
        if each.space == space and (not names or each.block in names or each.subject in (subject.name, *names))
    ]


def space_subject(tx: Tx, page: Page, space: str) -> Subject:
    """Return a space. Raises Missing."""
    node = tree.find_space(tx, space)
    name, own = node.facts.name, space_place(node.facts.name)
    changes = Changes(
        own, (("name", "Name", name, ""), ("desc", "Description", node.facts.desc, "")),
        page.may(UseCase.CHANGE_SPACE), page.may(UseCase.REMOVE_SPACE),
        (("Add a block", new_place("block", space=name), page.may(UseCase.MAKE_BLOCK, name)),),
    )  # fmt: skip
    facts = (("Description", node.facts.desc, ""), ("Since", node.claim.since, "when"))
    use, use_v6 = reads.space_use(tx, node.id, 4), reads.space_use(tx, node.id, 6)
    return Subject(SPACE, name, "", (("/plan", "Plan"),), (name,), facts, node.claim,
                   use if use.size else None, use_v6 if use_v6.size else None, changes)  # fmt: skip


def block_subject(tx: Tx, page: Page, space: str, block: str) -> Subject:
    """Return a block. Raises Missing, or BadValue for a prefix length that is none."""
    root = tree.find_space(tx, space)
    node = tree.find_block(tx, root.id, block)
    path = Paths(tx).of(node.id)
    name, own = node.facts.name, block_place(root.facts.name, node.facts.name)
    planner = page.may(UseCase.CHANGE_BLOCK, space)
    fields = (("name", "Name", name, ""), ("cidr", "Prefix", str(node.prefix), "What it holds must stay within."),
              ("desc", "Description", node.facts.desc, ""))  # fmt: skip
    inside = (
        ("Reserve a prefix", reserve_place(path), page.may(UseCase.RESERVE, space)),
        ("Add a block inside", new_place("block", space=path[0], parent=name), planner),
        ("Add an external network", new_place("external", space=path[0], block=name),
         page.may(UseCase.MAKE_EXTERNAL, space)),
        ("Associate networks", with_query("/networks", {"space": path[0], "plan": "unplanned"}),
         page.may(UseCase.ASSOCIATE_NETWORK, space)),
    )  # fmt: skip
    facts = (("Prefix", str(node.prefix), "code"), ("Description", node.facts.desc, ""),
             ("Space", path[0], ""), ("Since", node.claim.since, "when"))  # fmt: skip
    subject = Subject(
        model.BLOCK, name, str(node.prefix), _crumbs(path), path, facts, node.claim, reads.use_of(tx, node), None,
        Changes(own, fields, planner, page.may(UseCase.REMOVE_BLOCK, space), inside),
    )  # fmt: skip
    return with_candidates(tx, page, node, subject)


def _crumbs(path: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return the pages above a block: the plan, the space, and the blocks around it."""
    return (("/plan", "Plan"), (space_place(path[0]), path[0]), *((block_place(path[0], n), n) for n in path[1:-1]))


def with_candidates(tx: Tx, page: Page, node: Node[Any], subject: Subject) -> Subject:
    """Add the free prefixes of the length that is asked for. Raises BadValue for one that is none."""
    if not page.query("bits"):
        return subject
    bits = length(page, "bits", 0)
    try:
        found = reads.candidates(tx, node, bits, _CANDIDATES)
    except (Exhausted, BadValue) as error:
        return subject._replace(no_room=error.message, bits=bits)
    return subject._replace(candidates=tuple(found), no_room="" if found else f"no /{bits} is free", bits=bits)


_KINDS = {1: model.EXTERNAL, 2: model.SUBNET, 3: model.ENDPOINT}


def external_subject(tx: Tx, page: Page, place: Place) -> Subject:
    """Return an external network, a subnet or an endpoint. Raises Missing."""
    node = place.find(tx)
    around = Paths(tx).of(node.id)
    depth = len(place.names)
    names, block = around[-depth:], around[-depth - 1]
    own = external_place(around[0], block, *names)
    crumbs = (*_crumbs(around[:-depth]), (block_place(around[0], block), block),
              *((external_place(around[0], block, *names[:n]), names[n - 1]) for n in range(1, depth)))  # fmt: skip
    cidr = prefix_text(node.claim.first, node.claim.last) if depth == 3 else str(node.prefix)
    desc = str(node.facts.desc)
    fields = (("name", "Name", names[-1], ""), ("cidr", "Address" if depth == 3 else "Prefix", cidr, ""),
              ("desc", "Description", desc, ""))  # fmt: skip
    what = {1: "a subnet", 2: "an endpoint"}.get(depth, "nothing")
    inner = new_place(
        what.split()[-1], space=around[0], block=block, **dict(zip(("external", "subnet"), names, strict=False))
    )
    inside = ((f"Add {what}", inner, page.may(UseCase.MAKE_EXTERNAL, around[0])),) if depth < 3 else ()
    changes = Changes(own, fields, page.may(UseCase.CHANGE_EXTERNAL, around[0]),
                      page.may(UseCase.REMOVE_EXTERNAL, around[0]), inside)  # fmt: skip
    facts = (("Address" if depth == 3 else "Prefix", cidr, "code"), ("Description", desc, ""),
             ("Since", node.claim.since, "when"))  # fmt: skip
    use = reads.use_of(tx, node) if depth < 3 else None
    return Subject(_KINDS[depth], names[-1], cidr, crumbs, around, facts, node.claim, use, None, changes)


def reservation_subject(tx: Tx, space: str, block: str, number: str) -> tuple[Subject, reservations.Reserved]:
    """Return a reservation, also one that is over. Raises Missing."""
    row = reservations.find(tx, space, block, number)
    root = tree.find_space(tx, row.space)
    holder = tree.find_block(tx, root.id, row.block)
    claim = next((c for c in tx.claims_of(holder.id, number)), None)
    facts = row.facts
    listed = (
        ("Prefix", row.prefix, "code"), ("Status", facts.status, "status"), ("For", facts.desc or "", ""),
        ("Reserved by", facts.created_by, ""), ("Reserved", facts.created_on, "when"), ("Expires", row.until, "when"),
        ("Settled", facts.settled_on, "when"), ("Settled by", facts.settled_by or "", ""), ("Id", facts.id, "code"),
    )  # fmt: skip
    path = (*Paths(tx).of(holder.id), facts.id)
    crumbs = (*_crumbs(path[:-1]), (block_place(row.space, row.block), row.block))
    gone = Claim(holder.id, 0, 0, model.RESERVATION, holder.claim.owner)
    name = facts.desc or row.prefix
    shown = tuple(each for each in listed if each[1] not in (None, ""))
    return Subject(model.RESERVATION, name, row.prefix, crumbs, path, shown, claim or gone), row
