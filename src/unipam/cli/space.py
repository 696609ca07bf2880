"""`unipam space`: the routing domains of the plan, within which nothing overlaps."""

from __future__ import annotations

from typing import Any

import click

from unipam.cli.forecast import FORECAST, horizon_option
from unipam.cli.output import (
    document_option,
    format_option,
    is_table,
    list_options,
    show,
    show_changed,
    show_document,
    show_list,
    tell_removed,
)
from unipam.cli.register_api import Api, part, with_api, writing
from unipam.cli.table import View, column, number, share


@click.group("space")
def command() -> None:
    """Spaces: within one nothing overlaps, two may hold the same prefixes."""


_SPACE = View("space", (column("name"), number("generation", wide=True), column("desc")), name="name")
_USE = (
    share("utilisation.used", "utilisation.size"),
    number("utilisation.used", "used"),
    number("utilisation.reserved", "reserved"),
    number("utilisation.free", "free"),
    number("utilisation.size", "size"),
)
_USE_IPV6 = (
    share("utilisation.ipv6.used", "utilisation.ipv6.size", "use6"),
    number("utilisation.ipv6.used", "used6"),
    number("utilisation.ipv6.size", "size6"),
)
_FULL = (share("used", "size"), number("used"), number("reserved"), number("free"), number("size"))


@command.command("list")
@with_api
@list_options
def list_(api: Api, output: str) -> None:
    """The spaces, and how full they are.

    \b
    Examples:
      unipam space list
      unipam space list --sort-by -use -o csv
    """
    rows = api.all("/spaces", {"utilisation": True})
    first = [rows]
    six = _USE_IPV6 if any(row["utilisation"]["ipv6"]["size"] for row in rows) else ()
    name, *rest = _SPACE.columns
    view = _SPACE._replace(columns=(name, *_USE, *six, *rest))

    def read() -> list[Any]:
        return first.pop() if first else api.all("/spaces", {"utilisation": True})

    show_list(read, output, view, "no spaces yet: unipam space add")


@command.command()
@click.argument("name")
@click.option("--desc", required=True, help="What it is for.")
@writing
@with_api
@format_option
def add(api: Api, name: str, desc: str, dry_run: bool, reason: str, output: str) -> None:
    """Make a space.

    \b
    Example:
      unipam space add prod --desc "production, one routing domain"
    """
    made = api.ask("POST", "/spaces", {"name": name, "desc": desc}, query={"dry_run": dry_run}, reason=reason)
    show_changed([made], output, _SPACE)


@command.command("show")
@click.argument("name")
@with_api
@format_option
def show_(api: Api, name: str, output: str) -> None:
    """One space.

    \b
    Example:
      unipam space show prod -o yaml
    """
    show([api.ask("GET", f"/spaces/{part(name)}")], output, _SPACE)


@command.command()
@click.argument("name")
@click.option("--name", "new_name", help="Its new name.")
@click.option("--desc", help="Its new description.")
@writing
@with_api
@format_option
def change(  # noqa: PLR0913 (options)
    *, api: Api, name: str, new_name: str | None, desc: str | None, dry_run: bool, reason: str, output: str
) -> None:
    """Rename or describe a space anew.

    \b
    Example:
      unipam space change prod --name production --dry-run
    """
    body = {"name": new_name, "desc": desc}
    show_changed(
        [api.ask("PATCH", f"/spaces/{part(name)}", body, query={"dry_run": dry_run}, reason=reason)], output, _SPACE
    )


@command.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="With all it holds.")
@writing
@with_api
def remove(api: Api, name: str, force: bool, dry_run: bool, reason: str) -> None:
    """Remove a space.

    \b
    Examples:
      unipam space remove lab --dry-run
      unipam space remove lab --force --reason "moved to prod"
    """
    query = {"force": force, "dry_run": dry_run}
    api.ask("DELETE", f"/spaces/{part(name)}", query=query, reason=reason)
    tell_removed()


@command.command()
@click.argument("name")
@with_api
@document_option
def use(api: Api, name: str, output: str) -> None:
    """How full a space is, in addresses.

    \b
    Example:
      unipam space use prod
    """
    found = api.ask("GET", f"/spaces/{part(name)}/utilisation")
    if is_table(output):
        families = [{"family": "IPv4", **found}, {"family": "IPv6", **found["ipv6"]}]
        show(families, output, View("", (column("family"), *_FULL), "family"))
    else:
        show_document(found, output, "space-utilisation")


@command.command()
@click.argument("name")
@horizon_option
@with_api
@format_option
def forecast(api: Api, name: str, horizon: int, output: str) -> None:
    """When the blocks of a space run dry, taken together: those of IPv4, if it has any.

    \b
    Example:
      unipam space forecast prod -o wide
    """
    show([api.ask("GET", f"/spaces/{part(name)}/forecast", query={"horizon": horizon})], output, FORECAST)
