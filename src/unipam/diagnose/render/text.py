"""The whole report as text (`--verbose`): the verdict first, then what is wrong, then what there is to see."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from unipam.diagnose.render.paint import MARKS, Paint, tone
from unipam.diagnose.report import Event, Evidence, Finding, Report, Track
from unipam.diagnose.stamps import show

MAX_TRACKS = 60
MAX_FACTS = 60
MAX_POOLS = 40
_NAMED = ("pods", "nodes", "addresses")


class Writer:
    """Makes the lines. `colour` is for a terminal only; `width` wraps the sentences."""

    def __init__(self, *, colour: bool, width: int) -> None:
        self._paint = Paint(colour=colour)
        self._width = max(60, width)

    def lines(self, report: Report) -> Iterator[str]:
        """Yield every line of the text."""
        yield self._paint(tone(report), report.verdict)
        yield from self._findings(report)
        yield from self._variants(report)
        yield from self._facts(report)
        yield from self._pools(report)
        yield from self._timeline(report)
        yield from self._notes(report)
        yield from self._sources(report)

    def _head(self, text: str) -> Iterator[str]:
        yield ""
        yield self._paint("head", text)

    def _wrap(self, text: str, indent: str, first: str = "") -> Iterator[str]:
        yield from textwrap.wrap(
            text, self._width, initial_indent=first or indent, subsequent_indent=indent, break_on_hyphens=False
        )

    def _findings(self, report: Report) -> Iterator[str]:
        for number, found in enumerate(report.findings, 1):
            yield from self._numbered(f"{number}.", found)

    def _numbered(self, number: str, found: Finding) -> Iterator[str]:
        yield ""
        title = f"{number} {MARKS[found.severity]} {found.title}"
        yield self._paint(found.severity, title + (f"  [{found.count} times]" if found.count > 1 else ""))
        yield from self._finding(found)
        for place, consequence in enumerate(found.consequences, 1):
            yield from self._numbered(f"{number}{place}.", consequence)

    def _finding(self, found: Finding) -> Iterator[str]:
        when = f"{found.first} to {found.last}" if found.first != found.last else found.first
        if when:
            yield f"   when:     {when}"
        for sort, names in found.entities.items():
            yield from self._wrap(
                ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else ""),
                " " * 13,
                f"   {sort + ':':<9} ",
            )
        if found.refused or found.consequences:
            yield from self._wrap(found.cause, " " * 13, "   cause:    ")
        yield from self._wrap(found.meaning, " " * 13, "   meaning:  ")
        yield from self._wrap(found.action, " " * 13, "   do:       ")
        yield from (f"{'':<13}{command}" for command in found.commands)
        for where in found.evidence:
            yield self._evidence(where)

    def _evidence(self, where: Evidence) -> str:
        text = f"   {where.file}:{where.line}: {where.text}"
        return self._paint("note", text if len(text) <= self._width else text[: self._width - 1] + "…")

    def _variants(self, report: Report) -> Iterator[str]:
        if report.variants:
            yield from self._head(
                "Network variant" if len(report.variants) == 1 else f"Network variants ({len(report.variants)})"
            )
        for variant in report.variants:
            likely = "" if variant.certain else " (likely)"
            details = f" [{'; '.join(variant.details)}]" if variant.details else ""
            yield from self._wrap(f"{variant.title}{likely}{details}", "     ", "   ")
            yield from self._wrap(f"IPAM: {variant.ipam}. Look at: {variant.look_at}.", "     ")
            for where in variant.evidence[:3]:
                yield self._evidence(where)

    def _facts(self, report: Report) -> Iterator[str]:
        if report.facts:
            yield from self._head("What the input shows")
        for fact in report.facts[:MAX_FACTS]:
            times = f" ({fact.count} times)" if fact.count > 1 else ""
            where = fact.evidence[0]
            yield from self._wrap(f"{fact.text}{times}  [{where.file}:{where.line}]", "     ", "   ")
        yield from self._more(len(report.facts), MAX_FACTS)
        if report.facts_left_out:
            yield f"   and {report.facts_left_out} more of the same kinds"

    def _pools(self, report: Report) -> Iterator[str]:
        if report.pools:
            yield from self._head("Pools")
        for pool in report.pools[:MAX_POOLS]:
            size = "?" if pool.capacity is None else f"{pool.capacity:,}"
            used = "?" if pool.in_use is None else f"{pool.in_use:,}"
            known = f"; {len(pool.holders)} holder(s) known" if pool.holders else ""
            yield f"   {pool.name:<26} {pool.kind:<20} {used} of {size} in use{known}"
        yield from self._more(len(report.pools), MAX_POOLS)

    def _timeline(self, report: Report) -> Iterator[str]:
        if report.timeline:
            yield from self._head("Timeline by address (containers without one by their id)")
        for track in report.timeline[:MAX_TRACKS]:
            yield from self._track(track)
        yield from self._more(len(report.timeline), MAX_TRACKS)

    def _track(self, track: Track) -> Iterator[str]:
        name = track.subject if len(track.subject) <= 40 else track.subject[:12]
        yield f"   {name}" + (f"  ({track.dropped} older events left out)" if track.dropped else "")
        for event in track.events:
            yield f"     {describe(event)}"

    def _notes(self, report: Report) -> Iterator[str]:
        if report.notes:
            yield from self._head("Looks odd, is not wrong")
        for note in report.notes:
            where = note.evidence[0]
            times = f" ({note.count} times)" if note.count > 1 else ""
            who = "".join(
                f" {sort}: {', '.join(names[:4])}." for sort, names in note.entities.items() if sort in _NAMED
            )
            action = f" {note.action}" if note.action != "Nothing." else ""
            text = f"{note.title}{times}. {note.meaning}{who}{action}  [{where.file}:{where.line}]"
            yield from self._wrap(text, "     ", "   ")

    def _sources(self, report: Report) -> Iterator[str]:
        yield from self._head("Sources")
        for source in report.sources:
            formats = ", ".join(f"{name}: {count}" for name, count in source.formats.items())
            yield f"   {source.path}: {source.lines} lines ({formats or 'nothing'}), {source.other} of other programs, "
            yield f"     {source.blank} blank, {source.unknown} unknown" + (
                f"; {source.problem}" if source.problem else ""
            )
            for where in source.unknown_examples:
                yield self._evidence(where)
            for junk in source.junk[:5]:
                place = f"offset {junk.offset} (line {junk.line})"
                yield f"     {junk.length} byte(s) that are not text at {place}, skipped"

    def _more(self, count: int, shown: int) -> Iterator[str]:
        if count > shown:
            yield f"   … and {count - shown} more (all of them with -o json)"


def describe(event: Event) -> str:
    """Return an event in one line."""
    who = event.pod or ""
    if event.container and event.container not in (event.pod, ""):
        who = f"{who} ({event.container[:12]})" if who else event.container[:12]
    parts = [show(event.at) or "(no time)", event.verb]
    if who:
        parts.append(f"{'by' if event.verb in {'released', 'asked'} else 'to'} {who}")
    if event.by:
        parts.append(f"through {event.by}")
    if event.seconds is not None:
        parts.append(f"in {event.seconds:.3g} s")
    if event.lock_seconds is not None:
        parts.append(f"after {event.lock_seconds:.3g} s for the lock")
    line = " ".join(parts)
    return f"{line}: {event.detail}" if event.detail else line
