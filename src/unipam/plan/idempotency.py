"""Requests that come twice: the answer to a request with a key is kept with what it changed, in one transaction."""

from __future__ import annotations

import hashlib

import msgspec

from unipam.model.errors import Mismatch
from unipam.plan.tree import Author
from unipam.store.api import Tx

KEPT = 86_400.0
"""Seconds for which an answer is kept."""


class StoredAnswer(msgspec.Struct, frozen=True):
    """An answer that was given. `fingerprint` stands for what was asked."""

    at: float
    fingerprint: str
    status: int
    body: str
    etag: str = ""


_kept = msgspec.json.Decoder(StoredAnswer)


def _key(by: Author) -> str:
    return f"call/{by.subject}/{hashlib.sha256(by.call.encode(errors='replace')).hexdigest()}"


def recall(tx: Tx, by: Author, fingerprint: str) -> StoredAnswer | None:
    """Return the answer that the caller got to this key. Raises Mismatch when it asked for something else then."""
    note = tx.note(_key(by)) if by.call else ""
    if not note:
        return None
    kept = _kept.decode(note)
    if kept.at + KEPT < by.now:
        return None
    if kept.fingerprint != fingerprint:
        raise Mismatch("this idempotency key was used for another request: use a new one", key=by.call)
    return kept


def keep(tx: Tx, by: Author, kept: StoredAnswer) -> None:
    """Keep an answer."""
    if by.call:
        tx.set_note(_key(by), msgspec.json.encode(kept).decode())


def forget(tx: Tx, before: float) -> int:
    """Drop the answers given before this time; how many."""
    old = [key for key, note in tx.notes("call/") if _kept.decode(note).at < before]
    for key in old:
        tx.drop_note(key)
    return len(old)
