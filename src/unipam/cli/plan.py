"""``unipam plan``: questions to the whole plan, now and at a past moment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from unipam.cli.output import (
    document_option,
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


_RELATED = View(
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
@with_api
@document_option
def tree(api: Api, at: float | None, output: str) -> None:
    """Everything, as a tree.

    \b
    Examples:
      unipam plan tree
      unipam plan tree --at 2026-11-03T08:00 -o json
    """
    found = api.ask("GET", "/plan", query={"at": at if at is not None else 4e9})
    if not is_table(output):
        show_document({"items": found}, output, "plan")
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
    show_list(lambda: api.ask("GET", "/explain", query=query), output, _RELATED, none)


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
