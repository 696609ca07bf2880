"""Who may use the register: local tokens, administrators, personal settings, excluded subscriptions.

All of it is kept as notes beside the plan. A token's secret is 256 random bits, so its SHA-256 cannot be searched for:
the slow hashes that passwords need would only slow down every request. Signing in itself is the server's affair.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from unipam.model.errors import BadValue, Duplicate, Missing
from unipam.model.plan import Reservation, fold, is_name
from unipam.model.records import Entry, Owner
from unipam.service import plan
from unipam.service.plan import By
from unipam.store.api import Tx

ADMIN, PLANNER, READER = "admin", "planner", "reader"
ROLES = (ADMIN, PLANNER, READER)
PREFIX = "unipam"
REFRESH_MINUTES = (5, 10, 15, 30)
VIEWS = (
    "spaces", "blocks", "vnets", "vhubs", "subnets", "endpoints", "networks", "reservations", "admins", "exclusions",
    "extnetworks", "extsubnets", "extendpoints",
)  # fmt: skip


class Token(msgspec.Struct, frozen=True):
    """A local API token. A planner's `spaces` are those it may plan; `digest` is all that is kept of the secret."""

    id: str
    name: str
    role: str
    digest: str
    created_on: float
    created_by: str
    spaces: tuple[str, ...] = ()
    expires_on: float | None = None


class Admin(msgspec.Struct, frozen=True):
    """An administrator that signs in with Entra ID; `id` is its object id."""

    type: Literal["User", "Principal"]
    name: str
    id: str
    email: str | None = None


class Settings(msgspec.Struct, frozen=True, rename="camel"):
    """What a person chose for the pages (spec azure-ipam-application §1.8)."""

    id: str
    dark_mode: bool = False
    api_refresh: int = 5
    views: dict[str, object] = {}


_token = msgspec.json.Decoder(Token)
_admin = msgspec.json.Decoder(Admin)
_settings = msgspec.json.Decoder(Settings)


def _note(tx: Tx, key: str, value: msgspec.Struct) -> None:
    tx.set_note(key, msgspec.json.encode(value).decode())


def create_token(
    tx: Tx, by: By, name: str, role: str, spaces: Sequence[str] = (), expires_on: float | None = None
) -> tuple[Token, str]:
    """A new token and its text, which is not kept. Raises BadValue, Duplicate or Missing (a space)."""
    if not is_name(name):
        raise BadValue(f"a token's name {name!r} must be letters, digits, '.', '_' and '-'", field="name", value=name)
    if role not in ROLES:
        raise BadValue(f"role: {role!r} is none of {', '.join(ROLES)}", field="role", value=role)
    if (role == PLANNER) != bool(spaces):
        raise BadValue("spaces: a planner needs the names of its spaces, or *; others need none", field="spaces")
    if expires_on is not None and expires_on <= by.now:
        raise BadValue("expires_on: lies in the past", field="expires_on", value=expires_on)
    if any(fold(token.name) == fold(name) for token in tokens(tx)):
        raise Duplicate(f"there is a token named {name} already", kind="token", value=name)
    known = tuple(each if each == "*" else plan.find_space(tx, each).facts.name for each in spaces)
    number, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    token = Token(number, name, role, _digest(secret), by.now, by.actor, known, expires_on)
    _note(tx, f"token/{number}", token)
    _journal(tx, by, "create-token", f"token/{name}", f"{role} {' '.join(known)}".strip())
    return token, f"{PREFIX}_{number}_{secret}"


def _journal(tx: Tx, by: By, verb: str, what: str, details: str = "") -> None:
    """Access is no part of the tree, but who changed it is written down in the same journal."""
    tx.record(Entry(by.now, verb, 0, 0, 0, Owner(what), 0, by.actor, by.reason, details))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def tokens(tx: Tx) -> list[Token]:
    """Every local token, oldest first."""
    return sorted((_token.decode(text) for _, text in tx.notes("token/")), key=lambda token: token.created_on)


def revoke_token(tx: Tx, by: By, name: str) -> Token:
    """Remove a token by its name or id. Raises Missing."""
    for token in tokens(tx):
        if name == token.id or fold(name) == fold(token.name):
            tx.drop_note(f"token/{token.id}")
            _journal(tx, by, "revoke-token", f"token/{token.name}")
            return token
    raise Missing(f"there is no token named {name!r}", kind="token", value=name)


def recognise(tx: Tx, text: str, now: float) -> Token | None:
    """The token that this text is the secret of, unless it has expired."""
    _, number, secret = (*text.split("_", 2), "", "")[:3]
    note = tx.note(f"token/{number}") if number.isalnum() and number.isascii() else ""
    if not note:
        return None
    token = _token.decode(note)
    good = hmac.compare_digest(_digest(secret), token.digest)
    return token if good and (token.expires_on is None or now < token.expires_on) else None


def bootstrap(tx: Tx, by: By) -> str:
    """The text of a first administrator's token, if nobody could administrate otherwise; else empty (D13)."""
    if tx.note("bootstrapped"):
        return ""
    tx.set_note("bootstrapped", str(by.now))
    return create_token(tx, by, "first-admin", ADMIN)[1]


def admins(tx: Tx) -> list[Admin]:
    """The administrators that sign in with Entra ID."""
    return [_admin.decode(text) for _, text in tx.notes("admin/")]


def is_admin(tx: Tx, object_id: str) -> bool:
    """Whether this object id is an administrator's."""
    return bool(tx.note(f"admin/{object_id.lower()}"))


def find_admin(tx: Tx, object_id: str) -> Admin:
    """One administrator. Raises Missing."""
    note = tx.note(f"admin/{object_id.lower()}")
    if not note:
        raise Missing(f"there is no administrator {object_id}", kind="admin", value=object_id)
    return _admin.decode(note)


def add_admin(tx: Tx, by: By, admin: Admin) -> None:
    """One administrator more. Raises Duplicate."""
    if is_admin(tx, admin.id):
        raise Duplicate(f"{admin.name} is an administrator already", kind="admin", value=admin.id)
    _note(tx, f"admin/{admin.id.lower()}", admin)
    _journal(tx, by, "add-admin", f"admin/{admin.id.lower()}", admin.name)


def remove_admin(tx: Tx, by: By, object_id: str) -> None:
    """One administrator less. Raises Missing. Nobody becomes an administrator by this (D13)."""
    key = f"admin/{find_admin(tx, object_id).id.lower()}"
    tx.drop_note(key)
    _journal(tx, by, "remove-admin", key)


def replace_admins(tx: Tx, by: By, wanted: Sequence[Admin]) -> None:
    """Exactly these are administrators from now on. Raises Duplicate."""
    if len({admin.id.lower() for admin in wanted}) != len(wanted):
        raise Duplicate("an administrator is named twice", kind="admin")
    kept = {admin.id.lower() for admin in wanted}
    for admin in admins(tx):
        if admin.id.lower() not in kept:
            remove_admin(tx, by, admin.id)
    for admin in wanted:
        tx.drop_note(f"admin/{admin.id.lower()}")
        add_admin(tx, by, admin)


def exclusions(tx: Tx) -> list[str]:
    """The subscriptions that are hidden from listings; their networks keep their places in the plan (D11)."""
    return [key.removeprefix("exclusion/") for key, _ in tx.notes("exclusion/")]


def exclude(tx: Tx, by: By, subscriptions: Sequence[str], *, replace: bool = False) -> None:
    """Hide these subscriptions too, or with `replace` exactly these."""
    wanted, there = {each.lower() for each in subscriptions}, set(exclusions(tx))
    for each in sorted(there - wanted) if replace else ():
        include(tx, by, each)
    for each in sorted(wanted - there):
        tx.set_note(f"exclusion/{each}", "excluded")
        _journal(tx, by, "exclude", f"exclusion/{each}")


def include(tx: Tx, by: By, subscription: str) -> None:
    """Show a subscription again. Raises Missing."""
    if not tx.note(f"exclusion/{subscription.lower()}"):
        raise Missing(f"the subscription {subscription} is not excluded", kind="exclusion", value=subscription)
    tx.drop_note(f"exclusion/{subscription.lower()}")
    _journal(tx, by, "include", f"exclusion/{subscription.lower()}")


def settings(tx: Tx, subject: str) -> Settings:
    """What a person chose, or the defaults (D20)."""
    note = tx.note(f"user/{subject}")
    return _settings.decode(note) if note else Settings(subject)


def all_settings(tx: Tx) -> list[Settings]:
    """What everybody chose who ever chose something."""
    return [_settings.decode(text) for _, text in tx.notes("user/")]


def set_settings(tx: Tx, chosen: Settings) -> None:
    """Remember what a person chose. Raises BadValue."""
    if chosen.api_refresh not in REFRESH_MINUTES:
        raise BadValue(f"apiRefresh: {chosen.api_refresh} is none of {REFRESH_MINUTES}", field="apiRefresh")
    unknown = [view for view in chosen.views if view not in VIEWS]
    if unknown:
        raise BadValue(f"views: {', '.join(unknown)} is none of {', '.join(VIEWS)}", field="views")
    _note(tx, f"user/{chosen.id}", chosen)


class Caller(NamedTuple):
    """Who makes a request, and what that is good for.

    `name` is shown and journalled, `subject` never changes. `plans` are the (folded) names of the spaces that the
    caller may plan, "*" all of them; `reserves` says whether it may reserve everywhere. `credential` is its Entra
    token, with which a cloud is asked what the caller may see; empty for local tokens.
    """

    name: str
    subject: str
    admin: bool = False
    plans: frozenset[str] = frozenset()
    reserves: bool = False
    credential: str = ""

    def may_plan(self, space: str) -> bool:
        """Whether the caller may change blocks, networks and externals of this space."""
        return self.admin or "*" in self.plans or fold(space) in self.plans

    def may_reserve(self, space: str) -> bool:
        """Whether the caller may reserve in this space."""
        return self.reserves or self.may_plan(space)

    def owns(self, reservation: Reservation) -> bool:
        """Whether the reservation is the caller's own."""
        return reservation.subject == self.subject

    def by(self, *, reason: str = "", call: str = "", expect: int | None = None) -> By:
        """The caller as the author of a change."""
        return By(self.name, self.subject, 0.0, reason, call, expect)


def caller_of(token: Token) -> Caller:
    """Whom a local token stands for."""
    plans = frozenset(map(fold, token.spaces))
    return Caller(f"token:{token.name}", f"token:{token.id}", admin=token.role == ADMIN, plans=plans)
