"""``unipam external subnet``: the parts of an external network."""

from __future__ import annotations

from typing import Any

import click

from unipam.cli.block import show_candidates
from unipam.cli.external_options import at, make, new_prefixes, one_place, overlaps_option, prefix_change, under
from unipam.cli.output import format_option, show
from unipam.cli.register_api import Api, with_api, writing


@click.group("subnet")
def command() -> None:
    """Subnets of an external network.

    \b
    Examples:
      unipam external subnet add prod west dc web db --size 24 --desc "tiers"
      unipam external subnet list prod west dc
    """


@command.command("list")
@under("space", "block", "external")
@overlaps_option
@with_api
@format_option
def list_(api: Api, where: str, overlaps: str | None, output: str) -> None:
    """The subnets of an external network, and how full they are.

    \b
    Examples:
      unipam external subnet list prod west dc
      unipam external subnet list prod west dc --overlaps 10.1.0.7
    """
    rows = api.all(where, {"overlaps": overlaps, "utilisation": True})
    rows = [row | row.pop("utilisation") for row in rows]
    show(rows, output, ("name", "cidr", "size", "used", "free", "desc"), "no subnets: unipam external subnet add")


@command.command()
@under("space", "block", "external")
@new_prefixes
@writing
@with_api
@format_option
def add(*, api: Api, where: str, names: tuple[str, ...], output: str, dry_run: bool, reason: str, **wish: Any) -> None:
    """Make subnets of an external network, all or none.

    \b
    Examples:
      unipam external subnet add prod west dc web db --size 24 --desc "tiers"
      unipam external subnet add prod west dc edge --prefix 10.1.255.0/24 --desc "the edge"
    """
    one_place(names, wish["cidr"], "--prefix")
    show(make(api, where, [{"name": name, **wish} for name in names], dry_run=dry_run, reason=reason), output)


@command.command("show")
@at("space", "block", "external", "subnet")
@with_api
@format_option
def show_(api: Api, where: str, output: str) -> None:
    """One subnet.

    \b
    Example:
      unipam external subnet show prod west dc web
    """
    show([api.ask("GET", where)], output)


@command.command()
@at("space", "block", "external", "subnet")
@prefix_change
@writing
@with_api
@format_option
def change(*, api: Api, where: str, output: str, dry_run: bool, reason: str, **wish: Any) -> None:
    """Rename, resize or describe a subnet anew.

    \b
    Example:
      unipam external subnet change prod west dc web --prefix 10.1.0.0/23
    """
    show([api.ask("PATCH", where, wish, query={"dry_run": dry_run}, reason=reason)], output)


@command.command()
@at("space", "block", "external", "subnet")
@click.option("--force", is_flag=True, help="With its endpoints.")
@writing
@with_api
def remove(api: Api, where: str, force: bool, dry_run: bool, reason: str) -> None:
    """Remove a subnet.

    \b
    Example:
      unipam external subnet remove prod west dc web --force
    """
    api.ask("DELETE", where, query={"force": force, "dry_run": dry_run}, reason=reason)


@command.command()
@at("space", "block", "external", "subnet")
@click.option("--count", type=int, default=1, show_default=True, help="How many.")
@with_api
@format_option
def free(api: Api, where: str, count: int, output: str) -> None:
    """Which addresses endpoints would be given next, and why.

    \b
    Example:
      unipam external subnet free prod west dc web --count 3
    """
    found = api.ask("GET", f"{where}/available", query={"count": count})
    show_candidates(found, output, "no address is free there")
