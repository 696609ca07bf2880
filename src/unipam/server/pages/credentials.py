"""The tokens that a person's session asks Azure with: sealed with the session's key, renewed when they run out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from unipam.model.errors import NotSignedIn, SourceFailed
from unipam.plan.access import sessions
from unipam.plan.access.sessions import WebSession
from unipam.plan.tree import Author
from unipam.server.code_flow import Tokens
from unipam.server.pages.sealing import seal, unseal
from unipam.server.register import Register
from unipam.store.api import Tx

EARLY = 120.0
"""Seconds before its end at which a token is renewed."""
_PURPOSE = "tokens"
_KEPT = ("oid", "tid", "preferred_username", "groups", "roles", "scp", "idtyp", "hasgroups", "_claim_names")
"""What is kept of a token's claims: what `auth` and `entra` read."""

log = structlog.get_logger()


class Held(msgspec.Struct, frozen=True):
    """An access token, when it ends (epoch seconds), and what renews it."""

    access: str
    ends: float
    refresh: str = ""


def fields_of(key: str, tokens: Tokens, claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a session keeps of these tokens."""
    kept = {name: claims[name] for name in _KEPT if name in claims}
    return {"claims": kept, "sealed": seal(key.encode(), _PURPOSE, Held(tokens.access, claims["exp"], tokens.refresh))}


def held_by(key: str, session: WebSession) -> Held | None:
    """Return the tokens of a session; None for one that was opened with a local token."""
    return unseal(key.encode(), _PURPOSE, session.sealed, Held) if session.sealed else None


async def renewed(register: Register, key: str, session: WebSession, place: str) -> WebSession:
    """Return the session with tokens that are good for some time yet.

    While Entra ID cannot be asked it stays as it is: the plan is shown, and of Azure what needs no token. Raises
    NotSignedIn when Entra ID gives no more.
    """
    held, now = held_by(key, session), register.clock()
    if held is None or now < held.ends - EARLY or register.flow is None:
        return session
    flow = register.flow
    try:
        tokens = await register.elsewhere(lambda: flow.renew(held.refresh))
        claims = await register.auth.claims(tokens.access, place)
    except SourceFailed as error:
        log.warning("tokens not renewed", error=error.message)
        return session
    if claims["oid"] != session.claims.get("oid"):
        raise NotSignedIn("Entra ID renewed somebody else's sign-in: sign in again.")
    fresh = msgspec.structs.replace(session, **fields_of(key, tokens, claims))
    await register.worker.write(lambda tx, _: _store(tx, key, fresh, now), Author("unipam"))
    return fresh


def _store(tx: Tx, key: str, session: WebSession, now: float) -> None:
    if sessions.find_session(tx, key, now) is not None:  # it may have been ended meanwhile
        sessions.store_session(tx, key, session)
