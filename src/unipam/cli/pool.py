"""`unipam pool`: how full the pools are."""

from __future__ import annotations

import click

from unipam.cli.ledger import open_ledger
from unipam.cli.output import data_dir_option, format_option, show
from unipam.ledger import reads

_COLUMNS = ("network", "pool", "ranges", "size", "used", "free", "cooling", "reserved", "next")


@click.group("pool")
def command() -> None:
    """How full the pools are, and which address comes next."""


@command.command("list")
@data_dir_option
@format_option
def list_(data_dir: str, output: str) -> None:
    """List every pool of the ledger, as its configuration described it last.

    \b
    Examples:
      unipam pool list
      unipam pool list --data-dir /run/cni/networks -o yaml
    """
    rows = [_row(pool) for pool in reads.pools(open_ledger(data_dir))]
    show(rows, output, _COLUMNS, "no pools: the first ADD of a network tells what its pools are")


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
    show([_row(pool) for pool in reads.pool(open_ledger(data_dir), network)], output, _COLUMNS)


def _row(pool: reads.PoolUse) -> dict[str, object]:
    row = pool._asdict()
    row["pool"] = row.pop("number")
    return row
