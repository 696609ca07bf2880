"""Who may do what: callers and their roles, administrators; also personal settings and excluded subscriptions.

All of it is kept as notes beside the plan; what gives a role besides is in `tokens` and `grants`, beside this module.
Signing in itself is the server's affair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple, cast

import msgspec

from unipam.model.errors import BadValue, Duplicate, Missing
from unipam.model.objects import Reservation, Space, decode, fold
from unipam.plan import tree
from unipam.plan.tree import Author, remark
from unipam.store.api import Tx

ADMIN, PLANNER, READER = "admin", "planner", "reader"
ROLES = (ADMIN, PLANNER, READER)
EVERYWHERE = "*"
Spaces = tuple[int | str, ...]
"""The spaces that a planner may plan: their numbers, which stay theirs when they are renamed, or `EVERYWHERE`. A name
is of a token from before there were numbers (`plan.access.tokens.follow_spaces`)."""
REFRESH_MINUTES = (5, 10, 15, 30)
VIEWS = (
    "spaces", "blocks", "vnets", "vhubs", "subnets", "endpoints", "networks", "reservations", "admins", "exclusions",
    "extnetworks", "extsubnets", "extendpoints",
)  # fmt: skip


class Admin(msgspec.Struct, frozen=True):
    """An administrator that signs in with Entra ID; `id` is its object id."""

    type: Literal["User", "Principal"]
    name: str
    id: str
    email: str | None = None


class UserSettings(msgspec.Struct, frozen=True, rename="camel"):
    """What a person chose for the pages (spec azure-ipam-application §1.8)."""

    id: str
    dark_mode: bool = False
    api_refresh: int = 5
    views: dict[str, object] = {}


_admin = msgspec.json.Decoder(Admin)
_settings = msgspec.json.Decoder(UserSettings)


def spaces_of(tx: Tx, role: str, names: Sequence[str]) -> Spaces:
    """Return the spaces of these names, for this role. Raises BadValue, or Missing for a space."""
    if role not in ROLES:
        raise BadValue(f"role: {role!r} is none of {', '.join(ROLES)}", field="role", value=role)
    if (role == PLANNER) != bool(names):
        raise BadValue("spaces: a planner needs one or more, or every space (*); others need none", field="spaces")
    return tuple(each if each == EVERYWHERE else tree.find_space(tx, each).id for each in names)


def named(tx: Tx, spaces: Spaces) -> dict[str, int]:
    """Return these spaces by the names that they have now, as far as they are there; `EVERYWHERE` has the number 0."""
    found = {}
    for each in spaces:
        number = tx.space(fold(each)) if isinstance(each, str) else each
        claim = None if number is None else tx.claim(number)
        if each == EVERYWHERE:
            found[EVERYWHERE] = 0
        elif claim is not None:
            found[cast("Space", decode(claim.details)).name] = claim.id
    return found


def keep(tx: Tx, key: str, value: msgspec.Struct) -> None:
    """Keep something about access."""
    tx.set_note(key, msgspec.json.encode(value).decode())


def admins(tx: Tx) -> list[Admin]:
    """Return the administrators that sign in with Entra ID."""
    return [_admin.decode(text) for _, text in tx.notes("admin/")]


def is_admin(tx: Tx, object_id: str) -> bool:
    """Return whether this object id is an administrator's."""
    return bool(tx.note(f"admin/{object_id.lower()}"))


def find_admin(tx: Tx, object_id: str) -> Admin:
    """Return one administrator. Raises Missing."""
    note = tx.note(f"admin/{object_id.lower()}")
    if not note:
        raise Missing(f"there is no administrator {object_id}", kind="admin", value=object_id)
    return _admin.decode(note)


def add_admin(tx: Tx, by: Author, admin: Admin) -> None:
    """Add an administrator. Raises Duplicate."""
    if is_admin(tx, admin.id):
        raise Duplicate(f"{admin.name} is an administrator already", kind="admin", value=admin.id)
    keep(tx, f"admin/{admin.id.lower()}", admin)
    remark(tx, by, "add-admin", f"admin/{admin.id.lower()}", admin.name)


def remove_admin(tx: Tx, by: Author, object_id: str) -> None:
    """Remove an administrator. Raises Missing. Nobody becomes an administrator by this (D13)."""
    key = f"admin/{find_admin(tx, object_id).id.lower()}"
    tx.drop_note(key)
    remark(tx, by, "remove-admin", key)


def replace_admins(tx: Tx, by: Author, wanted: Sequence[Admin]) -> None:
    """Let exactly these be administrators from now on. Raises Duplicate."""
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
    """Return the subscriptions that are hidden from listings; their networks keep their places in the plan (D11)."""
    return [key.removeprefix("exclusion/") for key, _ in tx.notes("exclusion/")]


def exclude(tx: Tx, by: Author, subscriptions: Sequence[str], *, replace: bool = False) -> None:
    """Hide these subscriptions too, or with `replace` exactly these."""
    wanted, there = {each.lower() for each in subscriptions}, set(exclusions(tx))
    for each in sorted(there - wanted) if replace else ():
        include(tx, by, each)
    for each in sorted(wanted - there):
        tx.set_note(f"exclusion/{each}", "excluded")
        remark(tx, by, "exclude", f"exclusion/{each}")


def include(tx: Tx, by: Author, subscription: str) -> None:
    """Show a subscription again. Raises Missing."""
    if not tx.note(f"exclusion/{subscription.lower()}"):
        raise Missing(f"the subscription {subscription} is not excluded", kind="exclusion", value=subscription)
    tx.drop_note(f"exclusion/{subscription.lower()}")
    remark(tx, by, "include", f"exclusion/{subscription.lower()}")


def settings(tx: Tx, subject: str) -> UserSettings:
    """Return what a person chose, or the defaults (D20)."""
    note = tx.note(f"user/{subject}")
    return _settings.decode(note) if note else UserSettings(subject)


def all_settings(tx: Tx) -> list[UserSettings]:
    """Return what everybody chose who ever chose something."""
    return [_settings.decode(text) for _, text in tx.notes("user/")]


def set_settings(tx: Tx, chosen: UserSettings) -> None:
    """Remember what a person chose. Raises BadValue."""
    if chosen.api_refresh not in REFRESH_MINUTES:
        raise BadValue(f"apiRefresh: {chosen.api_refresh} is none of {REFRESH_MINUTES}", field="apiRefresh")
    unknown = [view for view in chosen.views if view not in VIEWS]
    if unknown:
        raise BadValue(f"views: {', '.join(unknown)} is none of {', '.join(VIEWS)}", field="views")
    keep(tx, f"user/{chosen.id}", chosen)


class Caller(NamedTuple):
    """Who makes a request, and what that is good for.

    `name` is shown and journalled, `subject` never changes. `plans` are the spaces that the caller may plan, by their
    (folded) names with their numbers, `EVERYWHERE` all of them; `reserves` says whether it may reserve everywhere.
    `credential` is a person's Entra token, with which a cloud is asked what it may see; empty for applications and
    local tokens. `hint` is what to do when the caller has fewer rights than it should.
    """

    name: str
    subject: str
    admin: bool = False
    plans: Mapping[str, int] = MappingProxyType({})
    reserves: bool = False
    credential: str = ""
    hint: str = ""

    def may_plan(self, space: str | int) -> bool:
        """Return whether the caller may change blocks, networks and externals of this space, by its name or number."""
        if self.admin or EVERYWHERE in self.plans:
            return True
        return space in self.plans.values() if isinstance(space, int) else fold(space) in self.plans

    def may_reserve(self, space: str) -> bool:
        """Return whether the caller may reserve in this space."""
        return self.reserves or self.may_plan(space)

    def owns(self, reservation: Reservation) -> bool:
        """Return whether the reservation is the caller's own."""
        return reservation.subject == self.subject

    def author(self, *, reason: str = "", call: str = "", expect: int | None = None) -> Author:
        """Return the caller as the author of a change."""
        return Author(self.name, self.subject, 0.0, reason, call, expect)
