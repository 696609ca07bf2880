"""KubeControllersConfiguration: how long a leak is waited for, where somebody has chosen."""

from __future__ import annotations

from typing import Any

import pytest

from unipam.dialects.calico.documents.controllers import leak_grace
from unipam.model.errors import Unreadable


def configured(text: Any) -> dict[str, Any]:
    return {"spec": {"controllers": {"node": {"leakGracePeriod": text}}}}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30m", 1800), ("1h30m0.5s", 5400.5), ("0s", 0), ("0", 0), ("90s", 90), ("250ms", 0.25), ("15m", None),
        ("15m0s", None),
    ],
)  # fmt: skip
def test_a_duration_as_go_writes_it(text: str, seconds: float | None) -> None:
    assert leak_grace(configured(text)) == seconds


@pytest.mark.parametrize("document", [{}, {"spec": {}}, {"spec": {"controllers": {"node": None}}}, configured(None)])
def test_nobody_has_chosen(document: dict[str, Any]) -> None:
    assert leak_grace(document) is None


@pytest.mark.parametrize("text", ["soon", "15", "-1m", "1m x", "", "m"])
def test_what_is_no_duration_is_named(text: str) -> None:
    with pytest.raises(Unreadable, match="leakGracePeriod"):
        leak_grace(configured(text))
