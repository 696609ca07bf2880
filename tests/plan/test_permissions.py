"""Who may do what: every use case by every role, in its own space and in another, with what is one's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import unipam
from unipam.model.errors import Forbidden
from unipam.model.objects import Reservation
from unipam.plan.access.callers import EVERYWHERE, Caller
from unipam.plan.permissions import Need, UseCase, Visibility, may_list, require

OWN, OTHERS = Reservation("r1", 0.0, "ann", "ann"), Reservation("r2", 0.0, "bob", "bob")

ROLES = {
    "reader": Caller("ann", "ann"),
    "member": Caller("ann", "ann", reserves=True),
    "planner": Caller("ann", "ann", plans={"s": 1}),
    "planner of all": Caller("ann", "ann", plans={EVERYWHERE: 0}),
    "administrator": Caller("ann", "ann", admin=True),
}
EVERYWHERE_ALLOWED = {"planner of all", "administrator"}

ADMIN = {UseCase.MAKE_SPACE, UseCase.CHANGE_SPACE, UseCase.REMOVE_SPACE, UseCase.COMPARE_WITH_CLOUD, UseCase.EXPORT,
         UseCase.IMPORT, UseCase.LIST_TOKENS, UseCase.MAKE_TOKEN, UseCase.REVOKE_TOKEN, UseCase.LIST_GRANTS,
         UseCase.MAKE_GRANT, UseCase.REVOKE_GRANT, UseCase.LIST_ADMINS, UseCase.CHANGE_ADMINS, UseCase.LIST_EXCLUSIONS,
         UseCase.CHANGE_EXCLUSIONS, UseCase.LIST_SETTINGS, UseCase.EXPAND_NETWORKS,
         UseCase.LIST_SESSIONS, UseCase.END_SESSION, UseCase.CHECK_RIGHTS, UseCase.SEE_LEASES,
         UseCase.RELEASE_LEASE}  # fmt: skip
PLANNER = {UseCase.MAKE_BLOCK, UseCase.CHANGE_BLOCK, UseCase.REMOVE_BLOCK, UseCase.ASSOCIATE_NETWORK,
           UseCase.DISSOCIATE_NETWORK, UseCase.MAKE_EXTERNAL, UseCase.CHANGE_EXTERNAL, UseCase.REMOVE_EXTERNAL,
           UseCase.VIEW_NETWORKS, UseCase.VIEW_EXTERNALS}  # fmt: skip

ALLOWED: dict[UseCase, dict[str, set[str]]] = {
    **{each: {"s": {"administrator"}, "t": {"administrator"}} for each in ADMIN},
    **{each: {"s": {"planner", *EVERYWHERE_ALLOWED}, "t": EVERYWHERE_ALLOWED} for each in PLANNER},
    UseCase.RESERVE: {"s": {"member", "planner", *EVERYWHERE_ALLOWED}, "t": {"member", *EVERYWHERE_ALLOWED}},
    UseCase.CANCEL_RESERVATION: {"s": {"planner", *EVERYWHERE_ALLOWED}, "t": EVERYWHERE_ALLOWED},
    UseCase.VIEW_RESERVATION: {"s": {"planner", *EVERYWHERE_ALLOWED}, "t": EVERYWHERE_ALLOWED},
}
"""Of every use case, by space, the roles that may do it; s is the planner's space. Reservations are another's."""


def may(role: str, use_case: UseCase, space: str, reservation: Reservation | None = None) -> bool:
    try:
        require(ROLES[role], use_case, space, reservation)
    except Forbidden:
        return False
    return True


@pytest.mark.parametrize("use_case", UseCase)
@pytest.mark.parametrize("space", ["s", "t"])
@pytest.mark.parametrize("role", ROLES)
def test_every_use_case_by_every_role(use_case: UseCase, space: str, role: str) -> None:
    assert may(role, use_case, space, OTHERS) is (role in ALLOWED[use_case][space])


@pytest.mark.parametrize(
    ("use_case", "roles"),
    [
        (UseCase.CANCEL_RESERVATION, {"member", "planner of all", "administrator"}),
        (UseCase.VIEW_RESERVATION, set(ROLES)),
    ],
)
def test_what_is_ones_own(use_case: UseCase, roles: set[str]) -> None:
    assert {role for role in ROLES if may(role, use_case, "t", OWN)} == roles
    assert {role for role in ROLES if may_list(ROLES[role], OTHERS)} == {"administrator"}
    assert {role for role in ROLES if may_list(ROLES[role], OWN)} == set(ROLES)


def test_every_need_is_of_some_use_case_and_every_use_case_is_asked_about() -> None:
    assert {each.need for each in UseCase} == set(Need)
    server = Path(unipam.__file__).parent / "server"
    asked = "\n".join(path.read_text(encoding="utf-8") for path in server.rglob("*.py"))
    assert [each.name for each in UseCase if not re.search(rf"require\((caller, )?UseCase\.{each.name}\b", asked)] == []


def test_a_refusal_shows_the_way_out() -> None:
    caller = Caller("ann", "ann", hint="ask for a grant")
    with pytest.raises(Forbidden) as refused:
        require(caller, UseCase.MAKE_BLOCK, "S")
    assert refused.value.message == "ann may not plan the space S: ask for a grant"
    facts = {"caller": "ann", "use_case": "MAKE_BLOCK", "needs": "planner", "hint": "ask for a grant"}
    assert refused.value.facts == facts


def test_who_sees_which_network() -> None:
    net = "/subscriptions/x/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v"
    seen = {role: [Visibility(caller).sees(space, net) for space in ("S", "t")] for role, caller in ROLES.items()}
    assert seen == {"reader": [False, False], "member": [False, False], "planner": [True, False],
                    "planner of all": [True, True], "administrator": [True, True]}  # fmt: skip
    assert Visibility(ROLES["reader"], {net.lower()}).sees("t", net)
