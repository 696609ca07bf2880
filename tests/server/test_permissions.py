"""Who may call which route: every route of both APIs, as one who may only read, and as a planner of another space."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from tests.plan.clouds import SUBSCRIPTION, some_uuid
from tests.server.live import Client, token

from unipam.server.run import Settings, make_app

SOME = some_uuid(1)
PATH = {"space": "S", "block": "B", "external": "E", "subnet": "N", "endpoint": "P", "name": "x", "object_id": SOME,
        "reservation": "R" * 22, "subscription_id": SUBSCRIPTION, "address": "10.0.0.1"}  # fmt: skip

B = "/spaces/{space}/blocks/{block}"
E = f"{B}/externals"
N = f"{E}/{{external}}/subnets"
P = f"{N}/{{subnet}}/endpoints"
PATCH: list[Any] = []
ADMIN = {"type": "Principal", "name": "n", "id": SOME}

REFUSED: dict[str, Any] = {
    # unipam's own API
    "POST /api/v1/spaces": {"name": "new", "desc": "d"},
    "PATCH /api/v1/spaces/{space}": {"desc": "d"},
    "DELETE /api/v1/spaces/{space}": None,
    "POST /api/v1/spaces/{space}/blocks": {"name": "new", "cidr": "10.9.0.0/16"},
    f"PATCH /api/v1{B}": {"desc": "d"},
    f"DELETE /api/v1{B}": None,
    "POST /api/v1/spaces/{space}/reservations": {"blocks": ["B"], "size": 24},
    f"POST /api/v1{B}/networks": {"id": "x"},
    f"DELETE /api/v1{B}/networks?id=x": None,
    f"POST /api/v1{E}": [{"name": "new", "desc": "d", "size": 24}],
    f"PATCH /api/v1{E}/{{external}}": {"desc": "d"},
    f"DELETE /api/v1{E}/{{external}}": None,
    f"POST /api/v1{N}": [{"name": "new", "desc": "d", "size": 24}],
    f"PATCH /api/v1{N}/{{subnet}}": {"desc": "d"},
    f"DELETE /api/v1{N}/{{subnet}}": None,
    f"POST /api/v1{P}": [{"name": "new", "desc": "d"}],
    f"PATCH /api/v1{P}/{{endpoint}}": {"desc": "d"},
    f"DELETE /api/v1{P}/{{endpoint}}": None,
    "GET /api/v1/findings": None,
    "GET /api/v1/tokens": None,
    "POST /api/v1/tokens": {"name": "new", "role": "reader"},
    "DELETE /api/v1/tokens/{name}": None,
    "GET /api/v1/grants": None,
    "POST /api/v1/grants": {"name": "new", "role": "reader", "app_role": "x"},
    "DELETE /api/v1/grants/{name}": None,
    "GET /api/v1/sessions": None,
    "DELETE /api/v1/sessions/{name}": None,
    "DELETE /api/v1/leases?address=10.244.2.9&generation=1": None,
    "GET /api/v1/export": None,
    "POST /api/v1/import": {},
    # the API of the Azure IPAM application
    "POST /api/spaces": {"name": "new", "desc": "d"},
    "PATCH /api/spaces/{space}": PATCH,
    "DELETE /api/spaces/{space}": None,
    "POST /api/spaces/{space}/blocks": {"name": "new", "cidr": "10.9.0.0/16"},
    f"PATCH /api{B}": PATCH,
    f"DELETE /api{B}": None,
    "POST /api/spaces/{space}/reservations": {"blocks": ["B"], "size": 24},
    f"POST /api{B}/reservations": {"size": 24},
    f"DELETE /api{B}/reservations": ["x"],
    f"DELETE /api{B}/reservations/{{reservation}}": None,
    f"GET /api{B}/networks": None,
    f"POST /api{B}/networks": {"id": "x"},
    f"PUT /api{B}/networks": [],
    f"DELETE /api{B}/networks": [],
    f"GET /api{E}": None,
    f"POST /api{E}": {"name": "new", "desc": "d", "size": 24},
    f"PUT /api{E}": [],
    f"GET /api{E}/{{external}}": None,
    f"PATCH /api{E}/{{external}}": PATCH,
    f"DELETE /api{E}/{{external}}": None,
    f"GET /api{N}": None,
    f"POST /api{N}": {"name": "new", "desc": "d", "size": 24},
    f"GET /api{N}/{{subnet}}": None,
    f"PATCH /api{N}/{{subnet}}": PATCH,
    f"DELETE /api{N}/{{subnet}}": None,
    f"GET /api{P}": None,
    f"POST /api{P}": {"name": "new", "desc": "d", "ip": None},
    f"PUT /api{P}": [],
    f"DELETE /api{P}": [],
    f"GET /api{P}/{{endpoint}}": None,
    f"PATCH /api{P}/{{endpoint}}": PATCH,
    f"DELETE /api{P}/{{endpoint}}": None,
    "GET /api/admin/admins": None,
    "POST /api/admin/admins": ADMIN,
    "PUT /api/admin/admins": [ADMIN],
    "GET /api/admin/admins/{object_id}": None,
    "DELETE /api/admin/admins/{object_id}": None,
    "GET /api/admin/exclusions": None,
    "POST /api/admin/exclusions": [],
    "PUT /api/admin/exclusions": [],
    "DELETE /api/admin/exclusions/{subscription_id}": None,
    "GET /api/users": None,
}
"""What one who may only read in this space is refused, with a body that is right."""

OWN_ONLY = {f"DELETE /api/v1{B}/reservations", f"DELETE /api/v1{B}/reservations/{{reservation}}"}
"""What is refused by whose reservation it is, once that is found (`test_native`)."""
CHANGES_NOTHING = {"POST /api/tools/nextAvailableVNet", "POST /api/tools/nextAvailableSubnet",
                   "POST /api/tools/cidrCheck", "PATCH /api/users/me", "POST /api/v1/sizing", "POST /api/v1/diagnose",
                   "PUT /api/v1/me/preferences", "POST /api/v1/me/sign-in-link",
                   "DELETE /api/v1/sessions/{name}"}  # fmt: skip
"""What is asked by POST, one's own settings, and one's own sessions (`test_sign_in`)."""


def routes() -> Iterator[str]:
    """The routes of both APIs; what pages refuse is held to in `pages`."""
    for each in iter_route_contexts(make_app(Settings("unused")).routes):
        for method in getattr(each, "methods", None) or ():
            if method != "HEAD" and str(each.path).startswith("/api/"):
                yield f"{method} {each.path}"


def test_every_route_that_changes_something_is_in_the_table() -> None:
    known = {each.partition("?")[0] for each in REFUSED} | OWN_ONLY | CHANGES_NOTHING
    found = set(routes())
    assert {each for each in found if not each.startswith("GET ")} - known == set()
    assert known - found == set(), "there is no such route (any more)"


@pytest.fixture
def readers(api: Client) -> list[Client]:
    assert api.post("/spaces", {"name": "T", "desc": "another space"}).status == 201
    return [token(api, "reader", "reader").at(""), token(api, "planner", "planner", "T").at("")]


def test_who_may_only_read_is_refused(readers: list[Client]) -> None:
    for asked, body in REFUSED.items():
        method, _, path = asked.partition(" ")
        for reader in readers:
            assert reader.ask(method, path.format_map(PATH), body).status == 403, asked
