"""`unipam pool`: how full the pools are."""

from __future__ import annotations

import click

from unipam.cli.ledger import open_ledger
from unipam.cli.output import data_dir_option, format_option, list_options, show, show_list
from unipam.cli.table import View, column, number, share
from unipam.ledger import reads

_POOLS = View(
    "pool",
    (
        column("network"),
        number("pool"),
        share("used", "size"),
        number("used"),
        number("free"),
        number("cooling"),
        number("reserved"),
        number("size"),
        column("next"),
        column("ranges"),
    ),
    name="network",
    within=("pool",),
)


@click.group("pool")
def command() -> None:
    """How full the pools are, and which address comes next."""


@command.command("list")
@data_dir_option
@list_options
def list_(data_dir: str, output: str) -> None:
    """List every pool of the ledger, as its configuration described it last.

    \b
    Examples:
      unipam pool list
      unipam pool list --sort-by -use --limit 3
      unipam pool list --data-dir /run/cni/networks -o yaml
    """
    ledger = open_ledger(data_dir)
    none = "no pools: the first ADD of a network tells what its pools are"
    show_list(lambda: [_row(pool) for pool in reads.pools(ledger)], output, _POOLS, none)


@command.command("show")
@click.argument("network")
@data_dir_option
@format_option
def show_(network: str, data_dir: str, output: str) -> None:
    """Show the pools of one network.

    \b
    Example:
      unipam pool show kubenet
    """
    show([_row(pool) for pool in reads.pool(open_ledger(data_dir), network)], output, _POOLS)


def _row(pool: reads.PoolUse) -> dict[str, object]:
    row = pool._asdict()
    row["pool"] = row.pop("number")
    return row
