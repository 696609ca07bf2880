"""What a diagnosis says: plain records, ready for a table, JSON, YAML or a page.

Here stand only the shapes. What is gathered while reading is in ``case``; what the findings mean is in ``catalogue``.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["fault", "warning", "note"]
"""``fault``: pods suffer now. ``warning``: something is off. ``note``: worth saying, not wrong."""

Verb = Literal["asked", "given", "released", "refused", "noted"]

EXCERPT_LENGTH = 240


class Evidence(msgspec.Struct, frozen=True):
    """One line of the input: its file, its number (from 1) and an excerpt of it."""

    file: str
    line: int
    text: str


class Event(msgspec.Struct, omit_defaults=True):
    """Something that happened to an address or a container, at the wall time of the line (``at``: epoch seconds)."""

    verb: Verb
    file: str
    line: int
    at: float | None = None
    address: str = ""
    container: str = ""
    pod: str = ""
    pool: str = ""
    by: str = ""
    seconds: float | None = None
    """How long the caller had to wait for the answer, from its first line to its last."""
    lock_seconds: float | None = None
    """How long it waited for the process lock."""
    detail: str = ""


class Track(msgspec.Struct):
    """The history of one address, or of one container that never got an address."""

    subject: str
    events: list[Event]
    dropped: int = 0
    """Older events that were left out to keep memory bounded."""


class Finding(msgspec.Struct):
    """One thing to know: what, how bad, where it is seen, what it means and what to do."""

    kind: str
    severity: Severity
    title: str
    meaning: str
    action: str
    subject: str
    count: int
    evidence: list[Evidence]
    first: str | None = None
    last: str | None = None
    entities: dict[str, list[str]] = {}
    values: dict[str, str | int | float] = {}


class Fact(msgspec.Struct):
    """Something the input shows that is neither good nor bad."""

    text: str
    evidence: list[Evidence]
    count: int = 1


class Variant(msgspec.Struct):
    """A network variant that the input shows, the IPAM that it means, and the lines that show it."""

    name: str
    title: str
    ipam: str
    look_at: str
    certain: bool
    evidence: list[Evidence]
    details: list[str] = []


class Pool(msgspec.Struct):
    """What is known of one pool: its size, how full it is, and who holds it."""

    name: str
    kind: str
    capacity: int | None = None
    in_use: int | None = None
    holders: list[Holder] = []
    evidence: list[Evidence] = []


class Holder(msgspec.Struct, omit_defaults=True):
    """Who holds an address: the owner as the source names it, since when, and why it looks leaked (if it does)."""

    address: str
    owner: str
    pod: str = ""
    since: str = ""
    leak: str = ""


class Junk(msgspec.Struct):
    """A stretch of bytes that is not text: skipped, and where it was (byte offset from 0, line from 1)."""

    offset: int
    line: int
    length: int


class Source(msgspec.Struct):
    """One input, and what became of each of its lines. The counts add up to ``lines``."""

    path: str
    bytes: int = 0
    lines: int = 0
    formats: dict[str, int] = {}
    unknown: int = 0
    unknown_examples: list[Evidence] = []
    junk: list[Junk] = []
    junk_total: int = 0
    problem: str = ""


class Report(msgspec.Struct):
    """The whole diagnosis. ``findings`` are faults and warnings, ranked; ``notes`` look bad and are not."""

    verdict: str
    findings: list[Finding]
    notes: list[Finding]
    variants: list[Variant]
    facts: list[Fact]
    pools: list[Pool]
    timeline: list[Track]
    sources: list[Source]
    facts_left_out: int = 0
    """Facts of the same kinds that are not listed, to keep memory and page within bounds."""
    version: int = 1
