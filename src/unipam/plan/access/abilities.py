"""What somebody may do, in words that answer an administrator's question. Functions of one transaction."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from unipam.model.errors import Forbidden
from unipam.model.objects import fold
from unipam.plan import tree
from unipam.plan.access.callers import Caller, is_admin
from unipam.plan.access.grants import rights
from unipam.plan.permissions import Need, UseCase, require
from unipam.store.api import Tx


class Ability(msgspec.Struct, frozen=True):
    """One thing that may be done: everywhere, or in these spaces, or (neither) not at all."""

    use_case: str
    needs: str
    everywhere: bool
    spaces: list[str]


def person(tx: Tx, object_id: str, groups: Collection[str], app_roles: Collection[str], *, reserves: bool) -> Caller:
    """Return a member of the tenant, who is in these groups and has these app roles, as a caller."""
    granted = rights(tx, frozenset(each.lower() for each in groups), frozenset(app_roles))
    admin = granted.admin or is_admin(tx, object_id)
    return Caller(object_id, object_id.lower(), admin, granted.plans, reserves)


def abilities(tx: Tx, caller: Caller) -> list[Ability]:
    """Return everything that can be done, with where the caller may do it. What is one's own is not looked at."""
    spaces = [fold(space.facts.name) for space in tree.spaces(tx)]
    return [_ability(caller, each, spaces) for each in UseCase if each.need is not Need.OWNER]


def _ability(caller: Caller, use_case: UseCase, spaces: list[str]) -> Ability:
    allowed = [space for space in spaces if _may(caller, use_case, space)]
    everywhere = len(allowed) == len(spaces) and _may(caller, use_case, "")
    return Ability(use_case.value[0], use_case.need.value, everywhere, [] if everywhere else allowed)


def _may(caller: Caller, use_case: UseCase, space: str) -> bool:
    if use_case.need is Need.ADMIN:
        return caller.admin
    try:
        require(caller, use_case, space)
    except Forbidden:
        return False
    return True
