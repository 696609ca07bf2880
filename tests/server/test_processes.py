"""The register as it is run: real processes, on both databases, several of them, killed in the middle."""

from __future__ import annotations

import http.client
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import items
from tests.real.postgres import needs_postgres, shared
from tests.server.live import Client
from tests.server.process import UNIPAM, Process, clean_environment

from unipam.plan.open import open_store
from unipam.plan.tree import Plan


def prepare(client: Client) -> None:
    assert client.post("/spaces", {"name": "S", "desc": "d"}).status == 201
    assert client.post("/spaces/S/blocks", {"name": "B", "cidr": "10.0.0.0/16"}).status == 201


def reserve(client: Client) -> Any:
    """What was reserved; None when the server died before it answered."""
    try:
        answer = client.post("/spaces/S/blocks/B/reservations", {"size": 24})
    except (OSError, http.client.HTTPException):  # the connection was cut, perhaps in the middle of an answer
        return None
    return answer.json if answer.status == 201 else answer.status


def test_it_ends_in_good_order_and_begins_where_it_was(start: Callable[[str], Process], tmp_path: Path) -> None:
    database = str(tmp_path / "register.db")
    first = start(database)
    prepare(first.client)
    made = reserve(first.client)
    assert first.end() == 0
    again = start(database)
    assert again.client.get("/spaces/S/reservations").json == [made]
    assert again.end(signal.SIGINT) == 0


def test_what_was_answered_survives_a_kill(start: Callable[[str], Process], tmp_path: Path) -> None:
    database = str(tmp_path / "register.db")
    server = start(database)
    prepare(server.client)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(reserve, server.client) for _ in range(60)]
        while sum(future.done() for future in asked) < 10:
            time.sleep(0.001)
        server.end(signal.SIGKILL)
        answered = [f.result()["cidr"] for f in asked if f.result()]
    assert len(answered) >= 10
    kept = [r["cidr"] for r in start(database).client.get("/spaces/S/reservations").json]
    assert set(answered) <= set(kept)
    assert len(set(kept)) == len(kept)
    store = open_store(database)
    assert store.check() == []
    store.close()


@pytest.mark.real
@needs_postgres
def test_two_servers_on_one_database_and_one_of_them_killed(start: Callable[[str], Process]) -> None:
    database = shared().create()
    one, other = start(database), start(database)
    prepare(one.client)
    with ThreadPoolExecutor(50) as pool:
        asked = [pool.submit(reserve, (one if n % 2 else other).client) for n in range(50)]
        made = [future.result()["cidr"] for future in asked]
        assert sorted(made) == sorted(f"10.0.{n}.0/24" for n in range(50))
        more = [pool.submit(reserve, (one if n % 2 else other).client) for n in range(100)]
        while sum(future.done() for future in more) < 20:
            time.sleep(0.001)
        one.end(signal.SIGKILL)
        answered = [f.result()["cidr"] for f in more if f.result()]
    assert reserve(other.client)["cidr"]  # nobody is held up by the dead
    kept = [r["cidr"] for r in other.client.get("/spaces/S/reservations").json]
    assert set(made + answered) <= set(kept)
    assert len(set(kept)) == len(kept)
    store = open_store(database)
    assert store.check() == []
    with store.reading() as tx:
        creations = [(e.first, e.last) for e in tx.entries(9e12) if e.verb == "create" and e.parent > 1]
    assert len(set(creations)) == len(creations)  # the journal tells the same: nothing was handed out twice
    assert Plan(store).read(lambda tx: len(tx.spaces())) == 1
    store.close()


def cli(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [UNIPAM, *args],
        env=clean_environment() | env,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_a_plan_is_built_by_commands_alone(start: Callable[[str], Process], tmp_path: Path) -> None:
    server = start(str(tmp_path / "register.db"))
    env = {"UNIPAM_SERVER": f"http://127.0.0.1:{server.port}", "UNIPAM_TOKEN_FILE": str(server.token_file)}
    for command in (
        ["space", "add", "prod", "--desc", "Production"],
        ["block", "add", "prod", "west", "10.0.0.0/8"],
        ["block", "add", "prod", "aks", "10.8.0.0/16", "--parent", "west", "--reason", "ticket 7"],
        ["reservation", "add", "prod", "aks", "--size", "24", "--desc", "cluster one"],
        ["register", "token", "add", "ci", "--role", "planner", "--space", "prod"],
    ):
        done = cli(*command, **env)
        assert done.returncode == 0, done.stderr
    rows = items(cli("reservation", "list", "prod", "-o", "json", **env).stdout)
    assert [(r["cidr"], r["desc"]) for r in rows] == [("10.8.0.0/24", "cluster one")]
    assert "└─ 10.8.0.0/24  reservation" in cli("plan", "tree", **env).stdout
    assert "ticket 7" in cli("plan", "history", **env).stdout
    taken = cli("reservation", "add", "prod", "aks", "--prefix", "10.8.0.0/25", **env)
    assert (taken.returncode, taken.stdout) == (1, "")
    assert "overlaps the reservation" in taken.stderr
    assert "Traceback" not in taken.stderr
    copy = tmp_path / "copy.db"
    assert cli("register", "backup", "--database", str(tmp_path / "register.db"), str(copy)).returncode == 0
    assert (
        cli("space", "list", "-o", "json", "--database", str(copy)).stdout
        == cli("space", "list", "-o", "json", **env).stdout
    )
    wrong = cli("space", "list", UNIPAM_SERVER=env["UNIPAM_SERVER"], UNIPAM_TOKEN="wrong")
    assert wrong.returncode == 1
    assert "Error:" in wrong.stderr
    nobody = cli("space", "list", UNIPAM_SERVER="http://127.0.0.1:1", UNIPAM_TOKEN="x")
    assert "no answer from http://127.0.0.1:1" in nobody.stderr
    assert cli("space", "list").returncode == 2
