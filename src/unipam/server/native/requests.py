"""What the native routes share: the terms of a write (dry run, If-Match, idempotency key), paging, shapes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
from fastapi import Depends, Header, Query, Request
from fastapi.responses import Response

from unipam.addr.prefix import Prefix
from unipam.model import objects
from unipam.model.errors import BadValue
from unipam.plan import idempotency
from unipam.plan.access.callers import Caller
from unipam.plan.parts import Paging, part_of
from unipam.plan.tree import Author, require_reason
from unipam.server.native.models import Problem
from unipam.server.native.operations import MOST_ITEMS, Shape, Write
from unipam.server.native.problems import MEDIA_TYPE
from unipam.server.register import Session, reply
from unipam.store.api import Tx


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the answers of a route that are problems, for its documentation."""
    always = (400, 401, 403, 413, 422, 429, 503)
    shape = {"model": Problem, "content": {MEDIA_TYPE: {}}}
    return dict.fromkeys(sorted({*always, *statuses}), shape)


class Terms(NamedTuple):
    """The terms of a write. `expect` is the generation that the caller saw, None for any.

    `fingerprint` stands for the whole request, where a `key` says that it may come again.
    """

    dry_run: bool
    key: str
    reason: str
    expect: int | None
    fingerprint: str

    def author(self, caller: Caller) -> Author:
        """Return the caller as the author of the change, under these terms."""
        return caller.author(reason=self.reason, call=self.key, expect=self.expect)


Key = Annotated[str, Header(alias="Idempotency-Key", max_length=255, description="The same key, the same answer.")]
Match = Annotated[str, Header(alias="If-Match", max_length=64, description="The ETag that the caller saw.")]
Reason = Annotated[str, Header(alias="X-Reason", max_length=255, description="Why; it is written into the journal.")]


async def _terms(
    request: Request,
    dry_run: Annotated[bool, Query(description="Do everything but change anything.")] = False,
    idempotency_key: Key = "",
    if_match: Match = "",
    reason: Reason = "",
) -> Terms:
    """Raise BadValue when a header makes no sense."""
    asked = await _fingerprint(request) if idempotency_key else ""
    require_reason(reason)
    return Terms(dry_run, idempotency_key, reason, _generation(if_match), asked)


async def _fingerprint(request: Request) -> str:
    asked = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    asked.update(await request.body())
    return asked.hexdigest()


Writing = Annotated[Terms, Depends(_terms)]


def _generation(etag: str) -> int | None:
    if etag in ("", "*"):
        return None
    number = etag.removeprefix("W/").strip('"')
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        raise BadValue(f"If-Match: {etag!r} is no ETag of this API", field="If-Match", value=etag)
    return int(number)


def etag(generation: int) -> dict[str, str]:
    """Return the header that tells an object's generation."""
    return {"ETag": f'"{generation}"'}


async def write(session: Session, terms: Terms, work: Write) -> Response:
    """Do a write under its terms; a repeated one gets the answer that the first one got."""

    def whole(tx: Tx, by: Author) -> idempotency.StoredAnswer:
        known = idempotency.recall(tx, by, terms.fingerprint)
        if known is not None:
            return known
        answer = work(tx, by)
        body = "" if answer.content is None else msgspec.json.encode(answer.content).decode()
        tag = f'"{answer.generation}"' if answer.generation else ""
        kept = idempotency.StoredAnswer(by.now, terms.fingerprint, answer.status, body, tag)
        idempotency.keep(tx, by, kept)
        return kept

    kept = await session.register.worker.write(whole, terms.author(session.caller), rehearse=terms.dry_run)
    headers = {"ETag": kept.etag} if kept.etag else {}
    if terms.dry_run:
        headers["Dry-Run"] = "true"
    return Response(kept.body or None, kept.status, headers, media_type="application/json" if kept.body else None)


async def _paging(
    limit: Annotated[int, Query(ge=1, le=MOST_ITEMS)] = 100,
    after: Annotated[str, Query(max_length=2048, description="The `next` of the part before.")] = "",
    q: Annotated[str, Query(max_length=256, description="Only those that have this text somewhere.")] = "",
    sort: Annotated[str, Query(max_length=64, description="The member to sort by; `-` before it turns it round.")] = "",
) -> Paging:
    return Paging(limit, after, q, sort)


Paged = Annotated[Paging, Depends(_paging)]


def page(items: Sequence[Any], paging: Paging, name: str = "name", headers: dict[str, str] | None = None) -> Response:
    """Answer one part of a listing, whose items are told apart by one of their members.

    Raises BadValue for an unknown `after`.
    """
    return reply(part_of(items, paging, name), headers=headers)


def one(found: Shape) -> Response:
    """Answer with one object, and its generation where it has one."""
    return reply(found, headers=etag(found["generation"]) if found["generation"] else {})


WithUse = Annotated[bool, Query(description="Say how full each is.")]
Force = Annotated[bool, Query(description="Also when it holds something; that goes too.")]


async def _overlaps(
    overlaps: Annotated[
        str | None, Query(max_length=64, description="Only those that share addresses with this prefix or address.")
    ] = None,
) -> Prefix | None:
    return None if overlaps is None else objects.parse_place(overlaps, "overlaps")


Overlaps = Annotated[Prefix | None, Depends(_overlaps)]
