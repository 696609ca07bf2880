"""The external network or subnet that a path names, for the routes of both APIs."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import Depends

from unipam.model.objects import Endpoint, External, Subnet
from unipam.plan import externals, tree
from unipam.plan.tree import Node
from unipam.store.api import Tx


class _Place(NamedTuple):
    """Where in a plan; `subnet` is empty where the external network itself is meant."""

    space: str
    block: str
    external: str
    subnet: str = ""

    def find_external(self, tx: Tx) -> Node[External]:
        """The external network. Raises Missing."""
        return externals.find_external(tx, self.space, self.block, self.external)

    def find_subnet(self, tx: Tx) -> Node[Subnet]:
        """The subnet. Raises Missing."""
        return externals.find_subnet(tx, self.space, self.block, self.external, self.subnet)

    def find_endpoint(self, tx: Tx, name: str) -> Node[Endpoint]:
        """One endpoint of the subnet. Raises Missing."""
        return tree.find_child(tx, self.find_subnet(tx).id, Endpoint, name)


async def _external(space: str, block: str, external: str) -> _Place:
    return _Place(space, block, external)


async def _subnet(space: str, block: str, external: str, subnet: str) -> _Place:
    return _Place(space, block, external, subnet)


ExternalPlace = Annotated[_Place, Depends(_external)]
SubnetPlace = Annotated[_Place, Depends(_subnet)]
