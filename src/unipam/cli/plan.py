"""`unipam plan`: questions to the whole plan, now and at a past moment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from unipam.cli.forecast import FORECAST, horizon_option
from unipam.cli.output import (
    format_option,
    is_document,
    is_table,
    list_options,
    show,
    show_document,
    show_list,
    when,
)
from unipam.cli.plan_past import history, journal, moment_of
from unipam.cli.register_api import Api, with_api
from unipam.cli.table import View, age, column, moment, number


@click.group("plan")
def command() -> None:
    """The plan as a whole: its tree, its past, who holds what, and where the cloud differs."""


command.add_command(history)
command.add_command(journal)


RELATED = View(
    "related",
    (
        column("relation"),
        column("cidr"),
        column("kind"),
        column("path")._replace(write="/".join),
        column("state"),
        age("since"),
        moment("since"),
    ),
    name="cidr",
    within=("path",),
)
_FINDINGS = View(
    "finding",
    (*map(column, ("severity", "rule", "space", "block", "message")), column("other", wide=True)),
    name="number",
)

_BRANCHES = View(
    "branch",
    (
        column("cidr"),
        column("kind"),
        column("name"),
        number("size"),
        number("used"),
        number("reserved"),
        column("largest"),
        column("desc"),
    ),
    name="cidr",
)
_FOUND = View(
    "found",
    (
        column("kind"),
        column("cidr"),
        column("name"),
        column("path")._replace(write="/".join),
        column("status"),
        column("desc"),
    ),
    name="name",
    within=("path",),
)
_OBJECTS = View(
    "object",
    (
        column("cidr"),
        column("name"),
        column("path")._replace(write="/".join),
        column("status"),
        column("by"),
        age("since"),
        column("desc"),
        moment("since"),
    ),
    name="cidr",
    within=("path",),
)


@command.command()
@click.option("--at", callback=moment_of, metavar="MOMENT", help="As it was then. [default: as it is now]")
@click.option("--under", "wanted", metavar="NAME|PATH|PREFIX", help="Only what has this name, or lies in this prefix.")
@click.option("--depth", type=click.IntRange(0), help="Only so many levels below the outermost.")
@click.option("--free", is_flag=True, help="Also what is free, prefix by prefix.")
@with_api
@format_option
def tree(*, api: Api, at: float | None, wanted: str | None, depth: int | None, free: bool, output: str) -> None:
    """The plan as a picture: what lies in what, how full it is, and what is free.

    Of a bar the dark part is used, the grey one reserved; per cent and FREE count addresses. A space counts its
    blocks: those of IPv4, where it has any.

    \b
    Examples:
      unipam plan tree
      unipam plan tree --depth 1
      unipam plan tree --under prod/west --free
      unipam plan tree --under 10.1.0.0/16 -o json
      unipam plan tree --at 2026-11-03T08:00
    """
    from unipam.cli import plan_tree

    found = api.ask("GET", "/plan", query={"at": at if at is not None else 4e9})
    if wanted is not None and not (found := list(plan_tree.under(found, wanted))):
        raise click.ClickException(f"--under {wanted}: nothing in the plan has this name or lies there")
    items = [plan_tree.measured(each, free=free, depth=depth) for each in found]
    if is_document(output):
        show_document({"items": items}, output, "plan")
    else:
        show(
            list(plan_tree.rows(items, drawn=is_table(output))),
            output,
            plan_tree.VIEW,
            "no spaces yet: unipam space add",
        )


@command.command()
@click.argument("prefix")
@click.option("--space", help="Only this space.")
@with_api
@list_options
def explain(api: Api, prefix: str, space: str | None, output: str) -> None:
    """Everything that contains PREFIX (or an address), is it, or lies within it.

    \b
    Examples:
      unipam plan explain 10.1.4.7
      unipam plan explain 10.1.0.0/16 --space prod
    """
    query = {"cidr": prefix, "space": space}
    none = f"nothing in the plan has to do with {prefix}"
    show_list(lambda: api.ask("GET", "/explain", query=query), output, RELATED, none)


@command.command()
@click.argument("text")
@with_api
@format_option
def search(api: Api, text: str, output: str) -> None:
    """What TEXT may mean: an address, a prefix, a part of a name, a description or an id; of each kind the first few.

    \b
    Examples:
      unipam plan search 10.1.4.7
      unipam plan search payments
    """
    groups = api.ask("GET", "/search", query={"q": text})["groups"]
    show([row for group in groups for row in group["items"]], output, _FOUND, "nothing is called so")
    for group in groups:
        if group["more"]:
            click.echo(f"more of these: unipam plan objects {group['kind']} --search", err=True)


@command.command()
@click.argument("under", default="")
@click.option("--show", type=click.Choice(["both", "used", "free"]), default="both", show_default=True)
@click.option("--size", type=int, help="Cut what is free into prefixes of this length.")
@click.option("--min", "least", type=int, help="The shortest prefix length.")
@click.option("--max", "most", type=int, help="The longest prefix length.")
@click.option("--depth", type=click.IntRange(1, 4), default=1, show_default=True, help="Levels.")
@click.option("--at", callback=moment_of, metavar="MOMENT", help="As it was then. [default: as it is now]")
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
    show(rows if is_document(output) else list(_flat(rows, "")), output, _BRANCHES, "nothing lies here")


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
@list_options
def objects(*, api: Api, output: str, **wish: str | None) -> None:
    """All objects of a KIND, across blocks and spaces.

    \b
    Examples:
      unipam plan objects reservation --status over --sort=-created
      unipam plan objects external --search 10.96.0.0/16
    """
    show_list(lambda: api.all("/objects", wish), output, _OBJECTS, "nothing is so")


@command.command()
@click.option("--space", help="Only the blocks of this space.")
@horizon_option
@with_api
@list_options
def forecast(api: Api, space: str | None, horizon: int, output: str) -> None:
    """When each block runs dry, by how it grew in the past 90 days; the first to do so comes first.

    \b
    Examples:
      unipam plan forecast
      unipam plan forecast --space prod --limit 5 -o wide
      unipam plan forecast --horizon 90 -o json
    """
    query = {"space": space, "horizon": horizon}
    show_list(lambda: api.all("/forecast", query), output, FORECAST, "no blocks: unipam block add")


NOTHING_COMPARED = 3
"""Exit code of a comparison that had nothing to compare with."""


@command.command()
@click.option("--severity", type=click.Choice(["error", "warning", "info"]), help="Only these.")
@click.option("--rule", help="Only those of this rule.")
@click.option("--space", help="Only those of this space.")
@click.option("--block", help="Only those of this block.")
@click.option("--search", "q", metavar="TEXT", help="Only those with this text.")
@with_api
@list_options
@click.pass_context
def findings(context: click.Context, /, *, api: Api, output: str, **wish: str | None) -> None:
    """Where the plan and the cloud disagree, the worst first.

    Exit code 3 when nothing was compared: no cloud is connected, or none has been seen yet.

    \b
    Examples:
      unipam plan findings
      unipam plan findings --severity error
      unipam plan findings -o json | jq '.items[].message'
    """
    looked = api.ask("GET", "/findings", query={"limit": 1})
    if looked["compared_on"] is None:
        none = "nothing was compared: no cloud is connected (unipam server --azure), or none was seen yet"
        show([], output, _FINDINGS, none)
        context.exit(NOTHING_COMPARED)
    agreed = f"nothing: they agreed at {when(looked['compared_on'])}"
    show_list(lambda: api.all("/findings", wish), output, _FINDINGS, agreed)
    for problem in looked["problems"]:
        click.echo(f"not read: {problem}", err=True)
