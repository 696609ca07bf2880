"""`unipam external`: networks that no cloud tells of, on premises or elsewhere, as parts of blocks."""

from __future__ import annotations

from typing import Any

import click

from unipam.cli import external_commands as common
from unipam.cli import external_endpoint, external_subnet
from unipam.cli.block import show_candidates
from unipam.cli.output import format_option
from unipam.cli.register_api import Api, searching, with_api


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
@common.listing("space", "block", empty="no external networks: unipam external add")
def list_() -> None:
    """The external networks of a block, and how full they are.

    \b
    Examples:
      unipam external list prod west
      unipam external list prod west --overlaps 10.1.0.0/16 -o json
    """


@command.command()
@common.adding("space", "block", options=common.new_prefixes)
def add() -> None:
    """Make external networks in a block, all or none.

    \b
    Examples:
      unipam external add prod west dc --prefix 10.1.0.0/16 --desc "data centre"
      unipam external add prod west lab1 lab2 --size 20 --desc "laboratories" --dry-run
    """


@command.command("show")
@common.showing("space", "block", "external")
def show_() -> None:
    """One external network.

    \b
    Example:
      unipam external show prod west dc
    """


@command.command()
@common.changing("space", "block", "external", options=common.prefix_change)
def change() -> None:
    """Rename, resize or describe an external network anew.

    \b
    Example:
      unipam external change prod west dc --prefix 10.0.0.0/15 --reason "ticket 7"
    """


@command.command()
@common.removing("space", "block", "external", force="With all it holds.")
def remove() -> None:
    """Remove an external network.

    \b
    Example:
      unipam external remove prod west dc --force
    """


@command.command()
@common.at("space", "block", "external")
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
