"""``unipam plan``: questions to the whole plan, now and at a past moment."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from unipam.cli.output import (
    format_option,
    is_document,
    is_table,
    list_options,
    order_options,
    show,
    show_document,
    show_list,
    when,
)
from unipam.cli.register_api import Api, with_api
from unipam.cli.table import View, age, column, moment, number


@click.group("plan")
def command() -> None:
    """The plan as a whole: its tree, its past, who holds what, and where the cloud differs."""


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
_HISTORY = View(
    "plan-entry",
    (
        number("number"),
        age("at"),
        column("verb"),
        column("cidr"),
        column("holder"),
        column("actor"),
        column("reason"),
        moment("at"),
        column("details", wide=True),
    ),
    name="number",
)
_FINDINGS = View(
    "finding",
    (*map(column, ("severity", "rule", "space", "block", "message")), column("other", wide=True)),
    name="number",
)


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
@click.option("--prefix", help="What happened at this prefix or address.")
@click.option("--name", help="What happened to this name or id.")
@click.option("--limit", type=int, default=100, show_default=True)
@with_api
@order_options
def history(api: Api, prefix: str | None, name: str | None, limit: int, output: str) -> None:
    """The journal: who changed what, when and why; the newest first.

    \b
    Examples:
      unipam plan history --prefix 10.1.0.0/16
      unipam plan history --name west --limit 20 -o yaml
    """
    query = {"cidr": prefix, "name": name, "limit": limit}
    show_list(lambda: api.ask("GET", "/history", query=query), output, _HISTORY, "nothing happened")


NOTHING_COMPARED = 3
"""Exit code of a comparison that had nothing to compare with."""


@command.command()
@with_api
@list_options
@click.pass_context
def findings(context: click.Context, api: Api, output: str) -> None:
    """Where the plan and the cloud disagree, the worst first.

    Exit code 3 when nothing was compared: no cloud is connected, or none has been seen yet.

    \b
    Examples:
      unipam plan findings
      unipam plan findings -o json | jq '.items[].message'
    """
    looked = api.ask("GET", "/findings", query={"limit": 1})
    if looked["compared_on"] is None:
        none = "nothing was compared: no cloud is connected (unipam server --azure), or none was seen yet"
        show([], output, _FINDINGS, none)
        context.exit(NOTHING_COMPARED)
    agreed = f"nothing: they agreed at {when(looked['compared_on'])}"
    show_list(lambda: api.all("/findings"), output, _FINDINGS, agreed)
    for problem in looked["problems"]:
        click.echo(f"not read: {problem}", err=True)
