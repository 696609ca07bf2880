"""What the routes of the Azure IPAM API share: their words, who may do what, patches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from fastapi import Request
from fastapi.responses import Response

from unipam.addr.prefix import Prefix
from unipam.dialects.azure_ipam import messages as m
from unipam.dialects.azure_ipam.patch import replacements
from unipam.model.errors import BadValue, UnipamError
from unipam.model.objects import parse_cidr
from unipam.plan.access.callers import Caller
from unipam.server.azure_ipam.bodies import PatchBody
from unipam.server.register import reply

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
        raise caller.refusal(text)


def require_planner(caller: Caller, space: str, text: str) -> None:
    """Raises Forbidden unless the caller may plan this space: its own planner, or an administrator."""
    if not caller.may_plan(space):
        raise caller.refusal(text)


def require_reserving(caller: Caller, space: str) -> None:
    """Raises Forbidden unless the caller may reserve in this space."""
    if not caller.may_reserve(space):
        raise caller.refusal(m.READ_ONLY)


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


NO_CONTENT = 204


def empty(status: int = 200) -> Response:
    """Done, and nothing to say."""
    return Response(status_code=status)
