"""The timeline drawn: one row an address, a bar while it is held, a mark for what happens at an instant. Inline SVG."""

from __future__ import annotations

from html import escape

from unipam.diagnose.addresses import NO_ADDRESS, by_address
from unipam.diagnose.render.text import describe
from unipam.diagnose.report import Event, Holder, Report, Track
from unipam.diagnose.stamps import show

MAX_ROWS = 120
ROW = 24
LEFT = 190
WIDTH = 1060
RIGHT = 16
TOP = 46
_TICKS = 5


def leaked_holders(report: Report) -> dict[str, Holder]:
    """Return the leaked addresses that the pools know, with who is on record for them."""
    return {holder.address: holder for pool in report.pools for holder in pool.holders if holder.leak}


def draw(timeline: list[Track], leaked: dict[str, Holder]) -> str:
    """Return the picture of the tracks that have times. Rows with trouble come first when there are many.

    A leaked address has a row of its own even when no log tells since when it is held.
    """
    rows = [track for track in timeline if any(event.at is not None for event in track.events)]
    if not rows:
        return '<p class="soft">No event has a time.</p>'
    drawn = {track.subject for track in rows}
    rows = sorted([*rows, *(Track(address, []) for address in leaked if address not in drawn)], key=_by_address)
    shown = _most_telling(rows, leaked)
    scale = _Scale(shown)
    height = TOP + ROW * len(shown) + 8
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-label="Timeline of addresses">'
        '<defs><pattern id="leaked" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect width="3" height="6" fill="var(--leaked)" opacity="0.45"/></pattern></defs>'
    ]
    parts += scale.axis(height)
    for index, track in enumerate(shown):
        parts += _row(track, TOP + ROW * index, scale, leaked.get(track.subject))
    parts.append("</svg>")
    if len(rows) > len(shown):
        parts.append(
            f'<p class="soft">{len(shown)} of {len(rows)} rows are drawn: '
            "those with refusals and those with most events.</p>"
        )
    return "".join(parts)


def _by_address(track: Track) -> tuple[int, float, str]:
    """Return the sorting key of rows: addresses in order, then what never got one, by when it was refused."""
    first = next((event.at for event in track.events if event.at is not None), 0.0)
    version, number, name = by_address(track.subject)
    return (version, first if version == NO_ADDRESS else number, name)


def _most_telling(rows: list[Track], leaked: dict[str, Holder]) -> list[Track]:
    if len(rows) <= MAX_ROWS:
        return rows

    def trouble(track: Track) -> bool:
        return track.subject in leaked or any(event.verb == "refused" for event in track.events)

    ranked = sorted(rows, key=lambda track: (not trouble(track), -len(track.events)))
    chosen = {id(track) for track in ranked[:MAX_ROWS]}
    return [track for track in rows if id(track) in chosen]


class _Scale:
    """From a wall time to a place on the page."""

    def __init__(self, tracks: list[Track]) -> None:
        times = [event.at for track in tracks for event in track.events if event.at is not None]
        self.first, last = min(times), max(times)
        # A single instant still needs a width, or every bar would be as wide as nothing.
        self.span = max(last - self.first, 1.0)
        self.first -= self.span * 0.02
        self.span *= 1.06

    def x(self, at: float) -> float:
        return LEFT + (at - self.first) / self.span * (WIDTH - LEFT - RIGHT)

    def axis(self, height: int) -> list[str]:
        """Draw the axis, lines and labels: the clock at every tick, the date above it where the day is a new one."""
        parts, day = [], ""
        for tick in range(_TICKS + 1):
            at = self.first + self.span * tick / _TICKS
            x = self.x(at)
            date, clock = show(at).split(" ")
            anchor = "start" if tick == 0 else "end" if tick == _TICKS else "middle"
            parts.append(f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{height - 8}" stroke="var(--line)"/>')
            for text, y in ((clock, TOP - 12), (date if date != day else "", TOP - 28)):
                if text:
                    parts.append(f'<text class="soft" x="{x:.1f}" y="{y}" text-anchor="{anchor}">{text}</text>')
            day = date
        return parts


def _row(track: Track, y: int, scale: _Scale, leak: Holder | None) -> list[str]:
    name = _label(track)
    middle = y + ROW / 2
    parts = [f'<text x="0" y="{middle + 4:.0f}">{escape(name)}</text>']
    parts.append(f'<line x1="{LEFT}" y1="{middle}" x2="{WIDTH - RIGHT}" y2="{middle}" stroke="var(--line)"/>')
    held: Event | None = None
    if leak is not None and not track.events:
        return [*parts, _leaked(leak, LEFT, middle)]
    for event in track.events:
        if held is not None and event.verb in {"released", "given"}:
            parts.append(_bar(held, event.at, middle, scale))
            held = None
        if event.verb == "given" and event.at is not None:
            held = event
        elif event.at is not None:
            parts.append(_mark(event, middle, scale))
    if held is not None:
        parts.append(
            _bar(held, None, middle, scale) if leak is None else _leaked(leak, scale.x(held.at or 0.0), middle)
        )
    return parts


def _leaked(holder: Holder, start: float, middle: float) -> str:
    """Draw the bar of a leaked address: hatched, and named after the owner on record."""
    title = escape(f"{holder.address} is on record for {holder.owner or 'nobody'}: {holder.leak}")
    return (
        f'<rect class="leaked" x="{start:.1f}" y="{middle - 7}" width="{WIDTH - RIGHT - start:.1f}" height="14" rx="4" '
        f'fill="url(#leaked)" stroke="var(--leaked)"><title>{title}</title></rect>'
        f'<text x="{start + 6:.1f}" y="{middle + 4}">leaked by '
        f"{escape(holder.pod or holder.owner[:12] or 'nobody known')}</text>"
    )


def _label(track: Track) -> str:
    """Return the address; a container that never got one goes by its pod."""
    name = track.subject
    if track.events and not track.events[0].address:
        name = track.events[0].pod or (name[:12] if len(name) > 40 else name)
    return name if len(name) <= 30 else f"{name[:29]}…"


def _bar(given: Event, until: float | None, middle: float, scale: _Scale) -> str:
    start = scale.x(given.at or 0.0)
    end = WIDTH - RIGHT if until is None else max(scale.x(until), start + 3)
    fade = ' opacity="0.75"' if until is None else ""
    return (
        f'<rect x="{start:.1f}" y="{middle - 7}" width="{end - start:.1f}" height="14" rx="4" '
        f'fill="var(--given)"{fade}>'
        f"<title>{escape(_whole(given))}</title></rect>{_name_on(given, start, end - start, middle)}"
    )


def _name_on(given: Event, start: float, width: float, middle: float) -> str:
    """Return who holds the address, written on the bar where there is room for it."""
    name = given.pod or given.container[:12]
    if not name or width < 7.0 * len(name):
        return ""
    return f'<text class="on" x="{start + 6:.1f}" y="{middle + 4}">{escape(name)}</text>'


def _whole(event: Event) -> str:
    """Return the event in a line, with the container's whole id."""
    return f"{describe(event)}\n{event.container}" if event.container else describe(event)


def _mark(event: Event, middle: float, scale: _Scale) -> str:
    x = scale.x(event.at or 0.0)
    title = f"<title>{escape(_whole(event))}</title>"
    if event.verb == "refused":
        cross = f"M{x - 5:.1f} {middle - 5} l10 10 m0 -10 l-10 10"
        return f'<path d="{cross}" stroke="var(--refused)" stroke-width="2.5" fill="none">{title}</path>'
    colour = {"released": "released", "asked": "asked"}.get(event.verb, "note")
    return f'<circle cx="{x:.1f}" cy="{middle}" r="5" fill="var(--{colour})">{title}</circle>'
