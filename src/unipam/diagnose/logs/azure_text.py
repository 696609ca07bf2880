"""The text generation of azure-vnet-ipam.log and azure-vnet.log, and azure-cns.log (spec azure-vnet-ipam §3.1, §4.8).

`YYYY/MM/DD HH:MM:SS [pid] [component] message`; the oldest releases have no pid, and some lines no component.
Most lines of a call say nothing that a diagnosis needs: they are recognised
and counted, and their time is not even read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from unipam.diagnose import rules, stamps
from unipam.diagnose.case import Case, evidence, note_unknown
from unipam.diagnose.excerpt import Excerpt, Origin
from unipam.diagnose.logs import cns
from unipam.diagnose.logs.azure_call import (
    HEAD,
    MESSAGES,
    REPEATED,
    SAME_IN_EVERY_CALL,
    SAVED,
    UNLISTED,
    Handler,
    Special,
    TextLine,
)
from unipam.diagnose.logs.azure_session import Sessions
from unipam.diagnose.report import Source
from unipam.diagnose.words import words_of

_MAX_SAID = 64
_SLASH, _COLON, _BRACKET = b"/:["
_GOT = re.compile(rb"got (\d+) addresses from interface (\S+), subnet (\S+?)\.?$")
_POOL_LINE = re.compile(rb"Pool \S+ (?:is in use|matches requirements|is preferred)|Pool is |Pool request completed")
_OWN = frozenset({b"ipam", b"cni-ipam", b"azure-vnet-ipam", b"azure-vnet-ipamv6"})
_FAMILY = _OWN | frozenset(
    b"cni net cni-net azure-vnet Utils utils network processlock cni-store cni-plugin telemetry Telemetry "
    b"azure-vnet-telemetry platform ovs cnms store".split()
)
"""What the lines of this family name in brackets as their writer."""

_WEB_SERVER = frozenset(b"debug info notice warn error crit alert emerg".split())
"""nginx begins its lines alike, with a level in the brackets."""

_WRONG = re.compile(rb"(?:[Ff]ailed|[Uu]nable) to |[Ss]ave failed|[Ee]rr(?:or)?:\s?(?!<nil>|nil\b)\S|panic: ")


def _message(line: bytes, start: int) -> str:
    return line[start:].decode("utf-8", "replace")


def _tags(brackets: bytes) -> tuple[str, bytes]:
    """Return the process id and the component of `[9152] [ipam] `; either may be missing."""
    words = [word[1:] for word in brackets.split(b"] ") if word]
    pid = words.pop(0).decode() if words and words[0].isdigit() else ""
    return pid, words[-1] if words else b""


class AzureText:
    """Reads the lines of one log group."""

    format = "azure text log"

    def __init__(self, case: Case) -> None:
        self.case = case
        self.sessions = Sessions(case)
        self.cns = cns.CnsText(case)
        self.file = ""
        self.source = Source("")
        self.count = 0
        self.found: dict[str, int] = {}
        self.saved_at: float | None = None
        self._said: dict[bytes, bytes] = {}
        self._stamp = b""
        self._at: float | None = None
        self._tag, self._process = b"", ""

    def begin(self, source: Source) -> None:
        self.file = self.sessions.file = source.path
        self.source = source
        self.count = 0

    def end(self) -> None:
        if self.count:
            self.source.formats[self.format] = self.source.formats.get(self.format, 0) + self.count
            self.case.address_lines += self.count

    def at(self, line: bytes) -> float | None:
        """Return the time of a line. Neighbours share their second, so the last answer is kept."""
        stamp = line[:19]
        if stamp != self._stamp:
            self._stamp, self._at = stamp, stamps.plain(stamp)
        return self._at

    def run(self, lines: Iterator[bytes], number: int) -> tuple[bytes | None, int]:
        """Take lines as long as they are of this family; gives the first other one, and its number less one."""
        for line in lines:
            if len(line) < 22 or line[4] != _SLASH or line[13] != _COLON:
                return line, number
            number += 1
            start = line.find(b"] ", 20) + 2 if line[20] == _BRACKET else 20
            if line.startswith(b"[", start):
                start = line.find(b"] ", start) + 2
            handler = MESSAGES.get(line[start : start + HEAD], UNLISTED)
            if handler is None:  # most lines: known, and of no interest
                self.count += 1
            elif not self._handle(handler, line, number, start):
                return line, number - 1
        return None, number

    def take(self, line: bytes, number: int) -> bool:
        """Take a line of this family. A wrong guess costs two comparisons."""
        return self.run(iter((line,)), number - 1)[0] is None

    def _handle(self, handler: Handler | Special, line: bytes, number: int, start: int) -> bool:
        if handler is SAVED:
            self.count += 1
            self.saved_at = self.at(line)
            return True
        if handler in SAME_IN_EVERY_CALL and self._says_nothing_new(line[start:]):
            self.count += 1
            return True
        start = max(start, 20)  # a bracket that is never closed
        if handler is UNLISTED:
            return self._unlisted(line, number, start, *_tags(line[20:start]))
        self.count += 1
        handler(TextLine(self, self.sessions.of(self._pid(line), self.at(line), number), line, number, start))
        return True

    def _pid(self, line: bytes) -> str:
        """Return the process id of `… [9152] …`, "" where the oldest lines have none.

        Neighbours share it, as their time.
        """
        tag = line[20 : line.find(b"]", 20)] if line[20] == _BRACKET else b""
        if tag != self._tag:
            self._tag, self._process = tag, tag[1:].decode() if tag[1:].isdigit() else ""
        return self._process

    def _says_nothing_new(self, text: bytes) -> bool:
        """Return whether a message that every call repeats was the same in the call before: version, counts, sizes."""
        if not text.startswith(REPEATED):
            return False
        begin = text[:HEAD]
        said, self._said[begin] = self._said.get(begin), text
        if len(self._said) > _MAX_SAID:
            self._said.clear()
        return said == text

    def _unlisted(self, line: bytes, number: int, start: int, pid: str, component: bytes) -> bool:
        """Judge a message that is not in the table.

        Return False when nothing shows that a program of this family wrote it.
        """
        if component in _WEB_SERVER:
            self.source.other += 1
            return True
        if component not in _FAMILY and component not in cns.COMPONENTS and (component or not self.count):
            return False
        if line.startswith(b"got ", start):
            self._got(line, number, start)
        elif b"ailed" in line[start : start + 60] and (session := self.sessions.known(pid)) is not None:
            self.count += 1
            session.at = self.at(line)
            TextLine(self, session, line, number, start).failed()
        elif component in cns.COMPONENTS:
            self._account(line, number, known=self.cns.take(self.file, number, line, self.at(line), component))
        elif component in _OWN and not _WRONG.search(line, start):
            self._account(line, number, known=_POOL_LINE.match(line, start) is not None)
        else:
            self._beside(line, number, start, component)
        return True

    def _beside(self, line: bytes, number: int, start: int, component: bytes) -> None:
        """Judge a line of azure-vnet about the network: only what went wrong in it counts."""
        excerpt = Excerpt(self.file, [(number, line)], Origin(self.at(line), program="azure-vnet"))
        if _WRONG.search(line, start):
            self._account(line, number, known=rules.apply_or_say(self.case, excerpt, _message(line, start)))
        elif rules.may_apply(words_of(line)) and rules.apply(self.case, excerpt):
            self.count += 1
        elif component:
            self.source.other += 1
        else:
            self._account(line, number, known=False)

    def _account(self, line: bytes, number: int, *, known: bool) -> None:
        if known:
            self.count += 1
        else:
            self.case.unknown_log_lines += 1
            note_unknown(self.source, number, line)

    def _got(self, line: bytes, number: int, start: int) -> None:
        match = _GOT.match(line, start)
        if match is None:
            self._account(line, number, known=False)
            return
        self.count += 1
        subnet, capacity = match[3].decode(), int(match[1])
        self.case_pool(subnet, capacity, match[2].decode(), line, number)

    def case_pool(self, subnet: str, capacity: int, interface: str, line: bytes, number: int) -> None:
        """Note the size that the wireserver's answer gave a pool; it comes with every call and seldom changes."""
        pool = self.case.pool(subnet, "azure-vnet-ipam")
        if pool.capacity == capacity:
            return
        pool.capacity = capacity
        where = evidence(self.file, number, line)
        pool.evidence = [*pool.evidence, where][-3:]
        self.case.fact(
            "pool-size",
            f"Pool {subnet} on {interface}: {capacity} usable addresses for pods (the wireserver's, without the "
            "host's own).",
            where,
        )
        listed = self.found.get(subnet)
        if listed is not None and capacity < listed - 1:
            self.case.signal(
                "addresses-rejected", subnet, where, at=self.at(line), values={"found": listed, "capacity": capacity}
            )
