"""``unipam reservation``: prefixes kept for networks to come."""

from __future__ import annotations

from typing import Any

import click

from unipam.cli.block import path
from unipam.cli.output import format_option, show, show_changed, tell_removed, when
from unipam.cli.register_api import Api, fitting, part, with_api, writing

_COLUMNS = ("cidr", "block", "id", "status", "created_by", "created", "desc")


@click.group("reservation")
def command() -> None:
    """Reservations: a prefix that nobody else gets, until a network takes it up or it is given back."""


def _rows(rows: list[Any]) -> list[dict[str, Any]]:
    return [{**row, "created": when(row["created_on"])} for row in rows]


@command.command("list")
@click.argument("space")
@click.option("--block", help="Only those of this block.")
@click.option("--settled", is_flag=True, help="Also those that are over.")
@click.option("--status", help="Only those with this status.")
@with_api
@format_option
def list_(*, api: Api, space: str, block: str | None, settled: bool, status: str | None, output: str) -> None:
    """The reservations of a space.

    \b
    Examples:
      unipam reservation list prod --block west
      unipam reservation list prod --settled -o json
    """
    query = {"block": block, "settled": settled, "status": status}
    show(_rows(api.all(f"/spaces/{part(space)}/reservations", query)), output, _COLUMNS, "no reservations")


@command.command()
@click.argument("space")
@click.argument("blocks", nargs=-1, required=True)
@click.option("--size", type=int, help="The prefix length.")
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
      unipam reservation add prod west --size 24 --desc "payments vNET"
      unipam reservation add prod west north --size 26 --count 4 --expires-in 86400 --dry-run
    """
    body = {"blocks": list(blocks), "cidr": wish.pop("prefix"), **wish}
    rows = api.ask("POST", f"/spaces/{part(space)}/reservations", body, query={"dry_run": dry_run}, reason=reason)
    show_changed(_rows(rows), output, _COLUMNS)


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
    show(_rows([api.ask("GET", f"{path(space, block)}/reservations/{part(given['id'])}")]), output, _COLUMNS)


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
