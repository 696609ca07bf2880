"""A year of healthy churn: whatever the variant, there is nothing to find."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.diagnose import churn

from unipam.diagnose import diagnose


@pytest.mark.parametrize("variant", churn.VARIANTS)
def test_a_healthy_year_is_healthy(tmp_path: Path, variant: str) -> None:
    churn.VARIANTS[variant](tmp_path)
    report = diagnose([tmp_path])
    assert [(found.kind, found.title) for found in report.findings] == []
    assert report.outcome == "healthy", report.verdict


@pytest.mark.parametrize("variant", ["azure-cni, text logs", "azure-cni, JSON logs"])
def test_a_healthy_year_seen_through_a_grep_is_no_fault(tmp_path: Path, variant: str) -> None:
    churn.VARIANTS[variant](tmp_path)
    path = tmp_path / "grep.txt"
    kept = [
        line
        for line in (tmp_path / "azure-vnet-ipam.log").read_text().splitlines()
        if "eleas" not in line and "DEL" not in line
    ]
    path.write_text("\n".join(kept))
    assert not diagnose([path]).findings
