"""Local API tokens: for pipelines, and for whoever comes first.

A token's secret is 256 random bits, so its SHA-256 cannot be searched for: the slow hashes that passwords need would
only slow down every request.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from unipam.model.errors import BadValue, Duplicate, Missing
from unipam.model.objects import fold, is_name
from unipam.plan.access.callers import ADMIN, EVERYWHERE, Caller, Spaces, keep, named, spaces_of
from unipam.plan.tree import Author, remark
from unipam.store.api import Tx

PREFIX = "unipam"
FIRST = "first-admin"
_TEXT = re.compile(rf"{PREFIX}_[0-9a-f]{{12}}_[\w-]{{43}}", re.ASCII)


class Token(msgspec.Struct, frozen=True):
    """A local API token. A planner's `spaces` are those it may plan; `digest` is all that is kept of the secret."""

    id: str
    name: str
    role: str
    digest: str
    created_on: float
    created_by: str
    spaces: Spaces = ()
    expires_on: float | None = None


_token = msgspec.json.Decoder(Token)


def create_token(
    tx: Tx, by: Author, name: str, role: str, spaces: Sequence[str] = (), expires_on: float | None = None
) -> tuple[Token, str]:
    """Make a token; return it with its text, which is not kept. Raises BadValue, Duplicate or Missing (a space)."""
    if not is_name(name):
        raise BadValue(f"a token's name {name!r} must be letters, digits, '.', '_' and '-'", field="name", value=name)
    known = spaces_of(tx, role, spaces)
    if expires_on is not None and expires_on <= by.now:
        raise BadValue("expires_on: lies in the past", field="expires_on", value=expires_on)
    if any(fold(token.name) == fold(name) for token in tokens(tx)):
        raise Duplicate(f"there is a token named {name} already", kind="token", value=name)
    text = make_text()
    number, secret = _parts(text)
    token = Token(number, name, role, _digest(secret), by.now, by.actor, known, expires_on)
    _keep(tx, by, token)
    return token, text


def make_text() -> str:
    """Return the text of a token that no register knows yet."""
    return f"{PREFIX}_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


def _parts(text: str) -> tuple[str, str]:
    """Return the id and the secret. Raises BadValue, and does not repeat the text."""
    if not _TEXT.fullmatch(text):
        raise BadValue("this is no token's text: make one with `unipam register token make`", field="token")
    _, number, secret = text.split("_", 2)
    return number, secret


def _keep(tx: Tx, by: Author, token: Token) -> None:
    keep(tx, f"token/{token.id}", token)
    remark(tx, by, "create-token", f"token/{token.name}", f"{token.role} {' '.join(named(tx, token.spaces))}".strip())


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def tokens(tx: Tx) -> list[Token]:
    """Return every local token, oldest first."""
    return sorted((_token.decode(text) for _, text in tx.notes("token/")), key=lambda token: token.created_on)


def revoke_token(tx: Tx, by: Author, name: str) -> Token:
    """Remove a token by its name or id. Raises Missing."""
    for token in tokens(tx):
        if name == token.id or fold(name) == fold(token.name):
            tx.drop_note(f"token/{token.id}")
            remark(tx, by, "revoke-token", f"token/{token.name}")
            return token
    raise Missing(f"there is no token named {name!r}", kind="token", value=name)


def recognise(tx: Tx, text: str, now: float) -> Token | None:
    """Return the token that this text is the secret of, unless it has expired."""
    _, number, secret = (*text.split("_", 2), "", "")[:3]
    token = find_token(tx, number, now)
    return token if token is not None and hmac.compare_digest(_digest(secret), token.digest) else None


def find_token(tx: Tx, number: str, now: float) -> Token | None:
    """Return the token of this id, unless it has expired."""
    note = tx.note(f"token/{number}") if number.isalnum() and number.isascii() else ""
    token = _token.decode(note) if note else None
    return token if token is not None and (token.expires_on is None or now < token.expires_on) else None


def bootstrap(tx: Tx, by: Author, given: Callable[[], str] | None = None) -> str:
    """Make the first administrator's token, if nobody could administrate otherwise (D13); return its text, else "".

    With `given` its text is that one, which whoever gave it knows. Raises BadValue when that is no token's text, and
    what `given` raises.
    """
    if tx.note("bootstrapped"):
        return ""
    tx.set_note("bootstrapped", str(by.now))
    if given is None:
        return create_token(tx, by, FIRST, ADMIN)[1]
    number, secret = _parts(given())
    _keep(tx, by, Token(number, FIRST, ADMIN, _digest(secret), by.now, by.actor))
    return ""


def shown(tx: Tx, token: Token) -> dict[str, Any]:
    """Return a token for people: without its secret's digest, its spaces by name."""
    shape: dict[str, Any] = msgspec.to_builtins(token)
    del shape["digest"]
    return {**shape, "spaces": list(named(tx, token.spaces))}


def follow_spaces(tx: Tx, _: Author) -> None:
    """Let every token of before, which named its spaces, have their numbers from now on; names of none are dropped."""
    for token in tokens(tx):
        numbers = tuple(number or EVERYWHERE for number in named(tx, token.spaces).values())
        if numbers != token.spaces:
            keep(tx, f"token/{token.id}", msgspec.structs.replace(token, spaces=numbers))


def caller_of(tx: Tx, token: Token) -> Caller:
    """Return whom a local token stands for."""
    plans = {fold(name): number for name, number in named(tx, token.spaces).items()}
    return Caller(f"token:{token.name}", f"token:{token.id}", admin=token.role == ADMIN, plans=plans)
