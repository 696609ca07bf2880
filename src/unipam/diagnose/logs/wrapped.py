"""Lines of syslog, journald, kubelet, containerd, Calico and Cilium: peel the envelope, then ask who knows the message.

Most lines of such logs are not about addresses. They are told by their writer, by their shape, or by having no word
that matters, in this order, before any parsing.
"""

from __future__ import annotations

import enum
import re
from typing import NamedTuple, Protocol

from unipam.diagnose import rules
from unipam.diagnose.case import Case, evidence, note_unknown
from unipam.diagnose.logs import calico, cilium, runtime
from unipam.diagnose.logs.envelope import MAY_BE_STAMPED, RUN_TOGETHER, Peeled, may_be_wrapped, peel, tag_of, year_of
from unipam.diagnose.logs.shapes import HEAD, Shapes
from unipam.diagnose.passage import Passage, Setting
from unipam.diagnose.report import Source
from unipam.diagnose.rules import unexplained
from unipam.diagnose.stamps import MONTHS, NO_YEAR
from unipam.diagnose.systems import gives_addresses, program_of, speaks_of_addresses
from unipam.diagnose.words import words_of

_WORDS = calico.WORDS | cilium.WORDS | runtime.WORDS
_COMPARED_AT_MOST = 2_000
_ANY = _WORDS | rules.WORDS | frozenset(b"error fatal panic calico".split())
_PHRASES = calico.PHRASES + cilium.PHRASES + runtime.PHRASES + tuple(a for rule in rules.RULES for a in rule.anchors)
_FAILURE = re.compile(rb"fail|error|could not|message", re.IGNORECASE)
_HOSTS = 50
MAX_TAGS = 1_024


class Reads(Protocol):
    """Who knows some messages: *words*, one of which is in each of them, and *phrases* likewise."""

    words: frozenset[bytes]
    phrases: tuple[str, ...]

    def read(self, peeled: Peeled, text: str, passage: Passage) -> bool:
        """Read a message, and tell whether it was known."""


class Fate(enum.Enum):
    """What a line is counted as."""

    OTHER = enum.auto()
    UNKNOWN = enum.auto()
    STEP = enum.auto()
    KNOWN = enum.auto()


class Judged(NamedTuple):
    """What became of a line, so that others of its shape can be dealt with alike."""

    fate: Fate
    counts: bool = False
    """Not understood, and it might speak of trouble."""
    readers: tuple[Reads, ...] = ()
    """Who must read the others too, for it reads what varies in them."""
    suspects: tuple[re.Pattern[str], ...] = ()
    """What rules look for that have a phrase in the line: none of it is there, but it might be in others."""


_OTHER = Judged(Fate.OTHER)


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
        self._readers: tuple[Reads, ...] = (self._calico, cilium.CiliumLog(case), self.runtime)
        self._shapes: Shapes[Judged] = Shapes(_ANY, _PHRASES)
        self._elsewhere: set[tuple[bytes, bytes]] = set()
        """Programs (with their hosts) that have nothing to do with addresses."""
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
        program = program_of(source.path)
        if program != self.program:
            self.program, self._shapes = program, Shapes(_ANY, _PHRASES)

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
        if line[24:25] == b"[" and line[19:20] == b".":
            start = line.find(b": ", 28) + 2
            head = line[start : start + HEAD]
            if self._calico.step(head, line, self.file, number):
                self._steps += 1
                return True
        else:
            at = line.find(b'] "')
            if at < 0 and (at := line.find(b' msg="')) < 0:
                if self._is_elsewhere(line):
                    self.source.other += 1
                    return True
                return self._judge(line, number, b"")
            head = line[at : at + HEAD]
        if head == runtime.LIFE and self._take_life(line):
            return True
        shapes = self._shapes
        for match, judged in shapes.by_head.get(head, ()):
            found = match(line)
            if found is not None:
                names = found.groups()
                if not (shapes.harmless.issuperset(names) or shapes.are_harmless(names)):
                    break
                if judged is _OTHER:
                    self.source.other += 1
                    return True
                return self._like(judged, line, number) or self._judge(line, number, head)
        return self._judge(line, number, head)

    def _take_life(self, line: bytes) -> bool:
        """Take a kubelet's event of a pod's life, by far its commonest line, whose clocks were compared enough."""
        if self._compared < _COMPARED_AT_MOST or not self.runtime.take(line):
            return False
        self._events += 1
        return True

    def _is_elsewhere(self, line: bytes) -> bool:
        """Whether the tag of a line alone tells that it has nothing to do with addresses."""
        tag = tag_of(line)
        if tag is None or MAY_BE_STAMPED.match(line, tag.end()) or line.find(b"]: ", tag.end()) >= 0:
            return False
        names = tag.group(2, 3)
        if names not in self._elsewhere and not self._note_elsewhere(*names):
            return False
        return b"subsys=" not in line and b" module=" not in line

    def _note_elsewhere(self, host: bytes, program: bytes) -> bool:
        known = len(self.case.hosts) >= _HOSTS or host.decode("utf-8", "replace") in self.case.hosts
        if not known or speaks_of_addresses(program.decode("utf-8", "replace")):
            return False
        if len(self._elsewhere) < MAX_TAGS:
            self._elsewhere.add((host, program))
        return True

    def _like(self, judged: Judged, line: bytes, number: int) -> bool:
        """Deal with a line as with the one of its shape that was judged. False when it needs a judgement of its own."""
        if judged.suspects:
            text = Passage(self.file, [(number, line)]).text
            if any(pattern.search(text) for pattern in judged.suspects):
                return False
        if judged.fate is Fate.OTHER:
            self.source.other += 1
        elif judged.fate is Fate.STEP:
            self._steps += 1
        elif judged.fate is Fate.UNKNOWN:
            self.case.unknown_log_lines += judged.counts
            note_unknown(self.source, number, line)
        else:
            return self._read_like(judged, line, number)
        return True

    def _read_like(self, judged: Judged, line: bytes, number: int) -> bool:
        peeled = self._peel(line)
        if peeled is None:
            return False
        passage, text = self._passage(peeled, line, number), _text_of(peeled)
        known = [reader for reader in judged.readers if reader.read(peeled, text, passage)]
        if known:
            self._count(peeled.format)
        return bool(known)

    def _judge(self, line: bytes, number: int, head: bytes) -> bool:
        """Judge a line in full. False when it has no envelope."""
        if not may_be_wrapped(line):
            return False
        words = words_of(line)
        interesting = not _ANY.isdisjoint(words)
        if not interesting and self._is_plain(line):
            self.source.other += 1
            if head and self._shapes.is_due(head):
                self._shapes.learn(head, line, _kept(line), _OTHER)
            return True
        if self._take_life(line):
            return True
        peeled = self._peel(line)
        if peeled is None:
            return False
        parts = RUN_TOGETHER.split(line) if interesting and line.count(b"]: ") > 1 else [line]
        if len(parts) > 1:
            peeled_parts = [(again, part) for part in parts if (again := self._peel(part)) is not None]
            known = sum(self._message(again, part, number, words) for again, part in peeled_parts) > 0
        elif interesting or (peeled.level == "error" and _is_givers(peeled)):
            known = self._message(peeled, line, number, words)
        else:
            known = False
            self._compare(peeled, line, number)
        self._account(peeled, line, number, known=known)
        if head and len(parts) == 1 and self._shapes.is_due(head):
            self._learn(head, line, peeled, words)
        return True

    def _peel(self, line: bytes) -> Peeled | None:
        peeled = peel(line, self.year)
        if peeled is not None:
            peeled.program = peeled.program or self.program
        return peeled

    def _unread(self, peeled: Peeled) -> Judged:
        """What a line is that nobody knows: another program's, or one of ours that nobody has listed.

        What a program of ours calls mere information speaks of no trouble.
        """
        if not _is_givers(peeled):
            return _OTHER
        return Judged(Fate.STEP) if calico.is_step(peeled.message) else Judged(Fate.UNKNOWN, peeled.level != "")

    def _is_plain(self, line: bytes) -> bool:
        """Plainly a line of syslog, with nothing inside whose clock is still to be compared."""
        if line[6:7] != b" " or line[9:10] != b":" or line[12:13] != b":" or line[:3] not in MONTHS:
            return False
        return self._compared >= _COMPARED_AT_MOST or b"kubelet[" not in line

    def _message(self, peeled: Peeled, line: bytes, number: int, words: list[bytes]) -> bool:
        """Read a message of note. Tells whether anyone knows it."""
        self._compare(peeled, line, number)
        program = _writer(peeled)
        passage = self._passage(peeled, line, number)
        if peeled.host and peeled.host not in self.case.hosts and len(self.case.hosts) < _HOSTS:
            self.case.hosts.add(peeled.host)
        known = False
        if not _WORDS.isdisjoint(words) and speaks_of_addresses(program):
            self._note_cut(line, number)
            text = _text_of(peeled)
            for reader in self._readers:
                known = (not reader.words.isdisjoint(words) and reader.read(peeled, text, passage)) or known
        if peeled.level == "error" and gives_addresses(program) and not known:
            return rules.apply_or_say(self.case, passage, peeled.message.decode("utf-8", "replace"))
        return (rules.may_apply(words) and rules.apply(self.case, passage)) or known

    def _passage(self, peeled: Peeled, line: bytes, number: int) -> Passage:
        passage = Passage(self.file, [(number, line)], Setting(peeled.at, node=peeled.host, program=_writer(peeled)))
        if self.year == NO_YEAR:
            peeled.at = None  # a message may be told by month and day; what must be put in order needs a year
        return passage

    def _account(self, peeled: Peeled, line: bytes, number: int, *, known: bool) -> None:
        if known:
            self._count(peeled.format)
        else:
            self._like(self._unread(peeled), line, number)

    def _learn(self, head: bytes, line: bytes, peeled: Peeled, words: list[bytes]) -> None:
        """Remember what becomes of lines of this shape, unless that is not told by their words alone."""
        if len(peeled.clocks) > 1 and self._compared < _COMPARED_AT_MOST:
            return
        if line.count(b'"') % 2 or (peeled.level == "error" and _is_givers(peeled)):
            return
        if not unexplained.WORDS.isdisjoint(words) and _FAILURE.search(line):
            return  # what a failed sandbox says must be looked at each time
        text = Passage(self.file, [(0, line)]).text
        suspects = tuple(rule.pattern for rule in rules.RULES if any(anchor in text for anchor in rule.anchors))
        if any(pattern.search(text) for pattern in suspects):
            return
        speaks = speaks_of_addresses(_writer(peeled))
        readers = tuple(
            reader
            for reader in self._readers
            if speaks and not reader.words.isdisjoint(words) and any(phrase in text for phrase in reader.phrases)
        )
        judged = Judged(Fate.KNOWN, readers=readers) if readers else self._unread(peeled)
        self._shapes.learn(
            head, line, _kept(line), judged._replace(suspects=suspects) if suspects and speaks else judged
        )

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


def _text_of(peeled: Peeled) -> str:
    return peeled.message.decode("utf-8", "replace").replace('\\"', '"')


def _kept(line: bytes) -> tuple[int, int]:
    """Where host, program and process id stand, which are a part of a line's shape."""
    tag = tag_of(line)
    return (tag.start(2), tag.end()) if tag is not None else (0, 0)
