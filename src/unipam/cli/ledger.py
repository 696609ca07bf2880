"""Opening the ledger that a command speaks of, and its rows as commands show them."""

from __future__ import annotations

import os

import click

from unipam.cli.output import when
from unipam.ledger.ledger import Ledger
from unipam.ledger.open import FILE, Ledgers
from unipam.ledger.reads import Lease, Past


def command_ledgers() -> Ledgers:
    """Return ledgers that are let go of when the command ends."""
    opened = Ledgers()
    click.get_current_context().call_on_close(opened.close_all)
    return opened


def open_ledger(data_dir: str) -> Ledger:
    """Open the ledger in a data directory; raise a usage error that names the way out when there is none."""
    found = command_ledgers().find(os.path.abspath(data_dir))
    if found is None:
        raise click.ClickException(
            f"there is no ledger at {data_dir}/{FILE}: name another with --data-dir, or wait for the first ADD"
        )
    return found


def lease_row(lease: Lease) -> dict[str, object]:
    """Return a lease for people and machines."""
    return {**lease._asdict(), "since": when(lease.since), "until": when(lease.until)}


LEASE_COLUMNS = ("network", "address", "container", "interface", "pod", "state", "since")
"""What a table of leases shows."""

PAST_COLUMNS = ("at", "verb", "network", "address", "pod", "container", "interface", "reason")
"""What a table of the past shows."""


def past_row(past: Past) -> dict[str, object]:
    """Return a journal entry for people and machines."""
    return {**past._asdict(), "at": when(past.at)}
