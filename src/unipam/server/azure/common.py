"""What the routes of the Azure IPAM API share: their words, who may do what, patches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from fastapi.responses import Response

from unipam.addr.prefix import Prefix
from unipam.dialects.azure_ipam import messages as m
from unipam.dialects.azure_ipam.patch import replacements
from unipam.model.errors import BadValue, Forbidden, UnipamError
from unipam.model.plan import Endpoint, Subnet, parse_cidr
from unipam.server.azure.bodies import PatchBody
from unipam.server.register import reply
from unipam.service import plan
from unipam.service import plan_externals as externals
from unipam.service.plan_access import Caller
from unipam.store.api import Tx

E = TypeVar("E", bound=Callable[..., object])
_TABLES: dict[object, m.Table] = {}


def says(table: m.Table) -> Callable[[E], E]:
    """Gives a route its own words for errors."""

    def mark(endpoint: E) -> E:
        _TABLES[endpoint] = table
        return endpoint

    return mark


def answer_error(request: Request, error: UnipamError) -> Response:
    """An error in the original's envelope, in the words of the route that met it."""
    say = m.word(error, _TABLES.get(request.scope.get("endpoint"), {}))
    headers = {"WWW-Authenticate": "Bearer"} if say.status == 401 else {}
    if say.status in (429, 503):
        headers["Retry-After"] = str(error.facts.get("seconds", 1))
    return reply({"error": say.text}, say.status, headers)


def require_admin(caller: Caller, text: str) -> None:
    """Raises Forbidden unless the caller is an administrator."""
    if not caller.admin:
        raise Forbidden(text, caller=caller.name)


def require_planner(caller: Caller, space: str, text: str) -> None:
    """Raises Forbidden unless the caller may plan this space: its own planner, or an administrator."""
    if not caller.may_plan(space):
        raise Forbidden(text, caller=caller.name)


def require_reserving(caller: Caller, space: str) -> None:
    """Raises Forbidden unless the caller may reserve in this space."""
    if not caller.may_reserve(space):
        raise Forbidden(m.READ_ONLY, caller=caller.name)


def patched(operations: Sequence[PatchBody], allowed: Mapping[str, str]) -> dict[str, str]:
    """The new values of a patch by field. Raises Undecodable."""
    return replacements([each.operation() for each in operations], allowed)


def patched_prefix(text: str | None) -> Prefix | None:
    """A prefix in a patch. Raises BadValue, whose field is `notation` when it is no prefix at all."""
    if text is None:
        return None
    try:
        return parse_cidr(text)
    except BadValue as error:
        if "suggestion" in error.facts:
            raise
        raise BadValue(error.message, field="notation", value=text) from None


@dataclass
class _Place:
    """The subnet that a path names."""

    space: str
    block: str
    external: str
    subnet: str

    def find(self, tx: Tx) -> plan.Node[Subnet]:
        """The subnet itself. Raises Missing."""
        return externals.find_subnet(tx, self.space, self.block, self.external, self.subnet)

    def endpoint(self, tx: Tx, name: str) -> plan.Node[Endpoint]:
        """One of its endpoints. Raises Missing."""
        return plan.find_child(tx, self.find(tx).id, Endpoint, name)


async def _place(space: str, block: str, external: str, subnet: str) -> _Place:
    return _Place(space, block, external, subnet)


Place = Annotated[_Place, Depends(_place)]

NO_CONTENT = 204


def empty(status: int = 200) -> Response:
    """Done, and nothing to say."""
    return Response(status_code=status)
