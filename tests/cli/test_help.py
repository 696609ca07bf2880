"""Every command shows in its help how it is used, and what it shows is understood."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from unipam.cli.main import unipam


def leaves(command: click.Command, *words: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with the words that call it."""
    if not isinstance(command, click.Group):
        yield words, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from leaves(found, *words, name)


LEAVES = list(leaves(unipam))


def examples(command: click.Command) -> list[str]:
    """The command lines in its help: from the program's name to a pipe, a redirection or a remark."""
    _, _, shown = f"{command.help}\n{command.epilog}".partition("Example")
    lines = (re.search(r"(?:^|\| )unipam (.*?)(?:   .*| \|.*| >.*| &)?$", line.strip()) for line in shown.splitlines())
    return [found[1] for found in lines if found]


@pytest.mark.parametrize(("words", "command"), LEAVES, ids=[" ".join(words) for words, _ in LEAVES])
def test_help_has_examples_that_are_understood(
    words: tuple[str, ...], command: click.Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = examples(command)
    assert lines
    for line in lines:
        given = shlex.split(line)
        assert tuple(given[: len(words)]) == words
        try:
            command.make_context("unipam", given[len(words) :])
        except click.BadParameter as error:  # the files in an example are the reader's
            if not re.search("No such file|does not exist", error.message):
                raise


@pytest.mark.parametrize(
    "option",
    [
        "--context", "--depth", "--device-code", "--free", "--keyring", "--length", "--limit", "--log-format",
        "--namespace", "--no-headers", "--node", "--pod", "--sort-by", "--state", "--token-file", "--under", "-o", "-w",
    ],
)  # fmt: skip
def test_options_that_many_commands_have_are_shown_by_some(option: str) -> None:
    assert any(option in shlex.split(line) for _, command in LEAVES for line in examples(command))
