"""The route table: read seldom, written when nodes need it, all of them at once, and never fought over."""

from __future__ import annotations

import math
import queue
import re
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from unipam.clients.azure.write import route_tables
from unipam.clients.azure.write.jobs import STRAY
from unipam.clients.azure.write.route_tables import FAILED, SUCCEEDED, Table
from unipam.clients.azure.write.verdicts import Kind, Verdict, judge
from unipam.controllers.backoff import Backoff
from unipam.controllers.cloud import Jobs
from unipam.controllers.election import Tell
from unipam.dialects.kubenet import naming, routes
from unipam.dialects.kubenet.looking import unused
from unipam.dialects.kubenet.node import Node
from unipam.dialects.kubenet.policy import Policy
from unipam.model.errors import SourceFailed
from unipam.model.finding import Finding

_SOON = 10.0
"""Seconds between two looks at a table that is being written."""
QUIET, LONGEST = 1.0, 5.0
"""Seconds without a further need before a table is written, and after the first need at the most."""
_WITHHELD = 600.0
"""Seconds that a route is left out which Azure refused."""
_FIGHT, _WINDOW, _TRUCE = 3, 600.0, 1800.0
"""So often may somebody else change our routes within so many seconds; then nothing is written for so long."""
_NAME = re.compile(r"[a-z0-9](?:[\w.-]*\w)?")
"""Of a route (or of anything else), in lower case."""
_OF_ALL = frozenset(("AuthorizationFailed", "LinkedAuthorizationFailed"))
"""Refusals that are never of one route."""
_ACTION = re.compile(r"perform action '([^']+)'")


class Settings(NamedTuple):
    """Which table. `audit` and `settling` are seconds: between two looks, and until a route that was written is used.

    `location` is where it is made if it does not exist; without one it is the user's own and is not made.
    """

    table: str
    subnet: str = ""
    location: str = ""
    limit: int = routes.LIMIT
    audit: float = 300.0
    settling: float = 30.0


class TableKeeper:
    """The table as it was last seen, and what is done about it. One thread calls it."""

    def __init__(self, settings: Settings, policy: Policy, jobs: Jobs, tell: Tell, wake: Callable[[], None]) -> None:
        self.settings, self._policy, self._jobs, self._tell, self._wake = settings, policy, jobs, tell, wake
        self.table: Table | None = None
        self.problem: Finding | None = None
        self.failed: dict[str, str] = {}
        """By node: why its route could not be written the last time."""
        self._outcomes: queue.SimpleQueue[Callable[[float], None]] = queue.SimpleQueue()
        self._last: Table | None = None
        self._known: set[str] = set()
        self._needed: list[str] = []
        self._coming: list[list[routes.Route]] = []
        """What the table is yet to become, perhaps: by the write under way, and by those of the same version before it
        that got no answer. They may arrive as long as the table has this version."""
        self._since = self._changed = self._audit = self._truce = 0.0
        self._sure = self._looked = 0.0
        """From when on nothing of which this process does not know is on its way, and when the table was last seen."""
        self._made = 0.0
        """Until when a write that makes the table may arrive."""
        self._reading, self._writing = Backoff(), Backoff()
        self._again = False
        """Whether a write is to be repeated at once: somebody else was faster."""
        self._withheld: dict[str, float] = {}
        self._usable: dict[str, float] = {}
        self._edits: deque[tuple[float, str]] = deque()

    def plan(self, nodes: Iterable[Node], now: float) -> routes.Plan | None:
        """Return what the table must hold; None where it is not known what it holds."""
        while not self._outcomes.empty():
            self._outcomes.get_nowait()(now)
        if self.table is None:
            return None
        plan = self._planned(self.table, nodes, now)
        if not plan.changes and not self._must_write:
            self._needed = []  # nobody needs it any more: else it would be due for ever
            if self.problem:
                self._well()
        return plan

    def _planned(self, table: Table, nodes: Iterable[Node], now: float) -> routes.Plan:
        self._withheld = {name: until for name, until in self._withheld.items() if until > now}
        return routes.desired(
            table.routes, nodes, self._policy,
            limit=self.settings.limit, known=self._known, withheld=self._withheld,
        )  # fmt: skip

    def act(self, plan: routes.Plan | None, nodes: Iterable[Node], now: float) -> None:
        """Read the table or write it, if it is time for that."""
        self._known |= {each.name.lower() for each in nodes}
        if self._jobs.busy(self.settings.table):
            return
        if plan is None or now >= self._audit:
            if now >= self._reading.until:
                self._start(route_tables.read(self.settings.table), self._was_read)
        elif self._is_time(plan, now) and now >= max(self._truce, self._writing.until):
            self._write(plan)

    def due(self, now: float) -> float:
        """Return when there is something to do, if nothing happens until then."""
        if self._jobs.busy(self.settings.table):
            return math.inf
        if self.table is None:
            return max(now, self._reading.until)
        needed = min(self._changed + QUIET, self._since + LONGEST) if self._needed else math.inf
        needed = min(needed, now if self._must_write else math.inf)
        settling = [each for each in self._usable.values() if each > now]
        return min([self._audit, max(needed, self._truce, self._writing.until), *settling])

    def served(self, nodes: Iterable[Node], now: float) -> dict[str, bool]:
        """Return for each node with ranges whether its routes are there, read back, and have had time to be used.

        What a write takes away that may yet arrive is not there any more: a node made anew may have its predecessor's
        range. Of a process before this one nobody knows what it has sent.
        """
        if self.table is None or self.table.state != SUCCEEDED or self._looked < self._sure:
            return {}
        nodes = list(nodes)
        found = routes.verified(self.table.routes, nodes, self._policy)
        for each in self._coming:
            kept = routes.verified(each, nodes, self._policy)
            found = {name: there and kept[name] for name, there in found.items()}
        return {name: there and self._usable.get(name.lower(), 0.0) <= now for name, there in found.items()}

    def findings(self, now: float) -> list[Finding]:
        """Return what is wrong with the table as a whole."""
        found = [self.problem] if self.problem else []
        if self.table is not None:
            found += unused(self.settings.table, self.table.subnets, self.settings.subnet)
        if now < self._truce:
            names = ", ".join(sorted({name for _, name in self._edits})[:5])
            found.append(
                Finding(
                    "another writer",
                    self.settings.table,
                    f"somebody else keeps changing nodes' routes ({names}); nothing is written meanwhile",
                    "end the other one: a route controller (--configure-cloud-routes=false), a template, a script",
                )
            )
        return found

    def _start(self, job: Any, done: Callable[[Any, float], None]) -> None:
        def came(result: Any) -> None:
            self._outcomes.put(lambda now: done(result, now))
            self._wake()

        self._jobs.start(self.settings.table, job, came, urgency=1.0)

    @property
    def _must_write(self) -> bool:
        """Whether to write, though nothing may differ: so that what may yet arrive is of an old version, or because the
        last write failed, whosoever it was: then what the table says has no effect, perhaps."""
        return bool(self._coming) or (self.table is not None and self.table.state == FAILED)

    def _is_time(self, plan: routes.Plan, now: float) -> bool:
        """Return whether to write."""
        if self._must_write:
            return True
        if not plan.changes:
            return False
        needed = [f"{each.verb} {each.name}" for each in plan.changes]
        if not self._needed:
            self._since = now
        if needed != self._needed:
            self._needed, self._changed = needed, now
        return self._again or now >= self._changed + QUIET or now >= self._since + LONGEST

    def _write(self, plan: routes.Plan) -> None:
        assert self.table is not None
        before, self._needed, self._again = self.table, [], False
        self._coming.append(plan.routes)

        def written(result: Table | SourceFailed, now: float) -> None:
            if isinstance(result, SourceFailed):
                self._failed(result, now, plan)
                return
            self._coming.pop()
            self._tell(
                "route table written", table=self.settings.table, before=before.etag, after=result.etag,
                changes=[f"{each.verb} {each.name}" for each in plan.changes],
            )  # fmt: skip
            self._well()
            self._seen(result, now)
            self._coming.clear()

        self._start(route_tables.replace(self.settings.table, before, plan.routes), written)

    def _was_read(self, result: Table | SourceFailed | None, now: float) -> None:
        if isinstance(result, SourceFailed):
            self._failed(result, now, None)
        elif result is None and self.settings.location:
            self._seen(Table({"location": self.settings.location, "properties": {}}), now)
        elif result is None:
            error = SourceFailed(f"the route table {self.settings.table} does not exist", source="azure", status=404)
            self._failed(error, now, None)
        else:
            self._note_edits(result, now)
            self._seen(result, now)

    def _seen(self, table: Table, now: float) -> None:
        if self._last is None:
            self._sure = now + STRAY
        elif self._last.etag != table.etag:  # what was sent at the version before has arrived, or is refused
            if self._coming and not self._last.etag:  # but one that makes the table has none, and is not refused
                self._made = now + STRAY
            self._sure = max(now, self._made)
            self._coming.clear()
        self._settle(table, now)
        self.table = self._last = table
        self._looked = now
        self._audit = now + self.settings.audit if now >= self._sure else self._sure
        if table.state not in {SUCCEEDED, FAILED}:
            self._audit = min(self._audit, now + _SOON)
        self._reading.succeeded()

    def _settle(self, table: Table, now: float) -> None:
        """Give the routes time to be used that have come since the table was last seen, whoever wrote them."""
        used = self._ours(self._last.routes) if self._last and self._last.state == SUCCEEDED else {}
        for name, route in self._ours(table.routes).items():
            if used.get(name) != route:
                self._usable[naming.node_of(name).lower()] = now + self.settings.settling

    def _well(self) -> None:
        self._writing.succeeded()
        self.problem, self.failed = None, {}

    def _note_edits(self, table: Table, now: float) -> None:
        """Note which of the nodes' routes somebody else has changed since the table was last seen."""
        if self._last is None:
            return
        before, after = self._ours(self._last.routes), self._ours(table.routes)
        edited = [name for name in before | after if before.get(name) != after.get(name)]
        if edited and not any(self._ours(each) == after for each in self._coming):
            self._tell("route table changed by others", table=self.settings.table, etag=table.etag, routes=edited[:20])
            self._edits.append((now, edited[0]))
        while self._edits and self._edits[0][0] < now - _WINDOW:
            self._edits.popleft()
        if len(self._edits) >= _FIGHT:
            self._truce = now + _TRUCE

    def _ours(self, table: Iterable[routes.Route]) -> dict[str, object]:
        found: dict[str, object] = {}
        for each in table:
            if naming.is_ours(each, self._policy, self._known):
                properties = each["properties"]
                found[str(each["name"]).lower()] = (properties["addressPrefix"], properties.get("nextHopIpAddress"))
        return found

    def _failed(self, error: SourceFailed, now: float, plan: routes.Plan | None) -> None:
        """Note why it failed. Whatever it was, the table is read before it is written again."""
        verdict, self.table = judge(error), None
        self._tell("route table failed", table=self.settings.table, code=verdict.code, error=error.message)
        backoff = self._reading if plan is None else self._writing
        self._again = self._withhold(verdict, plan, now) or (verdict.kind is Kind.CHANGED and backoff.failures < _FIGHT)
        backoff.failed(now, permanent=verdict.permanent, least=verdict.wait)
        if self._again:
            backoff.until = now
        self.problem = Finding("route table refused", self.settings.table, error.message, _way_out(error, verdict))
        if plan is not None and verdict.kind is not Kind.PASSING:
            self._coming.pop()  # it was refused
        if plan is not None and verdict.kind is not Kind.CHANGED:
            written = [each.name for each in plan.changes if each.verb != "remove"]
            self.failed = {naming.node_of(name): f"{verdict.code}: {error.message}" for name in written}

    def _withhold(self, verdict: Verdict, plan: routes.Plan | None, now: float) -> bool:
        """Leave out the routes of ours that a refusal names, whatever it says of them; whether it names any."""
        if plan is None or not verdict.permanent or verdict.code in _OF_ALL:
            return False
        said = set(_NAME.findall(verdict.message.partition(f"{verdict.code}: ")[2].lower()))
        refused = said & {each.name.lower() for each in plan.changes if each.after}
        self._withheld |= dict.fromkeys(refused, now + _WITHHELD)
        return bool(refused)


def _way_out(error: SourceFailed, verdict: Verdict) -> str:
    action = _ACTION.search(error.message)
    if action:
        return f"give the controller's identity the action {action[1]}"
    if error.facts.get("status") == 404:
        return "make it, or name another; with --location one is made where there is none"
    return "see what Azure says; it is tried again" + ("" if not verdict.permanent else ", ever more seldom")
