"""`unipam external endpoint`: the addresses of an external subnet that something uses."""

from __future__ import annotations

import click

from unipam.cli import external_commands as common


@click.group("endpoint")
def command() -> None:
    """Endpoints of an external subnet.

    \b
    Examples:
      unipam external endpoint add prod west dc web vip --desc "load balancer"
      unipam external endpoint list prod west dc web
    """


@command.command("list")
@common.listing("space", "block", "external", "subnet", empty="no endpoints: unipam external endpoint add")
def list_() -> None:
    """The endpoints of a subnet.

    \b
    Examples:
      unipam external endpoint list prod west dc web
      unipam external endpoint list prod west dc web --overlaps 10.1.0.0/28 -o json
    """


@command.command()
@common.adding("space", "block", "external", "subnet", options=common.new_addresses)
def add() -> None:
    """Make endpoints, all or none.

    \b
    Examples:
      unipam external endpoint add prod west dc web host1 host2 --desc "web servers"
      unipam external endpoint add prod west dc web fw --ip 10.1.0.1 --desc "firewall"
    """


@command.command("show")
@common.showing("space", "block", "external", "subnet", "endpoint")
def show_() -> None:
    """One endpoint.

    \b
    Example:
      unipam external endpoint show prod west dc web vip
    """


@command.command()
@common.changing("space", "block", "external", "subnet", "endpoint", options=common.address_change)
def change() -> None:
    """Rename, move or describe an endpoint anew.

    \b
    Example:
      unipam external endpoint change prod west dc web vip --ip 10.1.0.100
    """


@command.command()
@common.removing("space", "block", "external", "subnet", "endpoint")
def remove() -> None:
    """Remove an endpoint.

    \b
    Example:
      unipam external endpoint remove prod west dc web vip
    """
