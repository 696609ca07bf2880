"""Who asks next: by need, to the end, never before the time that Azure named."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from tests.fakes.azure_http import Refused
from tests.fakes.simulated import SimulatedAzure, World

from unipam.clients.azure.arm import Answer
from unipam.clients.azure.write.budget import Budget
from unipam.clients.azure.write.dispatcher import Dispatcher
from unipam.clients.azure.write.jobs import WRITTEN, Ask, Job
from unipam.clients.azure.write.operations import until_ended
from unipam.model.errors import SourceFailed

GROUP = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network"
VERSION = "2024-05-01"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def azure(world: World) -> SimulatedAzure:
    return SimulatedAzure(world)


@pytest.fixture
def dispatcher(world: World, azure: SimulatedAzure) -> Dispatcher:
    return Dispatcher(azure.send, world, lambda: Budget(1.0, 1))


def written(name: str) -> Job[str]:
    """Read, write, wait, read again: four requests, three of which cost a token."""
    path = f"{GROUP}/networkInterfaces/{name}"
    begun = yield Ask("PUT", path, VERSION, {"properties": {}}, "", WRITTEN)
    yield from until_ended(begun, Ask(path=path, version=VERSION))
    yield Ask(path=path, version=VERSION)
    return name


def finished(dispatcher: Dispatcher, world: World, names: dict[str, float], seconds: float = 600.0) -> list[Any]:
    """Start these with their urgencies; the results in the order in which they came."""
    ends: list[Any] = []
    for name, urgency in names.items():
        dispatcher.start(name, written(name), ends.append, urgency)
    world.run(seconds, dispatcher.step, lambda: len(ends) == len(names))
    return ends


def test_the_neediest_goes_first_and_is_served_to_its_end(dispatcher: Dispatcher, world: World) -> None:
    assert finished(dispatcher, world, {"few": 1.0, "none": 0.0, "many": 5.0}) == ["many", "few", "none"]
    assert (dispatcher.tokens, dispatcher.sent) == (6, 9)


def test_what_waits_and_why_is_visible(dispatcher: Dispatcher, world: World, azure: SimulatedAzure) -> None:
    azure.arm.takes = 60.0
    for name in ("a", "b"):
        dispatcher.start(name, written(name), lambda _: None)
    world.run(0.5, dispatcher.step)
    first, second = dispatcher.waiting()
    assert (first.job, first.why) == ("a", f"PUT {GROUP}/networkInterfaces/a is under way")
    assert (second.job, second.what, second.why) == (
        "b", f"PUT {GROUP}/networkInterfaces/b", "the budget of the subscription",
    )  # fmt: skip
    assert first.until > world.now


def test_a8_retry_after_is_obeyed_by_everybody_and_the_job_hears_nothing(
    dispatcher: Dispatcher, world: World, azure: SimulatedAzure
) -> None:
    """A8, K21: 429 with Retry-After 7: no call before."""
    begin = world.now
    azure.fault = lambda ask: (
        Refused(429, "TooManyRequests", "too many", {"Retry-After": "7"})
        if ask.writes and world.now < begin + 30
        else None
    )
    assert finished(dispatcher, world, {"a": 0.0, "b": 0.0}) == ["a", "b"]
    refused = [call.at - begin for call in azure.calls if call.status == 429]
    gaps = [later - earlier for earlier, later in itertools.pairwise(refused)]
    assert len(refused) == 5
    assert all(gap >= 7.0 for gap in gaps)


def test_a8_after_a_refusal_one_goes_first_and_all_wait_for_what_becomes_of_it(
    world: World, azure: SimulatedAzure
) -> None:
    """A8: twenty at once are refused within a minute as often as one, but for those that were on their way."""
    begin, dispatcher = world.now, Dispatcher(azure.send, world)
    names = {f"n{index}": 0.0 for index in range(20)}
    azure.fault = lambda ask: (
        Refused(429, "TooManyRequests", "too many", {"Retry-After": "5"})
        if ask.writes and world.now < begin + 60
        else None
    )
    assert len(finished(dispatcher, world, names)) == 20
    refused = [call.at - begin for call in azure.calls if call.status == 429]
    assert [each for each in refused if each > 1.0] == pytest.approx([5.05 * n + 0.025 for n in range(1, 12)])
    (first, *_) = [call.at - begin for call in azure.calls if call.ask.writes and call.status != 429]
    others = [call.at - begin for call in azure.calls if call.ask.writes and call.status != 429][1:]
    assert min(others) > first + azure.latency / 2, "not before the first one was answered"


def test_throttled_writes_leave_reads_alone(dispatcher: Dispatcher, world: World, azure: SimulatedAzure) -> None:
    azure.arm.put(f"{GROUP}/networkInterfaces/x", {})
    dispatcher.budget("s").close(world.now + 1000, writes=True)
    got: list[Any] = []

    def read() -> Job[Answer]:
        return (yield Ask(path=f"{GROUP}/networkInterfaces/x", version=VERSION))

    dispatcher.start("write", written("y"), got.append)
    dispatcher.start("read", read(), got.append)
    world.run(60.0, dispatcher.step)
    assert [each.status for each in got] == [200]


def test_a_refusal_reaches_the_job_and_ends_it(dispatcher: Dispatcher, world: World, azure: SimulatedAzure) -> None:
    azure.fault = lambda _: Refused(403, "AuthorizationFailed", "no right")
    (error,) = finished(dispatcher, world, {"a": 0.0})
    assert isinstance(error, SourceFailed)
    assert error.facts["code"] == "AuthorizationFailed"
    assert not dispatcher.busy("a")


def test_one_job_at_a_time_for_a_name(dispatcher: Dispatcher, world: World, azure: SimulatedAzure) -> None:
    ends: list[str] = []
    for _ in range(3):
        dispatcher.start("same", written("n"), ends.append)
    world.run(60.0, dispatcher.step)
    assert ends == ["n"]
    assert len(azure.asked("PUT")) == 1


def test_an_operation_of_five_seconds_costs_at_most_seven(world: World, azure: SimulatedAzure) -> None:
    """Without Retry-After, where the genuine operator looks again after 30 s (spec cilium §9.1)."""
    azure.arm.takes, azure.arm.retry_after = 5.0, "unsaid"
    start = world.now
    dispatcher = Dispatcher(azure.send, world)
    assert finished(dispatcher, world, {"a": 0.0}) == ["a"]
    assert world.now - start <= 7.0


def test_an_answer_that_nobody_expected_ends_its_own_job_alone(
    dispatcher: Dispatcher, world: World, azure: SimulatedAzure
) -> None:
    """Whoever steps is one thread for all controllers: it must not end with one job's defect."""
    ends: list[Any] = []

    def surprised(*, late: bool) -> Job[str]:
        if late:
            yield Ask(path=f"{GROUP}/networkInterfaces/x", version=VERSION)
        return {}["subnet"]  # type: ignore[no-any-return]

    azure.arm.put(f"{GROUP}/networkInterfaces/x", {})
    dispatcher.start("at once", surprised(late=False), ends.append)
    dispatcher.start("late", surprised(late=True), ends.append)
    dispatcher.start("other", written("n"), ends.append)
    world.run(60.0, dispatcher.step)
    assert all(
        str(each).startswith("defect: KeyError('subnet') in surprised (test_dispatcher.py:") for each in ends[:2]
    )
    assert ends[2:] == ["n"]
    assert not any(map(dispatcher.busy, ("at once", "late", "other")))
