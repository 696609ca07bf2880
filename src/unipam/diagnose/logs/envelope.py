"""What stands before a message: syslog, journald, CRI, klog, logrus and Calico's brackets, often one inside another.

Stripping gives the message, its time and the names in front of it, and compares the clocks of two stamps of one line.
"""

from __future__ import annotations

import re
from typing import Protocol

import msgspec

from unipam.diagnose import stamps

_MONTH = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
SYSLOG = re.compile(rb"(" + _MONTH + rb" [ \d]\d \d\d:\d\d:\d\d) (\S+) ([\w./@-]+)(?:\[(\d+)\])?: ?")
RUN_TOGETHER = re.compile(rb"(?<=.)(?=" + _MONTH + rb" [ \d]\d \d\d:\d\d:\d\d \S+ [\w.-]+\[\d+\]: )")
_ISO_SYSLOG = re.compile(rb"(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d)) (\S+) ([\w./-]+)(?:\[(\d+)\])?: ")
_CRI = re.compile(rb"(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)) (?:stdout|stderr) [FP] ")
_CALICO = re.compile(rb"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) \[(?P<level>[A-Z]+)\]\[(\w+)\] (?:[\w./-]+ \d+: )?")
_KLOG = re.compile(rb"(?P<level>[IWEF])(\d{4} \d\d:\d\d:\d\d\.\d+)\s+(\d+) [\w./-]+:\d+\] ")
_LOGRUS = re.compile(rb"(?:time=\"?([\dT:.,+Z-]+)\"? )?level=\"?(?P<level>[a-z]+)\"? ")
MAY_BE_STAMPED = re.compile(rb"\d{4}-\d\d-\d\d|[IWEF]\d{4} |" + _MONTH + rb" [ \d]\d |time=|level=")
"""How a message may begin that has an envelope of its own."""

_LEVELS = {
    **dict.fromkeys(b"ERROR FATAL PANIC error fatal panic E F".split(), "error"),
    **dict.fromkeys(b"WARNING WARN warning warn W".split(), "warning"),
}
_FIRST = frozenset(b"0123456789JFMASONDIWEFtl")
_YEAR = re.compile(rb"\b(20\d\d)-\d\d-\d\d")


class Stripped:
    """A message without what stood before it.

    `clocks` are the stamps that were stripped, by who wrote them: writer, wall time, and offset from UTC (None for a
    local time without a zone). `level` is "error" for whatever its writer calls an error or worse, "warning", or ""
    for anything milder.
    """

    __slots__ = ("at", "clocks", "format", "host", "level", "message", "pid", "program")

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.format = self.host = self.program = self.pid = self.level = ""
        self.at: float | None = None
        self.clocks: list[tuple[str, float, float | None]] = []


class Written(Protocol):
    """When a message was written, and by which process."""

    @property
    def at(self) -> float | None: ...

    @property
    def pid(self) -> str: ...


class _Boxed(msgspec.Struct, rename={"message": "MESSAGE", "program": "SYSLOG_IDENTIFIER", "host": "_HOSTNAME"}):
    """The keys of Docker's json-file (`log`) and of journald's export (the others)."""

    log: str = ""
    message: str = ""
    program: str = ""
    host: str = ""


_boxed = msgspec.json.Decoder(_Boxed)


def unwrapped(line: bytes) -> tuple[bytes, str]:
    """Return the log line inside a JSON object that some collector put around it, and the program that it names.

    Both are empty when there is none.
    """
    if b'"log":"' not in line and b'"MESSAGE"' not in line:
        return b"", ""
    try:
        boxed = _boxed.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return b"", ""
    return (boxed.log or boxed.message).rstrip("\n").encode(), boxed.program


def tag_of(line: bytes) -> re.Match[bytes] | None:
    """Match what syslog or journald put before a line: group 2 is the host, group 3 the program."""
    return _ISO_SYSLOG.match(line) if line[:1].isdigit() else SYSLOG.match(line)


def may_be_wrapped(line: bytes) -> bool:
    """Return whether any envelope can begin with the first byte: a cheap look."""
    return line[0] in _FIRST


def strip_headers(line: bytes, year: int) -> Stripped | None:
    """Take every envelope off; None when there is none. `year` is the one that syslog and klog leave out."""
    stripped = Stripped(line)
    while _strip_one(stripped, year):
        pass
    if not stripped.format:
        return None
    if stripped.clocks:
        stripped.at = stripped.clocks[-1][1]
    return stripped


def year_of(data: bytes) -> int | None:
    """Return the first year that a stretch of log names."""
    match = _YEAR.search(data)
    return int(match[1]) if match else None


def _strip_one(stripped: Stripped, year: int) -> bool:
    line = stripped.message
    first = line[:1]
    if first.isdigit():
        return _strip_dated(stripped, line)
    if first in {b"I", b"W", b"E", b"F"} and (match := _KLOG.match(line)):
        return _took(stripped, match, "klog", "klog", stamps.klog(match[2], year), None)
    if match := SYSLOG.match(line):
        return _took(stripped, match, "syslog", "syslog", stamps.syslog(match[1], year), None)
    if match := _LOGRUS.match(line):
        return _took_zoned(stripped, match, "logrus", "the message's own stamp")
    return False


def _strip_dated(stripped: Stripped, line: bytes) -> bool:
    if match := _CALICO.match(line):
        stripped.pid, stripped.program = match[3].decode(), "calico"
        return _took(stripped, match, "calico log", "calico", stamps.plain(match[1]), None)
    if match := _CRI.match(line):
        return _took_zoned(stripped, match, "CRI log", "the CRI log")
    if match := _ISO_SYSLOG.match(line):
        return _took_zoned(stripped, match, "syslog", "syslog")
    return False


def _took(
    stripped: Stripped, match: re.Match[bytes], format_: str, writer: str, at: float | None, zone: float | None
) -> bool:
    stripped.message = stripped.message[match.end() :]
    stripped.format = format_ if not stripped.format else f"{stripped.format} > {format_}"
    stripped.level = _LEVELS.get(match.groupdict().get("level") or b"", "")
    if at is not None:
        stripped.clocks.append((writer, at, zone))
    if format_ == "syslog":
        stripped.host, stripped.program = match[2].decode("utf-8", "replace"), match[3].decode("utf-8", "replace")
        stripped.pid = (match[4] or b"").decode()
    return True


def _took_zoned(stripped: Stripped, match: re.Match[bytes], format_: str, writer: str) -> bool:
    stamp = stamps.rfc3339(match[1]) if match[1] else None
    return _took(stripped, match, format_, writer, stamp[0] if stamp else None, stamp[1] if stamp else None)
