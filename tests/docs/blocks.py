"""The blocks of a page that its reader types, and what the page says comes out of them.

A block ```` ```console ```` has commands after `$ ` (further lines of one after `> `), and below each its output; a
line `...` stands for any number of lines. A comment before a block says what else there is to know:

    <!-- file: NAME -->         the block is the content of that file; it is written where the commands run
    <!-- not run: REASON -->    the block needs what a test has not: REASONS names them all
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_BLOCK = re.compile(
    r"^ *(?:<!-- (?P<what>file|not run): (?P<value>[^>]+) -->\n *)?```(?P<kind>\w*)\n(?P<text>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)
REASONS = frozenset({"Azure", "a cluster", "a container engine", "a package index", "systemd"})
"""What a block may need that no test has."""


@dataclass
class Step:
    """One command and the output that is shown for it; `start` and `end` are that output's place in the page."""

    command: str
    shown: str
    start: int
    end: int


@dataclass
class Block:
    """A block of a page: a file's content, or steps."""

    kind: str
    text: str
    file: str = ""
    unmet: str = ""
    steps: list[Step] = field(default_factory=list)


def blocks(page: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page, in order."""
    for found in _BLOCK.finditer(page):
        block = Block(found["kind"], found["text"])
        if found["what"] == "file":
            block.file = found["value"].strip()
        elif found["what"]:
            block.unmet = found["value"].strip()
        if block.kind == "console":
            block.steps = list(_steps(found["text"], found.start("text")))
        yield block


def _steps(text: str, offset: int) -> Iterator[Step]:
    step: Step | None = None
    for line in text.splitlines(keepends=True):
        end = offset + len(line)
        if line.startswith("$ "):
            if step:
                yield step
            step = Step(line[2:], "", end, end)
        elif step and line.startswith("> ") and not step.shown:
            step.command += line[2:]
            step.start = step.end = end
        else:
            assert step, f"a console block begins with a command: {line!r}"
            step.shown += line
            step.end = end
        offset = end
    if step:
        yield step
