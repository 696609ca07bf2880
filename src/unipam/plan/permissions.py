"""Who may do what: every use case that not everybody who signed in may do, with what it needs.

Whoever serves a use case calls `require` before it looks at anything else. The refusal is a Forbidden whose facts tell
what was refused and what was missing, so that an API may have words of its own for it. What a caller may see is here
too (`Visibility`).
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum, StrEnum
from typing import NamedTuple

from unipam.model.cloud import key
from unipam.model.errors import Forbidden
from unipam.model.objects import Reservation
from unipam.plan.access.callers import Caller


class Need(StrEnum):
    """What a caller must be. Whoever plans a space may reserve there; an administrator may do everything."""

    OWNER = "owner"
    """The reservation's owner, or who plans its space."""
    OWNING_RESERVER = "owning reserver"
    """An owner who may still reserve there, or who plans the space."""
    RESERVER = "reserver"
    """Who may reserve in the space."""
    PLANNER = "planner"
    """Who may plan the space."""
    ADMIN = "admin"


_REFUSALS = {
    Need.OWNER: "the reservation {reservation} is not {caller}'s",
    Need.OWNING_RESERVER: "the reservation {reservation} is not {caller}'s",
    Need.RESERVER: "{caller} may not reserve in the space {space}",
    Need.PLANNER: "{caller} may not plan the space {space}",
    Need.ADMIN: "{caller} is no administrator",
}


class UseCase(Enum):
    """What may be done, and what it needs. External networks are meant with their subnets and endpoints."""

    RESERVE = "reserve prefixes", Need.RESERVER
    CANCEL_RESERVATION = "cancel a reservation", Need.OWNING_RESERVER
    MAKE_BLOCK = "make a block", Need.PLANNER
    CHANGE_BLOCK = "change a block", Need.PLANNER
    REMOVE_BLOCK = "remove a block", Need.PLANNER
    ASSOCIATE_NETWORK = "associate networks with a block", Need.PLANNER
    DISSOCIATE_NETWORK = "dissociate networks from a block", Need.PLANNER
    MAKE_EXTERNAL = "make external networks", Need.PLANNER
    CHANGE_EXTERNAL = "change an external network", Need.PLANNER
    REMOVE_EXTERNAL = "remove an external network", Need.PLANNER
    MAKE_SPACE = "make a space", Need.ADMIN
    CHANGE_SPACE = "change a space", Need.ADMIN
    REMOVE_SPACE = "remove a space", Need.ADMIN
    SEE_LEASES = "see a node's leases", Need.ADMIN
    RELEASE_LEASE = "release a node's lease", Need.ADMIN
    COMPARE_WITH_CLOUD = "see where the plan and the cloud disagree", Need.ADMIN
    EXPORT = "export the plan", Need.ADMIN
    IMPORT = "import a plan", Need.ADMIN
    LIST_TOKENS = "list tokens", Need.ADMIN
    MAKE_TOKEN = "make a token", Need.ADMIN
    REVOKE_TOKEN = "revoke a token", Need.ADMIN
    LIST_GRANTS = "list grants", Need.ADMIN
    MAKE_GRANT = "make a grant", Need.ADMIN
    REVOKE_GRANT = "revoke a grant", Need.ADMIN
    LIST_ADMINS = "list administrators", Need.ADMIN
    CHANGE_ADMINS = "change who is an administrator", Need.ADMIN
    LIST_EXCLUSIONS = "list excluded subscriptions", Need.ADMIN
    CHANGE_EXCLUSIONS = "change which subscriptions are excluded", Need.ADMIN
    LIST_SESSIONS = "list who is signed in to the pages", Need.ADMIN
    END_SESSION = "end somebody's session", Need.ADMIN
    CHECK_RIGHTS = "see what somebody else may do", Need.ADMIN
    LIST_SETTINGS = "list everybody's settings", Need.ADMIN
    # What everybody may see by unipam's own API, and the Azure IPAM application shows to some (its spec §2):
    VIEW_RESERVATION = "view a reservation in the application", Need.OWNER
    VIEW_NETWORKS = "view a block's networks in the application", Need.PLANNER
    VIEW_EXTERNALS = "view external networks in the application", Need.PLANNER
    EXPAND_NETWORKS = "view networks in full in the application", Need.ADMIN

    @property
    def need(self) -> Need:
        """Return what it needs."""
        return self.value[1]


def require(caller: Caller, use_case: UseCase, space: str = "", reservation: Reservation | None = None) -> None:
    """Refuse a caller who may not do this in the space, or to the reservation.

    Raises Forbidden with the facts `use_case`, `needs` and the caller's `hint` at the way out.
    """
    need = use_case.need
    if not _meets(caller, need, space, reservation):
        text = _REFUSALS[need].format(caller=caller.name, space=space, reservation=reservation and reservation.id)
        facts = {"use_case": use_case.name, "needs": need.value, "hint": caller.hint}
        raise Forbidden(with_hint(text, caller.hint), caller=caller.name, **facts)


def _meets(caller: Caller, need: Need, space: str, reservation: Reservation | None) -> bool:
    if need is Need.ADMIN:
        return caller.admin
    if caller.may_plan(space):
        return True
    owns = reservation is not None and caller.owns(reservation)
    return {
        Need.RESERVER: caller.may_reserve(space),
        Need.OWNER: owns,
        Need.OWNING_RESERVER: owns and caller.may_reserve(space),
    }.get(need, False)


def with_hint(text: str, hint: str) -> str:
    """Return a refusal's text followed by the hint, where there is one."""
    return f"{text.rstrip('.')}: {hint}" if hint else text


def may_list(caller: Caller, reservation: Reservation) -> bool:
    """Return whether the application's listings show the reservation to the caller."""
    return caller.admin or caller.owns(reservation)


HIDDEN = "(hidden)"
"""What a network is called that the caller may not know of."""


class Visibility(NamedTuple):
    """Which networks a caller may know of: those of the spaces that it plans, and what it has `seen` in the cloud.

    Others hold their places, and are not named (spec azure-ipam-application D12). `seen` are keys (`model.cloud.key`).
    """

    caller: Caller
    seen: Collection[str] = ()

    def sees(self, space: str | int, network: str) -> bool:
        """Return whether the caller may know of this network in this space."""
        return self.caller.may_plan(space) or key(network) in self.seen
