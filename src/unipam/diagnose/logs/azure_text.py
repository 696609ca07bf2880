"""The text generation of azure-vnet-ipam.log and azure-vnet.log, and azure-cns.log (spec azure-vnet-ipam §3.1, §4.8).

``YYYY/MM/DD HH:MM:SS [pid] [component] message``; the oldest releases have no pid, and some lines no component.
A message is known by its first bytes. Most lines of a call say nothing that a diagnosis needs: they are recognised
and counted, and their time is not even read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from unipam.diagnose import rules, stamps, variants
from unipam.diagnose.case import Case, evidence, note_unknown
from unipam.diagnose.logs import cns
from unipam.diagnose.logs.azure_session import Session, SessionLine, Sessions
from unipam.diagnose.passage import Passage, Setting
from unipam.diagnose.report import Source
from unipam.diagnose.words import words_of

HEAD = 10
_SLASH, _COLON, _BRACKET = b"/:["
_IP_IN_RESULT = re.compile(rb"Address:\{IP:([0-9a-fA-F.:]+) Mask")
_GOT = re.compile(rb"got (\d+) addresses from interface (\S+), subnet (\S+?)\.?$")
_FOUND = re.compile(rb"Number of IPAddress found in ipsubnet (\S+): (\d+)")
_PLUGIN = re.compile(rb"Plugin (\S+) version (\S+?)\.?$")
_POOL_LINE = re.compile(rb"Pool \S+ (?:is in use|matches requirements|is preferred)|Pool is |Pool request completed")
_COMPLETED = re.compile(
    rb"command completed (?:for pod \S+ )?with (?:result:(?P<result>.*?) |IPs:(?P<ips>.*?) )?err:(?P<error>.*?)\.?$"
)
_OWN = frozenset({b"ipam", b"cni-ipam", b"azure-vnet-ipam", b"azure-vnet-ipamv6"})
_FAMILY = _OWN | frozenset(
    b"cni net cni-net azure-vnet Utils utils network processlock cni-store cni-plugin telemetry Telemetry "
    b"azure-vnet-telemetry platform ovs cnms store".split()
)
"""What the lines of this family name in brackets as their writer."""

_WEB_SERVER = frozenset(b"debug info notice warn error crit alert emerg".split())
"""nginx begins its lines alike, with a level in the brackets."""

_WRONG = re.compile(rb"(?:[Ff]ailed|[Uu]nable) to |[Ss]ave failed|[Ee]rr(?:or)?:\s?(?!<nil>|nil\b)\S|panic: ")
_RETURNED = re.compile(rb"Plugin (\S+) returned (?:result:.*?|)(?:, )?err:(.*?)\.?$")

Handler = Callable[["_Line"], None]


def between(line: bytes, before: bytes, after: bytes, start: int = 0) -> str:
    """The text between two marks, "" when the first is not there."""
    begin = line.find(before, start)
    if begin < 0:
        return ""
    begin += len(before)
    end = line.find(after, begin)
    return line[begin : end if end >= 0 else len(line)].decode("utf-8", "replace")


def pod_of(args: bytes) -> str:
    """``namespace/name`` from CNI_ARGS, which runtimes write in any order; "" when they name no pod."""
    name = re.search(rb"K8S_POD_NAME=([^; \"]+)", args)
    namespace = re.search(rb"K8S_POD_NAMESPACE=([^; \"]+)", args)
    return f"{namespace[1].decode()}/{name[1].decode()}" if name and namespace else ""


def _message(line: bytes, start: int) -> str:
    return line[start:].decode("utf-8", "replace")


def _tags(brackets: bytes) -> tuple[str, bytes]:
    """The process id and the component of ``[9152] [ipam] ``; either may be missing."""
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
        """The time of a line. Neighbours share their second, so the last answer is kept."""
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
            handler = _SHAPES.get(line[start : start + HEAD], _UNLISTED)
            if handler is None:  # most lines: known, and of no interest
                self.count += 1
            elif not self._handle(handler, line, number, start):
                return line, number - 1
        return None, number

    def take(self, line: bytes, number: int) -> bool:
        """Take a line of this family. A wrong guess costs two comparisons."""
        return self.run(iter((line,)), number - 1)[0] is None

    def _handle(self, handler: Handler, line: bytes, number: int, start: int) -> bool:
        if handler is _SAVED:
            self.count += 1
            self.saved_at = self.at(line)
            return True
        if handler in _SAME_IN_EVERY_CALL and self._says_nothing_new(line[start:]):
            self.count += 1
            return True
        start = max(start, 20)  # a bracket that is never closed
        if handler is _UNLISTED:
            return self._unlisted(line, number, start, *_tags(line[20:start]))
        self.count += 1
        handler(_Line(self, self.sessions.of(self._pid(line), self.at(line), number), line, number, start))
        return True

    def _pid(self, line: bytes) -> str:
        """The process id of ``… [9152] …``, "" where the oldest lines have none. Neighbours share it, as their time."""
        tag = line[20 : line.find(b"]", 20)] if line[20] == _BRACKET else b""
        if tag != self._tag:
            self._tag, self._process = tag, tag[1:].decode() if tag[1:].isdigit() else ""
        return self._process

    def _says_nothing_new(self, text: bytes) -> bool:
        """Whether a message that every call repeats was the same in the call before: version, counts, sizes."""
        if not text.startswith(_REPEATED):
            return False
        begin = text[:HEAD]
        said, self._said[begin] = self._said.get(begin), text
        if len(self._said) > _MAX_SAID:
            self._said.clear()
        return said == text

    def _unlisted(self, line: bytes, number: int, start: int, pid: str, component: bytes) -> bool:
        """A message that is not in the table. False when nothing shows that a program of this family wrote it."""
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
            _Line(self, session, line, number, start).failed()
        elif component in cns.COMPONENTS:
            self._account(line, number, known=self.cns.take(self.file, number, line, self.at(line), component))
        elif component in _OWN and not _WRONG.search(line, start):
            self._account(line, number, known=_POOL_LINE.match(line, start) is not None)
        else:
            self._beside(line, number, start, component)
        return True

    def _beside(self, line: bytes, number: int, start: int, component: bytes) -> None:
        """A line of azure-vnet about the network: only what went wrong in it counts."""
        passage = Passage(self.file, [(number, line)], Setting(self.at(line), program="azure-vnet"))
        if _WRONG.search(line, start):
            self._account(line, number, known=rules.apply_or_say(self.case, passage, _message(line, start)))
        elif rules.may_apply(words_of(line)) and rules.apply(self.case, passage):
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
        """The wireserver's answer gave a pool its size; it comes with every call and seldom changes."""
        pool = self.case.pool(subnet, "azure-vnet-ipam")
        if pool.capacity == capacity:
            return
        pool.capacity = capacity
        where = evidence(self.file, number, line)
        pool.evidence = [*pool.evidence, where][-3:]
        self.case.fact(
            f"Pool {subnet} on {interface}: {capacity} usable addresses for pods (the wireserver's, without the "
            "host's own).",
            where,
        )
        listed = self.found.get(subnet)
        if listed is not None and capacity < listed - 1:
            self.case.signal(
                "addresses-rejected", subnet, where, at=self.at(line), values={"found": listed, "capacity": capacity}
            )


class _Line(SessionLine):
    """A line of text, whose message begins at `start`."""

    __slots__ = ("log", "start")

    def __init__(self, log: AzureText, session: Session, line: bytes, number: int, start: int) -> None:
        # What the base class sets is set here: two calls a line are one too many.
        self.sessions, self.session, self.line, self.number = log.sessions, session, line, number
        self.log, self.start = log, start

    def between(self, before: bytes, after: bytes) -> str:
        return between(self.line, before, after, self.start)

    def begins(self, text: bytes) -> bool:
        return self.line.startswith(text, self.start)

    def fail(self, text: str) -> None:
        self.sessions.fail(self.session, text.rstrip(". "), self.line, self.number)

    def released(self) -> None:
        if self.log.saved_at is None:
            self.log.saved_at = self.session.at
        super().released()

    def saved(self) -> None:
        """Twice in every call, and only its time matters: ``take`` deals with it."""

    def plugin(self) -> None:
        """The plugin's version, or what it returned to azure-vnet."""
        match, returned = _PLUGIN.match(self.line, self.start), _RETURNED.match(self.line, self.start)
        if returned and returned[2] != b"<nil>":
            self.session.by = returned[1].decode()
            self.fail(returned[2].decode("utf-8", "replace"))
        elif match:
            self.session.by = match[1].decode()
            self.log.case.fact(f"{self.session.by} {match[2].decode()}, text log generation.", self.where)

    def restored(self) -> None:
        clocks, saved_at = self.log.case.clocks, self.log.saved_at
        if self.session.at is None or clocks.enough("the line clock"):
            return
        stored = stamps.go_time(self.between(b"TimeStamp:", b" AddrSpaces"))
        if stored is None:
            return
        name = f"the stored TimeStamp ({'UTC' if stored[1] == 0 else 'local time'})"
        if saved_at is not None:
            clocks.compare_stored("the line clock", name, saved_at - stored[0], self.where())
        elif stored[0] > self.session.at + 60:
            clocks.compare("the line clock", name, self.session.at - stored[0], self.where())

    def processing(self) -> None:
        if (
            self.session.verb or not self.session.pid
        ):  # the oldest logs have no pid and no lock lines: a call begins here
            self.session = self.sessions.begin(self.session.pid, self.session.at, self.number)
            self.session.waiting = False
        session, args = self.session, self.line[self.start :]
        session.verb = args[11:14].decode()
        session.container = self.between(b"ContainerID:", b" ")
        session.pod = pod_of(args)
        session.pool = self.between(b'"subnet":"', b'"')
        session.address = self.between(b'"ipAddress":"', b'"')
        if session.container and session.pod:
            self.log.case.pod_of(session.container, session.pod)
        if b'"type":"azure-vnet"' in args:
            kind = (
                "azure-vnet-ipam"
                if b'"azure-vnet-ipam"' in args
                else "azure-cns"
                if b'"azure-cns"' in args
                else "not named"
            )
            variants.azure_call(self.log.case, kind, self.between(b'"mode":"', b'"'), session.pod, self.where)

    def endpoint_deleted(self) -> None:
        """ "Deleting endpoint 1c27f3d6-eth0 from network azure": the pod whose container's id begins so has ended."""
        if self.begins(b"Deleting endpoint "):
            self.log.case.end(self.between(b"endpoint ", b"-"))

    def _learn_container(self) -> None:
        session = self.session
        session.container = session.container or self.between(b"azure.address.id:", b"]").split(" ")[0]

    def requesting(self) -> None:
        if not self.begins(b"Requesting address"):
            return
        self._learn_container()
        self.session.verb = self.session.verb or "ADD"
        self.log.case.acts["asked"] += 1

    def releasing(self) -> None:
        if self.begins(b"Releasing ipv4 address") or self.begins(b"Releasing ipv6 address"):
            self._released_by_caller()
        if not self.begins(b"Releasing address"):
            return
        self._learn_container()
        self.session.verb = self.session.verb or "DEL"
        self.session.address = self.session.address or self.between(b"with address:", b" ")

    def _released_by_caller(self) -> None:
        """azure-vnet names the address that it has released by azure-vnet-ipam, whose own log may be elsewhere."""
        session = self.session
        session.verb = session.verb or "DEL"
        session.address = session.address or self.between(b"address :", b" ")
        self.log.case.end(session.container)

    def address(self) -> None:
        session = self.session
        if self.begins(b"Address request completed"):
            address = self.between(b"address:", b" ").rstrip(".")
            session.verb = session.verb or "ADD"
            self.answer("" if address == "<nil>" else address)
        elif self.begins(b"Address request failed with "):
            self.fail(self.line[self.start + 28 :].decode("utf-8", "replace"))
        elif self.begins(b"Address release completed"):
            session.verb = session.verb or "DEL"
            self.answer("" if session.repeat else self.between(b"address:", b" ") or session.address)
        elif self.begins(b"Address not "):
            session.repeat = True

    def completed(self) -> None:
        match = _COMPLETED.search(self.line, self.start)
        self.session.verb = self.session.verb or self.line[self.start : self.start + 3].decode()
        if match is None:
            return
        error = match["error"].decode("utf-8", "replace")
        address = _IP_IN_RESULT.search(self.line, self.start)
        if error != "<nil>":
            self.fail(error)
        elif address:
            self.answer(address[1].decode())
        elif self.session.verb == "DEL" and self.session.address and not self.session.repeat:
            self.answer(self.session.address)

    def failed(self) -> None:
        self.fail(self.line[self.start :].decode("utf-8", "replace"))

    def refresh_failed(self) -> None:
        self.session.refresh_error = self.between(b"err:", b"\n")
        self.session.refresh_line = (self.number, self.line)

    def found(self) -> None:
        match = _FOUND.match(self.line, self.start)
        if match and len(self.log.found) < 64:
            self.log.found[match[1].decode()] = int(match[2])

    def reset(self) -> None:
        self.log.case.reset(self.log.file, self.number)

    def pool_given(self) -> None:
        if b"poolID" in self.line:
            self.session.pool = self.session.pool or self.between(b"with subnet ", b" ").rstrip(".")


_SAVED: Handler = _Line.saved
_UNLISTED: Handler = _Line.failed
"""Stands for "not in the table": ``take`` looks further then."""

_SAME_IN_EVERY_CALL = frozenset({_Line.plugin, _Line.found, _UNLISTED})
_REPEATED = (b"Plugin azure-vnet-ipam version ", b"Number of IPAddress", b"got ")
_MAX_SAID = 64

_SHAPES: dict[bytes, Handler | None] = {
    text[:HEAD]: handler
    for text, handler in (
        (b"Acquiring process lock", _Line.acquiring),
        (b"Acquired process lock", _Line.acquired),
        (b"Released process lock", _Line.released),
        (b"Plugin azure-vnet", _Line.plugin),
        (b"Restored state, &", _Line.restored),
        (b"Processing ADD", _Line.processing),
        (b"Processing DEL", _Line.processing),
        (b"Requesting address", _Line.requesting),  # and "Requesting pool"
        (b"Releasing address", _Line.releasing),  # and "Releasing pool"
        (b"Address request", _Line.address),  # and "Address release"
        (b"Address not found", _Line.address),  # and "Address not in use"
        (b"ADD command completed", _Line.completed),
        (b"DEL command completed", _Line.completed),
        (b"Number of IPAddress", _Line.found),
        (b"Source refresh failed", _Line.refresh_failed),
        (b"Allocated address", _Line.pool_given),
        (b"Save succeeded", _Line.saved),
        (b"saving ipam state", None),
        (b"merging address space", None),
        (b"Plugin started", None),
        (b"Plugin stopped", None),
        (b"Running on", None),
        (b"Read network configuration", None),
        (b"Starting source", None),
        (b"Refreshing address source", None),
        (b"Initializing HTTP", None),
        (b"Wireserver call", None),
        (b"xml name received", None),
        (b"processing interface", None),
        (b"Checking pool", None),
        (b"Skip releasing pool", None),
        (b"Pool request completed", None),
        (b"store key not found", _Line.reset),
        (b"store empty", _Line.reset),
        (b"Deleting endpoint", _Line.endpoint_deleted),
        (b"Deleting Address record", None),
        (b"http return error code", None),
        (b"wireserver call failed", None),
        (b"ip list retrieved", None),
        (b"Unable to read file", None),
        (b"reboot time", None),
        (b"ipv6 source already loaded", None),
    )
}
