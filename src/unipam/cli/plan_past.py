"""What has been done to the plan: its journal, as it is and filtered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from unipam.cli.output import list_options, order_options, show_list
from unipam.cli.register_api import Api, with_api
from unipam.cli.table import View, age, column, moment, number

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
_LINES = View(
    "journal-line",
    (
        number("number"),
        age("at"),
        column("verb"),
        column("kind"),
        column("cidr"),
        column("name"),
        column("where")._replace(write="/".join),
        column("actor"),
        column("reason"),
        moment("at"),
        column("changes", wide=True)._replace(write=lambda told: "; ".join(map(_change, told))),
        column("details", wide=True),
    ),
    name="number",
)


def _change(told: dict[str, Any]) -> str:
    return f"{told['field']}: {told['before'] or '-'} -> {told['after'] or '-'}"


def moment_of(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """Return an option's moment in seconds since the epoch. Raises BadParameter."""
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


@click.command()
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


@click.command()
@click.option("--actor", help="By whom, exactly.")
@click.option("--verb", help="What was done: create, change, remove, settle, ...")
@click.option("--under", metavar="PREFIX", help="What lies within this prefix.")
@click.option("--name", help="How the name or id begins of what changed.")
@click.option("--since", callback=moment_of, metavar="MOMENT", help="From then on.")
@click.option("--until", callback=moment_of, metavar="MOMENT", help="Before then.")
@with_api
@list_options
def journal(*, api: Api, output: str, **wish: str | float | None) -> None:
    """The journal as far as a filter lets it through, with what each change was before; the newest first.

    \b
    Examples:
      unipam plan journal --actor ada@example.org --verb create
      unipam plan journal --under 10.1.0.0/16 --since 2026-03-01 -o wide
    """
    show_list(lambda: api.all("/journal", wish), output, _LINES, "nothing happened that is so")
