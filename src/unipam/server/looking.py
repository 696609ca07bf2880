"""What a caller may see of the cloud and of how it stands to the plan, for whoever answers: API or page."""

from __future__ import annotations

from unipam.model.cloud import Snapshot
from unipam.model.errors import SourceFailed
from unipam.plan.cloud.standing import Standing, in_sight
from unipam.plan.permissions import UseCase
from unipam.server.comparison import Compared
from unipam.server.register import Session


async def seen_of(session: Session) -> Snapshot:
    """Return what the caller may see of the cloud; nothing while it cannot be asked."""
    try:
        return await session.register.shown(session.caller)
    except SourceFailed:
        return Snapshot()


async def compared_for(session: Session) -> Compared:
    """Return the plan compared with all of the cloud, for an administrator. Raises Forbidden."""
    session.require(UseCase.COMPARE_WITH_CLOUD)
    return await session.register.compared()


async def standings_for(session: Session) -> list[Standing]:
    """Return how the networks that the caller may know of stand to the plan."""
    visibility = await session.visibility()
    return in_sight((await session.register.compared()).standings, visibility)
