"""The report as one self-contained page: no script, no font and no picture is fetched. Everything shown is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from importlib import resources

from unipam.diagnose.render.paint import tone
from unipam.diagnose.render.picture import draw, leaked_holders
from unipam.diagnose.render.text import describe
from unipam.diagnose.report import Evidence, Finding, Pool, Report, Track, Variant

MAX_TRACKS = 400
MAX_HOLDERS = 300
MAX_NAMES = 12
_LONG_ID = re.compile(r"\b[0-9a-f]{64}\b")


def page_of(report: Report) -> str:
    """Return the whole page."""
    style = resources.files("unipam.diagnose.render").joinpath("page.css").read_text(encoding="utf-8")
    title = f"<title>unipam diagnose: {escape(report.verdict)}</title>"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width">{title}<style>{style}</style>'
    body = "\n".join(_body(report))
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body><main>\n{body}\n</main></body></html>\n'


def _body(report: Report) -> Iterator[str]:
    yield "<h1>unipam diagnose</h1>"
    worst = {"good": "", "fault": " bad", "unknown": " unclear"}.get(tone(report), " off")
    verdict = f'<b>{escape(report.verdict)}</b><br><span class="soft">{_read(report)}</span>'
    yield f'<div class="verdict{worst}">{verdict}</div>'
    yield from _section("What is wrong", [_finding(found) for found in report.findings])
    yield from _section(
        "Timeline of addresses", [_picture(report)] if report.timeline or leaked_holders(report) else []
    )
    yield from _section("Network variants", [_variant(variant) for variant in report.variants])
    yield from _section("What the input shows", [_facts(report)] if report.facts else [])
    yield from _section("Pools", [_pools(report.pools)] if report.pools else [])
    yield from _section("Looks odd, is not wrong", [_finding(note) for note in report.notes])
    yield from _section("Sources", [_sources(report)])


def _section(title: str, parts: Iterable[str]) -> Iterator[str]:
    parts = list(parts)
    if parts:
        yield f"<h2>{escape(title)}</h2>"
        yield from parts


def _read(report: Report) -> str:
    lines = sum(source.lines for source in report.sources)
    inputs = f"{len(report.sources)} inputs" if len(report.sources) != 1 else "1 input"
    return escape(f"{inputs}, {lines:,} lines, {sum(source.unknown for source in report.sources)} unknown")


def _finding(found: Finding) -> str:
    times = f' <span class="soft">{found.count:,} times</span>' if found.count > 1 else ""
    when = " to ".join(dict.fromkeys(stamp for stamp in (found.first, found.last) if stamp))
    tag = f'<span class="tag {found.severity}">{found.severity}</span>'
    names = "".join(_names(sort, shown) for sort, shown in found.entities.items())
    typed = "\n".join(found.commands)
    commands = f'<pre class="code">{escape(typed)}</pre>' if typed else ""
    effects = "".join(_finding(effect) for effect in found.consequences)
    return (
        f'<div class="card {found.severity}"><h3>{tag}{brief(found.cause)}{times}</h3>'
        f"{f'<p class=soft>{escape(when)}</p>' if when else ''}<p>{brief(found.meaning)}</p><p><b>Do:</b> "
        f"{escape(found.action)}</p>{commands}"
        f"{names}{_evidence(found.evidence)}{f'<p><b>What came of it:</b></p>{effects}' if effects else ''}</div>"
    )


def _names(sort: str, names: list[str]) -> str:
    """Return the names of one sort: a few in sight, all of a longer list behind a click."""
    shown = f"<span class=soft>{escape(sort)}:</span> {brief(', '.join(names[:MAX_NAMES]))}"
    if len(names) <= MAX_NAMES:
        return f"<p>{shown}</p>"
    rest = brief(", ".join(names[MAX_NAMES:]))
    return f"<details><summary>{shown} and {len(names) - MAX_NAMES:,} more</summary><p>{rest}</p></details>"


def brief(text: str) -> str:
    """Escape a text and cut its container ids to twelve letters, with the whole id on hover."""
    return _LONG_ID.sub(lambda match: f'<abbr title="{match[0]}">{match[0][:12]}</abbr>', escape(text))


def _evidence(lines: list[Evidence]) -> str:
    shown = "".join(
        f'<div><span class="place">{escape(where.file)}:{where.line}</span> {brief(where.text)}</div>'
        for where in lines
    )
    return f'<div class="evidence code">{shown}</div>' if shown else ""


def _variant(variant: Variant) -> str:
    likely = "" if variant.certain else ' <span class="soft">(likely)</span>'
    details = f'<p class="soft">{escape("; ".join(variant.details))}</p>' if variant.details else ""
    return (
        f'<div class="card"><h3>{escape(variant.title)}{likely}</h3><p>{escape(variant.ipam)}</p>'
        f'<p><span class="soft">Look at:</span> {escape(variant.look_at)}</p>'
        f"{details}{_evidence(variant.evidence)}</div>"
    )


def _facts(report: Report) -> str:
    rows = "".join(
        f"<li>{brief(fact.text)}{f' ({fact.count:,} times)' if fact.count > 1 else ''} "
        f'<span class="place code">{escape(fact.evidence[0].file)}:{fact.evidence[0].line}</span></li>'
        for fact in report.facts
    )
    more = f'<p class="soft">and {report.facts_left_out:,} more of the same kinds</p>' if report.facts_left_out else ""
    return f'<div class="card"><ul>{rows}</ul>{more}</div>'


def _pools(pools: list[Pool]) -> str:
    rows = "".join(_pool(pool) for pool in pools)
    head = "<tr><th>Pool</th><th>Kind</th><th>In use</th><th>Size</th><th></th><th>Holders</th></tr>"
    return f'<div class="card scroll"><table>{head}{rows}</table></div>'


def _pool(pool: Pool) -> str:
    share = min(100, round(100 * pool.in_use / pool.capacity)) if pool.capacity and pool.in_use is not None else None
    full = ' class="full"' if share is not None and share >= 100 else ""
    bar = f'<div class="bar"><i{full} style="width:{share}%"></i></div>' if share is not None else ""
    cells = f"<td>{escape(pool.name)}</td><td>{escape(pool.kind)}</td><td class=n>{_number(pool.in_use)}</td>"
    return f"<tr>{cells}<td class=n>{_number(pool.capacity)}</td><td>{bar}</td><td>{_holders(pool)}</td></tr>"


def _holders(pool: Pool) -> str:
    if not pool.holders:
        return ""
    rows = "".join(
        f"<li><span class=code>{escape(holder.address)}</span> "
        f"{brief(holder.pod or holder.owner or 'no recorded owner')}"
        f"{f' since {escape(holder.since)}' if holder.since else ''}"
        f"{f': <b>{escape(holder.leak)}</b>' if holder.leak else ''}</li>"
        for holder in pool.holders[:MAX_HOLDERS]
    )
    return f"<details><summary>{len(pool.holders)} known</summary><ul>{rows}</ul></details>"


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _picture(report: Report) -> str:
    legend = "".join(
        f'<span><i style="background:var(--{name})"></i>{words}</span>'
        for name, words in (
            ("given", "held"),
            ("leaked", "held by nobody: leaked"),
            ("released", "released"),
            ("refused", "refused"),
            ("asked", "asked"),
        )
    )
    shown = "".join(_track(track) for track in report.timeline[:MAX_TRACKS])
    more = len(report.timeline) - MAX_TRACKS
    rest = f'<p class="soft">and {more} more (all of them with -o json)</p>' if more > 0 else ""
    return (
        f'<div class="card"><p class="legend soft">{legend}</p><div '
        f'class="scroll">{draw(report.timeline, leaked_holders(report))}</div>'
        f"<details><summary>The same in words</summary>{shown}{rest}</details></div>"
    )


def _track(track: Track) -> str:
    events = "".join(
        f'<li>{escape(describe(event))} <span class="place code">{escape(event.file)}:{event.line}</span></li>'
        for event in track.events
    )
    older = f' <span class="soft">({track.dropped:,} older events left out)</span>' if track.dropped else ""
    return f"<p><b class=code>{brief(track.subject)}</b>{older}</p><ul>{events}</ul>"


def _sources(report: Report) -> str:
    rows = []
    for source in report.sources:
        formats = ", ".join(f"{escape(name)}: {count:,}" for name, count in source.formats.items())
        junk = "".join(
            f"<br>{junk.length} byte(s) that are not text at offset {junk.offset}, line {junk.line}"
            for junk in source.junk
        )
        rows.append(
            f"<tr><td class=code>{escape(source.path)}</td><td class=n>{source.lines:,}</td><td>{formats}{junk}"
            f"{f'<br>{escape(source.problem)}' if source.problem else ''}</td><td class=n>{source.other:,}</td><td "
            f"class=n>{source.unknown:,}</td></tr>"
        )
    head = "<tr><th>Input</th><th>Lines</th><th>What they are</th><th>Others'</th><th>Unknown</th></tr>"
    return f'<div class="card scroll"><table>{head}{"".join(rows)}</table></div>'
