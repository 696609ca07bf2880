"""The manual pages: one of each command, that a formatter has nothing to say about, and the same ones each time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.test_help import LEAVES
from tests.real.node import missing

ROOT = Path(__file__).parents[2]
_MISSING = missing({"groff": "groff", "man-db": "lexgrog"})


def made(directory: Path) -> dict[str, str]:
    """The pages by their names."""
    subprocess.run([sys.executable, ROOT / "deploy" / "man.py", directory], check=True)
    return {each.name: each.read_text("utf-8") for each in directory.iterdir()}


def test_every_command_has_its_page_the_same_each_time(tmp_path: Path) -> None:
    pages = made(tmp_path / "one")
    assert {f"unipam-{'-'.join(words)}.1" for words, _ in LEAVES} | {"unipam.1", "unipam-lease.1"} <= set(pages)
    assert pages == made(tmp_path / "two")
    assert ".SH EXAMPLES\n.nf\n  unipam lease list\n" in pages["unipam-lease-list.1"]
    assert all(page.isascii() for page in pages.values())


@pytest.mark.real
@pytest.mark.skipif(bool(_MISSING), reason=_MISSING)
def test_formatters_have_nothing_to_say(tmp_path: Path) -> None:
    made(tmp_path)
    pages = sorted(tmp_path.iterdir())
    done = subprocess.run(["groff", "-man", "-ww", "-z", *pages], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    named = subprocess.run(["lexgrog", *pages], capture_output=True, text=True, check=False)
    assert (named.returncode, named.stdout.count(" - ")) == (0, len(pages)), named.stderr
