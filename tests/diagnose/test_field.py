"""Every published excerpt, against ``field.toml``: what its sidecar expects, the findings no more and no fewer, and the
names and numbers that a person must be told. The tool itself never sees the sidecars; the table was written from them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unipam.diagnose.report import Report

EXPECTED: dict[str, dict[str, Any]] = tomllib.loads(Path(__file__).with_name("field.toml").read_text(encoding="utf-8"))


def _excerpt(shared: Path, number: str) -> Path:
    found = (shared / "fixtures/field").glob(f"{number}-*")
    (path,) = (path for path in found if not path.name.endswith(".meta.json"))
    return path


@pytest.mark.parametrize("number", sorted(EXPECTED))
def test_excerpt(number: str, shared: Path, read_file: Callable[[Path], Report], told: Callable[[Report], str]) -> None:
    expected = EXPECTED[number]
    report = read_file(_excerpt(shared, number))
    assert {each.kind for found in report.findings for each in found.every()} == set(expected["findings"])
    assert set(expected.get("notes", ())) <= {note.kind for note in report.notes}
    text = told(report)
    for words in expected["words"]:
        assert words in text
    assert "Traceback" not in text


def test_the_table_covers_every_excerpt(shared: Path) -> None:
    numbers = {path.name[:2] for path in (shared / "fixtures/field").iterdir() if not path.name.startswith("00-")}
    assert numbers == set(EXPECTED)


def test_evidence_is_the_line_it_names(shared: Path, read_file: Callable[[Path], Report]) -> None:
    for number, expected in EXPECTED.items():
        if not expected["findings"]:
            continue
        (path,) = (
            path for path in (shared / "fixtures/field").glob(f"{number}-*") if not path.name.endswith(".meta.json")
        )
        lines = path.read_text().split("\n")
        for found in read_file(path).findings:
            assert found.evidence
            for where in found.evidence:
                assert where.text.rstrip("…")[:60] in lines[where.line - 1], (number, where)
