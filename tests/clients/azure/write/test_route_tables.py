"""Route tables as a whole: what is sent back."""

from __future__ import annotations

from tests.clients.azure.conftest import SetClock, carry_out
from tests.fakes.azure import FakeAzure, resource_id

from unipam.clients.azure.arm import Arm
from unipam.clients.azure.write import route_tables

ROUTE = {"name": "a", "properties": {"addressPrefix": "10.244.0.0/24", "nextHopType": "VnetLocal"}}


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
