"""The native API's operations on local tokens and grants, which are an administrator's; see `operations`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from unipam.model.errors import Forbidden
from unipam.plan.access import grants, sessions, tokens
from unipam.plan.access.callers import Caller
from unipam.plan.access.grants import Grantee
from unipam.plan.permissions import UseCase, require
from unipam.plan.tree import Author
from unipam.server.native.operations import List, Shape, Write, done, shown
from unipam.store.api import Tx

if TYPE_CHECKING:
    from unipam.server.native import models as m


def list_tokens(caller: Caller) -> List:
    """Return the local tokens, without their secrets."""
    require(caller, UseCase.LIST_TOKENS)
    return lambda tx: [tokens.shown(tx, each) for each in tokens.tokens(tx)]


def make_token(caller: Caller, body: m.NewToken, key: str) -> Write:
    """Make a token. Raises Forbidden also for a request with an idempotency key, since no answer with it is kept."""
    require(caller, UseCase.MAKE_TOKEN)
    if key:
        raise Forbidden("a token's text is not kept, so this request cannot be repeated by a key", field="key")

    def make(tx: Tx, by: Author) -> Shape:
        until = None if body.expires_in is None else by.now + body.expires_in
        token, text = tokens.create_token(tx, by, body.name, body.role, body.spaces, until)
        return {**tokens.shown(tx, token), "token": text}

    return shown(make, lambda _, shape: shape, 201)


def drop_token(caller: Caller, name: str) -> Write:
    """Revoke a token by its name or id."""
    require(caller, UseCase.REVOKE_TOKEN)
    return done(lambda tx, by: tokens.revoke_token(tx, by, name))


def make_sign_in_link(caller: Caller) -> Callable[[Tx, Author], Shape]:
    """Make a link that signs the bearer of a local token in to the pages. Raises Forbidden for anybody else."""
    kind, _, number = caller.subject.partition(":")
    if kind != "token":
        raise Forbidden("only the bearer of a local token can have a link: sign in to the pages with Entra ID")

    def make(tx: Tx, by: Author) -> Shape:
        code = sessions.make_link(tx, by, number)
        return {"path": f"/auth/once?code={code}", "expires_in": sessions.ONCE}

    return make


def list_sessions(caller: Caller, now: float) -> List:
    """Return who is signed in to the pages, the latest first."""
    require(caller, UseCase.LIST_SESSIONS)
    return lambda tx: [sessions.shown(each) for each in sessions.sessions(tx, now)]


def end_session(caller: Caller, number: str) -> Write:
    """End a session."""
    require(caller, UseCase.END_SESSION)
    return done(lambda tx, by: sessions.end_session(tx, by, number))


def list_grants(caller: Caller) -> List:
    """Return the grants, by name."""
    require(caller, UseCase.LIST_GRANTS)
    return lambda tx: [grants.shown(tx, each) for each in grants.grants(tx)]


def make_grant(caller: Caller, body: m.NewGrant) -> Write:
    """Make a grant."""
    require(caller, UseCase.MAKE_GRANT)
    to = Grantee(str(body.group) if body.group else None, body.app_role)
    return shown(lambda tx, by: grants.create_grant(tx, by, body.name, to, body.role, body.spaces), grants.shown, 201)


def drop_grant(caller: Caller, name: str) -> Write:
    """Take a grant back, by its name."""
    require(caller, UseCase.REVOKE_GRANT)
    return done(lambda tx, by: grants.revoke_grant(tx, by, name))
