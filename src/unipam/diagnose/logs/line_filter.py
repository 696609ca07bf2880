"""Lines that are known by their shape: by their writer, as a step on the way, or by a shape that was judged before.

Here is the loop that most lines of a node's logs go through, and nothing else: what a line means is said by the
readers, once for each shape.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol

from unipam.diagnose import rules
from unipam.diagnose.case import Case, note_unknown
from unipam.diagnose.excerpt import Excerpt
from unipam.diagnose.logs import calico, calico_lines, cilium, runtime, suspects
from unipam.diagnose.logs.envelope import MAY_BE_STAMPED, Written, tag_of
from unipam.diagnose.logs.shapes import HEAD, Shapes
from unipam.diagnose.report import Source
from unipam.diagnose.systems import program_of, speaks_of_addresses

WORDS = calico.WORDS | cilium.WORDS | runtime.WORDS
"""Words, one of which is in every message that one of the readers knows."""

TELLING = WORDS | rules.WORDS | frozenset(b"error fatal panic calico".split())
"""Words, one of which is in every line that is more than counted."""

_PHRASES = calico.PHRASES + cilium.PHRASES + runtime.PHRASES + suspects.PHRASES
MAX_HOSTS = 50
MAX_TAGS = 1_024


class Reads(Protocol):
    """Who knows some messages: `words`, one of which is in each of them, and `phrases` likewise."""

    @property
    def words(self) -> frozenset[bytes]: ...

    @property
    def phrases(self) -> tuple[str, ...]: ...

    def read(self, written: Written, text: str, excerpt: Excerpt) -> bool:
        """Read a message, and tell whether it was known."""


class LineKind(enum.Enum):
    """What a line is counted as."""

    OTHER = enum.auto()
    UNKNOWN = enum.auto()
    STEP = enum.auto()
    KNOWN = enum.auto()


class Judged(NamedTuple):
    """What became of a line, so that others of its shape can be dealt with alike."""

    kind: LineKind
    counts: bool = False
    """Not understood, and it might speak of trouble."""
    readers: tuple[Reads, ...] = ()
    """Who must read the others too, for it reads what varies in them."""
    format: str = ""
    two_clocks: bool = False
    """It has two stamps, which are compared until that was done often enough."""
    skip: int = 0
    """How far behind the head the message begins."""
    suspects: tuple[re.Pattern[str], ...] = ()
    """What rules look for that have a phrase in the line: none of it is there, but it might be in others."""


OTHER = Judged(LineKind.OTHER)
STEP = Judged(LineKind.STEP)


class StampReader(Protocol):
    """Who can tell the stamps of a line, and compares two of one line."""

    compares: bool
    """Whether stamps are still to be compared."""

    def compare(self, line: bytes, number: int) -> None:
        """Compare the stamps of a line."""

    def written(self, line: bytes) -> Written:
        """Return when the line was written, and by which process."""


class _Late:
    """When and by which process a line was written: looked at only when somebody asks."""

    __slots__ = ("_known", "_line", "_log")

    def __init__(self, log: StampReader, line: bytes) -> None:
        self._log, self._line = log, line
        self._known: Written | None = None

    @property
    def at(self) -> float | None:
        return self._look().at

    @property
    def pid(self) -> str:
        return self._look().pid

    def _look(self) -> Written:
        if self._known is None:
            self._known = self._log.written(self._line)
        return self._known


def head_of(line: bytes) -> tuple[bytes, int]:
    """Return how a message begins that Calico, klog or logrus wrote, and where; (b"", -1) for any other."""
    if line[24:25] == b"[" and line[19:20] == b".":
        at = line.find(b": ", 28) + 2
    elif (at := line.find(b'] "')) < 0 and (at := line.find(b' msg="')) < 0:
        return b"", -1
    return line[at : at + HEAD], at


class LineFilter:
    """What is known of the lines of one log group."""

    def __init__(self, case: Case, log: StampReader, special: Mapping[bytes, Callable[[bytes, int], bool]]) -> None:
        """Take as `special` those who take lines by their head, without a judgement."""
        self._case, self._log, self._special = case, log, special
        self.shapes: Shapes[Judged] = Shapes(TELLING, _PHRASES)
        self._elsewhere: set[tuple[bytes, bytes]] = set()
        """Programs (with their hosts) that have nothing to do with addresses."""
        self.source = Source("")
        self.steps = 0
        self._program = ""

    def begin(self, source: Source) -> None:
        self.source, self.steps = source, 0
        program = program_of(source.path)
        if program != self._program:
            self._program, self.shapes = program, Shapes(TELLING, _PHRASES)

    def pass_over(  # noqa: C901 (most lines of all logs go through this loop: a call a line is too much)
        self, lines: Iterator[bytes], number: int
    ) -> tuple[bytes | None, int]:
        """Deal with lines while their shape is known; gives the first other one, and the number before it."""
        steps, by_head, special = calico_lines.STEPS, self.shapes.by_head, self._special
        for line in lines:
            number += 1
            if line[24:25] == b"[" and line[19:20] == b".":
                at = line.find(b": ", 28) + 2
                if line[at : at + calico_lines.STEP_HEAD] in steps:
                    self.steps += 1
                    continue
            elif (at := line.find(b'] "')) < 0 and (at := line.find(b' msg="')) < 0:
                if self._is_elsewhere(line):
                    self.source.other += 1
                    continue
                return line, number - 1
            head = line[at : at + HEAD]
            if head in special and special[head](line, number):
                continue
            for match, judged in by_head.get(head, ()):
                if (found := match(line)) is None:
                    continue
                if (names := found.groups()) and not self.shapes.knows(names):
                    return line, number - 1
                if judged is OTHER:  # by far the commonest
                    self.source.other += 1
                elif not self._deal(judged, line, number, at):
                    return line, number - 1
                break
            else:
                return line, number - 1
        return None, number

    def _is_elsewhere(self, line: bytes) -> bool:
        """Return whether the tag of a line alone tells that it has nothing to do with addresses."""
        tag = tag_of(line)
        if tag is None or MAY_BE_STAMPED.match(line, tag.end()) or line.find(b"]: ", tag.end()) >= 0:
            return False
        names = tag.group(2, 3)
        if names not in self._elsewhere and not self._note_elsewhere(*names):
            return False
        return b"subsys=" not in line and b" module=" not in line

    def _note_elsewhere(self, host: bytes, program: bytes) -> bool:
        known = len(self._case.hosts) >= MAX_HOSTS or host.decode("utf-8", "replace") in self._case.hosts
        if not known or speaks_of_addresses(program.decode("utf-8", "replace")):
            return False
        if len(self._elsewhere) < MAX_TAGS:
            self._elsewhere.add((host, program))
        return True

    def _deal(self, judged: Judged, line: bytes, number: int, at: int) -> bool:
        """Deal with a line as with the one of its shape that was judged. False when it needs a judgement of its own."""
        excerpt = Excerpt(self.source.path, [(number, line)])
        if judged.suspects and any(pattern.search(excerpt.text) for pattern in judged.suspects):
            return False
        if judged.two_clocks and self._log.compares:
            self._log.compare(line, number)
        if judged.kind is not LineKind.KNOWN:
            self.count(judged, line, number)
            return True
        text, late = text_of(line[at + judged.skip :]), _Late(self._log, line)
        known = [reader for reader in judged.readers if reader.read(late, text, excerpt)]
        if known:
            self.source.formats[judged.format] = self.source.formats.get(judged.format, 0) + 1
        return bool(known)

    def count(self, judged: Judged, line: bytes, number: int) -> None:
        """Count a line that nobody reads."""
        if judged.kind is LineKind.OTHER:
            self.source.other += 1
        elif judged.kind is LineKind.STEP:
            self.steps += 1
        else:
            self._case.unknown_log_lines += judged.counts
            note_unknown(self.source, number, line)


def text_of(message: bytes) -> str:
    """Return a message as its readers want it."""
    return message.decode("utf-8", "replace").replace('\\"', '"')
