"""Every command that a page tells its reader to type, typed in order on a machine of its own: it says what is shown.

`make docs-outputs` (UNIPAM_DOCS_OUTPUTS=1) writes what is really said into the pages instead.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.docs.blocks import REASONS, Block, blocks
from tests.docs.terminal import Terminal
from tests.docs.volatile import place, same
from tests.real.node import missing

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs/tutorials").glob("*.md")),
    *sorted((ROOT / "docs/how-to").glob("*.md")),
]
_MISSING = missing({"containernetworking-plugins": "/usr/lib/cni/bridge", "iproute2": "ip", "iputils-ping": "ping",
                    "curl": "curl", "postgresql": "/usr/bin/pg_ctlcluster"})  # fmt: skip
LISTED = [*PAGES, ROOT / "deploy/README.md"]
"""These and one page that is all about what no test has, whose blocks are held to the command line by tests/deploy."""
COMMANDS = {"sh", "bash", "shell", ""}
NOT_RUN = {
    "README.md": ["a package index"],
    "deploy/README.md": [*["a container engine"] * 2, *["a cluster"] * 8, *["systemd"] * 2],
    "docs/how-to/install.md": ["systemd", "a package index"],
    "docs/how-to/upgrade.md": ["systemd", "a package index"],
    "docs/tutorials/from-azure-ipam.md": ["Azure", "Azure"],
}
"""Of each page, what blocks that are not run would need, in their order. `make first-hour` does what systemd and a
package index stand for here, in a Debian of its own."""


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.real
@pytest.mark.skipif(bool(_MISSING), reason=_MISSING)
@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and mounts need root")
@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_shows_what_its_commands_say(page: Path, tmp_path: Path) -> None:
    text = page.read_text("utf-8")
    wrong, changes = [], list[tuple[int, int, str]]()
    with Terminal(tmp_path) as terminal:
        for block in blocks(text):
            if block.file:
                terminal.write(block.file, block.text)
            for step in () if block.unmet else block.steps:
                said = place(terminal.type(step.command))
                if not (right := same(step.shown, said)):
                    wrong.append(f"$ {step.command}--- shown:\n{step.shown}--- said:\n{said}")
                if not right or "...\n" not in step.shown:
                    changes.append((step.start, step.end, said + "\n" if said and not said.endswith("\n") else said))
    if wrong and os.environ.get("UNIPAM_DOCS_OUTPUTS"):
        page.write_text(replaced(text, changes), "utf-8")  # all of it, so that an id is the same one throughout
    else:
        assert not wrong, "\n".join(wrong)


def replaced(text: str, changes: list[tuple[int, int, str]]) -> str:
    """Return a text with other outputs in their places."""
    for start, end, said in reversed(changes):
        text = text[:start] + said + text[end:]
    return text


@pytest.mark.parametrize("page", LISTED, ids=name)
def test_every_command_is_run_or_named(page: Path) -> None:
    """A block of commands is `console`, or says what it lacks; so none is shown that nobody tried."""
    found = list(blocks(page.read_text("utf-8")))
    assert [each.text for each in found if each.kind in COMMANDS and not each.file and not each.unmet] == []
    assert {each.unmet for each in found if each.unmet} <= REASONS
    assert [each.unmet for each in found if each.unmet] == NOT_RUN.get(name(page), [])


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_reader_is_told_the_name_of_each_file(page: Path) -> None:
    text = page.read_text("utf-8")
    for block in blocks(text):
        before, _, _ = text.partition(f"<!-- file: {block.file} -->")
        assert not block.file or f"`{block.file}`" in before.rstrip().rpartition("\n\n")[2]


def test_steps_are_read() -> None:
    page = "a\n\n<!-- file: x.yaml -->\n```yaml\nb: 1\n```\n\n```console\n$ one\nout\n$ two \\\n> more\n```\n"
    first, second = blocks(page)
    assert (first.file, first.text) == ("x.yaml", "b: 1\n")
    assert [(step.command, step.shown) for step in second.steps] == [("one\n", "out\n"), ("two \\\nmore\n", "")]
    ends = [(step.start, step.end, f"{number}\n") for number, step in enumerate(second.steps)]
    assert replaced(page, ends).endswith("$ one\n0\n$ two \\\n> more\n1\n```\n")


def test_what_is_volatile_is_no_difference_and_all_else_is() -> None:
    assert same(
        "at 2026-01-01T10:00:00Z by pnp2KFrqYqs8MydSdkTajq\n", "at 2027-02-03T11:22:33Z by abcdefghijklmnopqrs123\n"
    )
    assert same("a\n...\nd\n", "a\nb\nc\nd\n")
    assert same("", "")
    assert not same("10.8.0.0/24\n", "10.8.1.0/24\n")
    assert not same("a\n", "a\nb\n")
    assert not same("a\n", "")


def test_every_kind_of_block_is_met() -> None:
    """So that a reader that finds nothing does not pass for pages that are right."""
    found: list[Block] = [each for page in PAGES for each in blocks(page.read_text("utf-8"))]
    assert sum(len(each.steps) for each in found if not each.unmet) > 60
