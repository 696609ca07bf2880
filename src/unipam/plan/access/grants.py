"""Grants to people who sign in with Entra ID: by the groups that they are in, and by the app roles that they hold.

Rights add up: a grant gives, and none takes away.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import msgspec

from unipam.model.errors import BadValue, Duplicate, Missing
from unipam.model.objects import fold, is_name
from unipam.plan.access.callers import ADMIN, Spaces, keep, named, spaces_of
from unipam.plan.tree import Author, remark
from unipam.store.api import Tx

_APP_ROLE = re.compile(r"(?!\.)[!-~]{1,120}")
"""What Microsoft Graph allows as an app role's value (resource type appRole), if not a little more."""


class Grantee(msgspec.Struct, frozen=True):
    """To whom something is granted: the members of a group, by its object id, or the holders of an app role."""

    group: str | None = None
    app_role: str | None = None

    def checked(self) -> Grantee:
        """Return the same, if it is one of the two. Raises BadValue."""
        if (self.group is None) == (self.app_role is None):
            raise BadValue("a grant is to a group, or to an app role", field="group")
        if self.group is None:
            return self._check_app_role()
        try:
            return Grantee(str(uuid.UUID(self.group)))
        except ValueError:
            raise BadValue(
                f"group: {self.group!r} is no object id, as Entra ID shows it on the group's page",
                field="group",
                value=self.group,
            ) from None

    def _check_app_role(self) -> Grantee:
        if not _APP_ROLE.fullmatch(self.app_role or ""):
            raise BadValue(
                f"app_role: {self.app_role!r} must be 1 to 120 characters without spaces, and not begin with '.':"
                " the value of an app role of the register's application",
                field="app_role",
                value=self.app_role,
            )
        return self


class Grant(msgspec.Struct, frozen=True):
    """What whoever is in a group, or holds an app role, may do."""

    name: str
    to: Grantee
    role: str
    created_on: float
    created_by: str
    spaces: Spaces = ()


_grant = msgspec.json.Decoder(Grant)


def _key(name: str) -> str:
    return f"grant/{fold(name)}"


def create_grant(tx: Tx, by: Author, name: str, to: Grantee, role: str, spaces: Sequence[str] = ()) -> Grant:
    """Make a grant. Raises BadValue, Duplicate or Missing (a space)."""
    if not is_name(name):
        raise BadValue(f"a grant's name {name!r} must be letters, digits, '.', '_' and '-'", field="name", value=name)
    grant = Grant(name, to.checked(), role, by.now, by.actor, spaces_of(tx, role, spaces))
    if tx.note(_key(name)):
        raise Duplicate(f"there is a grant named {name} already", kind="grant", value=name)
    keep(tx, _key(name), grant)
    whom = f"group {grant.to.group}" if grant.to.group else f"app role {grant.to.app_role}"
    remark(tx, by, "create-grant", _key(name), f"{whom}: {role} {' '.join(named(tx, grant.spaces))}".strip())
    return grant


def revoke_grant(tx: Tx, by: Author, name: str) -> None:
    """Take a grant back. Raises Missing."""
    if not tx.note(_key(name)):
        raise Missing(f"there is no grant named {name!r}", kind="grant", value=name)
    tx.drop_note(_key(name))
    remark(tx, by, "revoke-grant", _key(name))


def grants(tx: Tx) -> list[Grant]:
    """Return every grant, by name."""
    return [_grant.decode(text) for _, text in tx.notes("grant/")]


def shown(tx: Tx, grant: Grant) -> dict[str, Any]:
    """Return a grant for people, its spaces by name."""
    shape: dict[str, Any] = msgspec.to_builtins(grant)
    del shape["to"]
    return {**shape, **msgspec.structs.asdict(grant.to), "spaces": list(named(tx, grant.spaces))}


class Rights(NamedTuple):
    """What grants give somebody, if they give `anything`. `by_group` says whether any grant at all is to a group."""

    anything: bool
    admin: bool
    plans: dict[str, int]
    by_group: bool


def rights(tx: Tx, groups: Collection[str], app_roles: Collection[str]) -> Rights:
    """Return what the grants to these groups (object ids, in lower case) and app roles give, all together."""
    every = grants(tx)
    found = [each for each in every if each.to.group in groups or each.to.app_role in app_roles]
    plans = {fold(name): number for each in found for name, number in named(tx, each.spaces).items()}
    admin = any(each.role == ADMIN for each in found)
    return Rights(bool(found), admin, plans, any(each.to.group for each in every))
