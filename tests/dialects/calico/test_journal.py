"""The node's ledger hears of what an agent does, and stands in nobody's way."""

from __future__ import annotations

from pathlib import Path

from unipam.addr.prefix import parse_address
from unipam.dialects.calico.journal import Journal
from unipam.ledger import reads
from unipam.ledger.noted import Gained, Lost
from unipam.ledger.open import Ledgers
from unipam.model.records import Owner

A = parse_address("10.0.0.1")


def test_all_that_happened_is_noted_in_order(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path))
    for number in range(300):
        journal.note("net", Gained(Owner(f"c{number}"), (A,)))
        journal.note("net", Lost((A,), "DEL"))
    journal.close()
    ledger = Ledgers().at(str(tmp_path))
    past = reads.history(ledger, "10.0.0.1", 1000)
    assert [(each.verb, each.container) for each in reversed(past)] == [
        (verb, f"c{number}") for number in range(300) for verb in ("allocate", "release")
    ]
    ledger.store.close()


def test_a_ledger_that_cannot_be_written_costs_history_only(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    journal = Journal(str(tmp_path / "home"))
    journal.note("net", Gained(Owner("c"), (A,)))
    journal.close()
    assert (tmp_path / "home").read_text() == "a file"
