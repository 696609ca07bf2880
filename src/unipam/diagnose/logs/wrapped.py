"""Lines of syslog, journald, kubelet, containerd, Calico and Cilium: peel the envelope, then ask who knows the message.

Most lines of such logs are not about addresses. A byte search for the words that matter comes before any parsing.
"""

from __future__ import annotations

from collections.abc import Callable

from unipam.diagnose import rules
from unipam.diagnose.case import Case, evidence, note_unknown
from unipam.diagnose.logs import calico, cilium, runtime
from unipam.diagnose.logs.envelope import RUN_TOGETHER, Peeled, may_be_wrapped, peel, year_of
from unipam.diagnose.passage import Passage, Setting
from unipam.diagnose.report import Source
from unipam.diagnose.stamps import MONTHS, NO_YEAR
from unipam.diagnose.systems import gives_addresses, program_of, speaks_of_addresses
from unipam.diagnose.words import words_of

_WORDS = calico.WORDS | cilium.WORDS | runtime.WORDS
_COMPARED_AT_MOST = 2_000
_ANY = _WORDS | rules.WORDS | frozenset(b"error fatal panic calico".split())
_HOSTS = 50

Read = Callable[[Peeled, str, Passage], bool]
"""Reads a message, and tells whether it knew it."""


_Readers = tuple[tuple[frozenset[bytes], Read], ...]


def _writer(peeled: Peeled) -> str:
    """Who wrote the message: what the envelope names; a message of the Cilium agent is known by its fields."""
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
        self._readers: _Readers = (
            (calico.WORDS, self._calico.read),
            (cilium.WORDS, cilium.CiliumLog(case).read),
            (runtime.WORDS, self.runtime.read),
        )
        self.file = ""
        self.source = Source("")
        self.program = ""
        self._steps = self._events = 0
        self.year = NO_YEAR
        self._compared = 0
        self._cut = 0

    def begin(self, source: Source) -> None:
        self.file, self.source, self._steps, self._cut = source.path, source, 0, 0
        self._events = 0
        self.program = program_of(source.path)

    def look_at(self, chunk: bytes) -> None:
        """Before the lines of a chunk: the year that syslog leaves out."""
        if self.year == NO_YEAR:
            self.year = year_of(chunk) or NO_YEAR

    def end(self) -> None:
        self._count("calico log, a step on the way", self._steps)
        self._count("syslog > klog", self._events)
        self.case.address_lines += self._steps
        self.runtime.flush()

    def take(self, line: bytes, number: int) -> bool:
        """Take a line that has an envelope."""
        if not may_be_wrapped(line):
            return False
        if line[24:25] == b"[" and line[19:20] == b"." and self._calico.step(line, self.file, number):
            self._steps += 1
            return True
        words = words_of(line)
        interesting = not _ANY.isdisjoint(words)
        if not interesting and self._is_plain(line):
            self.source.other += 1
            return True
        if self._compared >= _COMPARED_AT_MOST and self.runtime.take(line):
            self._events += 1
            return True
        peeled = self._peel(line)
        if peeled is None:
            return False
        if not interesting and not (peeled.level == "error" and _is_givers(peeled)):
            self._pass_over(peeled, line, number)
            return True
        parts = RUN_TOGETHER.split(line) if line.count(b"]: ") > 1 else [line]
        if len(parts) == 1:
            known = self._message(peeled, line, number, words)
        else:
            peeled_parts = [(again, part) for part in parts if (again := self._peel(part)) is not None]
            known = sum(self._message(again, part, number, words) for again, part in peeled_parts) > 0
        self._account(peeled, line, number, known=known)
        return True

    def _peel(self, line: bytes) -> Peeled | None:
        peeled = peel(line, self.year)
        if peeled is not None:
            peeled.program = peeled.program or self.program
        return peeled

    def _pass_over(self, peeled: Peeled, line: bytes, number: int) -> None:
        """A line without a word that matters: another program's, or one of ours that nobody has listed."""
        if _is_givers(peeled):
            self._unknown(peeled, line, number)
        else:
            self.source.other += 1
        self._compare(peeled, line, number)

    def _unknown(self, peeled: Peeled, line: bytes, number: int) -> None:
        """A line of a program of ours that nobody has listed; what it calls mere information speaks of no trouble."""
        if calico.is_step(peeled.message):
            self._steps += 1
            return
        self.case.unknown_log_lines += peeled.level != ""
        note_unknown(self.source, number, line)

    def _is_plain(self, line: bytes) -> bool:
        """Plainly a line of syslog, with nothing inside whose clock is still to be compared."""
        if line[6:7] != b" " or line[9:10] != b":" or line[12:13] != b":" or line[:3] not in MONTHS:
            return False
        return self._compared >= _COMPARED_AT_MOST or b"kubelet[" not in line

    def _message(self, peeled: Peeled, line: bytes, number: int, words: list[bytes]) -> bool:
        """Read a message of note. Tells whether anyone knows it."""
        self._compare(peeled, line, number)
        program = _writer(peeled)
        passage = Passage(self.file, [(number, line)], Setting(peeled.at, node=peeled.host, program=program))
        if self.year == NO_YEAR:
            peeled.at = None  # a message may be told by month and day; what must be put in order needs a year
        if peeled.host and peeled.host not in self.case.hosts and len(self.case.hosts) < _HOSTS:
            self.case.hosts.add(peeled.host)
        known = False
        if not _WORDS.isdisjoint(words) and speaks_of_addresses(program):
            self._note_cut(line, number)
            text = peeled.message.decode("utf-8", "replace").replace('\\"', '"')
            for wanted, read in self._readers:
                known = (not wanted.isdisjoint(words) and read(peeled, text, passage)) or known
        if peeled.level == "error" and gives_addresses(program) and not known:
            return rules.apply_or_say(self.case, passage, peeled.message.decode("utf-8", "replace"))
        return (rules.may_apply(words) and rules.apply(self.case, passage)) or known

    def _account(self, peeled: Peeled, line: bytes, number: int, *, known: bool) -> None:
        if known:
            self._count(peeled.format)
        elif _is_givers(peeled):
            self._unknown(peeled, line, number)
        else:
            self.source.other += 1

    def _count(self, format_: str, times: int = 1) -> None:
        if times:
            self.source.formats[format_] = self.source.formats.get(format_, 0) + times

    def _note_cut(self, line: bytes, number: int) -> None:
        if line.count(b'"') % 2 and not line.endswith((b".", b"}", b"]")):
            self._cut += 1
            if self._cut > 1:
                self.case.signal("truncated-lines", self.file, evidence(self.file, number, line))

    def _compare(self, peeled: Peeled, line: bytes, number: int) -> None:
        """Two stamps of one line were written within a moment, so they should agree."""
        if len(peeled.clocks) < 2 or self._compared >= _COMPARED_AT_MOST:
            return
        self._compared += 1
        (writer, at, zone), (other, other_at, other_zone) = peeled.clocks[0], peeled.clocks[-1]
        if zone is not None and other_zone is not None:
            at, other_at = at - zone, other_at - other_zone
        elif other_zone == 0.0 and at != other_at:
            return  # a local time beside UTC: a zone, not a wrong clock
        self.case.clocks.compare(
            f"the {writer} clock", f"the {other} clock", at - other_at, evidence(self.file, number, line)
        )
