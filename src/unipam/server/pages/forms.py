"""What forms that change the plan share: done once however often they are sent, refused when somebody was faster."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import msgspec
from fastapi.responses import Response

from unipam.model import objects
from unipam.model.errors import BadValue, Mismatch, Stale, UnipamError
from unipam.model.records import SPACE, Claim
from unipam.plan import idempotency
from unipam.plan.tree import Author, require_reason
from unipam.server.pages.page import Form, Page
from unipam.server.statuses import status_of
from unipam.store.api import Tx

T = TypeVar("T")

LONGEST_REASON = 255


def fresh_key() -> str:
    """Return what tells one filling-in of a form from another: who sends it twice does it once."""
    return secrets.token_urlsafe(12)


def author_of(form: Form) -> Author:
    """Return who sends a form, why, and what it saw. Raises BadValue."""
    reason, seen = form.fields.get("reason", "").strip(), form.fields.get("generation", "")
    if len(reason) > LONGEST_REASON:
        raise BadValue(f"reason: at most {LONGEST_REASON} characters", field="reason")
    require_reason(reason)
    expect = int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 19 else None
    key = form.fields.get("key", "")[:64]
    return form.page.caller.author(reason=reason, call=f"form:{key}" if key else "", expect=expect)


async def do(
    form: Form, work: Callable[[Tx, Author], T], after: Callable[[T], tuple[str, str]], *, frees: bool = False
) -> Response:
    """Do what a form asks for in one transaction, then go to another page: `after` says where, and what was done.

    A form that comes again changes nothing, and goes to the same page. Raises Mismatch when it was filled in otherwise.
    """
    page, author, asked = form.page, author_of(form), _fingerprint(form)

    def whole(tx: Tx, by: Author) -> tuple[str, str]:
        known = _done_before(tx, by, asked)
        if known is not None:
            return msgspec.json.decode(known.body, type=tuple[str, str])
        place, done = after(work(tx, by))
        body = msgspec.json.encode((place, done)).decode()
        idempotency.keep(tx, by, idempotency.StoredAnswer(by.now, asked, 303, body))
        return place, done

    worker = page.register.worker.freeing() if frees else page.register.worker
    return page.go(*await worker.write(whole, author))


def _done_before(tx: Tx, by: Author, asked: str) -> idempotency.StoredAnswer | None:
    try:
        return idempotency.recall(tx, by, asked)
    except Mismatch:
        raise Mismatch(
            "This form was sent before, filled in otherwise, and that was done. What you see now was not done: send it"
            " once more if you want this too."
        ) from None


def _fingerprint(form: Form) -> str:
    text = msgspec.json.encode([form.page.request.url.path, sorted(form.whole.multi_items(), key=repr)], enc_hook=str)
    return hashlib.sha256(text).hexdigest()


class Problem(NamedTuple):
    """Why a form was not carried out, for the page that shows it again as it was filled in."""

    message: str
    status: int
    facts: dict[str, Any]

    @classmethod
    def of(cls, error: UnipamError) -> Problem:
        """Return an error as a problem."""
        return cls(error.message, status_of(error), error.facts)

    @property
    def is_stale(self) -> bool:
        """Return whether somebody was faster."""
        return self.status == status_of(Stale(""))


def last_change(tx: Tx, page: Page, claim: Claim) -> str:
    """Return who changed an object last, when, and to what, in words."""
    entry = next(iter(tx.entries_numbered([claim.generation])), None)
    if entry is None:
        return ""
    facts = msgspec.to_builtins(objects.decode(entry.details))
    told = [f"{name} {facts[name]}" for name in ("name", "desc") if facts.get(name)]
    shown = "; ".join(told if claim.kind == SPACE else [claim.text, *told])
    return f"{entry.actor} changed it {page.moments.relative(entry.at)}: it is now {shown}"
