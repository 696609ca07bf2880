"""``unipam external``: networks that no cloud tells of, on premises or elsewhere, as parts of blocks."""

from __future__ import annotations

from typing import Any

import click

from unipam.cli import external_endpoint, external_subnet
from unipam.cli.block import show_candidates
from unipam.cli.external_options import at, make, new_prefixes, one_place, overlaps_option, prefix_change, under
from unipam.cli.output import format_option, show
from unipam.cli.register_api import Api, searching, with_api, writing


@click.group("external")
def command() -> None:
    """External networks: those that no cloud tells of; they hold subnets, and those hold endpoints.

    \b
    Examples:
      unipam external add prod west dc --prefix 10.1.0.0/16 --desc "data centre"
      unipam external subnet add prod west dc web db --size 24 --desc "tiers"
      unipam external endpoint add prod west dc web vip --desc "load balancer"
    """


command.add_command(external_subnet.command)
command.add_command(external_endpoint.command)


@command.command("list")
@under("space", "block")
@overlaps_option
@with_api
@format_option
def list_(api: Api, where: str, overlaps: str | None, output: str) -> None:
    """The external networks of a block, and how full they are.

    \b
    Examples:
      unipam external list prod west
      unipam external list prod west --overlaps 10.1.0.0/16 -o json
    """
    rows = api.all(where, {"overlaps": overlaps, "utilisation": True})
    rows = [row | row.pop("utilisation") for row in rows]
    show(rows, output, ("name", "cidr", "size", "used", "free", "desc"), "no external networks: unipam external add")


@command.command()
@under("space", "block")
@new_prefixes
@writing
@with_api
@format_option
def add(*, api: Api, where: str, names: tuple[str, ...], output: str, dry_run: bool, reason: str, **wish: Any) -> None:
    """Make external networks in a block, all or none.

    \b
    Examples:
      unipam external add prod west dc --prefix 10.1.0.0/16 --desc "data centre"
      unipam external add prod west lab1 lab2 --size 20 --desc "laboratories" --dry-run
    """
    one_place(names, wish["cidr"], "--prefix")
    show(make(api, where, [{"name": name, **wish} for name in names], dry_run=dry_run, reason=reason), output)


@command.command("show")
@at("space", "block", "external")
@with_api
@format_option
def show_(api: Api, where: str, output: str) -> None:
    """One external network.

    \b
    Example:
      unipam external show prod west dc
    """
    show([api.ask("GET", where)], output)


@command.command()
@at("space", "block", "external")
@prefix_change
@writing
@with_api
@format_option
def change(*, api: Api, where: str, output: str, dry_run: bool, reason: str, **wish: Any) -> None:
    """Rename, resize or describe an external network anew.

    \b
    Example:
      unipam external change prod west dc --prefix 10.0.0.0/15 --reason "ticket 7"
    """
    show([api.ask("PATCH", where, wish, query={"dry_run": dry_run}, reason=reason)], output)


@command.command()
@at("space", "block", "external")
@click.option("--force", is_flag=True, help="With all it holds.")
@writing
@with_api
def remove(api: Api, where: str, force: bool, dry_run: bool, reason: str) -> None:
    """Remove an external network.

    \b
    Example:
      unipam external remove prod west dc --force
    """
    api.ask("DELETE", where, query={"force": force, "dry_run": dry_run}, reason=reason)


@command.command()
@at("space", "block", "external")
@searching
@with_api
@format_option
def free(*, api: Api, where: str, output: str, **search: Any) -> None:
    """What subnets would be given next, and why.

    \b
    Example:
      unipam external free prod west dc --size 24 --count 3
    """
    found = api.ask("GET", f"{where}/available", query=search)
    show_candidates(found, output, f"no /{search['size']} is free there")
