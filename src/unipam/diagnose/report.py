"""What a diagnosis says: plain records, ready for a table, JSON, YAML or a page.

Here stand only the shapes. What is gathered while reading is in `case`; what the findings mean is in `catalogue`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

Severity = Literal["fault", "unknown", "warning", "note"]
"""`fault`: pods suffer now. `unknown`: something failed, and why is not known here. `warning`: something is off.
`note`: worth saying, not wrong."""

Outcome = Literal["healthy", "findings", "not understood"]
"""`healthy`: what was read was understood and nothing is wrong. `not understood`: something failed without a known
cause, or too little was understood to say either."""

Verb = Literal["asked", "given", "released", "refused", "noted"]

EXCERPT_LENGTH = 240
TEXT = "document or text"
"""What lines of documents, tables and prose are counted as, when they were understood."""


class Evidence(msgspec.Struct, frozen=True):
    """One line of the input: its file, its number (from 1) and an excerpt of it."""

    file: str
    line: int
    text: str


class Event(msgspec.Struct, omit_defaults=True):
    """Something that happened to an address or a container, at the wall time of the line (`at`: epoch seconds)."""

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
    cause: str = ""
    """The cause in one sentence, with the numbers."""
    commands: list[str] = []
    """What to type, in this order; `#` begins a word on the risk."""
    refused: int = 0
    """How many pods got no address, each counted once whoever reports it."""
    consequences: list[Finding] = []
    """Findings that this one explains: they are no trouble of their own."""

    def every(self) -> Iterator[Finding]:
        """Yield this finding and all that follows from it."""
        yield self
        for found in self.consequences:
            yield from found.every()


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
    where: Evidence | None = None


class Junk(msgspec.Struct):
    """Bytes in a row that are not text: skipped, and where it was (byte offset from 0, line from 1)."""

    offset: int
    line: int
    length: int


class Source(msgspec.Struct):
    """One input, and what became of each of its lines: `formats`, `other`, `blank` and `unknown` add up to
    `lines`."""

    path: str
    bytes: int = 0
    lines: int = 0
    formats: dict[str, int] = {}
    """Lines that were understood, by what they are."""
    other: int = 0
    """Lines of programs, or of parts of them, that have nothing to do with addresses."""
    blank: int = 0
    unknown: int = 0
    """Lines that no reader understood."""
    unknown_examples: list[Evidence] = []
    junk: list[Junk] = []
    junk_total: int = 0
    problem: str = ""

    @property
    def understood(self) -> int:
        """Log lines whose message is known."""
        return sum(count for name, count in self.formats.items() if name != TEXT)


class Report(msgspec.Struct):
    """The whole diagnosis. `findings` are faults, unexplained failures and warnings, ranked; `notes` look bad
    and are not."""

    outcome: Outcome
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
    version: int = 2
