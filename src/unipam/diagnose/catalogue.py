"""What each kind of signal means and what to do about it. The texts are data, in `catalogue.toml` beside this file.

Nothing here decides whether something is a finding; that is done where it is seen, or in `conclude`.
"""

from __future__ import annotations

import functools
import tomllib
from importlib import resources
from typing import Any

import msgspec

from unipam.diagnose.addresses import by_address
from unipam.diagnose.case import Signal
from unipam.diagnose.report import Finding, Severity
from unipam.diagnose.stamps import show


class Meaning(msgspec.Struct, frozen=True):
    """`weight` ranks findings of the same severity: the higher, the nearer to the cause of pods without an address."""

    severity: Severity
    weight: int
    title: str
    meaning: str
    action: str
    commands: tuple[str, ...] = ()
    remedy: str = ""
    """The name of commands in `remedies.toml`, when several kinds have the same."""


@functools.cache
def catalogue() -> dict[str, Meaning]:
    """Return every kind of signal and its meaning."""
    text = resources.files("unipam.diagnose").joinpath("catalogue.toml").read_bytes()
    return msgspec.convert(tomllib.loads(text.decode()), dict[str, Meaning])


@functools.cache
def _remedies() -> dict[str, tuple[str, ...]]:
    text = resources.files("unipam.diagnose").joinpath("remedies.toml").read_bytes()
    return msgspec.convert(tomllib.loads(text.decode()), dict[str, tuple[str, ...]])


def finding(signal: Signal, texts: dict[str, str]) -> Finding:
    """Return the signal put into words. `texts` are phrases that the conclusions add to the signal's own values."""
    meaning = catalogue()[signal.kind]
    names: dict[str, Any] = _Blank({**signal.values, "subject": signal.subject, "times": signal.count, **texts})
    return Finding(
        signal.kind,
        meaning.severity,
        _fill(meaning.title, names),
        _fill(meaning.meaning, names),
        _fill(meaning.action, names),
        signal.subject,
        signal.count,
        signal.evidence,
        show(signal.first) or None,
        show(signal.last) or None,
        {sort: _sorted(sort, found) for sort, found in signal.entities.items() if found and sort != "reasons"},
        signal.values,
        commands=[
            line.format_map(names)
            for line in meaning.commands or _remedies().get(names["remedy"] or meaning.remedy, ())
        ],
        refused=len(signal.refused) if meaning.severity in {"fault", "unknown"} else 0,
    )


def _sorted(sort: str, names: dict[str, None]) -> list[str]:
    return sorted(names, key=by_address) if sort in {"addresses", "subnets"} else list(names)


def rank(found: Finding) -> tuple[int, int, int]:
    """Return the sorting key of findings: faults first, then by weight, then by how often."""
    order = {"fault": 0, "unknown": 1, "warning": 2, "note": 3}
    return (order[found.severity], -catalogue()[found.kind].weight, -found.count)


class _Blank(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return ""


def _fill(text: str, names: dict[str, Any]) -> str:
    return " ".join(text.format_map(names).split())
