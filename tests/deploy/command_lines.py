"""`unipam ...` command lines as people copy them out of pages, manifests and unit files, and what click says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import yaml

from unipam.cli.main import unipam

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_TYPED = re.compile(r"^[$>] (.*\n)", re.MULTILINE)
"""Of a console, what was typed; the rest is what was printed."""
_INLINE = re.compile(r"`(unipam [^`\n]+)`")
_BEFORE = frozenset({"exec", "until", "while", "sudo", "then", "do"})
_CHECKED = (click.Choice, click.IntRange, click.FloatRange, type(click.INT), type(click.FLOAT))


class Line(NamedTuple):
    """A command line without its `unipam`. One that is `whole` is complete: it can be copied and run."""

    where: str
    words: tuple[str, ...]
    whole: bool = True


def lines_of(path: Path) -> list[Line]:
    """Every command line in a file, by what kind of file it is."""
    text = path.read_text("utf-8")
    if path.suffix == ".md":
        return [*_fenced(path.name, text), *_inline(path.name, _FENCE.sub("", text))]
    if path.suffix == ".html":
        fixed = re.sub(
            r"<code>[^<]*\{\{[^<]*</code>", "", text
        )  # what a template puts together is known when it is drawn
        return list(_inline(path.name, re.sub("</?code>", "`", fixed)))
    if path.suffix == ".yaml":
        comments = "\n".join(line.strip("# ") for line in text.splitlines() if line.strip().startswith("#"))
        documents = list(yaml.safe_load_all(text))
        return [*_shell(path.name, comments), *(line for each in documents for line in _listed(path.name, each))]
    if path.name.startswith("Dockerfile"):
        return [
            Line(path.name, tuple(words[1:]))
            for words in map(yaml.safe_load, re.findall(r"^CMD (\[.*)", text, re.MULTILINE))
        ]
    return list(_shell(path.name, text.replace("ExecStart=", "").replace("# ", "")))


def _fenced(where: str, text: str) -> Iterator[Line]:
    for kind, block in _FENCE.findall(text):
        typed = "".join(_TYPED.findall(block)) if kind == "console" else block
        yield from _shell(where, typed.replace("ExecStart=", ""))


def _inline(where: str, text: str) -> Iterator[Line]:
    """Of `a|b` every reading; what is in brackets may be left out, and is checked with its brackets off."""
    for found in _INLINE.findall(text):
        words = [word.strip("[]").split("|") for word in shlex.split(found)[1:] if word.strip(".…")]
        for number in range(max(map(len, words), default=1)):
            yield Line(where, tuple(word[min(number, len(word) - 1)] for word in words), whole=False)


def _listed(where: str, node: Any) -> Iterator[Line]:
    """The commands of containers, probes and hooks, wherever they are in a manifest."""
    if isinstance(node, list):
        for each in node:
            yield from _listed(where, each)
    elif isinstance(node, dict):
        command = [*node.get("command", ()), *node.get("args", ())]
        if command[:1] == ["unipam"]:
            yield Line(where, tuple(command[1:]))
        elif command[:1] == ["sh"]:
            yield from _shell(where, command[-1])
        for value in node.values():
            yield from _listed(where, value)


def _shell(where: str, text: str) -> Iterator[Line]:
    for line in text.replace("\\\n", " ").splitlines():
        if "unipam " not in line:
            continue
        for command in _simple_commands(line):
            if command and (command[0] == "unipam" or command[0].endswith("/bin/unipam")):
                yield Line(where, tuple(command[1:]))


def _simple_commands(line: str) -> Iterator[list[str]]:
    """The commands of a shell line, without what comes before their names; prose with an apostrophe has none."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    try:
        words = [word.strip() for word in lexer]
    except ValueError:
        return
    command: list[str] = []
    for word in [*words, ";"]:
        if word and not word.strip("();<>|&"):
            yield command
            command = []
        elif word == "--":
            command = []
        elif command or not (word in _BEFORE or re.match(r"^\w+=", word)):
            command.append(word)


def check(line: Line) -> None:
    """Raises click's UsageError when there is no such command, option or value, or too few or too many arguments."""
    command: click.Command = unipam
    context, words = click.Context(command, info_name="unipam"), list(line.words)
    while isinstance(command, click.Group):
        _, rest, _ = command.make_parser(context).parse_args(words)
        if not rest:
            if line.whole and not {"--help", "--version"} & set(words):
                raise click.UsageError("a command is missing", context)
            return
        _, found, words = command.resolve_command(context, rest)
        assert found is not None  # click raises for a name that it does not know
        command = found
        context = click.Context(command, parent=context, info_name=command.name)
    _check_leaf(command, context, words, whole=line.whole)


def _check_leaf(command: click.Command, context: click.Context, words: list[str], *, whole: bool) -> None:
    given, extra, _ = command.make_parser(context).parse_args(words)
    if extra:
        raise click.UsageError(f"unexpected: {extra}", context)
    for parameter in command.get_params(context) if whole and not given.get("help") else ():
        _check_value(parameter, given.get(str(parameter.name)), context)


def _check_value(parameter: click.Parameter, value: Any, context: click.Context) -> None:
    """Files are not opened: only what is a choice or a number is converted. UPPER CASE stands for something."""
    values = _texts(value)
    if parameter.required and not values and not parameter.envvar:
        raise click.MissingParameter(ctx=context, param=parameter)
    for each in values:
        if isinstance(parameter.type, _CHECKED) and not each.isupper():
            parameter.type(each, parameter, context)


def _texts(value: object) -> list[str]:
    """What was given for a parameter: nothing, one text or several (click has objects for what is missing)."""
    several = value if isinstance(value, list | tuple) else [value]
    return [each for each in several if isinstance(each, str)]
