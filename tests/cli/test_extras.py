"""unipam as plain `pip install unipam` brings it: no command ends in a traceback for want of an extra."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from tests.cli.test_help import LEAVES, examples

from unipam.cli.extras import EXTRAS

NEEDS_NO_REGISTER = {"adopt", "agent", "cni", "run"}
"""Commands that change the machine or stay: only their help is asked for here."""


def required(name: str) -> Iterator[importlib.metadata.Distribution]:
    """A distribution and what it wants, of that what it wants, and so on; without what only an extra brings."""
    found = importlib.metadata.distribution(name)
    yield found
    for line in found.requires or []:
        requirement = re.match(r"[\w.-]+", line)
        assert requirement
        if "extra ==" not in line and _is_installed(requirement[0]):
            yield from required(requirement[0])


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def modules(distribution: importlib.metadata.Distribution) -> set[str]:
    """The files and directories that it puts beside others."""
    return {file.parts[0] for file in distribution.files or [] if file.parts[0] not in {"..", "__pycache__"}}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that has what unipam wants without extras, and nothing else."""
    root = tmp_path_factory.mktemp("bare")
    for distribution in required("unipam"):
        for name in modules(distribution):
            target = Path(str(distribution.locate_file(name)))
            if target.exists() and not (root / name).exists():
                (root / name).symlink_to(target)
    if not (root / "unipam").exists():  # an editable installation
        (root / "unipam").symlink_to(Path(importlib.import_module("unipam").__path__[0]))
    return root


def run(bare: Path, cwd: Path, words: list[str]) -> subprocess.CompletedProcess[str]:
    """A command in an interpreter that sees nothing but the bare directory."""
    program = "import sys; sys.path.append(sys.argv.pop(1)); from unipam.cli.main import main; main(sys.argv[1:])"
    return subprocess.run(
        [sys.executable, "-S", "-c", program, str(bare), *words],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), "UNIPAM_DATABASE": str(cwd / "register.db")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(("words", "command"), LEAVES, ids=[" ".join(words) for words, _ in LEAVES])
def test_no_command_ends_in_a_traceback(
    words: tuple[str, ...], command: click.Command, bare: Path, tmp_path: Path
) -> None:
    given = [*words, "--help"] if words[0] in NEEDS_NO_REGISTER else shlex.split(examples(command)[0])
    told = run(bare, tmp_path, given)
    assert "Traceback" not in told.stderr, told.stderr
    if told.returncode == 1 and "not installed" in told.stderr:
        assert re.fullmatch(
            r"Error: this needs \w+, which is not installed: pip install 'unipam\[\w+\]'\n", told.stderr
        )


def test_the_extra_is_named_with_the_line_that_installs_it(bare: Path, tmp_path: Path) -> None:
    told = run(bare, tmp_path, ["server", "--database", "register.db"])
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == "Error: this needs jwt, which is not installed: pip install 'unipam[server]'\n"


def test_a_plan_is_listed_without_any_extra(bare: Path, tmp_path: Path) -> None:
    assert run(bare, tmp_path, ["register", "init", "--database", "register.db"]).returncode == 0
    assert run(bare, tmp_path, ["space", "list", "--database", "register.db"]).stderr.startswith("no spaces yet")


def test_every_module_of_every_extra_is_known() -> None:
    plain = {name for distribution in required("unipam") for name in modules(distribution)}
    bringing: dict[str, set[str]] = defaultdict(set)
    for line in importlib.metadata.requires("unipam") or []:
        name, _, extra = line.partition("extra ==")
        requirement = re.match(r"[\w.-]+", name)
        if extra and requirement:
            for each in modules(importlib.metadata.distribution(requirement[0])) - plain:
                bringing[each].add(extra.strip(" '\""))
    wanted = {name: extras for name, extras in bringing.items() if name.isidentifier() and not name.startswith("_")}
    assert set(wanted) <= set(EXTRAS)
    assert all(EXTRAS[name] in extras for name, extras in wanted.items())
