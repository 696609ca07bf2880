"""`unipam register`: move whole plans, keep copies, let people and pipelines in."""

from __future__ import annotations

import os
from typing import IO

import click

from unipam.cli.grant import grant
from unipam.cli.output import format_option, is_table, list_options, show, show_list
from unipam.cli.progress import remark, working
from unipam.cli.register_api import Api, part, with_api, writing
from unipam.cli.table import View, age, column, moment

_TOKENS = View(
    "token",
    (
        column("name"),
        column("role"),
        column("spaces"),
        age("created_on"),
        moment("expires_on", wide=False),
        column("created_by", wide=True),
        moment("created_on"),
        column("id", wide=True),
    ),
    name="name",
)
_CONFLICTS = View("conflict", (column("kind"), column("place"), column("name"), column("problem")), name="name")


@click.group("register")
def command() -> None:
    """The register itself: export and import, migration, backup, tokens and grants."""


command.add_command(grant)


@command.command("export")
@click.argument("file", type=click.File("w", encoding="utf-8"), default="-")
@click.option("--format", "form", type=click.Choice(["json", "csv"]), default="json", show_default=True)
@with_api
def export_(api: Api, file: IO[str], form: str) -> None:
    """Write the whole plan into FILE (standard output without one).

    \b
    Examples:
      unipam register export plan.json
      unipam register export --format csv | head
    """
    import msgspec

    from unipam.plan.transfer.export import Document, to_csv

    document = api.ask("GET", "/export")
    if form == "csv":
        file.write(to_csv(msgspec.convert(document, Document)))
    else:
        file.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")


@command.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--format", "form", type=click.Choice(["json", "csv"]), default="json", show_default=True)
@click.option("--keep-going", is_flag=True, help="Leave out what conflicts, instead of refusing all.")
@writing
@with_api
@format_option
def import_(  # noqa: PLR0913 (options)
    *, api: Api, file: IO[bytes], form: str, keep_going: bool, dry_run: bool, reason: str, output: str
) -> None:
    """Create everything of FILE that is not there yet; also of the Azure IPAM application's GET /api/spaces.

    \b
    Examples:
      unipam register import plan.json --dry-run
      unipam register import spaces.json --keep-going --reason "moving over"
    """
    from unipam.model.errors import Refused

    data = _as_json(file.read()) if form == "csv" else file.read()
    try:
        report = api.ask("POST", "/import", data, query={"keep_going": keep_going, "dry_run": dry_run}, reason=reason)
    except Refused as error:
        document = error.facts.get("document")
        if isinstance(document, dict) and "report" in document:
            show([_conflict(row) for row in document["report"][2]], output, _CONFLICTS)
        raise
    show(report["conflicts"], output, _CONFLICTS)
    made = "would be created (dry run)" if dry_run else "created"
    remark(f"{report['created']} {made}, {report['present']} there already")


def _conflict(row: list[str]) -> dict[str, str]:
    return dict(zip(("kind", "place", "name", "problem"), row, strict=True))


def _as_json(data: bytes) -> bytes:
    import time

    import msgspec

    from unipam.plan.transfer.export import from_csv

    try:
        return msgspec.json.encode(from_csv(data.decode(), time.time()))
    except UnicodeDecodeError:
        raise click.ClickException("the file is not UTF-8 text") from None


_database = click.option(
    "--database", required=True, envvar="UNIPAM_DATABASE", metavar="FILE|URL", help="The database."
)


@command.command()
@_database
def init(database: str) -> None:
    """Make an empty register; one that is there already stays as it is.

    `unipam server` makes its own. An administrator's token is made by its first start.

    \b
    Examples:
      unipam register init --database register.db
      unipam register init --database postgresql://ipam@db/ipam
    """
    from unipam.plan.open import FIRST_STEP
    from unipam.plan.open import migrate as migrate_schema

    there = "://" not in database and os.path.exists(database)
    steps = migrate_schema(database)
    made = not there and ("://" not in database or steps[:1] == [FIRST_STEP])
    click.echo(f"an empty register is at {database}" if made else f"there is a register at {database} already")


@command.command()
@_database
@click.option("--to", "target", metavar="FILE|URL", help="Copy everything into this empty database.")
def migrate(database: str, target: str | None) -> None:
    """Bring a database's schema up to date; with --to move the whole register into another database.

    \b
    Examples:
      unipam register migrate --database register.db
      unipam register migrate --database register.db --to postgresql://ipam@db/ipam
    """
    from unipam.plan.open import migrate as migrate_schema
    from unipam.plan.open import open_store, require
    from unipam.plan.transfer.copy import copy

    require(database)
    with working(f"migrating {database}"):
        steps = migrate_schema(database)
    for step in steps:
        click.echo(f"applied {step}")
    if target is None:
        click.echo("the schema is up to date")
        return
    source, there = open_store(database), open_store(target)
    try:
        with working(f"copying {database} to {target}"):
            counts = copy(source, there)
            there.settle()
    finally:
        source.close()
        there.close()
    click.echo(", ".join(f"{number} {what}" for what, number in counts.items()) + " copied")


@command.command()
@click.option("--database", required=True, envvar="UNIPAM_DATABASE", metavar="FILE", help="The SQLite file.")
@click.argument("file", type=click.Path(dir_okay=False))
def backup(database: str, file: str) -> None:
    """Copy a live SQLite register into FILE (0600), while servers go on writing to it.

    \b
    Example:
      unipam register backup --database register.db register-copy.db
    """
    from unipam.plan.open import backup as make_backup

    with working(f"copying {database} to {file}"):
        make_backup(database, file)
    click.echo(f"{os.path.getsize(file)} bytes written, and found sound")


@command.group()
def token() -> None:
    """Local API tokens."""


@token.command("list")
@with_api
@list_options
def list_tokens(api: Api, output: str) -> None:
    """The tokens, without their secrets.

    \b
    Example:
      unipam register token list
    """
    show_list(lambda: api.all("/tokens"), output, _TOKENS)


@token.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(["reader", "planner", "admin"]), required=True)
@click.option("--space", "spaces", multiple=True, help="A space that a planner may plan, or *; repeatable.")
@click.option("--expires-in", type=float, metavar="SECONDS", help="It is worth nothing any more after that.")
@with_api
@format_option
def add_token(
    *, api: Api, name: str, role: str, spaces: tuple[str, ...], expires_in: float | None, output: str
) -> None:
    """Make a token. Its text is shown this once.

    \b
    Examples:
      unipam register token add pipeline --role planner --space prod --expires-in 7776000
      unipam register token add dashboard --role reader
    """
    body = {"name": name, "role": role, "spaces": list(spaces), "expires_in": expires_in}
    made = api.ask("POST", "/tokens", body)
    if is_table(output):
        click.echo(made["token"])
    else:
        show([made], output, _TOKENS._replace(schema="fresh-token"))


@token.command("make")
def make_token() -> None:
    """Print the text of a token that no register knows yet.

    A register takes it for its first administrator's at its first start (`unipam server --admin-token-from FILE`).

    \b
    Example:
      unipam register token make > first-admin.token
    """
    from unipam.plan.access.tokens import make_text

    click.echo(make_text())


@token.command("revoke")
@click.argument("name")
@with_api
def revoke_token(api: Api, name: str) -> None:
    """Make a token worthless, by its name or id.

    \b
    Example:
      unipam register token revoke pipeline
    """
    api.ask("DELETE", f"/tokens/{part(name)}")
