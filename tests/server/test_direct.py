"""The native API without HTTP answers as the application does, loads nothing of the web, and does much in one go."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from unipam.cli.register_api import Api, Local
from unipam.plan.open import open_store
from unipam.server import local
from unipam.server.direct import Direct
from unipam.server.local import Application

BASE = "/api/v1"
TIMES = ("created_on", "settled_on", "expires_on", "since", "at")

Send = Callable[..., tuple[int, Any]]


class Sender:
    """Asks one of the two, and tells answers apart from ids and times, which are never the same."""

    def __init__(self, way: Direct | Application) -> None:
        self._way = way
        self._ids: list[str] = []

    def __call__(self, method: str, path: str, body: Any = None, reason: str = "") -> tuple[int, Any]:
        for number, known in enumerate(self._ids):
            path = path.replace(f"<{number}>", known)
        raw = b"" if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"} | ({"X-Reason": reason} if reason else {})
        reply = self._way.send(method, BASE + path, raw, headers)
        assert reply is not None, "it is asked at once, and not of the application"
        return reply[0], self._plain(json.loads(reply[1])) if reply[1] else None

    def _plain(self, document: Any) -> Any:
        if isinstance(document, list):
            return [self._plain(each) for each in document]
        if isinstance(document, dict):
            return {key: 0 if key in TIMES and value else self._plain(value) for key, value in document.items()}
        return self._number(document) if isinstance(document, str) else document

    def _number(self, text: str) -> str:
        if len(text) == 22 and text.isalnum() and text not in self._ids:
            self._ids.append(text)
        for number, known in enumerate(self._ids):
            text = text.replace(known, f"<{number}>")
        return text


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[Sender, Sender]]:
    ways = Direct(str(tmp_path / "direct.db"), "os:ann"), Application(str(tmp_path / "app.db"), "os:ann")
    yield Sender(ways[0]), Sender(ways[1])
    for way in ways:
        way.close()


R = "/spaces/S/blocks/B/reservations"
REQUESTS: list[tuple[Any, ...]] = [
    ("GET", "/spaces"),
    ("POST", "/spaces", {"name": "S", "desc": "a space"}, "begun"),
    ("POST", "/spaces", {"name": "S", "desc": "again"}),
    ("POST", "/spaces", {"name": "", "desc": 7, "more": 1}),
    ("POST", "/spaces", {"name": "T", "desc": "tried"}, "\x07"),
    ("POST", "/spaces?dry_run=true", {"name": "T", "desc": "tried"}),
    ("GET", "/spaces?utilisation=true&limit=1"),
    ("GET", "/spaces?after=nobody"),
    ("GET", "/tokens"),
    ("GET", "/grants"),
    ("GET", "/spaces/s"),
    ("GET", "/spaces/nope"),
    ("GET", "/spaces/S/utilisation"),
    ("PATCH", "/spaces/S", {"desc": "another"}),
    ("PATCH", "/spaces/S", {"name": "a\nb"}),
    ("POST", "/spaces/S/blocks", {"name": "B", "cidr": "10.0.0.0/8"}),
    ("POST", "/spaces/S/blocks", {"name": "C", "cidr": "10.0.0.1/8"}),
    ("POST", "/spaces/S/blocks", {"name": "C", "cidr": "10.0.0.0/16", "parent": "B", "desc": "inside"}),
    ("POST", "/spaces/S/blocks", {"name": "D", "cidr": "10.0.0.0/16", "parent": "B"}),
    ("GET", "/spaces/S/blocks?utilisation=true&limit=1"),
    ("GET", "/spaces/S/blocks?after=B"),
    ("GET", "/spaces/S/blocks?parent=b"),
    ("GET", "/spaces/S/blocks?overlaps=10.0.3.4"),
    ("GET", "/spaces/S/blocks?overlaps=x"),
    ("GET", "/spaces/S/blocks/B"),
    ("GET", "/spaces/S/blocks/%E2%82%AC%20x"),
    ("GET", "/spaces/S/blocks/B/utilisation"),
    ("GET", "/spaces/S/forecast"),
    ("GET", "/spaces/T/forecast"),
    ("GET", "/spaces/S/blocks/C/forecast?horizon=30"),
    ("GET", "/spaces/S/blocks/nope/forecast"),
    ("GET", "/forecast?space=S&limit=1"),
    ("PATCH", "/spaces/S/blocks/C", {"cidr": "10.1.0.0/16"}, "moved"),
    ("PATCH", "/spaces/S/blocks/B", {"cidr": "10.1.0.0/24"}),
    ("POST", "/spaces/S/reservations", {"blocks": ["B"], "size": 24, "count": 5, "expires_in": 3600}),
    ("POST", "/spaces/S/reservations?dry_run=true", {"blocks": ["B"], "cidr": "10.9.0.0/24", "desc": "here"}),
    ("POST", "/spaces/S/reservations", {"blocks": ["B"], "cidr": "10.1.0.0/24"}),
    ("POST", "/spaces/S/reservations", {"blocks": ["B"]}),
    ("POST", "/spaces/S/reservations", {"blocks": ["C"], "size": 4}),
    ("GET", "/spaces/S/reservations?block=B&limit=2"),
    ("GET", f"{R}/<0>"),
    ("DELETE", f"{R}/<0>?dry_run=true"),
    ("DELETE", f"{R}/<0>", None, "not built"),
    ("GET", "/spaces/S/reservations?settled=true&status=cancelledByUser"),
    ("DELETE", f"{R}?id=<0>&id=<1>"),
    ("DELETE", f"{R}?id=<3>&id=<3>"),
    ("DELETE", f"{R}?id=<3>&id=nope"),
    ("GET", "/spaces/S/reservations?settled=true"),
    ("DELETE", f"{R}/<0>"),
    ("GET", "/spaces/S/blocks/B/networks"),
    ("GET", "/spaces/S/blocks/X/networks"),
    ("GET", "/explain?cidr=10.1.0.0/16"),
    ("GET", "/explain?cidr=10.1.2.3&space=S"),
    ("GET", "/explain?cidr=10.1.2.3&space=T"),
    ("GET", "/explain?cidr=x"),
    ("DELETE", "/spaces/S/blocks/B"),
    ("DELETE", "/spaces/S/blocks/B?force=true&dry_run=true"),
    ("DELETE", "/spaces/S/blocks/B?force=true"),
    ("DELETE", "/spaces/S"),
    ("GET", "/history?name=nobody"),
    ("GET", "/history?cidr=10.1.0.0/16&limit=1"),
    ("GET", "/plan?at=4000000000"),
    ("GET", "/spaces"),
]


def test_it_answers_as_the_application_does(both: tuple[Sender, Sender]) -> None:
    statuses = set()
    for request in REQUESTS:
        here, there = (send(*request) for send in both)
        assert here == there, request
        statuses.add(here[0])
    assert statuses == {200, 201, 204, 400, 404, 409, 422}


def test_what_it_does_not_know_it_leaves_to_the_application(tmp_path: Path) -> None:
    direct = Direct(str(tmp_path / "register.db"), "os:ann")
    for path in ("/spaces/S/blocks/B/available?size=24", "/spaces/S/blocks/B/externals", "/export", "", "/"):
        assert direct.send("GET", BASE + path, b"", {}) is None
    assert direct.send("GET", "/api/spaces", b"", {}) is None
    assert direct.send("PUT", f"{BASE}/spaces", b"", {}) is None
    assert not (tmp_path / "register.db").exists()


def test_the_application_is_made_once_in_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    make = local.make_app
    monkeypatch.setattr(local, "make_app", lambda settings: made.append(settings) or make(settings))
    api = Api(Local(str(tmp_path / "register.db")))
    for _ in range(3):
        assert api.ask("GET", "/export")
    api.close()
    assert len(made) == 1


def test_ten_reservations_are_cancelled_in_one_transaction_with_one_look_up_each(tmp_path: Path) -> None:
    api = Api(Local(str(tmp_path / "register.db")))
    api.ask("POST", "/spaces", {"name": "S", "desc": "a space"})
    api.ask("POST", "/spaces/S/blocks", {"name": "B", "cidr": "10.0.0.0/8"})
    made = api.ask("POST", "/spaces/S/reservations", {"blocks": ["B"], "size": 24, "count": 10})
    statements: list[str] = []
    direct = api._way._direct  # type: ignore[attr-defined]
    direct._opened().store._connection.set_trace_callback(statements.append)
    api.ask("DELETE", "/spaces/S/blocks/B/reservations", query={"id": [row["id"] for row in made]})
    direct._opened().store._connection.set_trace_callback(None)
    assert [text for text in statements if text.startswith(("BEGIN", "COMMIT"))] == ["BEGIN IMMEDIATE", "COMMIT"]
    for row in made:
        assert sum(text.startswith("SELECT") and row["id"] in text for text in statements) == 1
    assert sum("WHERE holder = 's' AND kind" in text for text in statements) == 1
    assert api.all("/spaces/S/reservations") == []
    api.close()


LISTING = """
import sys
from unipam.cli.main import unipam
unipam.main(["space", "list", "--database", sys.argv[1]], prog_name="unipam", standalone_mode=False)
heavy = {"fastapi", "starlette", "pydantic", "uvicorn", "asyncio", "structlog", "urllib.request"}
print(sorted(heavy & set(sys.modules)))
"""


def test_a_listing_loads_nothing_of_the_web(tmp_path: Path) -> None:
    database = str(tmp_path / "register.db")
    open_store(database).close()
    command = [sys.executable, "-c", LISTING, database]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
