"""The page that plans a cluster's subnets: a form and its YAML side by side, the answer, and its reservations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml
from fastapi import APIRouter
from fastapi.responses import Response

from unipam.model.errors import BadValue, NotSignedIn, UnipamError
from unipam.plan import tree
from unipam.plan.blocks import blocks
from unipam.plan.permissions import UseCase, require
from unipam.plan.reservations import Reserved
from unipam.plan.reserve import ReservationRequest
from unipam.plan.reserve import reserve as plan_reserve
from unipam.plan.tree import Author
from unipam.server.calculations import sizing_of
from unipam.server.pages.browser import with_query
from unipam.server.pages.forms import Problem, do, fresh_key
from unipam.server.pages.page import FormDep, Head, Page, PageDep
from unipam.store.api import Tx

router = APIRouter(include_in_schema=False)

_LONGEST = 20_000
"""Characters of a description on the page; a longer one is for the command or the API."""


class Need(NamedTuple):
    """A subnet that the cluster needs and has not, as it can be reserved."""

    name: str
    bits: int


@router.get("/sizing")
async def sizing(page: PageDep) -> Response:
    """Which subnets does this cluster need?"""
    return await _show(page, dict(page.request.query_params))


@router.post("/sizing")
async def sizing_again(form: FormDep) -> Response:
    """Answer for a description that is too long for an address. Nothing is changed by it."""
    return await _show(form.page, form.fields)


async def _show(page: Page, typed: Mapping[str, str], problem: Problem | None = None) -> Response:
    answer: dict[str, Any] | None = None
    text = typed.get("yaml", "").replace("\r\n", "\n")
    try:
        if typed.get("use") != "yaml" and typed.get("variant"):
            text = as_yaml(typed)
        if len(text) > _LONGEST:
            raise BadValue(f"the description is longer than {_LONGEST} characters", field="yaml")
        if text.strip():
            answer = await page.register.in_thread(lambda: sizing_of(text))
    except UnipamError as error:
        problem = problem or Problem.of(error)
    spaces, choices = await page.read(lambda tx: _choices(tx, page))
    head = Head("Sizing", "Which subnets does this cluster need?", command="sizing cluster.yaml", api="/sizing",
                sends="--data-binary @cluster.yaml")  # fmt: skip
    refused = page.may_in_any(UseCase.RESERVE, spaces)
    return page.render(
        "sizing.html", head, problem.status if problem else 200, typed=typed, text=text, answer=answer,
        needs=reservable(answer) if answer else [], problem=problem, variants=_variants(), choices=choices,
        key=fresh_key(), refused=refused,
    )  # fmt: skip


def _choices(tx: Tx, page: Page) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the spaces, and the blocks of those in which the person may reserve."""
    spaces = tree.spaces(tx)
    found = [
        (f"{s.facts.name}/{b.facts.name}", f"{s.facts.name} / {b.facts.name}  {b.prefix}")
        for s in spaces
        if not page.may(UseCase.RESERVE, s.facts.name)
        for b in blocks(tx, s.id)
    ]
    return [s.facts.name for s in spaces], found


def _variants() -> list[tuple[str, str]]:
    from unipam.sizing.variants import VARIANTS

    return [(name, name.replace("-", " ")) for name in VARIANTS]


def as_yaml(typed: Mapping[str, str]) -> str:
    """Return the description that the form's fields make. Raises BadValue for a number that is none."""
    system: dict[str, Any] = {"name": "system", "nodes": _whole(typed, "system", 3)}
    user: dict[str, Any] = {"name": "user", "nodes": _whole(typed, "nodes", 3)}
    for name, field in (("max", "max"), ("max_pods", "max_pods")):
        if typed.get(field):
            user[name] = _whole(typed, field, 0)
    if typed.get("max_surge"):
        surge = typed["max_surge"].strip()
        user["max_surge"] = int(surge) if surge.isdigit() and len(surge) < 6 else surge
    described: dict[str, Any] = {"name": typed.get("name") or "cluster", "variant": typed["variant"],
                                 "pools": [system, user]}  # fmt: skip
    if typed.get("max_pods"):
        system["max_pods"] = user["max_pods"]
    return str(yaml.safe_dump(described, sort_keys=False))


def _whole(typed: Mapping[str, str], name: str, default: int) -> int:
    text = typed.get(name, "").strip() or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise BadValue(f"{name}: {text!r} is no whole number below 1,000,000", field=name, value=text)
    return int(text)


def reservable(answer: Mapping[str, Any]) -> list[Need]:
    """Return the subnets of an answer that do not exist yet and take their addresses from the network's."""
    return [
        Need(str(need["name"]), int(need["prefix"]))
        for need in answer["needs"]
        if need["prefix"] and not need["exists"] and "subnet" in str(need["kind"])
    ]


@router.post("/sizing/reserve")
async def reserve_these(form: FormDep) -> Response:
    """Reserve what the described cluster needs, all or none, in one block."""
    page, typed = form.page, form.fields
    space, _, block = typed.get("block", "").partition("/")
    try:
        require(page.caller, UseCase.RESERVE, space)
        answer = await page.register.in_thread(lambda: sizing_of(typed.get("yaml", "")))
        needs = reservable(answer)
        if not block or not needs:
            raise BadValue("choose a block; there is nothing to reserve otherwise", field="block")

        def work(tx: Tx, by: Author) -> list[Reserved]:
            return [
                row
                for need in sorted(needs, key=lambda each: each.bits)
                for row in plan_reserve(
                    tx,
                    ReservationRequest(by, space, (block,), need.bits, desc=f"{answer['name']}: {need.name}"),
                    by.now,
                )
            ]

        place = with_query("/reservations", {"space": space, "sort": "-created"})
        return await do(form, work, lambda rows: (place, f"{len(rows)} prefixes are reserved for the cluster."))
    except NotSignedIn:
        raise
    except UnipamError as error:
        return await _show(page, {**typed, "use": "yaml"}, Problem.of(error))
