"""What the routes of the Azure IPAM API share: their words for errors, patches, answers."""

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
from unipam.plan.tree import Author
from unipam.server.azure_ipam.bodies import PatchBody
from unipam.server.register import Session, reply, retry_headers
from unipam.store.api import Tx

E = TypeVar("E", bound=Callable[..., object])
_TABLES: dict[object, m.Table] = {}


def error_words(table: m.Table) -> Callable[[E], E]:
    """Give a route its own words for errors."""

    def mark(endpoint: E) -> E:
        _TABLES[endpoint] = table
        return endpoint

    return mark


def answer_error(request: Request, error: UnipamError) -> Response:
    """Answer with an error in the original's envelope, in the words of the route that met it."""
    say = m.word(error, _TABLES.get(request.scope.get("endpoint"), {}))
    return reply({"error": say.text}, say.status, retry_headers(error, say.status))


def patched(operations: Sequence[PatchBody], allowed: Mapping[str, str]) -> dict[str, str]:
    """Return the new values of a patch by field. Raises Undecodable."""
    return replacements([each.operation() for each in operations], allowed)


def patched_prefix(text: str | None) -> Prefix | None:
    """Return a prefix in a patch. Raises BadValue, whose field is `notation` when it is no prefix at all."""
    if text is None:
        return None
    try:
        return parse_cidr(text)
    except BadValue as error:
        if "suggestion" in error.facts:
            raise
        raise BadValue(error.message, field="notation", value=text) from None


NO_CONTENT = 204


async def show(session: Session, work: Callable[[Tx], object], status: int = 200) -> Response:
    """Answer with what is read in one transaction."""
    return reply(await session.read(work), status)


async def do(session: Session, work: Callable[[Tx, Author], object], status: int = 200) -> Response:
    """Answer with what comes of one transaction's writing."""
    return reply(await session.write(work), status)


async def do_quietly(session: Session, work: Callable[[Tx, Author], object], status: int = 200) -> Response:
    """Do one transaction's writing, and answer that it is done."""
    await session.write(work)
    return Response(status_code=status)
