"""The page of commands, read off click: for each its help, its arguments and options, and its examples."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from unipam.cli.main import COMMANDS, unipam

_HEAD = """\
# Commands

This page is made from the commands themselves; `unipam COMMAND --help` prints the same.

| command | does |
|---|---|
"""


def page() -> str:
    """Return the page."""
    summaries = [
        f"| [`unipam {name}`](#unipam-{name}) | {summary} |" for name, (_, summary) in sorted(COMMANDS.items())
    ]
    sections = [section(words, command) for words, command in tree(unipam, "unipam") if len(words) > 1]
    return "\n".join([_HEAD.rstrip(), *summaries, "", *sections])


def tree(command: click.Command, *words: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield a command and all below it, each with the words that call it."""
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            if (found := command.get_command(context, name)) and not found.hidden:
                yield from tree(found, *words, name)


def section(words: tuple[str, ...], command: click.Command) -> str:
    """Return the part of one command."""
    context = click.Context(command, info_name=" ".join(words))
    usage = " ".join([*words, *command.collect_usage_pieces(context)])
    parts = [f"{'#' * min(len(words), 4)} {' '.join(words)}", f"```text\n{usage}\n```", *prose(command.help or "")]
    return "\n\n".join([*parts, *options(command, context)]) + "\n"


def prose(text: str) -> Iterator[str]:
    """Yield a help text's paragraphs; one that click prints as it stands is a block."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        if paragraph.startswith("\b\n"):
            yield f"```text\n{paragraph.removeprefix(chr(8)).strip(chr(10))}\n```"
        else:
            yield escape(paragraph)


def options(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield the table of a command's options, where it has any."""
    records = [record for each in command.params if (record := each.get_help_record(context))]
    if records:
        rows = [f"| `{flags.replace('|', chr(92) + '|')}` | {cell(text)} |" for flags, text in records]
        yield "\n".join(["| option | meaning |", "|---|---|", *rows])


def cell(text: str) -> str:
    """Return a text as a table's cell."""
    return escape(" ".join(text.split())).replace("|", "\\|")


def escape(text: str) -> str:
    """Keep what looks like markup from being taken for it."""
    return re.sub(r"(?<!`)([<>*_\[\]])", r"\\\1", text)
