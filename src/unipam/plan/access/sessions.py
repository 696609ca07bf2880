"""Sessions of people who use the pages: opened by signing in, ended by signing out, by an administrator, or by time.

A session's key is 256 random bits, which only the browser has: what is kept is its SHA-256, under which a session is
found with one look. All server processes share them, and they outlive a restart.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from typing import Any

import msgspec

from unipam.model.errors import Missing, NotSignedIn
from unipam.plan.tree import Author, remark
from unipam.store.api import Tx

IDLE = 8 * 3600.0
"""Seconds without a request after which a session is over."""
LONGEST = 24 * 3600.0
"""Seconds after which it is over in any case."""
NOTICED = 300.0
"""Seconds that may pass before a further request is written down as the last one: a page must not cost a write."""

_KEY = re.compile(r"[\w-]{43}", re.ASCII)
_PREFIX = "session/"
_SHARED = "pages/key"
_ONCE = "once/"
_USED = "used/"


class WebSession(msgspec.Struct, frozen=True, omit_defaults=True):
    """A session. `id` names it to people and gives nothing away; `subject` and `name` are the caller's.

    `token` is the id of the local token that it was opened with; `claims` are those of the Entra ID token that it was
    opened with otherwise, and `sealed` are the tokens to ask Azure with, which only the session's key opens.
    """

    id: str
    subject: str
    name: str
    opened: float
    seen: float
    client: str = ""
    token: str = ""
    claims: dict[str, Any] = {}
    sealed: str = ""

    @property
    def ends(self) -> float:
        """Return when it is over, if nothing more is asked (epoch seconds)."""
        return min(self.seen + IDLE, self.opened + LONGEST)


_session = msgspec.json.Decoder(WebSession)


def make_key() -> str:
    """Return a key that no session has."""
    return secrets.token_urlsafe(32)


def make_id() -> str:
    """Return a name for a session."""
    return secrets.token_hex(6)


def _note(key: str) -> str:
    return _PREFIX + hashlib.sha256(key.encode()).hexdigest()


def store_session(tx: Tx, key: str, session: WebSession) -> None:
    """Keep a session under its key, whether it is a new one or known."""
    tx.set_note(_note(key), msgspec.json.encode(session).decode())


def open_session(tx: Tx, by: Author, key: str, session: WebSession) -> None:
    """Open a session, and write down that somebody signed in."""
    store_session(tx, key, session)
    remark(tx, by, "sign-in", f"session/{session.id}")


def find_session(tx: Tx, key: str, now: float) -> WebSession | None:
    """Return the session of this key, unless it is over."""
    note = tx.note(_note(key)) if _KEY.fullmatch(key) else ""
    session = _session.decode(note) if note else None
    return session if session is not None and now < session.ends else None


def sessions(tx: Tx, now: float) -> list[WebSession]:
    """Return every session that is not over, the latest first."""
    found = [_session.decode(text) for _, text in tx.notes(_PREFIX)]
    return sorted((each for each in found if now < each.ends), key=lambda each: -each.opened)


def shown(session: WebSession) -> dict[str, Any]:
    """Return a session for people: nothing of its tokens."""
    return {
        "id": session.id, "name": session.name, "opened": session.opened, "seen": session.seen, "ends": session.ends,
        "client": session.client, "by": "token" if session.token else "Entra ID",
    }  # fmt: skip


def end_session(tx: Tx, by: Author, number: str) -> None:
    """End the session of this id. Raises Missing."""
    if not _end(tx, by, lambda session: session.id == number):
        raise Missing(f"there is no session {number!r} (any more)", kind="session", value=number)


def end_sessions_of(tx: Tx, by: Author, subject: str) -> int:
    """End every session of a person; how many."""
    return _end(tx, by, lambda session: session.subject == subject)


def _end(tx: Tx, by: Author, wanted: Callable[[WebSession], bool]) -> int:
    found = [(key, session) for key, text in tx.notes(_PREFIX) if wanted(session := _session.decode(text))]
    for key, session in found:
        tx.drop_note(key)
        remark(tx, by, "sign-out", f"session/{session.id}")
    return len(found)


def forget_sessions(tx: Tx, now: float) -> int:
    """Drop the sessions that are over; how many."""
    old = [key for key, text in tx.notes(_PREFIX) if _session.decode(text).ends <= now]
    for key in old:
        tx.drop_note(key)
    return len(old)


def seen_at(session: WebSession, now: float) -> WebSession:
    """Return a session that was used just now."""
    return msgspec.structs.replace(session, seen=now)


def make_shared_key(tx: Tx, _: Author) -> None:
    """Make the key that all server processes share, unless there is one."""
    if not tx.note(_SHARED):
        tx.set_note(_SHARED, secrets.token_hex(32))


def shared_key(tx: Tx) -> bytes:
    """Return the key with which the server processes seal what a browser keeps for them."""
    return bytes.fromhex(tx.note(_SHARED))


ONCE = 60.0
"""Seconds for which a link for signing in once is good."""


class Link(msgspec.Struct, frozen=True):
    """A link for signing in once, as the bearer of the local token of this id."""

    token: str
    until: float


_link = msgspec.json.Decoder(Link)


def make_link(tx: Tx, by: Author, token: str) -> str:
    """Return the code of a new link that signs the bearer of a local token in, once, and soon."""
    for key, text in tx.notes(_ONCE):
        if _link.decode(text).until < by.now:
            tx.drop_note(key)
    code = make_key()
    note = _ONCE + hashlib.sha256(code.encode()).hexdigest()
    tx.set_note(note, msgspec.json.encode(Link(token, by.now + ONCE)).decode())
    return code


def take_link(tx: Tx, by: Author, code: str) -> str:
    """Return the id of the token that a link is for; it is good for nothing from now on. Raises NotSignedIn."""
    note = _ONCE + hashlib.sha256(code.encode()).hexdigest()
    text = tx.note(note) if _KEY.fullmatch(code) else ""
    tx.drop_note(note)
    link = _link.decode(text) if text else None
    if link is None or link.until < by.now:
        raise NotSignedIn("This link was used, or is older than a minute: ask for a new one, or sign in with a token.")
    return link.token


def use_up(tx: Tx, by: Author, state: str, lasts: float) -> None:
    """Let a sign-in with this state have happened. Raises NotSignedIn when it happened before."""
    for key, text in tx.notes(_USED):
        if float(text) < by.now:
            tx.drop_note(key)
    note = _USED + hashlib.sha256(state.encode()).hexdigest()
    if tx.note(note):
        raise NotSignedIn("This sign-in was finished before: sign in again.")
    tx.set_note(note, str(by.now + lasts))
