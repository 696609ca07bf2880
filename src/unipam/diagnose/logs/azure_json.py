"""The JSON generation: azure-vnet.log, azure-vnet-ipam.log, azure-ipam.log, and CNS's JSON lines (spec §3.3).

A line is known by component and message, never by caller. "Address release completed with" is logged as an error even
when it succeeded: only the key `error` tells. The transitional form of 2023 has the component inside the message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from unipam.diagnose import rules, variants
from unipam.diagnose.case import Case, note_unknown
from unipam.diagnose.documents import azure_state
from unipam.diagnose.excerpt import Excerpt, Origin
from unipam.diagnose.logs.azure_call import pod_of
from unipam.diagnose.logs.azure_session import Session, SessionLine
from unipam.diagnose.logs.azure_text import AzureText
from unipam.diagnose.logs.shapes import HEAD, Shapes
from unipam.diagnose.logs.suspects import PHRASES, suspects
from unipam.diagnose.logs.zap import (
    CNS_COMPONENTS,
    COMPONENTS,
    ERRORS,
    FAMILY,
    STEPS,
    ZapLine,
    configuration,
    plain,
    time_of,
)
from unipam.diagnose.report import Source
from unipam.diagnose.systems import gives_addresses, program_of

_decoder = msgspec.json.Decoder(ZapLine)


class LineKind(NamedTuple):
    """What a line is counted as, if it is neither known nor unknown as one that has nothing to do with addresses."""

    known: bool = False
    unknown: bool = False
    counts: bool = False
    """Not understood, and it might speak of trouble."""


_KNOWN, _OTHER = LineKind(known=True), LineKind()

Handler = Callable[["_Line"], None]


class AzureJson:
    """Reads the lines of one log group."""

    format = "azure JSON log"

    def __init__(self, case: Case, text: AzureText) -> None:
        self.case = case
        self.text = text
        self.sessions = text.sessions
        self.file = ""
        self.source = Source("")
        self.count = 0
        self.saved_at: float | None = None
        self._shapes: Shapes[LineKind] = Shapes(rules.WORDS, PHRASES)
        self._named = False
        """The file is named as one of this family: its lines need not name a component."""
        self._state: tuple[msgspec.Raw, bytes, int] | None = None

    def begin(self, source: Source) -> None:
        self.source = source
        self.count = 0
        if self.file != source.path:
            self._shapes = Shapes(rules.WORDS, PHRASES)  # the name of a file tells who writes it
        self.file = source.path
        self._named = source.path.rpartition("/")[2].startswith(("azure-vnet", "azure-ipam"))

    def end(self) -> None:
        if self.count:
            self.source.formats[self.format] = self.source.formats.get(self.format, 0) + self.count
            self.case.address_lines += self.count
        if self._state is not None:
            azure_state.read_logged(self.case, self.file, self._state[2], self._state[1], bytes(self._state[0]))
            self._state = None

    def run(self, lines: Iterator[bytes], number: int) -> tuple[bytes | None, int]:
        """Take lines as long as they are of this family; gives the first other one, and its number less one."""
        by_head, knows = self._shapes.by_head, self._shapes.knows
        for line in lines:
            number += 1
            at = line.find(b'"msg":"')
            for match, kind in by_head.get(line[at : at + HEAD], ()):
                if (found := match(line)) is not None and (not (names := found.groups()) or knows(names)):
                    if kind is _KNOWN:  # by far the commonest
                        self.count += 1
                    else:
                        self._count(kind, line, number)
                    break
            else:
                if not self.take(line, number):
                    return line, number - 1
        return None, number

    def take(self, line: bytes, number: int) -> bool:
        """Take a one-line JSON object that has a message; other JSON is a document and is left."""
        if b'"msg"' not in line or line[-1:] != b"}":
            return False
        try:
            zap = _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        message = zap.msg
        ours = zap.component in FAMILY or (not zap.component and self._named)
        if ours and message in STEPS:
            self.count += 1
            self._learn(line, _KNOWN)
            return True
        if message.startswith("[") and self._as_text(zap, number):
            return True
        at = time_of(zap.ts)
        handler = _HANDLERS.get(message.rstrip(".")) if ours else None
        if handler is not None:
            self.count += 1
            handler(_Line(self, self.sessions.of(str(zap.pid), at, number), zap, line, number))
        else:
            self._other(zap, line, number, at)
        return True

    def _count(self, kind: LineKind, line: bytes, number: int) -> None:
        if kind.known:
            self.count += 1
        elif kind.unknown:
            self.case.unknown_log_lines += kind.counts
            note_unknown(self.source, number, line)
        else:
            self.source.other += 1

    def _learn(self, line: bytes, kind: LineKind) -> None:
        """Remember what becomes of lines of this shape."""
        at = line.find(b'"msg":"')
        if at >= 0 and self._shapes.is_due(head := line[at : at + HEAD]):
            self._shapes.learn(head, line, (0, 0), kind)

    def _as_text(self, zap: ZapLine, number: int) -> bool:
        """Take a line of the transitional form, which carries one of the text generation in its message."""
        stamp = zap.ts[:19].replace("-", "/").replace("T", " ")
        return self.text.take(f"{stamp} [{zap.pid}] {zap.msg}".encode(), number)

    def _other(self, zap: ZapLine, line: bytes, number: int, at: float | None) -> None:
        """Judge a message that is not in the table: a sign, an error, or one that nobody has listed."""
        program = self._writer(zap, line)
        excerpt = Excerpt(self.file, [(number, line)], Origin(at, program=program))
        wrong = zap.level in ERRORS and gives_addresses(program)
        if wrong:
            error = str(plain(zap.error))
            known = rules.apply_or_say(self.case, excerpt, f"{zap.msg}: {error}" if error else zap.msg)
        else:
            known = rules.apply(self.case, excerpt)
        kind = _KNOWN if known else self._unread(zap, program)
        self._count(kind, line, number)
        if not known and not wrong and suspects(excerpt.text, excerpt.words) == ():
            self._learn(line, kind)

    def _unread(self, zap: ZapLine, program: str) -> LineKind:
        """Return what a line is that no rule knows: one of ours that nobody has listed, or about other things."""
        if zap.component in COMPONENTS or (gives_addresses(program) and zap.component not in FAMILY):
            # Mere information of programs that log much else beside addresses speaks of no trouble.
            return LineKind(unknown=True, counts=zap.component in COMPONENTS or zap.level not in {"info", "debug"})
        return _OTHER

    def _writer(self, zap: ZapLine, line: bytes) -> str:
        """Return the program: by its component, by a field that only the Cilium agent writes, or by the file's name."""
        if zap.component in FAMILY:
            return "azure-vnet"
        if b'"subsys"' in line:
            return "cilium"
        if zap.component:
            return "azure-cns" if zap.component.startswith(CNS_COMPONENTS) else zap.component
        return program_of(self.file) or ("azure-vnet" if self._named else "")

    def keep_state(self, state: msgspec.Raw, line: bytes, number: int) -> None:
        """Keep the state: only the last one of a log is wanted, and it is read once, at the end."""
        self._state = (state, line, number)


class _Line(SessionLine):
    """A line of JSON."""

    __slots__ = ("log", "zap")

    def __init__(self, log: AzureJson, session: Session, zap: ZapLine, line: bytes, number: int) -> None:
        # What the base class sets is set here: two calls a line are one too many.
        self.sessions, self.session, self.line, self.number = log.sessions, session, line, number
        self.log, self.zap = log, zap

    def version(self) -> None:
        if self.session.asked_at is None:  # no lock lines in this file: a call begins here
            self.session = self.sessions.begin(self.session.pid, self.session.at, self.number)
            self.session.waiting = False
            self.session.asked_at = None
        self.session.by = str(plain(self.zap.name))
        self.log.case.fact(
            "plugin-version", f"{self.session.by} {plain(self.zap.version)}, JSON log generation.", self.where
        )

    def processing(self) -> None:
        self.session.verb = self.zap.msg[11:14]
        self.session.container = self.zap.container
        self.session.pod = pod_of(self.zap.args.encode())
        if self.session.container and self.session.pod:
            self.log.case.pod_of(self.session.container, self.session.pod)
        netconf = configuration(bytes(self.zap.netconf))
        ipam = netconf.get("ipam")
        ipam = ipam if isinstance(ipam, dict) else {}
        self.session.pool, self.session.address = str(ipam.get("subnet") or ""), str(ipam.get("ipAddress") or "")
        if netconf.get("type") == "azure-vnet":
            mode, kind = str(netconf.get("mode") or ""), str(ipam.get("type") or "")
            variants.azure_call(self.log.case, kind, mode, self.session.pod, self.where)

    def learn_container(self) -> None:
        options = plain(self.zap.options)
        if isinstance(options, dict):
            self.session.container = self.session.container or str(options.get("azure.address.id", ""))

    def requesting(self) -> None:
        self.session.verb = self.session.verb or "ADD"
        self.learn_container()
        self.log.case.acts["asked"] += 1

    def releasing(self) -> None:
        self.session.verb = self.session.verb or "DEL"
        self.session.address = self.session.address or str(plain(self.zap.address))
        self.learn_container()

    def endpoint_deleted(self) -> None:
        """End the pod of an endpoint, which is named by the beginning of its container id."""
        self.log.case.end(str(plain(self.zap.endpoint)).partition("-")[0] or self.session.container)

    def request_completed(self) -> None:
        self.session.verb = self.session.verb or "ADD"
        self.answer(str(plain(self.zap.address)))

    def release_completed(self) -> None:
        self.session.verb = self.session.verb or "DEL"
        if self.zap.error:
            self.fail()
        elif not self.session.repeat:
            self.answer(str(plain(self.zap.address)) or self.session.address)

    def repeat(self) -> None:
        self.session.repeat = True

    def completed(self) -> None:
        self.session.verb = self.session.verb or self.zap.msg[:3]
        if self.zap.error:
            self.fail()
        elif self.session.verb == "ADD":
            result = plain(self.zap.result)
            ips = result.get("ips") if isinstance(result, dict) else None
            if isinstance(ips, list) and ips and isinstance(ips[0], dict):
                self.answer(str(ips[0].get("address", "")))
        elif self.session.address and not self.session.repeat:
            self.answer(self.session.address)
        if (
            self.sessions.known(self.session.pid) is self.session
            and self.session.asked_at is None
            and self.session.started
        ):
            self.sessions.end(self.session, self.line, self.number)

    def fail(self) -> None:
        self.sessions.fail(self.session, str(plain(self.zap.error)) or self.zap.msg, self.line, self.number)

    def corrupt(self) -> None:
        self.sessions.fail(self.session, f"{self.zap.msg}: {plain(self.zap.error)}", self.line, self.number)
        self.log.case.signal(
            "state-corrupt", "", self.where(), at=self.session.at, values={"reason": str(plain(self.zap.error))}
        )

    def refresh_failed(self) -> None:
        self.session.refresh_error = str(plain(self.zap.error))
        self.session.refresh_line = (self.number, self.line)

    def got(self) -> None:
        count, subnet = plain(self.zap.count), plain(self.zap.subnet)
        if isinstance(count, int) and isinstance(subnet, str):
            self.log.text.file = self.log.file
            self.log.text.case_pool(subnet, count, str(plain(self.zap.interface)), self.line, self.number)

    def restored(self) -> None:
        self.log.keep_state(self.zap.am, self.line, self.number)

    def reset(self) -> None:
        self.log.case.reset(self.log.file, self.number)

    def lock_failed(self) -> None:
        self.sessions.fail(self.session, f"Failed to lock store: {plain(self.zap.error)}", self.line, self.number)


_HANDLERS: dict[str, Handler] = {
    "Acquiring process lock": _Line.acquiring,
    "Acquired process lock with timeout value of": _Line.acquired,
    "Released process lock": _Line.released,
    "Plugin version": _Line.version,
    "Processing ADD command": _Line.processing,
    "Processing DEL command": _Line.processing,
    "Deleting endpoint": _Line.endpoint_deleted,
    "Deleted endpoint": _Line.endpoint_deleted,
    "Requesting address with": _Line.requesting,
    "Releasing address with": _Line.releasing,
    "Address request completed with": _Line.request_completed,
    "Address request failed with": _Line.fail,
    "Address release completed with": _Line.release_completed,
    "Address not found. Not Returning error": _Line.repeat,
    "Address not in use. Not Returning error": _Line.repeat,
    "ADD command completed": _Line.completed,
    "DEL command completed": _Line.completed,
    "Source refresh failed": _Line.refresh_failed,
    "got addresses from interface subnet": _Line.got,
    "Restored state": _Line.restored,
    "store key not found": _Line.reset,
    "store empty": _Line.reset,
    "Failed to restore state": _Line.corrupt,
    "Failed to initialize address manager": _Line.corrupt,
    "error": _Line.fail,
    "[cni] Failed to lock store": _Line.lock_failed,
    "Recovered panic": _Line.fail,
}
