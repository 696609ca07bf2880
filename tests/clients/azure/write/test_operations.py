"""Writing to Azure: long-running operations, ETags, and that nothing is written twice."""

from __future__ import annotations

from typing import Any

import pytest
from tests.clients.azure.conftest import SetClock, carry_out
from tests.fakes.azure import FakeAzure, resource_id

from unipam.clients.azure.arm import Answer, Arm
from unipam.clients.azure.write.jobs import Ask
from unipam.clients.azure.write.operations import FIRST, GROWTH, patiently, until_ended
from unipam.model.errors import SourceFailed

VERSION = "2024-05-01"
BODY: dict[str, Any] = {"location": "westeurope", "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}}
WRITTEN = (200, 201)


@pytest.fixture
def path(fake: FakeAzure) -> str:
    return resource_id(fake.subscribe(), "Microsoft.Network/virtualNetworks/v0")


def put(arm: Arm, path: str, match: str = "") -> Answer:
    return arm.request("PUT", path, VERSION, body=BODY, match=match, expect=WRITTEN)


def ended(arm: Arm, begun: Answer, path: str, clock: SetClock) -> None:
    carry_out(arm, until_ended(begun, Ask(path=path, version=VERSION)), clock)


def test_a_put_is_followed_to_its_end(arm: Arm, fake: FakeAzure, path: str, clock: SetClock) -> None:
    fake.arm.polls, fake.arm.retry_after = 3, "7"
    begun = put(arm, path)
    assert begun.status == 201
    assert fake.arm.get(path)["properties"]["provisioningState"] == "Updating"  # type: ignore[index]
    ended(arm, begun, path, clock)
    assert fake.arm.get(path)["properties"]["provisioningState"] == "Succeeded"  # type: ignore[index]
    assert clock.slept == [7.0, 7.0, 7.0]


def test_a_removal_is_followed_by_its_location(arm: Arm, fake: FakeAzure, path: str, clock: SetClock) -> None:
    fake.arm.put(path, {})
    begun = arm.request("DELETE", path, VERSION, expect=(202, 204))
    ended(arm, begun, path, clock)
    assert fake.arm.get(path) is None
    assert arm.request("DELETE", path, VERSION, expect=(202, 204)).status == 204


def test_an_operation_without_a_place_to_ask_is_seen_at_the_resource(
    arm: Arm, fake: FakeAzure, path: str, clock: SetClock
) -> None:
    fake.arm.put(path, {"provisioningState": "Updating"})
    looks: list[float] = []

    def ends(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 2:
            fake.arm.put(path, {"provisioningState": "succeeded"})

    clock.sleep = ends  # type: ignore[method-assign]
    ended(arm, arm.request("GET", path, VERSION), path, clock)
    assert looks == [FIRST, FIRST * GROWTH]


def test_an_operation_that_fails_says_why(arm: Arm, fake: FakeAzure, path: str, clock: SetClock) -> None:
    fake.arm.fail_next = ("SubnetIsFull", "Subnet snet is full.")
    begun = put(arm, path)
    with pytest.raises(SourceFailed, match="SubnetIsFull: Subnet snet is full") as caught:
        ended(arm, begun, path, clock)
    assert caught.value.facts["code"] == "SubnetIsFull"


def test_an_operation_that_does_not_end_is_given_up(arm: Arm, fake: FakeAzure, path: str, clock: SetClock) -> None:
    fake.arm.polls, fake.arm.retry_after = 1_000, "60"
    with pytest.raises(SourceFailed, match="has not ended after 1800 s") as caught:
        ended(arm, put(arm, path), path, clock)
    assert caught.value.facts["code"] == "OperationTimeout"


def test_a_write_holds_only_for_the_version_that_was_read(
    arm: Arm, fake: FakeAzure, path: str, clock: SetClock
) -> None:
    fake.arm.put(path, {})
    seen = arm.request("GET", path, VERSION).etag
    ended(arm, put(arm, path, match=seen), path, clock)
    with pytest.raises(SourceFailed) as caught:
        put(arm, path, match=seen)
    assert caught.value.facts["status"] == 412


@pytest.mark.parametrize(("method", "repeat", "times"), [("PUT", False, 1), ("POST", False, 1), ("POST", True, 2)])
def test_only_what_may_be_repeated_is_repeated(
    arm: Arm, fake: FakeAzure, path: str, method: str, repeat: bool, times: int
) -> None:
    fake.say("virtualNetworks", 503, {"error": {"code": "ServerBusy", "message": "later"}}, times=1)
    with pytest.raises(SourceFailed) as caught:  # the fake knows no POST here: 405 is its own answer
        arm.request(method, path, VERSION, body=BODY, repeat=repeat)
    assert caught.value.facts["status"] == (405 if repeat else 503)
    assert [call.method for call in fake.asked("virtualNetworks")] == [method] * times


@pytest.mark.parametrize("header", ["Azure-AsyncOperation", "Location"])
def test_an_operation_elsewhere_is_seen_at_the_resource(
    arm: Arm, fake: FakeAzure, path: str, clock: SetClock, header: str
) -> None:
    """Azure has named a host of its network provider's own (the ARM fixtures' README): the token is not sent there."""
    fake.arm.put(path, {"provisioningState": "Updating"})
    begun = Answer(202, b"", {header: "https://westeurope.network.azure.example/operations/1"}, "PUT")
    clock.sleep = lambda _: fake.arm.put(path, {}) and None  # type: ignore[method-assign]
    ended(arm, begun, path, clock)
    assert [call.method for call in fake.asked("virtualNetworks")] == ["GET"]


def test_the_operation_of_somebody_else_elsewhere_is_seen_at_the_resource(
    arm: Arm, fake: FakeAzure, path: str, clock: SetClock
) -> None:
    link = "https://westeurope.network.azure.example/subscriptions/s/operations/1"
    message = f"Another operation is in progress, see {link}"
    fake.say("virtualNetworks", 429, {"error": {"code": "AnotherOperationInProgress", "message": message}})
    fake.arm.put(path, {})
    carry_out(arm, patiently(Ask("PUT", path, VERSION, BODY, "", WRITTEN)), clock)
    assert [call.method for call in fake.asked("virtualNetworks")] == ["PUT", "GET", "PUT"]


def test_a_write_waits_for_the_operation_in_its_way(arm: Arm, fake: FakeAzure, path: str, clock: SetClock) -> None:
    fake.arm.polls, fake.arm.retry_after = 3, "7"
    put(arm, path)
    carry_out(arm, patiently(Ask("PUT", path, VERSION, BODY, "", WRITTEN)), clock)
    polls = [call for call in fake.calls if "/operations/" in call.path]
    assert len(polls) == 3, "it asked how the other operation goes, instead of trying again and again"
    assert [call.method for call in fake.asked("virtualNetworks")].count("PUT") == 3


def test_a_look_that_fails_is_no_failed_operation(arm: Arm, fake: FakeAzure, path: str, clock: SetClock) -> None:
    begun = put(arm, path)
    fake.say("/operations/", 503, {"error": {"code": "ServerBusy", "message": "later"}}, times=2)
    ended(arm, begun, path, clock)
    assert fake.arm.get(path)["properties"]["provisioningState"] == "Succeeded"  # type: ignore[index]


def test_an_operation_that_nobody_knows_any_more_has_failed(
    arm: Arm, fake: FakeAzure, path: str, clock: SetClock
) -> None:
    begun = put(arm, path)
    fake.say("/operations/", 404, {"error": {"code": "OperationNotFound", "message": "gone"}})
    with pytest.raises(SourceFailed, match="OperationNotFound"):
        ended(arm, begun, path, clock)
