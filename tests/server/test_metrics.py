"""What a register tells Prometheus: every route by its whole template, and what it can while its database is away."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.real.postgres import cluster, needs_postgres
from tests.server.live import Live, serve


def metrics(live: Live) -> dict[str, float]:
    """The samples of a scrape by name and labels."""
    answer = live.admin.as_("").at("").get("/metrics")
    assert answer.status == 200, answer.body
    lines = [line for line in answer.body.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def answered(method: str, route: str, status: int) -> str:
    return f'unipam_register_requests_total{{method="{method}",route="{route}",status="{status}"}}'


def test_every_route_is_counted_under_its_whole_template(live: Live) -> None:
    live.admin.post("/spaces", {"name": "S", "desc": "d"})
    for _ in range(2):
        live.admin.get("/spaces")
    live.admin.at("/api/v1").get("/spaces")
    live.admin.at("/api/v1").get("/spaces/S/blocks/none")
    live.admin.get("/spaces/S/blocks/none")
    live.admin.get("/nowhere")
    found = metrics(live)
    assert found[answered("GET", "/api/spaces", 200)] == 2
    assert found[answered("GET", "/api/v1/spaces", 200)] == 1
    assert found[answered("GET", "/api/v1/spaces/{space}/blocks/{block}", 404)] == 1
    assert found[answered("GET", "/api/spaces/{space}/blocks/{block}", 400)] == 1
    assert found[answered("GET", "unknown", 404)] == 1
    assert found["unipam_register_up"] == 1
    assert found['unipam_register_objects{kind="space"}'] == 1


def test_what_is_foretold_names_no_block(tmp_path: Path) -> None:
    with serve(str(tmp_path / "register.db"), tmp_path, sample=True) as live:
        found = metrics(live)
    blocks = {name: value for name, value in found.items() if name.startswith("unipam_register_blocks{")}
    assert sum(blocks.values()) == found['unipam_register_objects{kind="block"}'] == 12
    assert blocks['unipam_register_blocks{forecast="dated"}'] >= 1
    early, likely, late = (found[f'unipam_register_days_until_full{{quantile="{each}"}}'] for each in (0.1, 0.5, 0.9))
    assert 0 < early < likely < late < 365


@pytest.mark.real
@needs_postgres
def test_what_needs_no_database_is_told_while_it_is_away(tmp_path: Path) -> None:
    with cluster() as database, serve(database.create(), tmp_path) as live:
        live.admin.post("/spaces", {"name": "S", "desc": "d"})
        assert metrics(live)["unipam_register_up"] == 1
        database.stop("immediate")
        found = metrics(live)
        assert found["unipam_register_up"] == 0
        assert found[answered("POST", "/api/spaces", 201)] == 1
        assert not [name for name in found if name.startswith(("unipam_register_objects", "unipam_register_blocks"))], (
            "nobody knows them now"
        )
        database.start()
        assert metrics(live)['unipam_register_objects{kind="space"}'] == 1
