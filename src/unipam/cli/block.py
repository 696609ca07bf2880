"""`unipam block`: prefixes that are given to a team or a region, at any depth."""

from __future__ import annotations

from typing import Any

import click

from unipam.cli.forecast import FORECAST, horizon_option
from unipam.cli.output import (
    format_option,
    is_document,
    list_options,
    show,
    show_changed,
    show_document,
    show_list,
    tell_removed,
)
from unipam.cli.register_api import Api, part, searching, with_api, writing
from unipam.cli.table import View, column, number, share

USE = (
    share("utilisation.used", "utilisation.size"),
    number("utilisation.used", "used"),
    number("utilisation.reserved", "reserved"),
    number("utilisation.free", "free"),
    number("utilisation.size", "size"),
)
"""How full something is, as listings show it."""

_BLOCK = View(
    "block",
    (column("name"), column("cidr"), column("parent"), number("generation", wide=True), column("desc")),
    name="name",
)
_BLOCKS = _BLOCK._replace(columns=(*_BLOCK.columns[:2], *USE, *_BLOCK.columns[2:]))


@click.group("block")
def command() -> None:
    """Blocks: prefixes of a space, and prefixes of other blocks, to be shared out."""


def path(space: str, block: str = "") -> str:
    """Return where a space's blocks are, or one of them."""
    return f"/spaces/{part(space)}/blocks" + (f"/{part(block)}" if block else "")


@command.command("list")
@click.argument("space")
@click.option("--parent", help="Only those directly inside this block.")
@click.option("--overlaps", metavar="PREFIX", help="Only those that share addresses with this prefix.")
@with_api
@list_options
def list_(api: Api, space: str, parent: str | None, overlaps: str | None, output: str) -> None:
    """The blocks of a space, and how full they are.

    \b
    Examples:
      unipam block list prod
      unipam block list prod --sort-by -use --limit 5
      unipam block list prod --overlaps 10.1.0.0/16 -o json
    """
    query = {"parent": parent, "overlaps": overlaps, "utilisation": True}
    show_list(lambda: api.all(path(space), query), output, _BLOCKS, "no blocks: unipam block add")


@command.command()
@click.argument("space")
@click.argument("name")
@click.argument("prefix")
@click.option("--parent", help="The block to put it into.")
@click.option("--desc", default="", help="What it is for.")
@writing
@with_api
@format_option
def add(  # noqa: PLR0913 (options)
    *,
    api: Api,
    space: str,
    name: str,
    prefix: str,
    parent: str | None,
    desc: str,
    dry_run: bool,
    reason: str,
    output: str,
) -> None:
    """Make a block.

    \b
    Examples:
      unipam block add prod west 10.0.0.0/12 --desc "West Europe"
      unipam block add prod west-apps 10.1.0.0/16 --parent west --dry-run
    """
    body = {"name": name, "cidr": prefix, "parent": parent, "desc": desc}
    show_changed([api.ask("POST", path(space), body, query={"dry_run": dry_run}, reason=reason)], output, _BLOCK)


@command.command("show")
@click.argument("space")
@click.argument("name")
@with_api
@format_option
def show_(api: Api, space: str, name: str, output: str) -> None:
    """One block.

    \b
    Example:
      unipam block show prod west -o yaml
    """
    show([api.ask("GET", path(space, name))], output, _BLOCK)


@command.command()
@click.argument("space")
@click.argument("block")
@click.option("--name", help="Its new name.")
@click.option("--prefix", help="Its new prefix; what it holds must still lie within.")
@click.option("--desc", help="Its new description.")
@writing
@with_api
@format_option
def change(  # noqa: PLR0913 (options)
    *,
    api: Api,
    space: str,
    block: str,
    name: str | None,
    prefix: str | None,
    desc: str | None,
    dry_run: bool,
    reason: str,
    output: str,
) -> None:
    """Rename, resize or describe a block anew.

    \b
    Example:
      unipam block change prod west --prefix 10.0.0.0/11 --reason "two more regions" --dry-run
    """
    body = {"name": name, "cidr": prefix, "desc": desc}
    show_changed(
        [api.ask("PATCH", path(space, block), body, query={"dry_run": dry_run}, reason=reason)], output, _BLOCK
    )


@command.command()
@click.argument("space")
@click.argument("name")
@click.option("--force", is_flag=True, help="With all it holds.")
@writing
@with_api
def remove(api: Api, space: str, name: str, force: bool, dry_run: bool, reason: str) -> None:
    """Remove a block.

    \b
    Examples:
      unipam block remove prod west-apps --dry-run
      unipam block remove prod west-apps --force --reason "team dissolved"
    """
    api.ask("DELETE", path(space, name), query={"force": force, "dry_run": dry_run}, reason=reason)
    tell_removed()


@command.command()
@click.argument("space")
@click.argument("name")
@searching
@with_api
@format_option
def free(*, api: Api, space: str, name: str, output: str, **search: Any) -> None:
    """What would be given next, and why.

    \b
    Examples:
      unipam block free prod west --length 24 --count 3
      unipam block free prod west --size 26 --smallest -o json
    """
    found = api.ask("GET", path(space, name) + "/available", query=search)
    show_candidates(found, output, f"no /{search['size']} is free in {name}")


@command.command()
@click.argument("space")
@click.argument("name")
@horizon_option
@with_api
@format_option
def forecast(api: Api, space: str, name: str, horizon: int, output: str) -> None:
    """When a block runs dry, by how it grew in the past 90 days.

    Between EARLIEST and LATEST it is full four times in five; -o wide says what stands behind that.

    \b
    Examples:
      unipam block forecast prod west
      unipam block forecast prod west --horizon 730 -o yaml
    """
    show([api.ask("GET", path(space, name) + "/forecast", query={"horizon": horizon})], output, FORECAST)


def show_candidates(found: dict[str, Any], output: str, empty: str, of: str = "cidr") -> None:
    """Print what is available: prefixes, or addresses (`of` is then "ip")."""
    view = View("available" if of == "cidr" else "available-address", (column(of), column("reason")), name=of)
    if is_document(output):
        show_document(found, output, view.schema)
    else:
        show(found["candidates"], output, view, empty)
