"""`unipam external subnet`: the parts of an external network."""

from __future__ import annotations

import click

from unipam.cli import external_commands as common
from unipam.cli.block import show_candidates
from unipam.cli.output import format_option
from unipam.cli.register_api import Api, with_api


@click.group("subnet")
def command() -> None:
    """Subnets of an external network.

    \b
    Examples:
      unipam external subnet add prod west dc web db --size 24 --desc "tiers"
      unipam external subnet list prod west dc
    """


@command.command("list")
@common.listing("space", "block", "external", empty="no subnets: unipam external subnet add")
def list_() -> None:
    """The subnets of an external network, and how full they are.

    \b
    Examples:
      unipam external subnet list prod west dc
      unipam external subnet list prod west dc --overlaps 10.1.0.7
    """


@command.command()
@common.adding("space", "block", "external", options=common.new_prefixes)
def add() -> None:
    """Make subnets of an external network, all or none.

    \b
    Examples:
      unipam external subnet add prod west dc web db --size 24 --desc "tiers"
      unipam external subnet add prod west dc edge --prefix 10.1.255.0/24 --desc "the edge"
    """


@command.command("show")
@common.showing("space", "block", "external", "subnet")
def show_() -> None:
    """One subnet.

    \b
    Example:
      unipam external subnet show prod west dc web
    """


@command.command()
@common.changing("space", "block", "external", "subnet", options=common.prefix_change)
def change() -> None:
    """Rename, resize or describe a subnet anew.

    \b
    Example:
      unipam external subnet change prod west dc web --prefix 10.1.0.0/23
    """


@command.command()
@common.removing("space", "block", "external", "subnet", force="With its endpoints.")
def remove() -> None:
    """Remove a subnet.

    \b
    Example:
      unipam external subnet remove prod west dc web --force
    """


@command.command()
@common.at("space", "block", "external", "subnet")
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
    show_candidates(found, output, "no address is free there", of="ip")
