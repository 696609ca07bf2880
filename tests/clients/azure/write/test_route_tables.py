"""Route tables as a whole: what is sent back."""

from __future__ import annotations

import pytest
from tests.clients.azure.conftest import SetClock, carry_out
from tests.fakes.azure import FakeAzure, resource_id

from unipam.clients.azure.arm import Answer, Arm
from unipam.clients.azure.write import route_tables
from unipam.clients.azure.write.jobs import Ask, Pause
from unipam.model.errors import SourceFailed

ROUTE = {"name": "a", "properties": {"addressPrefix": "10.244.0.0/24", "nextHopType": "VnetLocal"}}
LOOK = Ask(path="/t", version=route_tables.VERSION)


def test_a_table_that_somebody_else_was_writing_when_it_was_read(arm: Arm, fake: FakeAzure, clock: SetClock) -> None:
    """Its state is theirs, and another one by now: Azure lets nobody set it."""
    table = resource_id(fake.subscribe(), "Microsoft.Network/routeTables/rt")
    fake.arm.put(table, {"routes": [], "provisioningState": "Updating", "disableBgpRoutePropagation": True})
    before = carry_out(arm, route_tables.read(table), clock)
    assert before is not None
    fake.arm.raw(table)["properties"]["provisioningState"] = "Succeeded"
    after = carry_out(arm, route_tables.replace(table, before, [ROUTE]), clock)
    assert [each["name"] for each in after.routes] == ["a"]
    assert after.document["properties"]["disableBgpRoutePropagation"] is True


@pytest.mark.parametrize("made", [False, True])
def test_a_table_is_read_back_until_it_is_shown_as_it_was_written(*, made: bool) -> None:
    """For a moment a reader sees none yet, or the version before."""
    job = route_tables.replace("/t", route_tables.Table({}, "" if made else "1"), [ROUTE])
    assert isinstance(put := next(job), Ask)
    assert put.method == "PUT"
    assert job.send(Answer(200, b'{"properties": {"provisioningState": "Succeeded"}}', {}, "PUT /t")) == LOOK
    if made:
        paused = job.throw(SourceFailed("there is none", status=404))
    else:
        paused = job.send(Answer(200, b'{"etag": "1"}', {}, "GET /t"))
    assert isinstance(paused, Pause)
    assert next(job) == LOOK
    with pytest.raises(StopIteration) as ended:
        job.send(Answer(200, b'{"etag": "2"}', {}, "GET /t"))
    assert ended.value.value.etag == "2"
