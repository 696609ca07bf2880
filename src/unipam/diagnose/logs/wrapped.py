"""Lines of syslog, journald, kubelet, containerd, Calico and Cilium: take off the envelope, ask who knows the message.

Most lines of such logs are not about addresses, and most of those are known by their shape. The others are judged here.
"""

from __future__ import annotations

from collections.abc import Iterator

from unipam.diagnose import rules
from unipam.diagnose.case import Case, evidence
from unipam.diagnose.excerpt import Excerpt, Origin
from unipam.diagnose.logs import calico, calico_lines, cilium, runtime
from unipam.diagnose.logs.envelope import (
    RUN_TOGETHER,
    Stripped,
    Written,
    may_be_wrapped,
    strip_headers,
    tag_of,
    year_of,
)
from unipam.diagnose.logs.line_filter import (
    MAX_HOSTS,
    OTHER,
    STEP,
    TELLING,
    WORDS,
    Judged,
    LineFilter,
    LineKind,
    Reads,
    head_of,
    text_of,
)
from unipam.diagnose.logs.shapes import HEAD
from unipam.diagnose.logs.suspects import suspects
from unipam.diagnose.report import Source
from unipam.diagnose.stamps import MONTHS, NO_YEAR
from unipam.diagnose.systems import gives_addresses, program_of, speaks_of_addresses
from unipam.diagnose.words import words_of

_COMPARED_AT_MOST = 2_000


def _writer(stripped: Stripped) -> str:
    """Return who wrote the message: what the envelope names; a message of the Cilium agent is known by its fields."""
    inner = stripped.message
    if b"subsys=" in inner or b" module=agent." in inner or b" module=operator." in inner:
        return "cilium"
    return stripped.program


def _is_givers(stripped: Stripped) -> bool:
    return gives_addresses(_writer(stripped))


class Wrapped:
    """Reads the lines of one log group."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.runtime = runtime.RuntimeLog(case)
        self._calico = calico.CalicoLog(case)
        self._readers: tuple[Reads, ...] = (self._calico, cilium.CiliumLog(case), self.runtime)
        special = {runtime.LIFE: self._take_life, **{text[:HEAD]: self._take_lock for text in calico_lines.LOCKS}}
        self._filter = LineFilter(case, self, special)
        self.file = ""
        self.source = Source("")
        self.program = ""
        self._events = 0
        self.year = NO_YEAR
        self._compared, self.compares = 0, True
        self._cut = 0

    def begin(self, source: Source) -> None:
        self.file, self.source, self._cut = source.path, source, 0
        self._events = 0
        self.program = program_of(source.path)
        self._filter.begin(source)

    def look_at(self, chunk: bytes) -> None:
        """Look, before the lines of a chunk, for the year that syslog leaves out."""
        if self.year == NO_YEAR:
            self.year = year_of(chunk) or NO_YEAR

    def end(self) -> None:
        self._count("calico log, a step on the way", self._filter.steps)
        self._count("syslog > klog", self._events)
        self.case.address_lines += self._filter.steps
        self.runtime.flush()

    def run(self, lines: Iterator[bytes], number: int) -> tuple[bytes | None, int]:
        """Take lines as long as they have an envelope; gives the first that has none, and its number less one."""
        line, number = self._filter.pass_over(lines, number)
        while line and line[4:5] != b"/" and self.take(line, number + 1):
            line, number = self._filter.pass_over(lines, number + 1)
        return line, number

    def take(self, line: bytes, number: int) -> bool:
        """Judge a line in full. False when it has no envelope."""
        if not may_be_wrapped(line):
            return False
        head, at = head_of(line)
        if self._is_step(head, line, number):
            return True
        words = words_of(line)
        interesting = not TELLING.isdisjoint(words)
        if not interesting and self._is_plain(line):
            self.source.other += 1
            if head and self._filter.shapes.is_due(head):
                self._filter.shapes.learn(head, line, _kept(line), OTHER)
            return True
        if self._take_life(line, number):
            return True
        stripped = self._strip(line)
        if stripped is None:
            return False
        if interesting and line.count(b"]: ") > 1 and len(parts := RUN_TOGETHER.split(line)) > 1:
            self._run_together(parts, stripped, line, number, words)
        else:
            self._judge(stripped, line, number, words, interesting=interesting)
            if head and self._filter.shapes.is_due(head):
                self._learn(head, at, line, stripped, words)
        return True

    def _is_step(self, head: bytes, line: bytes, number: int) -> bool:
        """Take a line of Calico's that is only a step on the way to an address, or one of the host's lock."""
        if not calico_lines.is_bracketed(line):
            return False
        if calico_lines.is_step(head):
            self._filter.steps += 1
            return True
        return self._take_lock(line, number)

    def _run_together(
        self, parts: list[bytes], stripped: Stripped, line: bytes, number: int, words: list[bytes]
    ) -> None:
        """Judge the messages of a line that is several."""
        stripped_parts = [(again, part) for part in parts if (again := self._strip(part)) is not None]
        known = [self._message(again, part, number, words) for again, part in stripped_parts]
        self._account(stripped, line, number, known=any(known))

    def _judge(self, stripped: Stripped, line: bytes, number: int, words: list[bytes], *, interesting: bool) -> None:
        """Judge a line with one message, in which some word matters (`interesting`) or none."""
        known = False
        if interesting or (stripped.level == "error" and _is_givers(stripped)):
            known = self._message(stripped, line, number, words)
        else:
            self._compare(stripped, line, number)
        self._account(stripped, line, number, known=known)

    def _account(self, stripped: Stripped, line: bytes, number: int, *, known: bool) -> None:
        if known:
            self._count(stripped.format)
        else:
            self._filter.count(self._unread(stripped), line, number)

    def _take_life(self, line: bytes, number: int) -> bool:
        """Take a kubelet's event of a pod's life, by far its commonest line, whose clocks were compared enough."""
        del number
        if self.compares or not self.runtime.take(line):
            return False
        self._events += 1
        return True

    def _take_lock(self, line: bytes, number: int) -> bool:
        if line[24:25] != b"[" or not self._calico.lock(line, self.file, number):
            return False
        self._filter.steps += 1
        return True

    def _strip(self, line: bytes) -> Stripped | None:
        stripped = strip_headers(line, self.year)
        if stripped is not None:
            stripped.program = stripped.program or self.program
        return stripped

    def written(self, line: bytes) -> Written:
        """Return when a line that has an envelope was written, and by which process."""
        if calico_lines.is_bracketed(line) and line[4:5] == b"-":
            return calico_lines.Bracketed(line)
        stripped = strip_headers(line, self.year) or Stripped(line)
        self._put_in_order(stripped)
        return stripped

    def _put_in_order(self, stripped: Stripped) -> None:
        """Take the time away where no year is known: a message may be told by month and day, an order needs a year."""
        if self.year == NO_YEAR:
            stripped.at = None

    def _unread(self, stripped: Stripped) -> Judged:
        """Return what a line is that nobody knows: another program's, or one of ours that nobody has listed.

        What a program of ours calls mere information speaks of no trouble.
        """
        if not _is_givers(stripped):
            return OTHER
        return STEP if calico_lines.is_step(stripped.message) else Judged(LineKind.UNKNOWN, stripped.level != "")

    def _is_plain(self, line: bytes) -> bool:
        """Return whether it is plainly a line of syslog, with nothing inside whose clock is still to be compared."""
        if line[6:7] != b" " or line[9:10] != b":" or line[12:13] != b":" or line[:3] not in MONTHS:
            return False
        return not self.compares or b"kubelet[" not in line

    def _message(self, stripped: Stripped, line: bytes, number: int, words: list[bytes]) -> bool:
        """Read a message of note. Tells whether anyone knows it."""
        self._compare(stripped, line, number)
        program = _writer(stripped)
        excerpt = Excerpt(self.file, [(number, line)], Origin(stripped.at, node=stripped.host, program=program))
        self._put_in_order(stripped)
        if stripped.host and stripped.host not in self.case.hosts and len(self.case.hosts) < MAX_HOSTS:
            self.case.hosts.add(stripped.host)
        known = False
        if not WORDS.isdisjoint(words) and speaks_of_addresses(program):
            self._note_cut(line, number)
            text = text_of(stripped.message)
            for reader in self._readers:
                known = (not reader.words.isdisjoint(words) and reader.read(stripped, text, excerpt)) or known
        if stripped.level == "error" and gives_addresses(program) and not known:
            return rules.apply_or_say(self.case, excerpt, stripped.message.decode("utf-8", "replace"))
        return (rules.may_apply(words) and rules.apply(self.case, excerpt)) or known

    def _learn(self, head: bytes, at: int, line: bytes, stripped: Stripped, words: list[bytes]) -> None:
        """Remember what becomes of lines of this shape, unless that is not told by their words alone."""
        if line.count(b'"') % 2 or (stripped.level == "error" and _is_givers(stripped)):
            return
        text = Excerpt(self.file, [(0, line)]).text
        suspected = suspects(text, words)
        if suspected is None:
            return
        speaks = speaks_of_addresses(_writer(stripped))
        readers = tuple(
            reader
            for reader in self._readers
            if speaks and not reader.words.isdisjoint(words) and any(phrase in text for phrase in reader.phrases)
        )
        judged = self._unread(stripped)
        if readers:
            skip = len(line) - len(stripped.message) - at
            judged = Judged(LineKind.KNOWN, readers=readers, format=stripped.format, skip=skip)
        if suspected and speaks:
            judged = judged._replace(suspects=suspected)
        if self.compares and len(stripped.clocks) > 1:
            judged = judged._replace(two_clocks=True)
        self._filter.shapes.learn(head, line, _kept(line), judged)

    def _count(self, format_: str, times: int = 1) -> None:
        if times:
            self.source.formats[format_] = self.source.formats.get(format_, 0) + times

    def _note_cut(self, line: bytes, number: int) -> None:
        if line.count(b'"') % 2 and not line.endswith((b".", b"}", b"]")):
            self._cut += 1
            if self._cut > 1:
                self.case.signal("truncated-lines", self.file, evidence(self.file, number, line))

    def compare(self, line: bytes, number: int) -> None:
        """Compare the stamps of a line, when it has two."""
        if (stripped := self._strip(line)) is not None:
            self._compare(stripped, line, number)

    def _compare(self, stripped: Stripped, line: bytes, number: int) -> None:
        """Compare two stamps of one line, which were written within a moment and so should agree."""
        if len(stripped.clocks) < 2 or not self.compares:
            return
        self._compared += 1
        self.compares = self._compared < _COMPARED_AT_MOST
        (writer, at, zone), (other, other_at, other_zone) = stripped.clocks[0], stripped.clocks[-1]
        if zone is not None and other_zone is not None:
            at, other_at = at - zone, other_at - other_zone
        elif other_zone == 0.0 and at != other_at:
            return  # a local time beside UTC: a zone, not a wrong clock
        self.case.clocks.compare(
            f"the {writer} clock", f"the {other} clock", at - other_at, evidence(self.file, number, line)
        )


def _kept(line: bytes) -> tuple[int, int]:
    """Return where host, program and process id stand, which are a part of a line's shape."""
    tag = tag_of(line)
    return (tag.start(2), tag.end()) if tag is not None else (0, 0)
