"""``unipam external endpoint``: the addresses of an external subnet that something uses."""

from __future__ import annotations

from typing import Any

import click

from unipam.cli.external_options import at, make, one_place, overlaps_option, under
from unipam.cli.output import format_option, show
from unipam.cli.register_api import Api, with_api, writing


@click.group("endpoint")
def command() -> None:
    """Endpoints of an external subnet.

    \b
    Examples:
      unipam external endpoint add prod west dc web vip --desc "load balancer"
      unipam external endpoint list prod west dc web
    """


@command.command("list")
@under("space", "block", "external", "subnet")
@overlaps_option
@with_api
@format_option
def list_(api: Api, where: str, overlaps: str | None, output: str) -> None:
    """The endpoints of a subnet.

    \b
    Examples:
      unipam external endpoint list prod west dc web
      unipam external endpoint list prod west dc web --overlaps 10.1.0.0/28 -o json
    """
    rows = api.all(where, {"overlaps": overlaps})
    show(rows, output, ("name", "ip", "desc"), "no endpoints: unipam external endpoint add")


@command.command()
@under("space", "block", "external", "subnet")
@click.argument("names", nargs=-1, required=True)
@click.option("--ip", help="Exactly this address, for one name.  [default: the lowest free ones]")
@click.option("--desc", required=True, help="What they are for.")
@writing
@with_api
@format_option
def add(*, api: Api, where: str, names: tuple[str, ...], output: str, dry_run: bool, reason: str, **wish: Any) -> None:
    """Make endpoints, all or none.

    \b
    Examples:
      unipam external endpoint add prod west dc web host1 host2 --desc "web servers"
      unipam external endpoint add prod west dc web fw --ip 10.1.0.1 --desc "firewall"
    """
    one_place(names, wish["ip"], "--ip")
    show(make(api, where, [{"name": name, **wish} for name in names], dry_run=dry_run, reason=reason), output)


@command.command("show")
@at("space", "block", "external", "subnet", "endpoint")
@with_api
@format_option
def show_(api: Api, where: str, output: str) -> None:
    """One endpoint.

    \b
    Example:
      unipam external endpoint show prod west dc web vip
    """
    show([api.ask("GET", where)], output)


@command.command()
@at("space", "block", "external", "subnet", "endpoint")
@click.option("--name", help="Its new name.")
@click.option("--ip", help="Its new address.")
@click.option("--desc", help="Its new description.")
@writing
@with_api
@format_option
def change(*, api: Api, where: str, output: str, dry_run: bool, reason: str, **wish: Any) -> None:
    """Rename, move or describe an endpoint anew.

    \b
    Example:
      unipam external endpoint change prod west dc web vip --ip 10.1.0.100
    """
    show([api.ask("PATCH", where, wish, query={"dry_run": dry_run}, reason=reason)], output)


@command.command()
@at("space", "block", "external", "subnet", "endpoint")
@writing
@with_api
def remove(*, api: Api, where: str, dry_run: bool, reason: str) -> None:
    """Remove an endpoint.

    \b
    Example:
      unipam external endpoint remove prod west dc web vip
    """
    api.ask("DELETE", where, query={"dry_run": dry_run}, reason=reason)
