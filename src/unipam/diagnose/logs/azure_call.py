"""The lines of one call in the text generation: which there are, and what each does to the call (spec §3.1).

A message is known by its first bytes.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from unipam.diagnose import stamps, variants
from unipam.diagnose.logs.azure_session import Session, SessionLine

if TYPE_CHECKING:
    from unipam.diagnose.logs.azure_text import AzureText

HEAD = 10
_IP_IN_RESULT = re.compile(rb"Address:\{IP:([0-9a-fA-F.:]+) Mask")
_FOUND = re.compile(rb"Number of IPAddress found in ipsubnet (\S+): (\d+)")
_PLUGIN = re.compile(rb"Plugin (\S+) version (\S+?)\.?$")
_COMPLETED = re.compile(
    rb"command completed (?:for pod \S+ )?with (?:result:(?P<result>.*?) |IPs:(?P<ips>.*?) )?err:(?P<error>.*?)\.?$"
)
_RETURNED = re.compile(rb"Plugin (\S+) returned (?:result:.*?|)(?:, )?err:(.*?)\.?$")

_POD_NAME = re.compile(rb"K8S_POD_NAME=([^; \"]+)")
_POD_NAMESPACE = re.compile(rb"K8S_POD_NAMESPACE=([^; \"]+)")

Handler = Callable[["TextLine"], None]


class Special(enum.Enum):
    """Stands in the place of a handler where the reader deals with a line itself."""

    SAVED = enum.auto()
    """The state was saved: it is so twice in every call, and only the time matters."""
    UNLISTED = enum.auto()
    """Not in the table, so it is looked at further."""


SAVED: Final = Special.SAVED
UNLISTED: Final = Special.UNLISTED


def between(line: bytes, before: bytes, after: bytes, start: int = 0) -> str:
    """Return the text between two marks, "" when the first is not there."""
    begin = line.find(before, start)
    if begin < 0:
        return ""
    begin += len(before)
    end = line.find(after, begin)
    return line[begin : end if end >= 0 else len(line)].decode("utf-8", "replace")


def pod_of(args: bytes) -> str:
    """Return `namespace/name` from CNI_ARGS, which runtimes write in any order; "" when they name no pod."""
    name = _POD_NAME.search(args)
    namespace = _POD_NAMESPACE.search(args)
    return f"{namespace[1].decode()}/{name[1].decode()}" if name and namespace else ""


class TextLine(SessionLine):
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

    def plugin(self) -> None:
        """Note the plugin's version, or what it returned to azure-vnet."""
        match, returned = _PLUGIN.match(self.line, self.start), _RETURNED.match(self.line, self.start)
        if returned and returned[2] != b"<nil>":
            self.session.by = returned[1].decode()
            self.fail(returned[2].decode("utf-8", "replace"))
        elif match:
            self.session.by = match[1].decode()
            version = f"{self.session.by} {match[2].decode()}"
            self.log.case.fact("plugin-version", f"{version}, text log generation.", self.where)

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
        """End the pod whose container id begins so: "Deleting endpoint 1c27f3d6-eth0 from network azure"."""
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
        """Note an address that azure-vnet has released by azure-vnet-ipam, whose own log may be elsewhere."""
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


SAME_IN_EVERY_CALL: frozenset[Handler | Special] = frozenset({TextLine.plugin, TextLine.found, UNLISTED})
REPEATED = (b"Plugin azure-vnet-ipam version ", b"Number of IPAddress", b"got ")

MESSAGES: dict[bytes, Handler | Special | None] = {
    text[:HEAD]: handler
    for text, handler in (
        (b"Acquiring process lock", TextLine.acquiring),
        (b"Acquired process lock", TextLine.acquired),
        (b"Released process lock", TextLine.released),
        (b"Plugin azure-vnet", TextLine.plugin),
        (b"Restored state, &", TextLine.restored),
        (b"Processing ADD", TextLine.processing),
        (b"Processing DEL", TextLine.processing),
        (b"Requesting address", TextLine.requesting),  # and "Requesting pool"
        (b"Releasing address", TextLine.releasing),  # and "Releasing pool"
        (b"Address request", TextLine.address),  # and "Address release"
        (b"Address not found", TextLine.address),  # and "Address not in use"
        (b"ADD command completed", TextLine.completed),
        (b"DEL command completed", TextLine.completed),
        (b"Number of IPAddress", TextLine.found),
        (b"Source refresh failed", TextLine.refresh_failed),
        (b"Allocated address", TextLine.pool_given),
        (b"Save succeeded", SAVED),
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
        (b"store key not found", TextLine.reset),
        (b"store empty", TextLine.reset),
        (b"Deleting endpoint", TextLine.endpoint_deleted),
        (b"Deleting Address record", None),
        (b"http return error code", None),
        (b"wireserver call failed", None),
        (b"ip list retrieved", None),
        (b"Unable to read file", None),
        (b"reboot time", None),
        (b"ipv6 source already loaded", None),
    )
}
