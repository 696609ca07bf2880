"""How commands speak: tables for people; JSON, YAML, CSV, names and templates for machines; one way for both.

A command hands its rows and their `View` to `show`. Whatever is asked of the rows by options that all listings have
(`--sort-by`, `--limit`, `--watch`, `--no-headers`) is done here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from unipam.cli.progress import remark
from unipam.cli.table import Row, Table, View, column, plain, sorted_by

F = TypeVar("F", bound=Callable[..., Any])

VERSION = 1
"""The version of every document's schema (`unipam.cli.schemas` says when it rises)."""

_DOCUMENTS = ("table", "json", "yaml")
_LISTINGS = ("table", "wide", "name", "csv", "json", "yaml")
_TEMPLATE = "jsonpath="
_LARGEST = 1 << 53
"""Numbers up to here are exact in every JSON reader."""


if TYPE_CHECKING:
    _TextType = click.ParamType[str]
else:
    _TextType = click.ParamType  # which click before 8.4 cannot subscript


class Format(_TextType):
    """How an answer is printed: one of some words, or `jsonpath=TEMPLATE`."""

    name = "format"

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002 (click's)
        """Return what the help shows."""
        return "|".join((*self._words, "jsonpath=..."))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the format. Raises BadParameter for what is none."""
        if value not in self._words and not str(value).startswith(_TEMPLATE):
            self.fail(f"{value!r} is not one of {', '.join(self._words)}, jsonpath=TEMPLATE", param, ctx)
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:  # noqa: ARG002
        """Return the words that begin so, for the shell."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(word) for word in (*self._words, _TEMPLATE) if word.startswith(incomplete)]


def _output(words: Sequence[str]) -> Callable[[F], F]:
    return click.option(
        "-o", "--output", type=Format(words), default="table", show_default=True, help="How to print the answer."
    )


def document_option(command: F) -> F:
    """Give a command whose answer is one document its `-o`."""
    return _output(_DOCUMENTS)(command)


def format_option(command: F) -> F:
    """Give a command whose answer is rows its `-o` and `--no-headers`."""
    command = _remembered("--no-headers", is_flag=True, help="Print the table without its heads.")(command)
    return _output(_LISTINGS)(command)


def order_options(command: F) -> F:
    """Give a listing what `format_option` gives, `--sort-by` and `--watch`."""
    command = _remembered("-w", "--watch", is_flag=True, help="Go on, and print what changes (an EVENT each).")(command)
    command = _remembered(
        "--sort-by", metavar="[-]COLUMN", help="Sort by a column or a field; with - from the last to the first."
    )(command)
    return format_option(command)


def list_options(command: F) -> F:
    """Give a listing what `order_options` gives, and `--limit`."""
    return order_options(_remembered("--limit", type=click.IntRange(1), help="Print at most so many rows.")(command))


def _remembered(*names: str, **how: Any) -> Callable[[F], F]:
    """Return an option that `show` looks up, instead of every command passing it on."""

    def keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        context.meta[f"unipam.{parameter.name}"] = value

    return click.option(*names, expose_value=False, callback=keep, **how)


def _asked(option: str) -> Any:
    return click.get_current_context().meta.get(f"unipam.{option}")


def log_format_option(command: F) -> F:
    """Give a command that goes on running its `--log-format`."""
    from unipam.logline import AUTO, FORMATS

    return click.option(
        "--log-format",
        type=click.Choice(FORMATS),
        default=AUTO,
        show_default=True,
        envvar="UNIPAM_LOG_FORMAT",
        help="How to log: text for people, JSON for machines; auto: text on a terminal, JSON elsewhere.",
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


def is_table(output: str) -> bool:
    """Return whether people are to read it."""
    return output in ("table", "wide")


def is_document(output: str) -> bool:
    """Return whether a machine is to read all of it."""
    return output in ("json", "yaml") or output.startswith(_TEMPLATE)


def show(rows: Sequence[Row], output: str, view: View | Sequence[str] = (), empty: str = "") -> None:
    """Print rows, as many as are wanted in the order that is wanted. Only tables and names are limited to the view."""
    known = _view(rows, view)
    rows = _chosen(rows, known)
    if not rows and is_table(output):
        remark(empty)
    _print(
        rows, output, known, Table(known.columns, wide=output == "wide", heads=bool(rows) and not _asked("no_headers"))
    )


def show_list(read: Callable[[], Sequence[Row]], output: str, view: View, empty: str = "") -> None:
    """Print the rows that `read` returns; with --watch go on printing those that change, until interrupted."""
    if not _asked("watch"):
        show(read(), output, view, empty)
        return
    from unipam.cli.watching import changes

    view = view.with_column(column("event"))
    table = Table(view.columns, wide=output == "wide", heads=not _asked("no_headers"))
    try:
        for rows in changes(read, (*view.within, view.name)):
            _print(_chosen(rows, view), output, view, table, lines=True)
    except KeyboardInterrupt:
        click.get_current_context().exit(130)


def _view(rows: Sequence[Row], view: View | Sequence[str]) -> View:
    """Return a view of all the fields, or the named ones, where a command has none of its own."""
    if isinstance(view, View):
        return view
    fields = tuple(view) or tuple(rows[0] if rows else ())
    words = click.get_current_context().command_path.split()[1:]
    return View(" ".join(words), tuple(map(column, fields)), fields[0] if fields else "")


def _chosen(rows: Sequence[Row], view: View) -> Sequence[Row]:
    wanted, limit = _asked("sort_by"), _asked("limit")
    if wanted:
        try:
            rows = sorted_by(rows, view.columns, wanted)
        except KeyError as error:
            heads = ", ".join(each.head.lower() for each in view.columns)
            raise click.UsageError(f"--sort-by {error.args[0]}: there is no such column: {heads}") from None
    return rows[:limit]


def _print(rows: Sequence[Row], output: str, view: View, table: Table, *, lines: bool = False) -> None:
    if is_table(output):
        _echo(table.lines(rows))
    elif output == "name":
        _echo(plain(row.get(view.name)) for row in rows)
    elif output == "csv":
        _echo(_csv(rows))
    else:
        show_document({"items": list(rows)}, output, view.schema, line=lines)


def _echo(lines: Iterable[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    if text:
        click.echo(text, nl=False)


def _csv(rows: Sequence[Row]) -> Iterable[str]:
    import csv
    import io

    flat = [_flat(row) for row in rows]
    fields = list(dict.fromkeys(field for row in flat for field in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if not _asked("no_headers") and fields:
        writer.writerow(fields)
    writer.writerows([plain(row.get(field)) for field in fields] for row in flat)
    return text.getvalue().splitlines()


def _flat(row: Row, before: str = "") -> dict[str, object]:
    """Return a row without members of members: a dot joins their names."""
    flat: dict[str, object] = {}
    for field, value in row.items():
        flat |= _flat(value, f"{before}{field}.") if isinstance(value, Mapping) else {f"{before}{field}": value}
    return flat


def show_changed(rows: Sequence[Row], output: str, view: View | Sequence[str] = (), empty: str = "") -> None:
    """Print what a command has changed; with --dry-run each row says first what would be done ("would add")."""
    verb = _rehearsed()
    if not verb:
        show(rows, output, view, empty)
        return
    marked = [{"action": verb, **row} for row in rows]
    show(marked, output, _view(rows, view).with_column(column("action")), empty)


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


def show_document(document: object, output: str, schema: str = "", *, line: bool = False) -> None:
    """Print anything as JSON (on one `line`, if wanted), YAML or by a template, under its schema's name and version."""
    import msgspec

    exact = _exact(msgspec.to_builtins(document))
    if schema:
        exact = {"schema": schema, "version": VERSION, **exact}
    if output == "yaml":
        import yaml

        click.echo(yaml.safe_dump(exact, sort_keys=False, allow_unicode=True, explicit_start=line), nl=False)
    elif output.startswith(_TEMPLATE):
        from unipam.cli.jsonpath import render

        try:
            text = render(output.removeprefix(_TEMPLATE), exact)
        except ValueError as error:
            raise click.UsageError(f"-o {output}: {error}") from None
        click.echo(text, nl=not text.endswith("\n"))
    else:
        encoded = msgspec.json.encode(exact)
        click.echo((encoded if line else msgspec.json.format(encoded, indent=2)).decode())


def _exact(value: Any) -> Any:
    """Return the document with each number that a reader of JSON may round as a text."""
    if isinstance(value, dict):
        return {key: _exact(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_exact(each) for each in value]
    return str(value) if isinstance(value, int) and abs(value) > _LARGEST else value
