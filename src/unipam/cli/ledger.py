"""Opening the ledger that a command speaks of, and its rows as commands show them."""

from __future__ import annotations

import os

import click

from unipam.cli.output import when
from unipam.ledger.ledger import Ledger
from unipam.ledger.open import FILE, Ledgers
from unipam.ledger.reads import Lease
from unipam.model.records import Entry, prefix_text


def open_ledger(data_dir: str) -> Ledger:
    """The ledger in a data directory; a usage error that names the way out when there is none."""
    found = Ledgers().find(os.path.abspath(data_dir))
    if found is None:
        raise click.ClickException(
            f"there is no ledger at {data_dir}/{FILE}: name another with --data-dir, or wait for the first ADD"
        )
    return found


def lease_row(lease: Lease) -> dict[str, object]:
    """A lease for people and machines."""
    return {**lease._asdict(), "since": when(lease.since), "until": when(lease.until)}


LEASE_COLUMNS = ("network", "address", "container", "interface", "pod", "state", "since")
"""What a table of leases shows."""

ENTRY_COLUMNS = ("at", "verb", "network", "address", "container", "interface", "reason")
"""What a table of journal entries shows."""


def entry_row(entry: Entry, spaces: dict[int, str]) -> dict[str, object]:
    """A journal entry for people and machines."""
    return {
        "number": entry.id,
        "at": when(entry.at),
        "verb": entry.verb,
        "network": spaces.get(entry.parent, f"(gone: {entry.parent})"),
        "address": prefix_text(entry.first, entry.last),
        "container": entry.owner.holder,
        "interface": entry.owner.interface,
        "generation": entry.generation or entry.id,
        "actor": entry.actor,
        "reason": entry.reason,
    }
