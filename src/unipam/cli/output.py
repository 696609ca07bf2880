"""How commands speak: tables for people, JSON or YAML for machines; colours on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

Row = Mapping[str, object]


def format_option(command: F) -> F:
    """Give a command the `-o table|json|yaml` that every command has."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json", "yaml"]),
        default="table",
        show_default=True,
        help="How to print the answer.",
    )(command)


def data_dir_option(command: F) -> F:
    """Give a command the `--data-dir DIR` of every command that reads a ledger."""
    return click.option(
        "--data-dir",
        default="/var/lib/cni/networks",
        show_default=True,
        envvar="UNIPAM_DATA_DIR",
        help="The directory of the ledger (dataDir of the network configuration).",
    )(command)


def when(seconds: float | None) -> str:
    """Return a moment as people and machines read it; empty for none."""
    from unipam.model.moments import moment

    return "" if seconds is None else moment(seconds)


def show(rows: Sequence[Row], output: str, columns: Sequence[str] = (), empty: str = "") -> None:
    """Print rows. A table shows `columns` only (all, when none are named), the other formats everything."""
    if output == "table":
        _table(rows, columns or list(rows[0] if rows else ()), empty)
    else:
        show_document(list(rows), output)


def show_changed(rows: Sequence[Row], output: str, columns: Sequence[str] = ()) -> None:
    """Print what a command has changed; with --dry-run each row says first what would be done ("would add")."""
    verb = _rehearsed()
    marked = [{"action": verb, **row} for row in rows] if verb else rows
    show(marked, output, ("action", *columns) if verb and columns else columns)


def tell_removed() -> None:
    """Say what a command without an answer would have done, with --dry-run; nothing when it did it."""
    if verb := _rehearsed():
        context = click.get_current_context()
        assert context.parent is not None
        given = [context.params[each.name] for each in context.command.params if isinstance(each, click.Argument)]
        words = [word for value in given for word in (value if isinstance(value, tuple) else (value,))]
        click.echo(" ".join([verb, str(context.parent.info_name), *words]))


def _rehearsed() -> str:
    context = click.get_current_context()
    return f"would {context.info_name}" if context.params.get("dry_run") else ""


def show_document(document: object, output: str) -> None:
    """Print anything as JSON or YAML."""
    import msgspec

    if output == "yaml":
        import yaml

        plain = msgspec.to_builtins(document)
        click.echo(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), nl=False)
    else:
        click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


def _table(rows: Sequence[Row], columns: Sequence[str], empty: str) -> None:
    if not rows:
        click.echo(empty, err=True)
        return
    texts = [["" if row.get(column) is None else str(row[column]) for column in columns] for row in rows]
    if sys.stdout.isatty():
        _rich(columns, texts)
        return
    heads = [column.upper() for column in columns]
    widths = [max(map(len, column)) for column in zip(heads, *texts, strict=True)]
    for line in (heads, *texts):
        click.echo("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip())


def _rich(columns: Sequence[str], texts: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*[column.upper() for column in columns], box=None, header_style="bold", pad_edge=False)
    for line in texts:
        table.add_row(*line)
    Console().print(table)
