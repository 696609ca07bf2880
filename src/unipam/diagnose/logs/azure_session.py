"""One call of azure-vnet or azure-vnet-ipam, put together from its lines: who asked, what came of it, how long it took.

Processes wait for one another, so their lines interleave; a session is the lines of one process from "Acquiring
process lock" to "Released process lock" (spec azure-vnet-ipam §3.1). Cut logs hold halves of sessions: those are
reported as cut, not as errors. Both the text and the JSON generation feed this.
"""

from __future__ import annotations

import re
from collections import OrderedDict

from unipam.diagnose import rules
from unipam.diagnose.case import Case, evidence
from unipam.diagnose.excerpt import Excerpt, Origin
from unipam.diagnose.report import Event, Evidence
from unipam.diagnose.rules import unexplained

MAX_OPEN = 512
LONG_WAIT_SECONDS = 5.0
STUCK_SECONDS = 10.0
"""The shortest lock time-out of any release: whoever holds the lock longer makes others fail."""


_REDACTED = re.compile(r"(?:[xX*.…#?_-]+|<.*>?|\[.*\]?|(?i:redacted|removed|hidden|container-?id|id))$")


class Session:
    """What is known of one call so far."""

    __slots__ = (
        "_container",
        "acquired_at",
        "address",
        "asked_at",
        "at",
        "by",
        "ended",
        "error",
        "error_line",
        "first_at",
        "line",
        "pid",
        "pod",
        "pool",
        "refresh_error",
        "refresh_line",
        "repeat",
        "result",
        "result_line",
        "started",
        "verb",
        "waiting",
    )

    def __init__(self, pid: str, at: float | None, line: int) -> None:
        self.pid = pid
        self.first_at = self.at = at
        self.line = line
        self.asked_at: float | None = None
        self.acquired_at: float | None = None
        self.started = self.ended = self.waiting = self.repeat = False
        self.verb = self._container = self.pod = self.pool = self.address = self.result = self.by = ""
        self.error = self.refresh_error = ""
        self.result_line = 0
        self.error_line: tuple[int, bytes] = (0, b"")
        self.refresh_line: tuple[int, bytes] = (0, b"")

    @property
    def container(self) -> str:
        """The container's id, "" when it is not known, or was blotted out by whoever pasted the log."""
        return self._container

    @container.setter
    def container(self, name: str) -> None:
        self._container = "" if _REDACTED.match(name) else name

    @property
    def lock_seconds(self) -> float | None:
        if self.asked_at is None or self.acquired_at is None:
            return None
        return self.acquired_at - self.asked_at


class Sessions:
    """The open calls of one log and its rotated parts, by process id."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._open: OrderedDict[str, Session] = OrderedDict()
        self.file = ""
        self.last_at: float | None = None
        self._cut: dict[str, Evidence] = {}

    def of(self, pid: str, at: float | None, line: int) -> Session:
        """Return the open session of a process, new when it has none."""
        session = self._open.get(pid)
        if session is None:
            if len(self._open) >= MAX_OPEN:
                self._finish(self._open.popitem(last=False)[1])
            session = self._open[pid] = Session(pid, at, line)
        if at is not None:
            session.at = self.last_at = at
        return session

    def known(self, pid: str) -> Session | None:
        """Return the open session of a process, if it has one."""
        return self._open.get(pid)

    def begin(self, pid: str, at: float | None, line: int) -> Session:
        """Begin a session: a process starts anew ("Acquiring process lock")."""
        known = self._open.pop(pid, None)
        if known is not None:
            self._finish(known)
        session = self.of(pid, at, line)
        session.started = session.waiting = True
        session.asked_at = at
        return session

    def acquired(self, session: Session, at: float | None) -> None:
        session.waiting = False
        session.acquired_at = at

    def end(self, session: Session, raw: bytes, line: int) -> None:
        """End a session: the call is over ("Released process lock")."""
        session.ended = True
        self._open.pop(session.pid, None)
        if not session.started:
            self._cut[session.pid] = evidence(self.file, line, raw)
        self._finish(session)

    def fail(self, session: Session, text: str, raw: bytes, line: int) -> None:
        """Record an error of the call. The first one is the innermost: later lines wrap it."""
        if not session.error:
            session.error = text
            session.error_line = (line, raw)

    def answer(self, session: Session, result: str, line: int) -> None:
        """Record the address that the call was about; the first line that names it counts."""
        if result and not session.result:
            session.result, session.result_line = result, line

    def flush(self) -> None:
        """Judge what is still open at the end of the log."""
        self._find_stuck()
        for session in self._open.values():
            if not (session.started and session.error):  # a call that failed at its start has no more lines
                self._cut.setdefault(
                    session.pid, evidence(self.file, session.line, f"process {session.pid}, from here on")
                )
            self._finish(session)
        self._open.clear()
        for pid, where in list(self._cut.items())[:20]:
            self._case.signal("partial-session", self.file, where, processes=[pid])
        self._cut.clear()

    def _find_stuck(self) -> None:
        waiting = [session for session in self._open.values() if session.waiting]
        for session in self._open.values():
            if session.acquired_at is None or self.last_at is None or not waiting:
                continue
            held = self.last_at - session.acquired_at
            if held > STUCK_SECONDS and all((other.asked_at or 0) >= session.acquired_at for other in waiting):
                where = evidence(
                    self.file, session.line, f"process {session.pid} acquired the lock {held:.0f} s before the end"
                )
                self._case.signal(
                    "lock-stuck", session.pid, where, at=session.acquired_at, values={"waiting": len(waiting)}
                )

    def _finish(self, session: Session) -> None:
        if session.verb == "DEL" and not session.error:
            self._case.end(session.container)
        if session.error:
            self._refused(session)
        elif session.verb and session.result:
            self._event(session, "given" if session.verb == "ADD" else "released")
        elif session.verb == "DEL" and session.repeat:
            self._event(session, "noted", "released before: nothing to free")
        if session.refresh_error:
            self._refresh_failed(session)
        wait = session.lock_seconds
        if wait is not None and wait >= LONG_WAIT_SECONDS:
            self._waited(session, wait)

    def _event(self, session: Session, verb: str, detail: str = "") -> None:
        took = (
            session.at - session.first_at
            if session.at is not None and session.first_at is not None and session.started
            else None
        )
        self._case.event(
            Event(
                verb,  # type: ignore[arg-type]
                self.file,
                session.error_line[0] or session.result_line or session.line,
                session.at,
                (session.result or session.address).split("/")[0] if verb != "refused" else session.address,
                session.container,
                session.pod,
                session.pool,
                session.by or "azure-vnet-ipam",
                took,
                session.lock_seconds,
                detail or ("released already" if session.repeat else ""),
            )
        )

    def _refused(self, session: Session) -> None:
        line, raw = session.error_line
        if session.verb in {"ADD", ""}:
            self._event(session, "refused", session.error)
        else:
            self._event(session, "noted", session.error)
        plugin = session.by or "azure-vnet-ipam"
        excerpt = Excerpt(self.file, [(line, raw)], Origin(session.at, session.pod, session.container, program=plugin))
        if "No available addresses" in session.error:
            self._exhausted(session, excerpt)
        elif not rules.apply(self._case, excerpt):
            ending = session.verb == "DEL"
            (unexplained.not_released if ending else unexplained.refused)(self._case, excerpt, session.error, plugin)

    def _exhausted(self, session: Session, excerpt: Excerpt) -> None:
        known = self._case.pools.get(session.pool)
        empty = known is not None and known.capacity == 0
        self._case.signal(
            "azure-capacity-zero" if empty else "azure-exhausted",
            session.pool,
            excerpt.where(),
            at=session.at,
            refused=True,
            containers=[session.container],
            pods=[session.pod],
        )

    def _refresh_failed(self, session: Session) -> None:
        line, raw = session.refresh_line
        where = evidence(self.file, line, raw)
        self._case.signal("refresh-failed", "", where, at=session.at, values={"reason": session.refresh_error[:160]})

    def _waited(self, session: Session, wait: float) -> None:
        where = evidence(self.file, session.line, f"process {session.pid} waited {wait:.0f} s for the lock")
        self._case.waited("", where, session.at, wait)


class SessionLine:
    """One line of a call whose meaning matters, and what it does to the call, as both generations have it."""

    __slots__ = ("line", "number", "session", "sessions")

    def __init__(self, sessions: Sessions, session: Session, line: bytes, number: int) -> None:
        self.sessions, self.session, self.line, self.number = sessions, session, line, number

    def where(self) -> Evidence:
        """Return the line as evidence."""
        return evidence(self.sessions.file, self.number, self.line)

    def answer(self, result: str) -> None:
        """Note that the call has its result."""
        self.sessions.answer(self.session, result, self.number)

    def acquiring(self) -> None:
        """Begin a call: a process waits for the lock."""
        self.sessions.begin(self.session.pid, self.session.at, self.number)

    def acquired(self) -> None:
        """Note that the process has the lock."""
        self.sessions.acquired(self.session, self.session.at)

    def released(self) -> None:
        """End the call: the process gave the lock back."""
        self.sessions.end(self.session, self.line, self.number)
