"""The table of docs/diagnose.md: every published excerpt, the verdict, and what is found in it.

`python -m tests.diagnose.table` prints it; UNIPAM_SHARED names the directory of the captured inputs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from tests.diagnose.conftest import SHARED

from unipam.diagnose import diagnose
from unipam.diagnose.report import Finding

_WIDTH = 150


def lines(shared: Path) -> Iterator[str]:
    """The lines of the table."""
    yield from ("| excerpt | verdict | what is found |", "|---|---|---|")
    for half in ("field", "field2"):
        for path in sorted((shared / "fixtures" / half).iterdir()):
            if not path.name.endswith(".meta.json") and not path.name.startswith("00-"):
                report = diagnose([path])
                told = "; ".join(_short(found) for found in report.findings) or "nothing wrong"
                yield f"| {half}/{path.name} | {report.outcome} | {told} |"


def _short(found: Finding) -> str:
    text = found.cause.replace("|", "/").replace("<", "&lt;")
    text = text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
    effects = ", ".join(effect.kind for effect in found.consequences)
    return f"`{found.kind}` {text}" + (f" (and, because of it: {effects})" if effects else "")


if __name__ == "__main__":
    sys.stdout.write("\n".join([*lines(SHARED), ""]))
