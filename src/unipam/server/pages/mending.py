"""The buttons of networks and findings: what they change in the plan."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from unipam.model.cloud import Snapshot
from unipam.model.errors import BadValue, NotSignedIn, UnipamError
from unipam.plan import networks as plan_networks
from unipam.plan import reservations
from unipam.plan.cloud.standing import UNPLANNED
from unipam.plan.permissions import UseCase, require
from unipam.plan.tree import Author
from unipam.server.pages.browser import with_query
from unipam.server.pages.forms import Problem, do
from unipam.server.pages.networks import show, show_findings
from unipam.server.pages.page import FormDep
from unipam.store.api import Tx

router = APIRouter(include_in_schema=False)


async def _back(form: FormDep, error: UnipamError) -> Response:
    """Show the page again from which a form came, with what went wrong."""
    problem = Problem.of(error)
    if form.fields.get("from") == "findings":
        return await show_findings(form.page, problem)
    return await show(form.page, problem)


def _from(form: FormDep) -> str:
    return "/networks?tab=findings" if form.fields.get("from") == "findings" else "/networks"


@router.post("/networks/associate")
async def associate(form: FormDep) -> Response:
    """Make a network part of a block."""
    page, given = form.page, form.fields
    resource_id, space, block = given.get("id", ""), given.get("space", ""), given.get("block", "")
    try:
        require(page.caller, UseCase.ASSOCIATE_NETWORK, space)
        snapshot = await page.register.reach(page.caller, [resource_id])

        def work(tx: Tx, by: Author) -> str:
            network = plan_networks.find_network(snapshot, resource_id)
            plan_networks.associate(tx, by, space, block, network)
            return network.name

        return await do(form, work, lambda name: (_from(form), f"{name} is in {block} now."))
    except NotSignedIn:
        raise
    except UnipamError as error:
        return await _back(form, error)


@router.post("/networks/dissociate")
async def dissociate(form: FormDep) -> Response:
    """Take a network out of a block."""
    given = form.fields
    resource_id, space, block = given.get("id", ""), given.get("space", ""), given.get("block", "")
    try:
        require(form.page.caller, UseCase.DISSOCIATE_NETWORK, space)
        return await do(
            form, lambda tx, by: plan_networks.dissociate(tx, by, space, block, [resource_id]),
            lambda _: (_from(form), f"It is out of {block} now; its prefixes are free in the plan."), frees=True,
        )  # fmt: skip
    except NotSignedIn:
        raise
    except UnipamError as error:
        return await _back(form, error)


@router.post("/networks/cancel")
async def cancel(form: FormDep) -> Response:
    """Give up a reservation that a finding is about."""
    page, given = form.page, form.fields
    number, space, block = given.get("reservation", ""), given.get("space", ""), given.get("block", "")

    def work(tx: Tx, by: Author) -> None:
        reservations.cancel(tx, by, space, block, [number], lambda row: require(
            page.caller, UseCase.CANCEL_RESERVATION, space, row.facts))  # fmt: skip

    try:
        return await do(form, work, lambda _: (_from(form), "The reservation is given up."), frees=True)
    except NotSignedIn:
        raise
    except UnipamError as error:
        return await _back(form, error)


@router.post("/networks/associate-several")
async def associate_several(form: FormDep) -> Response:
    """Make several networks part of their blocks, all or none; each is chosen as space/block and its id."""
    page, chosen = form.page, [str(each) for each in form.whole.getlist("chosen")]
    picked = [each.split("/", 2) for each in chosen]
    try:
        if not picked or any(len(each) != 3 for each in picked):
            raise BadValue("choose at least one network", field="chosen")
        for space in {each[0] for each in picked}:
            require(page.caller, UseCase.ASSOCIATE_NETWORK, space)
        snapshot = await page.register.reach(page.caller, [number for _, _, number in picked])
        back = with_query("/networks", {"plan": UNPLANNED})
        return await do(
            form, lambda tx, by: _associate_all(tx, by, snapshot, picked),
            lambda count: (back, f"{count} networks are in the plan now."),
        )  # fmt: skip
    except NotSignedIn:
        raise
    except UnipamError as error:
        return await show(page, Problem.of(error), chosen)


def _associate_all(tx: Tx, by: Author, snapshot: Snapshot, picked: list[list[str]]) -> int:
    for space, block, number in picked:
        plan_networks.associate(tx, by, space, block, plan_networks.find_network(snapshot, number))
    return len(picked)
