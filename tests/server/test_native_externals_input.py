"""What changes nothing about externals, their subnets and endpoints: dry runs, bad input, changes of nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.server.live import Client, serve
from tests.server.test_native_externals import ENDPOINTS, EVERY_LEVEL, LEVELS, SUBNETS, X, filled


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """One for all of these tests, since they change nothing."""
    place = tmp_path_factory.mktemp("still")
    with serve(str(place / "register.db"), place) as running:
        yield filled(running)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", X, [{"name": "new", "desc": "d", "size": 24}]),
        ("POST", SUBNETS, [{"name": "new", "desc": "d", "size": 28, "reverse": True}]),
        ("POST", ENDPOINTS, [{"name": "new", "desc": "d"}]),
        *[("PATCH", path, {"name": "new"}) for path in LEVELS.values()],
        *[("DELETE", f"{path}?force=true", None) for path in LEVELS.values()],
    ],
)
def test_a_dry_run_answers_and_changes_nothing(still: Client, method: str, path: str, body: Any) -> None:
    before = still.get("/export").json["items"]
    answer = still.ask(method, f"{path}{'&' if '?' in path else '?'}dry_run=true", body)
    assert answer.status < 300, answer.body
    assert answer.headers["Dry-Run"] == "true"
    assert still.get("/export").json["items"] == before


NEW = {"name": "n", "desc": "d"}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        *[(path, body, 422) for path in (X, SUBNETS, ENDPOINTS) for body in (
            None, {}, [], "x", 7, [7], [None], NEW, [{}], [{"name": "n"}], [{**NEW, "name": 7}], [{**NEW, "name": ""}],
            [{**NEW, "name": "x" * 65}], [{**NEW, "colour": "red"}], [NEW] * 1001, [{**NEW, "desc": None}],
        )],
        *[(path, [{**NEW, **more}], 422) for path in (X, SUBNETS) for more in (
            {}, {"size": 24, "cidr": "10.0.0.0/24"}, {"size": -1}, {"size": 129}, {"size": "x"}, {"size": 1e400},
            {"cidr": 7}, {"cidr": "1" * 65}, {"cidr": "\ud800"}, {"size": 28, "reverse": "perhaps"},
        )],
        *[(path, [{**NEW, **more}], 400) for path in (X, SUBNETS) for more in (
            {"size": 33}, {"cidr": "10.0.3.7/24"}, {"cidr": "nonsense"}, {"cidr": "10.0.0.0"},
        )],
        *[(path, [{"desc": "d", "size": 28, "name": name}], 400) for path in (X, SUBNETS) for name in (
            "a b", "ok\n", "-a", "a'; DROP TABLE claim;--", "é", "a\0",
        )],
        *[(ENDPOINTS, [{**NEW, **more}], 400) for more in (
            {"name": "a b"}, {"desc": ""}, {"desc": "<b>"}, {"ip": "x"}, {"ip": "10.0.0.1/32"}, {"ip": "10.0.0.256"},
        )],
        *[(path, [{**NEW, "cidr": cidr}], 409) for path in (X, SUBNETS) for cidr in (
            "10.0.0.0/28", "10.0.0.8/29", "11.0.0.0/24", "2001:db8::/64", "0.0.0.0/0",
        )],
        *[(ENDPOINTS, [{**NEW, "ip": ip}], 409) for ip in ("10.0.0.1", "10.0.0.16", "2001:db8::1")],
        *[(path, [{**NEW, "name": "WEB" if path == SUBNETS else "DC", "size": 28}], 409) for path in (X, SUBNETS)],
        (ENDPOINTS, [{**NEW, "name": "VIP"}], 409),
        *[(path.replace(f"/{part}/", "/nope/"), [{**NEW, "size": 28}], 404) for path, part in (
            (X, "S"), (X, "B"), (SUBNETS, "S"), (SUBNETS, "B"), (SUBNETS, "dc"),
        )],
        (ENDPOINTS.replace("web", "nope"), [NEW], 404),
        (ENDPOINTS.replace("web", "%00"), [NEW], 404),
    ],
)  # fmt: skip
def test_bad_input_is_a_problem_that_changes_nothing(still: Client, path: str, body: Any, status: int) -> None:
    before = still.get("/export").json["items"]
    answer = still.post(path, body)
    assert answer.status == status, answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["detail"]
    assert still.get("/export").json["items"] == before


@EVERY_LEVEL
@pytest.mark.parametrize(
    ("body", "status"),
    [(None, 422), ([], 422), ({"name": 7}, 422), ({"colour": 1}, 422), ({"name": "a b"}, 400), ({"desc": ""}, 400)],
)
def test_bad_changes_are_problems_that_change_nothing(still: Client, path: str, body: Any, status: int) -> None:
    before = still.get("/export").json["items"]
    answer = still.patch(path, body)
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert still.get("/export").json["items"] == before


@EVERY_LEVEL
def test_a_change_of_nothing_changes_nothing(still: Client, path: str) -> None:
    before = still.get(path)
    after = still.patch(path, {"name": None})
    assert (after.status, after.json, after.headers["ETag"]) == (200, before.json, before.headers["ETag"])
