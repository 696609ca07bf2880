"""Resource Graph's client: every row, in any form, at the pace that the service sets."""

from __future__ import annotations

import msgspec
import pytest
from tests.clients.azure.conftest import SetClock
from tests.fakes.azure import FakeAzure

from unipam.clients.azure.arm import Arm
from unipam.clients.azure.pace import seconds
from unipam.clients.azure.read import graph
from unipam.clients.azure.read.queries import SUBNETS, VNETS, SubnetRow, VnetRow
from unipam.model.errors import SourceFailed


@pytest.fixture
def subscription(fake: FakeAzure) -> str:
    """A subscription with seven virtual networks."""
    made = fake.subscribe()
    for number in range(7):
        fake.vnet(made, f"v{number}", f"10.{number}.0.0/16")
    return made


def names(arm: Arm, *subscriptions: str) -> list[str]:
    return [row.name for row in graph.rows(arm, VNETS, subscriptions, list[VnetRow])]


SEVEN = [f"v{number}" for number in range(7)]


@pytest.mark.parametrize("page", [1, 3, 7, 1000])
@pytest.mark.parametrize("as_table", [False, True])
def test_every_row_of_every_page(arm: Arm, fake: FakeAzure, subscription: str, page: int, as_table: bool) -> None:
    fake.graph.page, fake.graph.as_table = page, as_table
    assert names(arm, subscription) == SEVEN
    assert len(fake.asked("resourcegraph")) == -(-7 // page)


def test_more_rows_than_the_service_gives_at_once(arm: Arm, fake: FakeAzure) -> None:
    made = fake.subscribe()
    subnets = {f"s{number:04}": f"10.{number // 256}.{number % 256}.0/24" for number in range(1900)}
    fake.vnet(made, "large", "10.0.0.0/8", subnets=subnets)
    rows = graph.rows(arm, SUBNETS, [made], list[SubnetRow])
    assert [row.name for row in rows] == sorted(subnets)
    assert len(fake.asked("resourcegraph")) == 2


def test_the_first_question_asks_for_objects_and_full_pages(arm: Arm, fake: FakeAzure, subscription: str) -> None:
    names(arm, subscription)
    asked = fake.asked("resourcegraph")[0].json
    assert asked["options"] == {"$top": 1000, "resultFormat": "objectArray"}
    assert asked["subscriptions"] == [subscription]


def test_the_same_page_again_and_again_is_an_error(arm: Arm, fake: FakeAzure, subscription: str) -> None:
    page = {"data": [], "count": 0, "totalRecords": 9, "$skipToken": "same", "resultTruncated": "false"}
    fake.say("resourcegraph", 200, page, times=100)
    with pytest.raises(SourceFailed, match="the same one again"):
        names(arm, subscription)
    assert len(fake.calls) == 2


def test_the_token_counts_and_not_what_is_said_of_truncation(arm: Arm, fake: FakeAzure, subscription: str) -> None:
    row = {"id": "/a", "name": "a", "resource_group": "", "subscription": "", "tenant": ""}
    fake.say("resourcegraph", 200, {"data": [row], "resultTruncated": "true"})
    assert names(arm, subscription) == ["a"]


@pytest.mark.parametrize("tells_when", [True, False])
def test_a_used_up_quota_is_waited_for(
    arm: Arm, fake: FakeAzure, subscription: str, clock: SetClock, tells_when: bool
) -> None:
    fake.graph.quota, fake.graph.clock, fake.graph.tells_when = 3, clock, tells_when
    fake.graph.page = 1
    assert names(arm, subscription) == SEVEN
    refused = len(fake.asked("resourcegraph")) - 7
    assert refused == 0, "the answers said beforehand that there would be no more"
    assert sum(clock.slept) == pytest.approx(10)


@pytest.mark.parametrize("tells_when", [True, False])
def test_a_quota_that_others_used_up_is_waited_for(
    arm: Arm, fake: FakeAzure, subscription: str, clock: SetClock, tells_when: bool
) -> None:
    fake.graph.quota, fake.graph.clock, fake.graph.tells_when = 1, clock, tells_when
    headers = {"x-ms-user-quota-remaining": "0", "x-ms-user-quota-resets-after": "00:00:07"}
    told = headers | ({"Retry-After": "7"} if tells_when else {})
    fake.say("resourcegraph", 429, {"error": {"code": "RateLimiting", "message": "m"}}, headers=told)
    assert names(arm, subscription) == SEVEN
    assert clock.slept == [7]


def test_what_is_stale_is_stale_until_it_has_caught_up(arm: Arm, fake: FakeAzure, subscription: str) -> None:
    fake.arm.stale = True
    fake.arm.drop(fake.vnet_id(subscription, "v0"))
    fake.vnet(subscription, "v9", "10.9.0.0/16")
    assert names(arm, subscription) == SEVEN
    fake.arm.catch_up()
    assert names(arm, subscription) == [*SEVEN[1:], "v9"]


def test_a_query_that_is_wrong_says_so(arm: Arm, subscription: str) -> None:
    with pytest.raises(SourceFailed, match="InvalidQuery"):
        graph.rows(arm, "resources\n| fly away", [subscription], list[VnetRow])


def test_columns_that_are_missing_are_named(arm: Arm, subscription: str) -> None:
    class Needs(msgspec.Struct):
        colour: str

    with pytest.raises(SourceFailed, match="colour"):
        graph.rows(arm, VNETS, [subscription], list[Needs])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0), ("17", 17), ("0.5", 0.5), ("00:00:03", 3), ("01:02:03", 3723),
        ("", None), ("soon", None), ("-1", None), ("1:2", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ],
)  # fmt: skip
def test_pauses_as_the_services_write_them(text: str, expected: float | None) -> None:
    assert seconds(text) == expected
