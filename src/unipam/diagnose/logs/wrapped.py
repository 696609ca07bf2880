"""Lines of syslog, journald, kubelet, containerd, Calico and Cilium: peel the envelope, then ask who knows the message.

Most lines of such logs are not about addresses, and most of those are told at a glance. The others are judged here.
"""

from __future__ import annotations

from collections.abc import Iterator

from unipam.diagnose import rules
from unipam.diagnose.case import Case, evidence
from unipam.diagnose.logs import calico, cilium, runtime
from unipam.diagnose.logs.envelope import RUN_TOGETHER, Peeled, Written, may_be_wrapped, peel, tag_of, year_of
from unipam.diagnose.logs.glance import (
    MAX_HOSTS,
    OTHER,
    STEP,
    TELLING,
    WORDS,
    Fate,
    Glance,
    Judged,
    Reads,
    head_of,
    text_of,
)
from unipam.diagnose.logs.shapes import HEAD
from unipam.diagnose.logs.suspects import suspects
from unipam.diagnose.passage import Passage, Setting
from unipam.diagnose.report import Source
from unipam.diagnose.stamps import MONTHS, NO_YEAR
from unipam.diagnose.systems import gives_addresses, program_of, speaks_of_addresses
from unipam.diagnose.words import words_of

_COMPARED_AT_MOST = 2_000


def _writer(peeled: Peeled) -> str:
    """Return who wrote the message: what the envelope names; a message of the Cilium agent is known by its fields."""
    inner = peeled.message
    if b"subsys=" in inner or b" module=agent." in inner or b" module=operator." in inner:
        return "cilium"
    return peeled.program


def _is_givers(peeled: Peeled) -> bool:
    return gives_addresses(_writer(peeled))


class Wrapped:
    """Reads the lines of one log group."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.runtime = runtime.RuntimeLog(case)
        self._calico = calico.CalicoLog(case)
        self._readers: tuple[Reads, ...] = (self._calico, cilium.CiliumLog(case), self.runtime)
        special = {runtime.LIFE: self._take_life, **{text[:HEAD]: self._take_lock for text in calico.LOCKS}}
        self._glance = Glance(case, self, special)
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
        self._glance.begin(source)

    def look_at(self, chunk: bytes) -> None:
        """Look, before the lines of a chunk, for the year that syslog leaves out."""
        if self.year == NO_YEAR:
            self.year = year_of(chunk) or NO_YEAR

    def end(self) -> None:
        self._count("calico log, a step on the way", self._glance.steps)
        self._count("syslog > klog", self._events)
        self.case.address_lines += self._glance.steps
        self.runtime.flush()

    def run(self, lines: Iterator[bytes], number: int) -> tuple[bytes | None, int]:
        """Take lines as long as they have an envelope; gives the first that has none, and its number less one."""
        line, number = self._glance.pass_over(lines, number)
        while line and line[4:5] != b"/" and self.take(line, number + 1):
            line, number = self._glance.pass_over(lines, number + 1)
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
            if head and self._glance.shapes.is_due(head):
                self._glance.shapes.learn(head, line, _kept(line), OTHER)
            return True
        if self._take_life(line, number):
            return True
        peeled = self._peel(line)
        if peeled is None:
            return False
        if interesting and line.count(b"]: ") > 1 and len(parts := RUN_TOGETHER.split(line)) > 1:
            self._run_together(parts, peeled, line, number, words)
        else:
            self._judge(peeled, line, number, words, interesting=interesting)
            if head and self._glance.shapes.is_due(head):
                self._learn(head, at, line, peeled, words)
        return True

    def _is_step(self, head: bytes, line: bytes, number: int) -> bool:
        """Take a line of Calico's that is only a step on the way to an address, or one of the host's lock."""
        if not calico.is_bracketed(line):
            return False
        if calico.is_step(head):
            self._glance.steps += 1
            return True
        return self._take_lock(line, number)

    def _run_together(self, parts: list[bytes], peeled: Peeled, line: bytes, number: int, words: list[bytes]) -> None:
        """Judge the messages of a line that is several."""
        peeled_parts = [(again, part) for part in parts if (again := self._peel(part)) is not None]
        known = [self._message(again, part, number, words) for again, part in peeled_parts]
        self._account(peeled, line, number, known=any(known))

    def _judge(self, peeled: Peeled, line: bytes, number: int, words: list[bytes], *, interesting: bool) -> None:
        """Judge a line with one message, in which some word matters (`interesting`) or none."""
        known = False
        if interesting or (peeled.level == "error" and _is_givers(peeled)):
            known = self._message(peeled, line, number, words)
        else:
            self._compare(peeled, line, number)
        self._account(peeled, line, number, known=known)

    def _account(self, peeled: Peeled, line: bytes, number: int, *, known: bool) -> None:
        if known:
            self._count(peeled.format)
        else:
            self._glance.count(self._unread(peeled), line, number)

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
        self._glance.steps += 1
        return True

    def _peel(self, line: bytes) -> Peeled | None:
        peeled = peel(line, self.year)
        if peeled is not None:
            peeled.program = peeled.program or self.program
        return peeled

    def written(self, line: bytes) -> Written:
        """Return when a line that has an envelope was written, and by which process."""
        if calico.is_bracketed(line) and line[4:5] == b"-":
            return calico.Bracketed(line)
        peeled = peel(line, self.year) or Peeled(line)
        self._put_in_order(peeled)
        return peeled

    def _put_in_order(self, peeled: Peeled) -> None:
        """Take the time away where no year is known: a message may be told by month and day, an order needs a year."""
        if self.year == NO_YEAR:
            peeled.at = None

    def _unread(self, peeled: Peeled) -> Judged:
        """Return what a line is that nobody knows: another program's, or one of ours that nobody has listed.

        What a program of ours calls mere information speaks of no trouble.
        """
        if not _is_givers(peeled):
            return OTHER
        return STEP if calico.is_step(peeled.message) else Judged(Fate.UNKNOWN, peeled.level != "")

    def _is_plain(self, line: bytes) -> bool:
        """Return whether it is plainly a line of syslog, with nothing inside whose clock is still to be compared."""
        if line[6:7] != b" " or line[9:10] != b":" or line[12:13] != b":" or line[:3] not in MONTHS:
            return False
        return not self.compares or b"kubelet[" not in line

    def _message(self, peeled: Peeled, line: bytes, number: int, words: list[bytes]) -> bool:
        """Read a message of note. Tells whether anyone knows it."""
        self._compare(peeled, line, number)
        program = _writer(peeled)
        passage = Passage(self.file, [(number, line)], Setting(peeled.at, node=peeled.host, program=program))
        self._put_in_order(peeled)
        if peeled.host and peeled.host not in self.case.hosts and len(self.case.hosts) < MAX_HOSTS:
            self.case.hosts.add(peeled.host)
        known = False
        if not WORDS.isdisjoint(words) and speaks_of_addresses(program):
            self._note_cut(line, number)
            text = text_of(peeled.message)
            for reader in self._readers:
                known = (not reader.words.isdisjoint(words) and reader.read(peeled, text, passage)) or known
        if peeled.level == "error" and gives_addresses(program) and not known:
            return rules.apply_or_say(self.case, passage, peeled.message.decode("utf-8", "replace"))
        return (rules.may_apply(words) and rules.apply(self.case, passage)) or known

    def _learn(self, head: bytes, at: int, line: bytes, peeled: Peeled, words: list[bytes]) -> None:
        """Remember what becomes of lines of this shape, unless that is not told by their words alone."""
        if line.count(b'"') % 2 or (peeled.level == "error" and _is_givers(peeled)):
            return
        text = Passage(self.file, [(0, line)]).text
        suspected = suspects(text, words)
        if suspected is None:
            return
        speaks = speaks_of_addresses(_writer(peeled))
        readers = tuple(
            reader
            for reader in self._readers
            if speaks and not reader.words.isdisjoint(words) and any(phrase in text for phrase in reader.phrases)
        )
        judged = self._unread(peeled)
        if readers:
            skip = len(line) - len(peeled.message) - at
            judged = Judged(Fate.KNOWN, readers=readers, format=peeled.format, skip=skip)
        if suspected and speaks:
            judged = judged._replace(suspects=suspected)
        if self.compares and len(peeled.clocks) > 1:
            judged = judged._replace(two_clocks=True)
        self._glance.shapes.learn(head, line, _kept(line), judged)

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
        if (peeled := self._peel(line)) is not None:
            self._compare(peeled, line, number)

    def _compare(self, peeled: Peeled, line: bytes, number: int) -> None:
        """Compare two stamps of one line, which were written within a moment and so should agree."""
        if len(peeled.clocks) < 2 or not self.compares:
            return
        self._compared += 1
        self.compares = self._compared < _COMPARED_AT_MOST
        (writer, at, zone), (other, other_at, other_zone) = peeled.clocks[0], peeled.clocks[-1]
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
