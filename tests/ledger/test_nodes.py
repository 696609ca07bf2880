"""Which node an entry was made on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from unipam.ledger import nodes, reads
from unipam.ledger.ledger import Ledger
from unipam.ledger.open import Ledgers
from unipam.model.records import Entry, Owner


@pytest.fixture(autouse=True)
def nobody_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(nodes.VARIABLE, raising=False)


def happen(ledger: Ledger) -> None:
    with ledger.store.transaction() as tx:
        tx.record(Entry(1.0, "release", 1, 0, 0, Owner("c1"), 0))


def past(ledger: Ledger) -> list[str]:
    """The nodes of all entries, oldest first."""
    return [each.node for each in reads.history(ledger, "c1")][::-1]


def test_every_entry_says_on_which_node_it_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    happen(Ledgers().at(str(tmp_path)))
    for name in ("node-a", "node-a", "node-b"):
        monkeypatch.setenv(nodes.VARIABLE, name)
        happen(Ledgers().at(str(tmp_path)))
    monkeypatch.delenv(nodes.VARIABLE)
    happen(Ledgers().at(str(tmp_path)))
    ledger = Ledgers().at(str(tmp_path))
    assert past(ledger) == [os.uname().nodename, "node-a", "node-a", "node-b", "node-b"]
    with ledger.store.reading() as tx:
        assert len(nodes.recall(tx).names) == 3, "a name is noted once, not at every start"


def test_what_is_older_than_any_name_goes_by_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledgers().at(str(tmp_path))
    happen(ledger)
    with ledger.store.transaction() as tx:
        tx.drop_note("nodes")
    assert past(ledger) == [""]
    monkeypatch.setenv(nodes.VARIABLE, "node-a")
    assert past(Ledgers().at(str(tmp_path))) == ["node-a"]
