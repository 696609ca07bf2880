"""The thread that keeps learned pools fresh: whom it looks at, and what it says of it."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import pytest

from unipam.agent.warm import Warmer
from unipam.cni.context import Context
from unipam.cni.plugin import Learnt
from unipam.dialects import registry
from unipam.dialects.registry import plugin
from unipam.model.errors import StoreBusy


class Watch:
    """Remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def say(self, event: str, **facts: object) -> None:
        self.lines.append((event, facts))


@pytest.fixture
def watch() -> Watch:
    return Watch()


def warmer(watch: Watch, directories: Iterable[str] = ()) -> Warmer:
    return Warmer(lambda: directories, watch)  # type: ignore[arg-type]  # it only says


def test_news_are_told_once(watch: Watch) -> None:
    news = iter(
        [
            [Learnt("s", (("10.0.0.0/24", 3),))],
            [Learnt("s", (("10.0.0.0/24", 3),))],
            [Learnt("s", error="down")],
            [Learnt("s", error="down")],
            [Learnt("s", (("10.0.0.0/24", 4),))],
        ]
    )
    keeping = warmer(watch)
    for _ in range(5):
        keeping.look(lambda *_: next(news), ["/d"])
    place = {"directory": "/d", "space": "s"}
    assert watch.lines == [
        ("pools learned", {**place, "pools": {"10.0.0.0/24": 3}}),
        ("source failed", {**place, "message": "down"}),
        ("pools learned", {**place, "pools": {"10.0.0.0/24": 4}}),
    ]


def test_a_ledger_that_cannot_be_kept_is_named_and_the_others_have_their_turn(watch: Watch) -> None:
    def warm(_: Context, directory: str) -> list[Learnt]:
        if directory == "/a":
            raise StoreBusy("locked")
        return [Learnt("s")]

    warmer(watch).look(warm, ["/b", "/a"])
    assert watch.lines == [
        ("not kept warm", {"directory": "/a", "message": "locked"}),
        ("pools learned", {"directory": "/b", "space": "s", "pools": {}}),
    ]


def test_the_thread_looks_where_it_is_told_and_where_plugins_have_their_ledgers(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    done = threading.Event()
    places = {"/told", "/place"}

    def warm(_: Context, directory: str) -> list[Learnt]:
        seen.append(directory)
        if places <= set(seen):
            done.set()
        return []

    learning, other = plugin("azure-vnet-ipam")._replace(warm=warm, places=("/place",)), plugin("host-local")
    monkeypatch.setattr(registry, "plugin", lambda name: learning if name == "azure-vnet-ipam" else other)
    keeping = warmer(watch, ["/told"])
    keeping.start()
    assert done.wait(20)
    keeping.stop()
    assert set(seen) == places
