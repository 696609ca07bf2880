"""``unipam space``: the routing domains of the plan, within which nothing overlaps."""

from __future__ import annotations

import click

from unipam.cli.output import format_option, show, show_changed, show_document, tell_removed
from unipam.cli.register_api import Api, part, with_api, writing


@click.group("space")
def command() -> None:
    """Spaces: within one nothing overlaps, two may hold the same prefixes."""


@command.command("list")
@with_api
@format_option
def list_(api: Api, output: str) -> None:
    """The spaces, and how full they are.

    \b
    Example:
      unipam space list
    """
    rows = [row | row.pop("utilisation") for row in api.all("/spaces", {"utilisation": True})]
    six = [{"size_ipv6": row["ipv6"]["size"], "used_ipv6": row["ipv6"]["used"]} for row in rows]
    more = tuple(six[0]) if any(each["size_ipv6"] for each in six) else ()
    flat = [row | each for row, each in zip(rows, six, strict=True)] if output == "table" else rows
    columns = ("name", "desc", "size", "used", "reserved", "free", *more)
    show(flat, output, columns, "no spaces yet: unipam space add")


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
    show_changed([made], output)


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
    show([api.ask("GET", f"/spaces/{part(name)}")], output)


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
    show_changed([api.ask("PATCH", f"/spaces/{part(name)}", body, query={"dry_run": dry_run}, reason=reason)], output)


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
@format_option
def use(api: Api, name: str, output: str) -> None:
    """How full a space is, in addresses.

    \b
    Example:
      unipam space use prod
    """
    show_document(api.ask("GET", f"/spaces/{part(name)}/utilisation"), "json" if output == "table" else output)
