"""What groups and app roles of Entra ID are good for, and what is said when a token leaves its groups out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.plan.clouds import some_uuid
from tests.server.directory import Entra, signing_in
from tests.server.live import Client, Live

from unipam.server import auth

NETWORKERS, OTHERS = some_uuid(40), some_uuid(41)
OVERAGE: dict[str, Any] = {
    "_claim_names": {"groups": "src1"},
    "_claim_sources": {"src1": {"endpoint": "https://graph.windows.net/t/users/u/getMemberObjects"}},
}
RESERVATIONS = "/spaces/S/blocks/B/reservations"


@pytest.fixture
def live(tmp_path: Path, entra: Entra, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    monkeypatch.setattr(auth, "REMEMBERED", 0.0)
    with signing_in(tmp_path, entra, everybody="none") as running:
        yield running


@pytest.fixture
def grants(api: Client) -> Client:
    return api.at("/api/v1")


def grant(grants: Client, name: str, role: str, *spaces: str, **to: str) -> None:
    made = grants.post("/grants", {"name": name, "role": role, "spaces": list(spaces), **to})
    assert made.status == 201, made.body


def person(grants: Client, entra: Entra, **claims: Any) -> Client:
    return grants.as_(entra.token(**claims)).at("/api")


def test_whom_no_grant_names_stays_out(grants: Client, entra: Entra) -> None:
    grant(grants, "networkers", "reader", group=NETWORKERS)
    stranger = person(grants, entra, groups=[OTHERS])
    answer = stranger.get("/spaces")
    assert answer.status == 403
    assert answer.error == "ann@example.org has no role here: ask an administrator for a grant."
    assert stranger.at("/api/v1").get("/me").json["type"] == "urn:unipam:error:Forbidden"
    assert person(grants, entra, groups=[OTHERS.upper(), NETWORKERS.upper()]).get("/spaces").status == 200


def test_administrators_may_be_a_group(grants: Client, entra: Entra) -> None:
    grant(grants, "admins", "admin", group=NETWORKERS.upper())
    ann = person(grants, entra, groups=[NETWORKERS])
    assert ann.post("/spaces", {"name": "T", "desc": "d"}).status == 201
    assert ann.get("/users/me").json["isAdmin"] is True
    assert grants.delete("/grants/Admins").status == 204
    assert ann.get("/spaces").status == 403


def test_an_app_role_is_as_good_as_a_group(grants: Client, entra: Entra) -> None:
    grant(grants, "planners", "planner", "s", app_role="IPAM.Planner")
    app = person(grants, entra, roles=["IPAM.Planner"], preferred_username=None)
    assert app.post(RESERVATIONS, {"size": 24}).status == 201
    assert app.post("/spaces/S/blocks", {"name": "C", "cidr": "11.0.0.0/16"}).status == 201
    assert app.post("/spaces", {"name": "T", "desc": "d"}).status == 403
    assert person(grants, entra, roles=["ipam.planner"]).get("/spaces").status == 403  # role values have a case
    assert person(grants, entra, groups=["IPAM.Planner"]).get("/spaces").status == 403  # and are no groups


def test_a_reader_looks_and_a_planner_plans_its_spaces(grants: Client, entra: Entra) -> None:
    grants.post("/spaces", {"name": "T", "desc": "d"})
    grant(grants, "readers", "reader", group=OTHERS)
    grant(grants, "planners", "planner", "S", group=NETWORKERS)
    reader = person(grants, entra, groups=[OTHERS])
    assert reader.get("/spaces").status == 200
    assert reader.post(RESERVATIONS, {"size": 24}).status == 403
    both = person(grants, entra, groups=[OTHERS, NETWORKERS])
    assert both.post(RESERVATIONS, {"size": 24}).status == 201
    assert both.post("/spaces/T/blocks", {"name": "C", "cidr": "11.0.0.0/16"}).status == 403
    grants.as_(grants.token).at("/api").change("/spaces/S", name="Renamed")
    assert both.at("/api/v1").get("/me").json["plans"] == ["renamed"]
    assert [row["spaces"] for row in grants.get("/grants").json["items"]] == [["Renamed"], []]


def test_grants_add_to_what_every_member_may(tmp_path: Path, entra: Entra) -> None:
    place = tmp_path / "open"
    place.mkdir()
    with signing_in(place, entra) as live:  # every member may reserve
        live.admin.post("/spaces", {"name": "S", "desc": "d"})
        live.admin.post("/spaces/S/blocks", {"name": "B", "cidr": "10.0.0.0/16"})
        grant(live.admin.at("/api/v1"), "readers", "reader", group=OTHERS)
        ann = live.admin.as_(entra.token(groups=[OTHERS]))
        assert ann.post(RESERVATIONS, {"size": 24}).status == 201


@pytest.mark.parametrize("overage", [OVERAGE, {"hasgroups": True}])
def test_a_token_without_its_groups_says_what_to_do(
    grants: Client, entra: Entra, overage: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    ann = person(grants, entra, **overage)
    assert "groups" not in ann.get("/spaces").error  # no grant is to a group: it does not matter
    grant(grants, "admins", "admin", group=NETWORKERS)
    grant(grants, "readers", "reader", app_role="IPAM.Reader")
    for answer in (ann.get("/spaces"), person(grants, entra, roles=["IPAM.Reader"], **overage).get("/admin/admins")):
        assert answer.status == 403
        assert "groups assigned to the application" in answer.error
        assert "app role" in answer.error
    me = person(grants, entra, roles=["IPAM.Reader"], **overage).at("/api/v1").get("/me").json
    assert (me["admin"], "app role" in me["hint"]) == (False, True)
    assert "".join(capfd.readouterr()).count("groups are missing") == 1, "once for a person, however often they ask"


@pytest.mark.parametrize(
    "claims",
    [
        {"groups": NETWORKERS}, {"groups": [7, None, {}]}, {"groups": {}}, {"roles": "IPAM.Reader"}, {"roles": [[]]},
        {"_claim_names": "groups"}, {"_claim_names": None, "hasgroups": "yes"},
    ],
)  # fmt: skip
def test_claims_of_another_shape_grant_nothing(grants: Client, entra: Entra, claims: dict[str, Any]) -> None:
    grant(grants, "admins", "admin", group=NETWORKERS)
    grant(grants, "readers", "reader", app_role="IPAM.Reader")
    assert person(grants, entra, **claims).get("/spaces").status == 403


def test_grants_are_listed_changed_and_journalled(grants: Client, entra: Entra) -> None:
    grant(grants, "planners", "planner", "*", app_role="IPAM.Planner")
    grant(grants, "admins", "admin", group=NETWORKERS)
    listed = grants.get("/grants").json["items"]
    assert [(g["name"], g["group"], g["app_role"], g["role"], g["spaces"]) for g in listed] == [
        ("admins", NETWORKERS, None, "admin", []), ("planners", None, "IPAM.Planner", "planner", ["*"]),
    ]  # fmt: skip
    for wrong, status in (
        ({"name": "x", "role": "reader"}, 422),
        ({"name": "x", "role": "reader", "group": "networkers"}, 422),
        ({"name": "x", "role": "reader", "group": OTHERS, "app_role": "R"}, 422),
        ({"name": "x", "role": "reader", "app_role": "with space"}, 400),
        ({"name": "x", "role": "reader", "app_role": ".R"}, 400),
        ({"name": "x", "role": "king", "group": OTHERS}, 422),
        ({"name": "x", "role": "planner", "group": OTHERS}, 400),
        ({"name": "x", "role": "planner", "group": OTHERS, "spaces": ["nope"]}, 404),
        ({"name": "-x", "role": "reader", "group": OTHERS}, 400),
        ({"name": "ADMINS", "role": "reader", "group": OTHERS}, 409),
    ):
        assert grants.post("/grants", wrong).status == status, wrong
    assert grants.delete("/grants/nope").status == 404
    assert len(grants.get("/grants").json["items"]) == 2
    planner = grants.as_(entra.token(roles=["IPAM.Planner"]))
    assert planner.get("/grants").status == 403
    assert planner.delete("/grants/admins").status == 403
    assert grants.delete("/grants/admins").status == 204
    verbs = [(line["verb"], line["holder"]) for line in grants.get("/history?name=grant/admins").json]
    assert verbs == [("revoke-grant", "grant/admins"), ("create-grant", "grant/admins")]
    assert json.loads(grants.ask("POST", "/grants?dry_run=true", {"name": "y", "role": "reader", "group": OTHERS}).body)
    assert [g["name"] for g in grants.get("/grants").json["items"]] == ["planners"]
