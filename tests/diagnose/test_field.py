"""Every published excerpt, against `field.toml`: what its sidecar expects, the findings no more and no fewer, and the
names and numbers that a person must be told. The tool itself never sees the sidecars; the table was written from them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.diagnose import table

from unipam.diagnose.report import Report

EXPECTED: dict[tuple[str, str], dict[str, Any]] = {
    (half, number): expected
    for half in ("field", "field2")
    for number, expected in tomllib.loads(Path(__file__).with_name(f"{half}.toml").read_text(encoding="utf-8")).items()
}


def _excerpt(shared: Path, number: tuple[str, str]) -> Path:
    found = (shared / "fixtures" / number[0]).glob(f"{number[1]}-*")
    (path,) = (path for path in found if not path.name.endswith(".meta.json"))
    return path


@pytest.mark.parametrize("number", sorted(EXPECTED), ids="-".join)
def test_excerpt(
    number: tuple[str, str], shared: Path, read_file: Callable[[Path], Report], told: Callable[[Report], str]
) -> None:
    expected = EXPECTED[number]
    report = read_file(_excerpt(shared, number))
    assert {each.kind for found in report.findings for each in found.every()} == set(expected["findings"])
    assert set(expected.get("notes", ())) <= {note.kind for note in report.notes}
    text = told(report)
    for words in expected["words"]:
        assert words in text
    assert "Traceback" not in text


def test_the_table_covers_every_excerpt(shared: Path) -> None:
    paths = [path for half in ("field", "field2") for path in (shared / "fixtures" / half).iterdir()]
    assert {(path.parent.name, path.name[:2]) for path in paths if not path.name.startswith("00-")} == set(EXPECTED)


def test_the_page_has_the_table_of_what_is_said_of_each(shared: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/diagnose.md").read_text(encoding="utf-8")
    assert "\n".join(table.lines(shared)) in page


def test_evidence_is_the_line_it_names(shared: Path, read_file: Callable[[Path], Report]) -> None:
    for number, expected in EXPECTED.items():
        if not expected["findings"]:
            continue
        path = _excerpt(shared, number)
        lines = path.read_text().split("\n")
        for found in read_file(path).findings:
            assert found.evidence
            for where in found.evidence:
                assert where.text.rstrip("…")[:60] in lines[where.line - 1], (number, where)
