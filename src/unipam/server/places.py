"""The place in a plan that a path names, from a block down to an endpoint, for the routes of both APIs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from unipam.plan.externals import Place


async def _block(space: str, block: str) -> Place:
    return Place(space, block)


async def _external(space: str, block: str, external: str) -> Place:
    return Place(space, block, (external,))


async def _subnet(space: str, block: str, external: str, subnet: str) -> Place:
    return Place(space, block, (external, subnet))


async def _endpoint(endpoint: str, space: str, block: str, external: str, subnet: str) -> Place:
    return Place(space, block, (external, subnet, endpoint))


BlockPlace = Annotated[Place, Depends(_block)]
ExternalPlace = Annotated[Place, Depends(_external)]
SubnetPlace = Annotated[Place, Depends(_subnet)]
EndpointPlace = Annotated[Place, Depends(_endpoint)]
