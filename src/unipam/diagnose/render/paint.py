"""Colours and marks of a severity, for terminals."""

from __future__ import annotations

from unipam.diagnose.report import Report

MARKS = {"fault": "✗", "unknown": "?", "warning": "!", "note": "·"}
_COLOURS = {
    "fault": "\x1b[1;31m",
    "unknown": "\x1b[1;35m",
    "warning": "\x1b[1;33m",
    "note": "\x1b[2m",
    "good": "\x1b[1;32m",
    "head": "\x1b[1m",
}


class Paint:
    """Puts a style around a text, when `colour` is wanted."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour

    def __call__(self, style: str, text: str) -> str:
        return f"{_COLOURS[style]}{text}\x1b[0m" if self._colour else text


def tone(report: Report) -> str:
    """Return the style of the verdict."""
    if report.findings:
        return report.findings[0].severity
    return "good" if report.outcome == "healthy" else "unknown"
