"""Networks and drift: what Azure has that the plan does not know, and the reverse, and what mends it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from fastapi import APIRouter
from fastapi.responses import Response

from unipam.model.cloud import CloudNetwork, Snapshot, key
from unipam.model.errors import BadValue, Missing
from unipam.plan.cloud import drift
from unipam.plan.cloud.drift import Finding
from unipam.plan.cloud.peerings import component
from unipam.plan.cloud.standing import APART, ASSOCIATED, EXPECTED, GONE, UNPLANNED, Spot, Standing, Wanted, chosen
from unipam.plan.parts import Paging, part_of
from unipam.plan.permissions import UseCase
from unipam.server.looking import compared_for, seen_of, standings_for
from unipam.server.pages.browser import with_query
from unipam.server.pages.export import export
from unipam.server.pages.forms import Problem, fresh_key
from unipam.server.pages.page import Head, Page, PageDep
from unipam.server.pages.places import block_place, network_place, reservation_place, subnet_place
from unipam.server.pages.plan import space_choice
from unipam.server.pages.shell import command

router = APIRouter(include_in_schema=False)

PLANS = (
    ("", "all"), (UNPLANNED, "not in the plan"), (EXPECTED, "expected: tagged with a reservation"),
    (ASSOCIATED, "in the plan"), (APART, "outside every block"), (GONE, "in the plan, and not in Azure"),
)  # fmt: skip
MARKS = {
    ASSOCIATED: ("in the plan", "good"), EXPECTED: ("expected", "info"), UNPLANNED: ("not in the plan", "warning"),
    APART: ("outside", "plain"), GONE: ("gone", "bad"),
}  # fmt: skip
COLUMNS = ("name", "kind", "plan", "prefixes", "overlaps", "places", "fits", "resource_group", "subscription",
           "subscription_name", "size", "used", "subnets", "peerings", "id")  # fmt: skip
FINDING_COLUMNS = ("severity", "rule", "space", "block", "subject", "prefixes", "other", "message")
SORTS = (("name", "name"), ("prefixes", "address"), ("-size", "largest first"), ("plan", "in the plan?"),
         ("subscription_name", "subscription"))  # fmt: skip
_SORTABLE = ("id", "size", "plan", "subscription_name")
_FINDING_FILTERS = ("severity", "rule", "space", "block", "q")
LEVELS = (("", "every severity"), ("error", "errors"), ("warning", "warnings"), ("info", "notes"))
_ABOVE = (("/networks", "Networks & drift"),)
_PAGE = 50
_MOST_DRAWN, _MOST_TOLD = 50, 25
"""Networks that one drawing has, and peerings that its table has at most, lest the page exceed 60 kB."""


class Remedy(NamedTuple):
    """A button that mends something, or why it may not be pressed; or a link to where it is mended.

    `chosen` stands for it where several are chosen at once.
    """

    text: str
    action: str
    fields: tuple[tuple[str, str], ...] = ()
    refused: str = ""
    link: str = ""
    chosen: str = ""


@router.get("/networks")
async def networks(page: PageDep) -> Response:
    """What does Azure have that the plan does not know, and the reverse?"""
    return await (show_findings(page) if page.query("tab") == "findings" else show(page))


async def show(page: Page, problem: Problem | None = None, ticked: Sequence[str] = ()) -> Response:
    """Answer with the networks; with what went wrong when a form of theirs was refused."""
    found, wanted = await standings_for(page.session), wanted_of(page)
    rows = await page.register.in_thread(lambda: chosen(found, wanted))
    if page.wanted_format:
        return export((msgspec.to_builtins(row) for row in rows), COLUMNS, "networks", page.wanted_format)
    snapshot = await page.register.last_snapshot()
    sort = page.query("sort") or "name"
    most = _PAGE * 3 // 5 if page.query("plan") == UNPLANNED else _PAGE  # each of those has a form and a box
    paging = Paging(most, page.query("after"), "", sort if sort != "name" else "")  # by name they are already
    part = await page.register.in_thread(lambda: part_of(rows, paging, "id", _sorted_by))
    names = await page.read(lambda tx: [name for _, name in tx.spaces()])
    head = Head(
        "Networks & drift", "What does Azure have that the plan does not know, and the reverse?",
        command=_command(wanted, page.query("sort")), api=_api(wanted, page.query("sort")),
        exports=True, seen=snapshot.taken, listing="networks",
    )  # fmt: skip
    return page.render(
        "networks.html", head, problem.status if problem else 200, rows=part["items"],
        part=part, marks=MARKS, plans=PLANS, sorts=SORTS, spaces=space_choice(names), sort=sort, problem=problem,
        problems=snapshot.problems, seen=snapshot.taken, network_place=network_place, block_place=block_place,
        may_find=page.may(UseCase.COMPARE_WITH_CLOUD),
        associate=lambda row: [_associate(page, row.id, spot) for spot in row.fits], key=fresh_key(),
        several=page.query("plan") == UNPLANNED, chosen=ticked,
    )  # fmt: skip


def wanted_of(page: Page) -> Wanted:
    """Return the filter that the query holds."""
    overlap = {"yes": True, "no": False}.get(page.query("overlap"))
    return Wanted(page.query("plan"), overlap, page.query("space"), page.query("q"))


def _command(wanted: Wanted, sort: str) -> str:
    which = [] if wanted.overlapping is None else ["--overlapping" if wanted.overlapping else "--apart"]
    return command("network", "seen", *which, plan=wanted.plan, space=wanted.space, search=wanted.text, sort=sort)


def _api(wanted: Wanted, sort: str) -> str:
    overlapping = None if wanted.overlapping is None else str(wanted.overlapping).lower()
    return with_query("/cloud/networks", {"plan": wanted.plan, "overlapping": overlapping, "space": wanted.space,
                                          "q": wanted.text, "sort": sort})  # fmt: skip


def _sorted_by(row: Standing, member: str) -> Any:
    """Return a member of a row, for sorting and paging; of its prefixes the first."""
    if member == "prefixes":
        return row.prefixes[0] if row.prefixes else None
    if member not in _SORTABLE:
        raise LookupError(member)
    return getattr(row, member)


async def show_findings(page: Page, problem: Problem | None = None) -> Response:
    """Answer with the findings, each with what mends it."""
    refused = page.may(UseCase.COMPARE_WITH_CLOUD)
    wanted = drift.Wanted(*map(page.query, _FINDING_FILTERS))
    asked = dict(zip(_FINDING_FILTERS[:-1], wanted[:-1], strict=True))
    head = Head("Findings", "Where do plan and Azure disagree, and what mends it?", _ABOVE,
                command("plan", "findings", **asked, search=wanted.text),
                with_query("/findings", {**asked, "q": wanted.text}),
                exports=not refused, seen=(await page.register.last_snapshot()).taken)  # fmt: skip
    if refused:
        return page.render("findings.html", head, rows=[], part={}, refused=refused, seen=1, levels=LEVELS, rules=[],
                           spaces=[], problem=None, key="", filtered=False)  # fmt: skip
    compared = await compared_for(page.session)
    found = list(filter(drift.test_of(wanted), compared.findings))
    if page.wanted_format:
        return export((each._asdict() for each in found), FINDING_COLUMNS, "findings", page.wanted_format)
    shapes = [{"number": str(number), "row": each} for number, each in enumerate(found, start=1)]
    part = part_of(shapes, Paging(_PAGE // 2, page.query("after")), "number")
    fits = {key(row.id): row.fits for row in compared.standings}
    names = await page.read(lambda tx: [name for _, name in tx.spaces()])
    rows = [(each["row"], remedies(page, each["row"], fits)) for each in part["items"]]
    return page.render(
        "findings.html", head, problem.status if problem else 200, rows=rows, part=part, refused="",
        seen=compared.taken, levels=LEVELS, problem=problem, key=fresh_key(),
        filtered=any(wanted),
        spaces=space_choice(names),
        rules=[("", "every rule"), *((rule, rule.replace("-", " ")) for rule in drift.SEVERITY)],
    )  # fmt: skip


def remedies(page: Page, each: Finding, fits: Mapping[str, Sequence[Spot]]) -> list[Remedy]:
    """Return what mends a finding: a button in the plan, words in Azure. `fits` are networks' spots by their keys."""
    if each.rule == drift.UNASSOCIATED:
        where = (each.space, each.block)
        spots = [spot for spot in fits.get(key(each.subject), ()) if (spot.space, spot.block) == where]
        return [
            *(_associate(page, each.subject, spot) for spot in spots),
            Remedy("Reserve elsewhere", "", link="/reserve"),
        ]
    if each.rule in (drift.VANISHED, drift.OUTSIDE, drift.DOUBLE):
        refused = page.may(UseCase.DISSOCIATE_NETWORK, each.space)
        fields = (("id", each.subject), ("space", each.space), ("block", each.block))
        return [Remedy("Dissociate", "/networks/dissociate", fields, refused)]
    if each.rule in (drift.TAG_MISMATCH, drift.TAG_TWICE, drift.LOST):
        refused = page.may(UseCase.CANCEL_RESERVATION, each.space)
        fields = (("reservation", each.subject), ("space", each.space), ("block", each.block))
        see = Remedy("See the reservation", "", link=reservation_place(each.space, each.block, each.subject))
        return [see, Remedy("Cancel the reservation", "/networks/cancel", fields, refused)]
    subject = next((text for text in (each.other, each.subject) if text.startswith("/")), "")
    return [Remedy("See the network", "", link=network_place(subject))] if subject else []


def _associate(page: Page, resource_id: str, spot: Spot) -> Remedy:
    fields = (("id", resource_id), ("space", spot.space), ("block", spot.block))
    refused = f"{spot.taken} has these addresses" if spot.taken else page.may(UseCase.ASSOCIATE_NETWORK, spot.space)
    return Remedy(f"Associate with {spot.block}", "/networks/associate", fields, refused,
                  chosen=f"{spot.space}/{spot.block}/{resource_id}")  # fmt: skip


# ---- one network, and what it is connected with


class Dot(NamedTuple):
    """A network in the drawing of a component."""

    x: float
    y: float
    radius: float
    name: str
    place: str
    kind: str


class Line(NamedTuple):
    """A peering in the drawing, from one dot to another; `state` as Azure calls it."""

    x: float
    y: float
    to_x: float
    to_y: float
    state: str
    title: str


class Graph(NamedTuple):
    """The drawing of a component of `total` networks, in a square of 1000; `left_out` of them are not drawn.

    `rows` are the peerings of what is drawn, those first that are not connected; `untold` are not among them.
    """

    dots: tuple[Dot, ...]
    lines: tuple[Line, ...]
    rows: tuple[tuple[str, str, str, str, str], ...]
    total: int
    left_out: int
    untold: int


@router.get("/network")
async def network_page(page: PageDep) -> Response:
    """All about one network of the cloud."""
    resource_id = page.query("id")
    if not resource_id:
        raise BadValue("id: the resource id of a network is missing", field="id")
    row = next((each for each in await standings_for(page.session) if key(each.id) == key(resource_id)), None)
    if row is None:
        raise Missing(f"there is no network {resource_id!r}, or you may not know of it", kind="network")
    snapshot = await seen_of(page.session)
    network = snapshot.network(resource_id)
    head = Head(row.name, "All about this network", _ABOVE, command("network", "peerings", row.id),
                with_query("/cloud/peerings", {"network": row.id}), seen=snapshot.taken)  # fmt: skip
    return page.render(
        "network.html", head, row=row, network=network, mark=MARKS[row.plan], block_place=block_place,
        subnet_place=subnet_place,
        graph=drawn(snapshot, network) if network else None, key=fresh_key(),
        fits=[_associate(page, row.id, spot) for spot in row.fits],
        leaves=[(spot, page.may(UseCase.DISSOCIATE_NETWORK, spot.space)) for spot in row.places],
    )  # fmt: skip


def drawn(snapshot: Snapshot, network: CloudNetwork) -> Graph:
    """Return a network's component as a drawing: it in the middle, the others on rings by how far they are."""
    found = component(snapshot, network.id)
    part = found[:_MOST_DRAWN]
    rings = _rings(part)
    at = dict(_placed(rings))
    ends = {key(each.id): each for each in part}
    rows = sorted(_peerings(part), key=lambda row: row[3] == "Connected")
    lines = tuple(
        Line(*at[own], *at[key(remote)], state, f"{name} to {remote.rpartition('/')[2]}: {state}")
        for own, name, remote, state in rows
        if key(remote) in at
    )
    dots = tuple(
        Dot(*at[k], 26 if n.kind == "vhub" else 10 + min(14, len(n.peerings)), n.name, network_place(n.id), n.kind)
        for k, n in ends.items()
    )
    shown = tuple(
        (name, remote.rpartition("/")[2], state, network_place(ends[own].id),
         network_place(remote) if key(remote) in ends else "")
        for own, name, remote, state in rows[:_MOST_TOLD]
    )  # fmt: skip
    return Graph(dots, lines, shown, len(found), len(found) - len(part), max(0, len(rows) - _MOST_TOLD))


def _peerings(networks: Sequence[CloudNetwork]) -> Iterator[tuple[str, str, str, str]]:
    """Yield each peering once: its network's key and name, the far end's id, and the state of the end that is worse."""
    found: dict[frozenset[str], tuple[str, str, str, str]] = {}
    for network in networks:
        for peering in network.peerings:
            pair = frozenset((key(network.id), key(peering.remote)))
            if pair not in found or peering.state != "Connected":
                found[pair] = key(network.id), network.name, peering.remote, peering.state
    yield from found.values()


def _rings(networks: Sequence[CloudNetwork]) -> list[list[CloudNetwork]]:
    """Return the first network, then those at each distance from it, as many to a ring as have room."""
    rings: list[list[CloudNetwork]] = [[networks[0]]]
    rest = list(networks[1:])
    while rest:
        room = 8 + 12 * (len(rings) - 1)
        rings.append(rest[:room])
        rest = rest[room:]
    return rings


def _placed(rings: Sequence[Sequence[CloudNetwork]]) -> Iterator[tuple[str, tuple[float, float]]]:
    step = 460 / max(1, len(rings) - 1) if len(rings) > 1 else 0
    for number, ring in enumerate(rings):
        for place, network in enumerate(ring):
            angle = 2 * math.pi * (place + number / 2) / len(ring)
            yield key(network.id), (500 + number * step * math.cos(angle), 500 + number * step * math.sin(angle))
