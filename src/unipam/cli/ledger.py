"""Opening the ledger that a command speaks of, and its rows as commands show them."""

from __future__ import annotations

import os

import click

from unipam.cli.output import when
from unipam.cli.progress import detail
from unipam.cli.table import View, age, column, ident, moment, number
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
    found = find_ledger(data_dir)
    if found is None:
        raise no_ledger(data_dir)
    return found


def find_ledger(data_dir: str) -> Ledger | None:
    """Open the ledger in a data directory, if there is one."""
    place = os.path.abspath(data_dir)
    detail(f"looking for a ledger at {place}/{FILE}")
    return command_ledgers().find(place)


def no_ledger(data_dir: str) -> click.ClickException:
    """Return the error that there is no ledger, with the way out."""
    return click.ClickException(
        f"there is no ledger at {data_dir}/{FILE}: name another with --data-dir, or wait for the first ADD"
    )


def lease_row(lease: Lease) -> dict[str, object]:
    """Return a lease for people and machines."""
    return {**lease._asdict(), "since": when(lease.since), "until": when(lease.until)}


LEASES = View(
    "lease",
    (
        column("address"),
        column("pod"),
        column("state"),
        age("since"),
        ident("container"),
        column("network"),
        column("interface", wide=True),
        moment("since"),
        moment("until"),
        column("netns", wide=True),
        number("generation", wide=True),
    ),
    name="address",
    within=("network",),
)
"""Leases, what matters first: a line too long for a terminal loses its end from sight."""

PAST = View(
    "journal-entry",
    (
        age("at"),
        column("verb"),
        column("address"),
        column("pod"),
        column("reason"),
        ident("container"),
        column("network"),
        column("interface", wide=True),
        moment("at"),
        column("node", wide=True),
        column("actor", wide=True),
        number("number", wide=True),
    ),
    name="number",
)
"""The past of leases."""


def past_row(past: Past) -> dict[str, object]:
    """Return a journal entry for people and machines."""
    return {**past._asdict(), "at": when(past.at)}
