"""Writes the manual pages of all commands, made from the commands themselves.

    python deploy/man.py DIRECTORY

One page a command (`unipam-lease-list.1`), and `unipam.1` for all of them. The same commands give the same pages.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from unipam.cli.main import COMMANDS, unipam

Words = tuple[str, ...]

_MORE = """\
.SH ENVIRONMENT
.TP
.BR UNIPAM_SERVER ", " UNIPAM_DATABASE ", " UNIPAM_CONTEXT
The register that commands work on.
.TP
.BR UNIPAM_TOKEN ", " UNIPAM_TOKEN_FILE
The token to sign in with.
.TP
.B UNIPAM_DATA_DIR
The directory of the node's ledger.
.TP
.B UNIPAM_LOG_FORMAT
How agent and register log: text, json or auto.
.TP
.B NO_COLOR
No colours, whatever the terminal can do.
.SH FILES
.TP
.I ~/.config/unipam/contexts.json
Registers by name (unipam context).
"""


def write(directory: Path) -> None:
    """Write every page into a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    for words, command in tree(unipam, "unipam"):
        (directory / f"{'-'.join(words)}.1").write_text(page(words, command), "utf-8")


def tree(command: click.Command, *words: str) -> Iterator[tuple[Words, click.Command]]:
    """Yield a command and all below it, each with the words that call it."""
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            if (found := command.get_command(context, name)) and not found.hidden:
                yield from tree(found, *words, name)


def page(words: Words, command: click.Command) -> str:
    """Return the page of one command."""
    context = click.Context(command, info_name=" ".join(words))
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(f"{command.help or ''}\n\n{command.epilog or ''}"))
    prose = [each for each in paragraphs if not _has_examples(each)]
    parts = [
        f'.TH {"-".join(words).upper()} 1 "" "unipam {importlib.metadata.version("unipam")}" "unipam"',
        f".SH NAME\n{'-'.join(words)} \\- {_plain(_summary(words, command))}",
        f".SH SYNOPSIS\n.B {_plain(' '.join(words))}\n{_plain(' '.join(command.collect_usage_pieces(context)))}",
        ".SH DESCRIPTION\n" + "\n.PP\n".join(map(_paragraph, filter(None, prose))),
        *_options(command, context),
        *(f".SH EXAMPLES\n{_verbatim(each)}" for each in paragraphs if _has_examples(each)),
        *_below(words, command, context),
    ]
    return "\n".join(parts) + "\n" + (_MORE if len(words) == 1 else "") + _see_also(words)


def _summary(words: Words, command: click.Command) -> str:
    """Return what stands beside a command's name in lists."""
    if len(words) == 1:
        return "one register for every address of Kubernetes on Azure"
    if len(words) == 2:
        return COMMANDS[words[1]][1]
    return command.get_short_help_str(80).rstrip(".")


def _has_examples(paragraph: str) -> bool:
    return paragraph.lstrip("\b\n ").startswith(("Example:", "Examples:"))


def _paragraph(text: str) -> str:
    return _verbatim(text) if text.startswith("\b") else _plain(" ".join(text.split()))


def _verbatim(text: str) -> str:
    """Return lines as they stand."""
    lines = [line for line in text.lstrip("\b").strip("\n").splitlines() if not re.match(r"Examples?:$", line)]
    return "\n".join([".nf", *map(_plain, lines), ".fi"])


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    records = [record for each in command.params if (record := each.get_help_record(context))]
    if records:
        yield ".SH OPTIONS\n" + "\n".join(f".TP\n.B {_plain(flags)}\n{_plain(text)}" for flags, text in records)


def _below(words: Words, command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield the section of the commands of a group."""
    if isinstance(command, click.Group):
        found = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
        rows = [(name, _summary((*words, name), each)) for name, each in found if each and not each.hidden]
        yield ".SH COMMANDS\n" + "\n".join(f".TP\n.B {_plain(name)}\n{_plain(text)}" for name, text in rows)


def _see_also(words: Words) -> str:
    above = "-".join(words[:-1])
    return f".SH SEE ALSO\n.BR {_plain(above)} (1)\n" if above else ""


def _plain(text: str) -> str:
    """Return text in which roff finds nothing to do."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"[^\x00-\x7f]", lambda found: f"\\[u{ord(found[0]):04X}]", text)
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
