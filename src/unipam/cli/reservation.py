"""`unipam reservation`: prefixes kept for networks to come."""

from __future__ import annotations

from typing import Any

import click

from unipam.cli.block import path
from unipam.cli.output import format_option, list_options, show, show_changed, show_list, tell_removed
from unipam.cli.register_api import Api, fitting, length_option, part, with_api, writing
from unipam.cli.table import View, age, column, moment

_RESERVATIONS = View(
    "reservation",
    (
        column("cidr"),
        column("block"),
        column("status"),
        age("created_on"),
        column("id"),
        column("desc"),
        column("created_by", wide=True),
        moment("created_on"),
        moment("expires_on"),
        moment("settled_on"),
        column("settled_by", wide=True),
    ),
    name="id",
)


@click.group("reservation")
def command() -> None:
    """Reservations: a prefix that nobody else gets, until a network takes it up or it is given back."""


@command.command("list")
@click.argument("space")
@click.option("--block", help="Only those of this block.")
@click.option("--settled", is_flag=True, help="Also those that are over.")
@click.option("--status", help="Only those with this status.")
@with_api
@list_options
def list_(*, api: Api, space: str, block: str | None, settled: bool, status: str | None, output: str) -> None:
    """The reservations of a space.

    \b
    Examples:
      unipam reservation list prod --block west
      unipam reservation list prod --settled --sort-by age -o json
      unipam reservation list prod -w
    """
    query = {"block": block, "settled": settled, "status": status}
    where = f"/spaces/{part(space)}/reservations"
    show_list(lambda: api.all(where, query), output, _RESERVATIONS, "no reservations")


@command.command()
@click.argument("space")
@click.argument("blocks", nargs=-1, required=True)
@length_option()
@click.option("--prefix", help="Exactly this prefix.")
@click.option("--count", type=int, default=1, show_default=True, help="How many; all or none.")
@click.option("--desc", help="What it is for.")
@fitting
@click.option("--expires-in", type=float, metavar="SECONDS", help="Give it back when no network came by then.")
@writing
@with_api
@format_option
def add(*, api: Api, space: str, blocks: tuple[str, ...], output: str, dry_run: bool, reason: str, **wish: Any) -> None:
    """Reserve prefixes in the first of the BLOCKS that has room.

    \b
    Examples:
      unipam reservation add prod west --length 24 --desc "payments vNET"
      unipam reservation add prod west north --size 26 --count 4 --expires-in 86400 --dry-run
    """
    body = {"blocks": list(blocks), "cidr": wish.pop("prefix"), **wish}
    rows = api.ask("POST", f"/spaces/{part(space)}/reservations", body, query={"dry_run": dry_run}, reason=reason)
    show_changed(rows, output, _RESERVATIONS)


@command.command("show")
@click.argument("space")
@click.argument("block")
@click.argument("id")
@with_api
@format_option
def show_(*, api: Api, space: str, block: str, output: str, **given: str) -> None:
    """One reservation.

    \b
    Example:
      unipam reservation show prod west "$RESERVATION_ID"
    """
    show([api.ask("GET", f"{path(space, block)}/reservations/{part(given['id'])}")], output, _RESERVATIONS)


@command.command()
@click.argument("space")
@click.argument("block")
@click.argument("ids", nargs=-1, required=True)
@writing
@with_api
def cancel(*, api: Api, space: str, block: str, ids: tuple[str, ...], dry_run: bool, reason: str) -> None:
    """Give reservations back, all or none; those that are over leave the listings.

    \b
    Example:
      unipam reservation cancel prod west "$RESERVATION_ID" --reason "not built"
    """
    where = f"{path(space, block)}/reservations"
    api.ask("DELETE", where, query={"id": ids, "dry_run": dry_run}, reason=reason)
    tell_removed()
