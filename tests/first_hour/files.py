"""Write the files that the tutorial of a kubenet node shows: python -m tests.first_hour.files DIRECTORY."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.docs.blocks import blocks

PAGE = Path(__file__).parents[2] / "docs/tutorials/kubenet-node.md"

if __name__ == "__main__":
    for block in blocks(PAGE.read_text("utf-8")):
        if block.file:
            (Path(sys.argv[1]) / block.file).write_text(block.text, "utf-8")
