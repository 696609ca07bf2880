"""Lines of syslog, journald, kubelet, containerd, Calico and Cilium: peel the envelope, then ask who knows the message.

Most lines of such logs are not about addresses. A byte search for the words that matter comes before any parsing.
"""

from __future__ import annotations

from collections.abc import Callable

from unipam.diagnose import rules
from unipam.diagnose.case import Case, evidence
from unipam.diagnose.logs import calico, cilium, runtime
from unipam.diagnose.logs.envelope import RUN_TOGETHER, Peeled, may_be_wrapped, peel, year_of
from unipam.diagnose.passage import Passage
from unipam.diagnose.report import Source
from unipam.diagnose.stamps import MONTHS
from unipam.diagnose.words import words_of

_WORDS = calico.WORDS | cilium.WORDS | runtime.WORDS
_COMPARED_AT_MOST = 2_000
_NO_YEAR = 2000

Read = Callable[[Peeled, str, Passage], None]


_Readers = tuple[tuple[frozenset[bytes], Read], ...]


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
        self.other = 0
        self.year = _NO_YEAR
        self._compared = 0
        self._cut = 0

    def begin(self, source: Source) -> None:
        self.file, self.source, self.other, self._cut = source.path, source, 0, 0

    def look_at(self, chunk: bytes) -> None:
        """Before the lines of a chunk: the year that syslog leaves out."""
        if self.year == _NO_YEAR:
            self.year = year_of(chunk) or _NO_YEAR

    def end(self) -> None:
        self._count("log line, nothing of note", self.other)
        self.runtime.flush()

    def take(self, line: bytes, number: int) -> bool:
        """Take a line that has an envelope."""
        if not may_be_wrapped(line):
            return False
        if line[24:25] == b"[" and line[19:20] == b"." and self._calico.step(line, self.file, number):
            self.other += 1
            return True
        words = words_of(line)
        interesting = not _WORDS.isdisjoint(words) or rules.may_apply(words)
        if not interesting and self._is_plain(line):
            self.other += 1
            return True
        peeled = peel(line, self.year)
        if peeled is None:
            return False
        if not interesting:
            self.other += 1
            self._compare(peeled, line, number)
            return True
        for part in RUN_TOGETHER.split(line) if line.count(b"]: ") > 1 else (line,):
            again = peel(part, self.year) if part is not line else peeled
            if again is not None:
                self._message(again, part, number, words)
        return True

    def _is_plain(self, line: bytes) -> bool:
        """Plainly a line of syslog or of Calico, with nothing inside whose clock is still to be compared."""
        if line[19:20] == b"." and line[24:25] == b"[" and line[13:14] == b":":
            return True
        if line[6:7] != b" " or line[9:10] != b":" or line[12:13] != b":" or line[:3] not in MONTHS:
            return False
        return self._compared >= _COMPARED_AT_MOST or b"kubelet[" not in line

    def _message(self, peeled: Peeled, line: bytes, number: int, words: list[bytes]) -> None:
        self._count(peeled.format)
        self._compare(peeled, line, number)
        if self.year == _NO_YEAR:
            peeled.at = None
        passage = Passage(self.file, [(number, line)], peeled.at)
        if not _WORDS.isdisjoint(words):
            self._note_cut(line, number)
            text = peeled.message.decode("utf-8", "replace").replace('\\"', '"')
            for known, read in self._readers:
                if not known.isdisjoint(words):
                    read(peeled, text, passage)
        if rules.may_apply(words):
            rules.apply(self.case, passage)

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
