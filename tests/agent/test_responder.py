"""What nobody heard of is taken back, also where that does not succeed at once."""

from __future__ import annotations

import time
from typing import Any

import pytest

from unipam.agent.responder import Responder
from unipam.cni import undoing
from unipam.cni.call import Answer
from unipam.model.errors import SourceFailed


def answered(undo: Any) -> Answer:
    return Answer(0, undo=undo, facts={"addresses": ["10.0.0.2"]})


@pytest.mark.parametrize(("failures", "done"), [(0, True), (2, True), (9, False)])
def test_an_undo_that_fails_is_tried_again_and_told(failures: int, done: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undoing, "PAUSES", (0.001, 0.001))
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
