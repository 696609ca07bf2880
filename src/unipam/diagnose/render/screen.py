"""The first screen, 24 lines of 80 letters: what is wrong, since when, what to type, and the lines that show it.

Everything else is behind `--verbose`. Commands are never wrapped: they are there to be copied.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from unipam.diagnose.render.paint import MARKS, Paint, tone
from unipam.diagnose.report import Evidence, Finding, Report

LINES = 24
MAX_EVIDENCE = 3
_LEAST_SHOWN = 1
"""Lines of evidence that stay however long the answer is."""

_LINES_OF_A_CAUSE = 3
_EFFECTS = 4
_LONG_ID = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")


def short(text: str) -> str:
    """Return the text with container ids cut to their first twelve letters, as people and crictl write them."""
    return _LONG_ID.sub(r"\1", text)


class Screen:
    """Makes the lines. `width` is the terminal's."""

    def __init__(self, *, colour: bool, width: int = 80) -> None:
        self._paint = Paint(colour=colour)
        self._width = max(60, width)

    def lines(self, report: Report) -> Iterator[str]:
        """Yield the lines of the first screen. Whatever does not fit is cut at its least important end."""
        yield self._paint(tone(report), report.verdict)
        foot = ["", *self._fine(report), self._paint("note", self._read(report))]
        if report.findings:
            yield from self._answer(report, LINES - 1 - len(foot))
        yield from foot

    def _answer(self, report: Report, room: int) -> Iterator[str]:
        """Yield the first finding with its evidence, then a line for each of the others, in so many lines."""
        found = report.findings[0]
        what, do = ["", *self._what(found)], list(self._do(found))
        room -= len(what) + len(do)
        shown = list(self._shown(found))
        others = list(self._others(report, room - _LEAST_SHOWN))
        room -= len(others)
        why = list(self._wrap(short(found.meaning), "  Why: ", "       "))
        why = why if len(why) + len(shown) <= room else []
        yield from (*what, *why, *do, *shown[: max(_LEAST_SHOWN, room - len(why))], *others)

    def _what(self, found: Finding) -> Iterator[str]:
        cause = list(self._wrap(short(found.cause), f"{MARKS[found.severity]} ", "  "))
        yield from (self._paint(found.severity, line) for line in cause[:_LINES_OF_A_CAUSE])
        for effect in found.consequences[:_EFFECTS]:
            yield self._cut(f"  → {short(effect.title)}")
        yield from self._who(found)

    def _do(self, found: Finding) -> Iterator[str]:
        yield from self._wrap(short(found.action), "  Do: ", "      ")
        yield from (f"      {command}" for command in found.commands)

    def _shown(self, found: Finding) -> Iterator[str]:
        """Yield the lines that show it, and one for each thing that follows from it."""
        effects = [
            where for effect in found.consequences for where in effect.evidence[:1] if where not in found.evidence
        ]
        for where in [*found.evidence[: MAX_EVIDENCE - bool(effects)], *effects][:MAX_EVIDENCE]:
            yield from (self._paint("note", line) for line in self._evidence(where))

    def _who(self, found: Finding) -> Iterator[str]:
        """Yield the addresses and the pods, as many as fit on a line each."""
        for sort in ("addresses", "pods"):
            names = list(dict.fromkeys(name for each in found.every() for name in each.entities.get(sort, ())))
            if names:
                yield self._cut(f"  {sort}: {', '.join(short(name) for name in names)}")

    def _others(self, report: Report, room: int) -> Iterator[str]:
        """Yield a line for each of the other findings, and how many there are beside those that fit."""
        others = report.findings[1:]
        if not others:
            return
        fitting = len(others) if len(others) < room else max(1, room - 2)
        yield ""
        for found in others[:fitting]:
            yield self._cut(f"{MARKS[found.severity]} {short(found.cause)}")
        if len(others) > fitting:
            yield f"  … and {len(others) - fitting} more"

    def _fine(self, report: Report) -> Iterator[str]:
        """Yield what is not wrong, in one line."""
        parts = [variant.title + ("" if variant.certain else " (likely)") for variant in report.variants[:2]]
        troubled = {
            name for found in report.findings for each in found.every() for name in (each.subject, each.subject[5:])
        }
        parts += [
            f"{pool.name} {pool.in_use:,} of {pool.capacity:,} in use"
            for pool in report.pools
            if pool.capacity and pool.in_use is not None and pool.name not in troubled
        ][:2]
        if report.notes:
            parts.append(
                f"{len(report.notes)} thing{'s' if len(report.notes) != 1 else ''} that only "
                f"look{'s' if len(report.notes) == 1 else ''} odd"
            )
        if parts:
            yield self._cut(f"{'Healthy' if report.outcome == 'healthy' else 'Otherwise'}: {'; '.join(parts)}.")

    def _read(self, report: Report) -> str:
        lines, unknown = (sum(getattr(source, name) for source in report.sources) for name in ("lines", "unknown"))
        return self._cut(
            f"Read: {lines:,} lines, {unknown:,} of them unknown. --verbose has evidence, facts, pools and timeline."
        )

    def _wrap(self, text: str, first: str, indent: str) -> Iterator[str]:
        yield from textwrap.wrap(
            text, self._width, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False
        )

    def _evidence(self, where: Evidence) -> list[str]:
        name = where.file.rpartition("/")[2]
        lines = list(self._wrap(f"{name}:{where.line}: {short(where.text)}", "  ", "    "))
        return lines[:2] if len(lines) < 3 else [lines[0], self._cut(f"{lines[1]} …")]

    def _cut(self, text: str) -> str:
        return text if len(text) <= self._width else f"{text[: self._width - 1]}…"
