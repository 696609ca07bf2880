"""Kept snapshots: one look at a time, no look within a pause, the last one after a failure, each person's own view."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from tests.clock import Clock
from tests.plan.clouds import MemoryCloud

from unipam.model.cloud import Endpoint, Snapshot
from unipam.model.errors import SourceFailed
from unipam.plan.cloud.cache import LONGEST_PAUSE, MOST_PEOPLE, PAUSE, VISIBLE_FOR, CachedCloud


class Source:
    """Counts the looks, and fails when told to; what it is given as the last snapshot is remembered."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.memory = MemoryCloud()
        self.failure: SourceFailed | None = None
        self.looks = 0
        self.given: list[Snapshot] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def look(self, previous: Snapshot) -> Snapshot:
        self.looks += 1
        self.given.append(previous)
        taken = self.clock()
        self.meanwhile()
        if self.failure:
            raise self.failure
        return self.memory.snapshot()._replace(taken=taken)

    def look_as(self, credential: str, previous: Snapshot) -> Snapshot:
        self.look(previous)
        return self.memory.visible_to(credential)._replace(taken=self.clock())


@pytest.fixture
def source(clock: Clock) -> Source:
    return Source(clock)


@pytest.fixture
def cloud(source: Source, clock: Clock) -> CachedCloud:
    return CachedCloud(source.look, source.look_as, clock=clock)


def test_the_first_to_ask_waits_for_a_look_and_the_next_does_not(cloud: CachedCloud, source: Source) -> None:
    assert cloud.snapshot().taken == source.clock.now
    source.clock.now += 3600
    assert cloud.snapshot().taken == source.clock.now - 3600
    assert source.looks == 1


def test_who_needs_a_newer_one_gets_it(cloud: CachedCloud, source: Source) -> None:
    first = cloud.snapshot()
    source.memory.put("v1", "10.0.0.0/16")
    source.clock.now += 10
    second = cloud.snapshot(newer_than=source.clock.now - 5)
    assert (len(first.networks), len(second.networks), second.taken) == (0, 1, source.clock.now)
    assert cloud.snapshot(newer_than=source.clock.now - 5) is second
    assert source.given == [Snapshot(), first], "a look gets the last snapshot, to carry over what it cannot read"


def test_many_who_ask_at_once_share_one_look(cloud: CachedCloud, source: Source) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def meanwhile() -> None:
        begun.set()
        assert go_on.wait(30)

    source.meanwhile = meanwhile
    answers: list[Snapshot] = []
    threads = [threading.Thread(target=lambda: answers.append(cloud.snapshot())) for _ in range(20)]
    for thread in threads:
        thread.start()
    assert begun.wait(30)
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert (len(answers), source.looks) == (20, 1)


def test_nobody_who_needs_no_newer_one_waits_for_a_look(cloud: CachedCloud, source: Source) -> None:
    cloud.snapshot()
    begun, go_on = threading.Event(), threading.Event()

    def meanwhile() -> None:
        begun.set()
        assert go_on.wait(30)

    source.meanwhile = meanwhile
    source.clock.now += 60
    thread = threading.Thread(target=lambda: cloud.snapshot(newer_than=source.clock.now - 1))
    thread.start()
    assert begun.wait(30)
    assert cloud.snapshot().taken == source.clock.now - 60, "this would not return before the look is over"
    go_on.set()
    thread.join(30)


def test_nothing_ever_seen_is_an_error(cloud: CachedCloud, source: Source) -> None:
    source.failure = SourceFailed("no token")
    with pytest.raises(SourceFailed, match="no token"):
        cloud.snapshot()
    with pytest.raises(SourceFailed, match="no token"):
        cloud.snapshot()
    assert source.looks == 1, "it was asked again within the pause"
    source.clock.now += PAUSE
    source.failure = None
    assert cloud.snapshot().taken == source.clock.now


def test_after_a_failure_the_last_one_serves_and_says_so(cloud: CachedCloud, source: Source) -> None:
    first = cloud.snapshot()
    source.failure = SourceFailed("throttled", retry_after=120.0)
    source.clock.now += 60
    old = cloud.snapshot(newer_than=source.clock.now - 1)
    assert (old.taken, old.problems) == (first.taken, ("not renewed: throttled",))
    assert cloud.snapshot() == old, "whoever does not care how old it is is told too"


def test_a_told_pause_is_kept(cloud: CachedCloud, source: Source) -> None:
    cloud.snapshot()
    source.failure = SourceFailed("throttled", retry_after=120.0)
    source.clock.now += 60
    cloud.snapshot(newer_than=source.clock.now)
    source.failure = None
    source.clock.now += 119
    cloud.snapshot(newer_than=source.clock.now)
    assert source.looks == 2
    source.clock.now += 1
    assert cloud.snapshot(newer_than=source.clock.now).problems == ()
    assert source.looks == 3


def test_pauses_grow_while_it_keeps_failing(cloud: CachedCloud, source: Source) -> None:
    source.failure = SourceFailed("down")
    pauses = []
    for looks in range(1, 8):
        begin = source.clock.now
        while source.looks < looks:
            with pytest.raises(SourceFailed):
                cloud.snapshot()
            source.clock.now += 1
        pauses.append(source.clock.now - begin)
    assert pauses[1:5] == [PAUSE, 2 * PAUSE, 4 * PAUSE, 8 * PAUSE]
    assert max(pauses) == LONGEST_PAUSE


def test_everybody_sees_what_is_theirs(cloud: CachedCloud, source: Source) -> None:
    source.memory.put("v1", "10.0.0.0/16")
    source.memory.may_see("bob", source.memory.subscriptions[0].id)
    assert [n.name for n in cloud.visible_to("bob").networks.values()] == ["v1"]
    assert dict(cloud.visible_to("eve").networks) == {}
    assert source.looks == 2


def test_a_view_is_kept_for_a_short_while_only(cloud: CachedCloud, source: Source) -> None:
    subscription = source.memory.subscriptions[0].id
    source.memory.put("v1", "10.0.0.0/16")
    source.memory.may_see("bob", subscription)
    cloud.visible_to("bob")
    source.memory.may_see("bob")
    source.clock.now += VISIBLE_FOR - 1
    assert len(cloud.visible_to("bob").networks) == 1
    source.clock.now += 1
    assert len(cloud.visible_to("bob").networks) == 0


@pytest.mark.parametrize("set_by", [-3600, 3600])
def test_how_old_a_view_is_does_not_depend_on_the_time_of_day(source: Source, clock: Clock, set_by: int) -> None:
    def look_as(credential: str, previous: Snapshot) -> Snapshot:
        return source.look(previous)._replace(taken=clock.now + set_by)

    cloud = CachedCloud(source.look, look_as, clock=clock)
    cloud.visible_to("bob")
    clock.now += VISIBLE_FOR - 1
    cloud.visible_to("bob")
    assert source.looks == 1
    clock.now += 1
    cloud.visible_to("bob")
    assert source.looks == 2


def test_a_view_is_renewed_for_whoever_needs_a_newer_one(cloud: CachedCloud, source: Source) -> None:
    source.memory.may_see("bob", source.memory.subscriptions[0].id)
    cloud.visible_to("bob")
    source.memory.put("v1", "10.0.0.0/16")  # made just now: no reason to wait until the view is old
    source.clock.now += 1
    assert len(cloud.visible_to("bob").networks) == 0
    assert len(cloud.visible_to("bob", newer_than=source.clock.now).networks) == 1


def test_an_old_view_is_not_shown_when_a_new_one_cannot_be_had(cloud: CachedCloud, source: Source) -> None:
    cloud.visible_to("bob")
    source.clock.now += VISIBLE_FOR
    source.failure = SourceFailed("AADSTS500133: the token is over", source="entra")
    with pytest.raises(SourceFailed, match="AADSTS500133"):
        cloud.visible_to("bob")
    source.failure = None
    assert cloud.visible_to("eve").taken == source.clock.now, "one person's failure is not another's"


def test_views_do_not_pile_up(cloud: CachedCloud, source: Source) -> None:
    for number in range(MOST_PEOPLE + 1):
        cloud.visible_to(f"person {number}")
    cloud.visible_to("person 1")
    assert source.looks == MOST_PEOPLE + 1
    cloud.visible_to("person 0")
    assert source.looks == MOST_PEOPLE + 2


def test_views_are_made_of_the_records_that_are_there_already(cloud: CachedCloud, source: Source) -> None:
    source.memory.put("v1", "10.0.0.0/16")
    source.memory.endpoints.append(
        Endpoint("vm", "/vm", "vm", "10.0.0.4", "rg", source.memory.subscriptions[0].id, "t")
    )
    own = cloud.snapshot()
    source.memory.put("v1", "10.0.0.0/16")  # an equal record, made anew
    source.memory.endpoints[:] = [source.memory.endpoints[0]._replace(name="vm")]
    source.memory.may_see("bob", source.memory.subscriptions[0].id)
    view = cloud.visible_to("bob")
    assert [a is b for a, b in zip(own.networks.values(), view.networks.values(), strict=True)] == [True]
    assert view.endpoints[0] is own.endpoints[0]
    source.memory.put("v1", "10.9.0.0/16")
    source.clock.now += VISIBLE_FOR
    assert cloud.visible_to("bob").networks != own.networks, "what is different is not taken for the same"


def test_it_is_kept_fresh_in_the_background(source: Source, clock: Clock) -> None:
    looked = threading.Semaphore(0)

    def meanwhile() -> None:
        looked.release()
        clock.now += 1

    source.meanwhile = meanwhile
    with_background = CachedCloud(source.look, source.look_as, every=0.001, clock=clock).start()
    try:
        assert looked.acquire(timeout=30)
        assert looked.acquire(timeout=30)
        source.failure = SourceFailed("down")
        assert looked.acquire(timeout=30)
    finally:
        with_background.close()
    looks = source.looks
    assert with_background.snapshot().taken > 0
    assert source.looks == looks


def test_who_is_asked_is_told_when_it_is_over(source: Source) -> None:
    done: list[bool] = []
    CachedCloud(source.look, source.look_as, done=lambda: done.append(True)).close()
    assert done == [True]


def test_a_fault_of_ours_does_not_end_the_background(
    source: Source, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    looked = threading.Semaphore(0)

    def fail() -> None:
        looked.release()
        raise RuntimeError("a bug")

    source.meanwhile = fail
    with_background = CachedCloud(source.look, source.look_as, every=0.001, clock=clock).start()
    try:
        assert looked.acquire(timeout=30)
        assert looked.acquire(timeout=30)
    finally:
        with_background.close()
    assert "a bug" in caplog.text
