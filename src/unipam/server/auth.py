"""Signing in: a bearer token, local or of Entra ID, becomes a Caller. Failures are counted by where they come from.

The limit is for what is wrong: a token is looked at first, so that a good one serves whatever its neighbours try.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import structlog

from unipam.model.errors import Forbidden, NotSignedIn, SourceFailed
from unipam.plan.access.callers import Caller, is_admin
from unipam.plan.access.grants import rights
from unipam.plan.access.sessions import WebSession
from unipam.plan.access.tokens import PREFIX, caller_of, find_token, recognise
from unipam.plan.permissions import with_hint
from unipam.server.entra import UNPARSABLE, Directory, Keys, app_roles_of, groups_of, is_person, lacks_groups, verify
from unipam.server.limit import FailureLimit
from unipam.server.store_worker import StoreWorker
from unipam.store.api import Tx

REMEMBERED = 2.0
"""Seconds for which a token that was recognised is not looked up again: as long may a revoked one still serve, and a
planner's space be known by the name it had."""
MOST_REMEMBERED = 10_000
PLANNER, READER, NOBODY = "planner", "reader", "none"

GROUPS_MISSING = (
    "the token does not name its bearer's groups, because they are too many for it (200; 5 in the implicit flow): let"
    " the registration emit only groups assigned to the application, or grant to an app role instead of a group"
)

log = structlog.get_logger()


class _Known(NamedTuple):
    """A token that was recognised. `until` is a time of a clock that nobody sets (CLOCK_MONOTONIC)."""

    caller: Caller
    until: float


class Authenticator:
    """Recognises callers.

    `everybody` is what every member of the tenant may do: a planner may reserve in every space, as in the original; a
    reader may only look; none must be named by a grant. Grants add to it.
    """

    def __init__(
        self, worker: StoreWorker, directory: Directory | None, limit: FailureLimit, everybody: str = PLANNER
    ) -> None:
        self._worker = worker
        self._directory = directory
        self._keys = Keys(directory) if directory else None
        self._limit = limit
        self._everybody = everybody
        self._known: dict[bytes, _Known] = {}
        self._hinted: set[str] = set()

    @property
    def members_reserve(self) -> bool:
        """Return whether every member of the tenant may reserve everywhere."""
        return self._everybody == PLANNER

    async def caller(self, authorization: str, place: str) -> Caller:
        """Return who sent this Authorization header. Raises NotSignedIn, Forbidden, Throttled or SourceFailed."""
        scheme, _, text = authorization.partition(" ")
        digest = hashlib.sha256(text.encode(errors="replace")).digest()
        known = self._known.get(digest)
        if known is not None and scheme.lower() == "bearer" and time.monotonic() < known.until:
            return known.caller
        try:
            caller, expiry = await self._recognise(scheme, text.strip(), place)
        except (NotSignedIn, SourceFailed):
            self._limit.failed(place)
            raise
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[digest] = _Known(caller, time.monotonic() + min(REMEMBERED, expiry - self._worker.clock()))
        return caller

    def close(self) -> None:
        """Recognise no more."""
        if self._keys is not None:
            self._keys.close()

    async def _recognise(self, scheme: str, text: str, place: str) -> tuple[Caller, float]:
        """Return whom the token stands for, and when it expires (seconds since the epoch)."""
        if scheme.lower() != "bearer" or not text:
            raise NotSignedIn(UNPARSABLE)
        if text.startswith(f"{PREFIX}_"):
            return await self._local(text)
        return await self._member(text, place)

    async def _local(self, text: str) -> tuple[Caller, float]:
        def work(tx: Tx) -> tuple[Caller, float]:
            token = recognise(tx, text, self._worker.clock())
            if token is None:
                raise NotSignedIn("This token is not known, or has expired or been revoked.")
            return caller_of(tx, token), token.expires_on or float("inf")

        return await self._worker.read(work)

    async def _member(self, text: str, place: str) -> tuple[Caller, float]:
        claims = await self.claims(text, place)
        caller = await self._worker.read(lambda tx: self._person(tx, claims, text))
        return caller, float(claims["exp"])

    async def claims(self, text: str, place: str) -> Mapping[str, Any]:
        """Return the claims of a token of the directory, once it is verified. Raises NotSignedIn, SourceFailed."""
        directory, keys = self._directory, self._keys
        if directory is None or keys is None:
            raise NotSignedIn(UNPARSABLE)
        return await verify(text, directory, keys, lambda: self._limit.require_room(place))

    def failed(self, place: str) -> None:
        """Count a sign-in that failed, of somebody at this place."""
        self._limit.failed(place)

    def require_room(self, place: str) -> None:
        """Refuse who failed too often. Raises Throttled."""
        self._limit.require_room(place)

    def _person(self, tx: Tx, claims: Mapping[str, Any], text: str) -> Caller:
        """Return who these claims are of, with all that member, administrator and grants may. Raises Forbidden."""
        object_id = str(claims["oid"]).lower()
        granted = rights(tx, groups_of(claims), app_roles_of(claims))
        admin = granted.admin or is_admin(tx, object_id)
        hint = self._hint(claims, object_id) if granted.by_group and lacks_groups(claims) else ""
        reserves = self.members_reserve
        credential = text if is_person(claims) else ""
        caller = Caller(_name(claims), object_id, admin, granted.plans, reserves, credential, hint)
        if self._everybody == NOBODY and not (admin or granted.anything):
            text = f"{caller.name} has no role here: ask an administrator for a grant."
            raise Forbidden(with_hint(text, hint), caller=caller.name)
        return caller

    def holder(self, tx: Tx, session: WebSession, credential: str = "") -> Caller | None:
        """Return whom a session stands for, with what that person may do now; None when it stands for nobody any more.

        Raises Forbidden for a member who has no role any more.
        """
        if session.token:
            token = find_token(tx, session.token, self._worker.clock())
            return None if token is None else caller_of(tx, token)
        return self._person(tx, session.claims, credential) if self._directory is not None else None

    def _hint(self, claims: Mapping[str, Any], object_id: str) -> str:
        """Return what to do about groups that are missing; logged once for a person."""
        if object_id not in self._hinted and len(self._hinted) < MOST_REMEMBERED:
            self._hinted.add(object_id)
            log.warning("groups are missing", caller=_name(claims), hint=GROUPS_MISSING)
        return GROUPS_MISSING


def _name(claims: Mapping[str, Any]) -> str:
    """Return how the original names a caller (spec azure-ipam-application §1.6)."""
    name = str(claims.get("preferred_username") or "")[:256]
    return name if name and name.isprintable() else f"spn:{claims['oid']}"
