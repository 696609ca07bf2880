"""``unipam plan``: questions to the whole plan, now and at a past moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click

from unipam.cli.output import format_option, show, show_document, when
from unipam.cli.register_api import Api, with_api


@click.group("plan")
def command() -> None:
    """The plan as a whole: its tree, its past, who holds what, and where the cloud differs."""


def _moment(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no moment: write 2026-01-31T12:00:00Z, or seconds") from None
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


@command.command()
@click.option("--at", callback=_moment, metavar="MOMENT", help="As it was then. [default: as it is now]")
@with_api
@format_option
def tree(api: Api, at: float | None, output: str) -> None:
    """Everything, as a tree.

    \b
    Examples:
      unipam plan tree
      unipam plan tree --at 2026-11-03T08:00 -o json
    """
    found = api.ask("GET", "/plan", query={"at": at if at is not None else 4e9})
    if output != "table":
        show_document(found, output)
        return
    for line in _lines(found, ""):
        click.echo(line)


def _lines(items: list[dict[str, Any]], indent: str) -> list[str]:
    lines = []
    for item in items:
        lines.append(f"{indent}{item['cidr'] or ''} {item['kind']} {item['name']}".replace(f"{indent} ", indent, 1))
        lines += _lines(item["items"], indent + "  ")
    return lines


@command.command()
@click.argument("prefix")
@click.option("--space", help="Only this space.")
@with_api
@format_option
def explain(api: Api, prefix: str, space: str | None, output: str) -> None:
    """Everything that contains PREFIX (or an address), is it, or lies within it.

    \b
    Examples:
      unipam plan explain 10.1.4.7
      unipam plan explain 10.1.0.0/16 --space prod
    """
    rows = api.ask("GET", "/explain", query={"cidr": prefix, "space": space})
    flat = [{**row, "path": "/".join(row["path"]), "since": when(row["since"])} for row in rows]
    columns = ("relation", "cidr", "kind", "path", "since")
    show(flat if output == "table" else rows, output, columns, f"nothing in the plan has to do with {prefix}")


@command.command()
@click.option("--prefix", help="What happened at this prefix or address.")
@click.option("--name", help="What happened to this name or id.")
@click.option("--limit", type=int, default=100, show_default=True)
@with_api
@format_option
def history(api: Api, prefix: str | None, name: str | None, limit: int, output: str) -> None:
    """The journal: who changed what, when and why; the newest first.

    \b
    Examples:
      unipam plan history --prefix 10.1.0.0/16
      unipam plan history --name west --limit 20 -o yaml
    """
    rows = api.ask("GET", "/history", query={"cidr": prefix, "name": name, "limit": limit})
    flat = [{**row, "at": when(row["at"])} for row in rows]
    columns = ("number", "at", "verb", "cidr", "holder", "actor", "reason")
    show(flat if output == "table" else rows, output, columns, "nothing happened")


@command.command()
@click.argument("under", default="")
@click.option("--show", type=click.Choice(["both", "used", "free"]), default="both", show_default=True)
@click.option("--size", type=int, help="Cut what is free into prefixes of this length.")
@click.option("--min", "least", type=int, help="The shortest prefix length.")
@click.option("--max", "most", type=int, help="The longest prefix length.")
@click.option("--depth", type=click.IntRange(1, 4), default=1, show_default=True, help="Levels.")
@click.option("--at", callback=_moment, metavar="MOMENT", help="As it was then. [default: as it is now]")
@with_api
@format_option
def branches(*, api: Api, under: str, output: str, least: int | None, most: int | None, **wish: Any) -> None:
    """What lies directly under UNDER (a space, space/block, ...), and what is free there, in address order.

    \b
    Examples:
      unipam plan branches
      unipam plan branches prod/west --show free --size 24
      unipam plan branches prod --depth 2 --at 2026-03-01
    """
    rows = api.all("/tree", {"under": under, "min": least, "max": most, **wish})
    if output != "table":
        show_document(rows, output)
        return
    columns = ("cidr", "kind", "name", "size", "used", "reserved", "largest", "desc")
    show(list(_flat(rows, "")), output, columns, "nothing lies here")


def _flat(rows: list[dict[str, Any]], indent: str) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield {**row, "cidr": indent + row["cidr"]}
        yield from _flat(row["items"], indent + "  ")


KINDS = ("block", "reservation", "network", "external", "subnet", "endpoint")


@command.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.option("--space", help="Only those of this space.")
@click.option("--block", help="Only those of this block of the space.")
@click.option("--status", help="Only those with this status; of reservations also `over`.")
@click.option("--search", "q", metavar="TEXT", help="Only those with this text, or at this prefix or address.")
@click.option("--sort", default="cidr", show_default=True,
              help="By cidr, created, name, desc, by, status, until or id; - before it turns it round.")  # fmt: skip
@with_api
@format_option
def objects(*, api: Api, output: str, **wish: str | None) -> None:
    """All objects of a KIND, across blocks and spaces.

    \b
    Examples:
      unipam plan objects reservation --status over --sort=-created
      unipam plan objects external --search 10.96.0.0/16
    """
    rows = api.all("/objects", wish)
    flat = [{**row, "path": "/".join(row["path"]), "since": when(row["since"])} for row in rows]
    columns = ("cidr", "name", "path", "status", "by", "since", "desc")
    show(flat if output == "table" else rows, output, columns, "nothing is so")


NOTHING_COMPARED = 3
"""Exit code of a comparison that had nothing to compare with."""


@command.command()
@click.option("--severity", type=click.Choice(["error", "warning", "info"]), help="Only these.")
@click.option("--rule", help="Only those of this rule.")
@click.option("--space", help="Only those of this space.")
@click.option("--search", "q", metavar="TEXT", help="Only those with this text.")
@with_api
@format_option
@click.pass_context
def findings(context: click.Context, /, *, api: Api, output: str, **wish: str | None) -> None:
    """Where the plan and the cloud disagree, the worst first.

    Exit code 3 when nothing was compared: no cloud is connected, or none has been seen yet.

    \b
    Examples:
      unipam plan findings
      unipam plan findings --severity error
      unipam plan findings -o json | jq '.[].message'
    """
    looked = api.ask("GET", "/findings", query={"limit": 1})
    if looked["compared_on"] is None:
        show(
            [],
            output,
            empty="nothing was compared: no cloud is connected (unipam server --azure), or none was seen yet",
        )
        context.exit(NOTHING_COMPARED)
    agreed = f"nothing: they agreed at {when(looked['compared_on'])}"
    show(api.all("/findings", wish), output, ("severity", "rule", "space", "block", "message"), agreed)
    for problem in looked["problems"]:
        click.echo(f"not read: {problem}", err=True)
