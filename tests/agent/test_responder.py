"""What nobody heard of is taken back, also where that does not succeed at once."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from unipam.agent import responder
from unipam.agent.responder import Responder, Waiting
from unipam.cni.call import Answer, Call
from unipam.model.errors import SourceFailed


def answered(undo: Any) -> Answer:
    return Answer(0, undo=undo, facts={"addresses": ["10.0.0.2"]})


@pytest.mark.parametrize(("failures", "done"), [(0, True), (2, True), (9, False)])
def test_an_undo_that_fails_is_tried_again_and_told(failures: int, done: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Responder, "pauses", (0.001, 0.001))
    tries, told, undone = [], [], []

    def undo(_: object) -> None:
        tries.append(1)
        if len(tries) <= failures:
            raise SourceFailed("the datastore is slow")
        undone.append(1)

    mine = Responder(say=lambda event, **facts: told.append((event, facts)))
    mine.undo(answered(undo))
    while len(tries) < min(failures + 1, 3):
        time.sleep(0.001)
    mine.finish()
    assert bool(undone) is done
    assert len(tries) == min(failures + 1, 3)
    assert [(event, facts["error"], facts["addresses"]) for event, facts in told] == [
        ("not undone", "the datastore is slow", ["10.0.0.2"])
    ] * min(failures, 3)


def test_calls_that_wait_at_once_are_answered_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that come while others are being answered wait for these, and for nobody with another configuration."""
    batches: list[list[str]] = []
    busy, go = threading.Event(), threading.Event()

    def together(calls: Sequence[Call], _heard: object, _: object) -> list[tuple[Sequence[int], Any]]:
        names = [each.cwd for each in calls]
        batches.append(names)
        if names == ["first"]:
            busy.set()
            assert go.wait(30)
        own = [number for number, name in enumerate(names) if name != "by itself"]
        return [(own, lambda _: [None if names[n] == "after all" else Answer(0, names[n].encode()) for n in own])]

    monkeypatch.setattr(responder, "together", together)
    monkeypatch.setattr(responder, "answer", lambda call, _: Answer(1, call.cwd.encode()))
    told: queue.Queue[tuple[str, Answer]] = queue.Queue()
    mine = Responder()

    def tell(given: list[tuple[str, Answer]]) -> None:
        for each in given:
            told.put(each)

    def ask(config: bytes, *names: str) -> None:
        mine.patiently([Waiting(name, Call("calico-ipam", {}, config, name)) for name in names], tell)

    ask(b"{}", "first")
    assert busy.wait(30)
    ask(b"{}", "second", "by itself")
    ask(b"[]", "another")
    assert told.get(timeout=30) == ("another", Answer(0, b"another"))
    ask(b"{}", "third", "after all")
    go.set()
    mine.finish()
    answers = dict(told.get(timeout=30) for _ in range(5))
    assert all(given.stdout == name.encode() for name, given in answers.items())
    assert {name: given.code for name, given in answers.items()} == {
        "first": 0, "second": 0, "third": 0, "by itself": 1, "after all": 1,
    }  # fmt: skip
    assert batches[:1] == [["first"]]
    assert ["second", "by itself", "third", "after all"] in batches
    ask(b"{}", "later")
    mine.finish()
    assert told.get(timeout=30)[0] == "later"


def test_an_agent_that_ends_tries_once_more_and_waits_no_longer() -> None:
    tries: list[int] = []

    def undo(_: object) -> None:
        tries.append(1)
        raise SourceFailed("the datastore is away")

    mine = Responder()
    mine.undo(answered(undo))
    while not tries:
        time.sleep(0.001)
    mine.finish()
    assert len(tries) == 2


def test_a_call_for_which_nobody_waits_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    monkeypatch.setattr(responder, "together", lambda calls, _heard, _: begun.extend(each.cwd for each in calls) or [])
    monkeypatch.setattr(responder, "answer", lambda call, context: Answer(0, str(context.heard()).encode()))
    told: queue.Queue[tuple[str, Answer]] = queue.Queue()
    mine = Responder()
    asked = [Waiting(name, Call("p", {}, b"", name), lambda here=name: here == "here") for name in ("gone", "here")]
    mine.patiently(asked, lambda given: [told.put(each) for each in given] and None)  # type: ignore[func-returns-value]
    assert told.get(timeout=30) == ("here", Answer(0, b"True"))
    mine.finish()
    assert (begun, told.qsize()) == (["here"], 0)
