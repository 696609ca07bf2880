"""`unipam schema`: what the JSON documents of the commands look like."""

from __future__ import annotations

import click

from unipam.cli.output import show_document


@click.command("schema")
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """Print the JSON Schema of a document that commands print; without a NAME list them.

    Every document names its schema and the schema's version, which rises when a field goes or changes its meaning.

    \b
    Examples:
      unipam schema
      unipam schema lease
      unipam schema lease > lease.schema.json
    """
    from unipam.cli.schemas import SCHEMAS, schema_of
    from unipam.cli.table import Table, column, number

    if name is None:
        rows = [{"schema": each, "version": d.version, "commands": d.commands} for each, d in SCHEMAS.items()]
        click.echo("\n".join(Table((column("schema"), number("version"), column("commands"))).lines(rows)))
    elif name in SCHEMAS:
        show_document(schema_of(name), "json")
    else:
        raise click.ClickException(f"there is no schema {name}: unipam schema lists them")
