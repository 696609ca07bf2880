"""The comparison of plan and cloud, which several threads want at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from unipam.model.cloud import Snapshot
from unipam.server import comparison
from unipam.server.comparison import Comparison

HANGS = 30.0


class Asked:
    """Stands for a transaction: tells when it was asked for the journal's last entry."""

    def __init__(self) -> None:
        self.begun = threading.Event()

    def last_entry(self) -> int:
        self.begun.set()
        return 7


def test_who_asks_meanwhile_waits_for_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Asked(), Asked()
    compared: list[object] = []
    under_way = threading.Event()

    def findings(*_: object) -> list[Any]:
        compared.append(None)
        under_way.set()
        assert second.begun.wait(HANGS)
        return []

    monkeypatch.setattr(comparison, "planned", lambda _: ())
    monkeypatch.setattr(comparison, "findings", findings)
    snapshot, one = Snapshot(), Comparison()
    with ThreadPoolExecutor(2) as threads:
        early = threads.submit(one.of, first, snapshot)  # type: ignore[arg-type]
        assert under_way.wait(HANGS)
        late = threads.submit(one.of, second, snapshot)  # type: ignore[arg-type]
        assert early.result(HANGS) == late.result(HANGS)
    assert len(compared) == 1
