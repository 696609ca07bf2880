"""The first page: is anything wrong, or about to be?"""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from unipam.plan.journal import Wanted, lines
from unipam.plan.overview import overview
from unipam.plan.permissions import UseCase
from unipam.server.looking import compared_for
from unipam.server.pages.page import Head, PageDep
from unipam.server.pages.places import block_place, finding_place, reservation_place

router = APIRouter(include_in_schema=False)

_LATEST, _LOOKED_AT = 10, 60
"""Changes that are told, and entries of the journal among which they are: people signing in are not told of here."""
_SEVERITIES = (("error", "bad"), ("warning", "warning"), ("info", "info"))


@router.get("/")
async def first(page: PageDep) -> Response:
    """Show what deserves attention."""
    now = page.register.clock()
    found = await page.read(lambda tx: overview(tx, now))
    visibility = await page.session.visibility()
    latest = await page.read(lambda tx: lines(tx, visibility, Wanted(), limit=_LOOKED_AT))
    snapshot = await page.register.last_snapshot()
    head = Head("Overview", "Is anything wrong, or about to be?", api="/overview", seen=snapshot.taken)
    no_findings = page.may(UseCase.COMPARE_WITH_CLOUD)
    return page.render(
        "overview.html", head, found=found, latest=[line for line in latest.items if line.kind != "session"][:_LATEST],
        no_findings=no_findings, problems=snapshot.problems, block_place=block_place,
        reservation_place=reservation_place,
    )  # fmt: skip


@router.get("/overview/findings")
async def findings(page: PageDep) -> Response:
    """Count where the plan and the cloud disagree: a part of its own, since it looks at everything."""
    compared = await compared_for(page.session)
    found = compared.findings
    counts = [(name, kind, sum(each.severity == name for each in found)) for name, kind in _SEVERITIES]
    head = Head("Findings", "Where do the plan and the cloud disagree?", crumbs=(("/", "Overview"),))
    template = "overview-findings.html" if page.is_part else "overview-findings-page.html"
    return page.render(
        template, head, counts=counts, compared=compared.taken, worst=found[:5], finding_place=finding_place
    )
