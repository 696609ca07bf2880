"""What differs from one run of a page to the next, and is no difference: times, ids, durations, versions.

`place` also takes away where this checkout lies, which a reader's output does not have.
"""

from __future__ import annotations

import re
from pathlib import Path

_ROOT = Path(__file__).parents[2]
PLACES = [
    (re.compile(rf"{re.escape(str(_ROOT))}/\S*?bin/"), ""),
    (re.compile(re.escape(str(_ROOT))), "/usr/src/unipam"),
]
"""Of the machine that runs the page."""
VOLATILE = [
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:?\d\d)?", "TIME"),
    (r"\b1[789]\d{8}(\.\d+)?\b", "SECONDS"),
    (r"\b\d+(\.\d+)? ?(ms|MiB|KiB|kB|µs|bytes)\b", "SIZE"),
    (r"\b(\d+[smhd] ?)+ ago\b", "AGO"),
    (r"(?m)(?:^|(?<=[ \"]))(\d+[smhdy])+(?= |$)", "AGE"),
    (r"(reservation +)[0-9A-Za-z]{12}\b", r"\1ID"),  # whatever letters it is of
    (r"\b[0-9A-Za-z]{22}\b|\b(?=\w*[a-z])(?=\w*[A-Z])[0-9A-Za-z]{12}\b", "ID"),  # whole, or cut as tables cut it
    (r"\b(?=[0-9a-f]*\d)[0-9a-f]{12,64}\b", "HEX"),
    (r"\b(?<=version )\d+\.\d+[\w.+]*|\b\d+\.\d+\.dev\d+\+\w+(\.\w+)?", "VERSION"),
    (r"\[\d+\] \d+\n", ""),
    (r"(?m)^ *runtime not asked: .*\n", ""),  # said from the agent's first sweep on
    (r" +", " "),
]
"""Expression and what stands for it, in the order in which they are applied."""


def place(text: str) -> str:
    """Return an output as a reader has it, without the blanks that tables have at their ends."""
    text = re.sub(r" +$", "", text, flags=re.MULTILINE)
    for expression, instead in PLACES:
        text = expression.sub(instead, text)
    return text


def steady(text: str) -> str:
    """Return an output without what is volatile."""
    for expression, instead in VOLATILE:
        text = re.sub(expression, instead, text)
    return "".join(f"{line.rstrip()}\n" for line in text.rstrip().splitlines())


def same(shown: str, real: str) -> bool:
    """Return whether an output is the one that is shown, what is volatile and what `...` stands for aside."""
    parts = re.split(r"^\.\.\.\n", steady(shown), flags=re.MULTILINE)
    return re.fullmatch("(?:.*\n)*".join(map(re.escape, parts)), steady(real)) is not None
