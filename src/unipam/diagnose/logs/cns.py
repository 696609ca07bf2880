"""Azure CNS's own lines: an address changes hands, the pool monitor counts (spec azure-vnet-ipam §4.3, §4.8)."""

from __future__ import annotations

import re

from unipam.diagnose import rules, stamps
from unipam.diagnose.case import Case, evidence
from unipam.diagnose.excerpt import Excerpt, Origin
from unipam.diagnose.report import Event, Verb

COMPONENTS = frozenset(
    {b"updateIPConfigState", b"releaseIPConfigs", b"releaseIPConfig", b"ipam-pool-monitor", b"Azure CNS"}
)
_CHANGE = re.compile(
    r"Changing IpId \[(?P<id>[^\]]*)\] state to \[(?P<state>\w+)\]"
    r"(?:.*?InfraContainerID: \[(?P<container>[0-9a-fA-F]*)\])?"
    r"(?:.*?Name: \[(?P<pod>[^\]]*)\], Namespace: \[(?P<namespace>[^\]]*)\])?"
    r".*?IPAddress: \[(?P<address>[^\]]*)\], State: \[(?P<before>\w*)\]"
    r"(?:.*?LastStateTransition: \[(?P<since>[^\]]*)\])?"
)
_RELEASED = re.compile(r"Released IP (?P<address>[0-9a-fA-F.:]+) for pod (?P<pod>.+)")
_MONITOR = re.compile(r"(?P<name>\w+):(?P<value>-?\d+)")
_WRONG = re.compile(r"[Ff]ailed|[Ee]rror|panic")
_VERBS: dict[str, Verb] = {
    "Assigned": "given",
    "Available": "released",
    "PendingRelease": "noted",
    "PendingProgramming": "noted",
}


class CnsText:
    """Reads CNS lines of the text form."""

    def __init__(self, case: Case) -> None:
        self._case = case

    def take(self, file: str, number: int, line: bytes, at: float | None, component: bytes) -> bool:
        """Read a line. Tells whether its message is known."""
        text = line.decode("utf-8", "replace")
        if component == b"updateIPConfigState":
            known = self._change(file, number, text, at)
        elif component == b"ipam-pool-monitor":
            known = self._monitor(file, number, text)
        elif (match := _RELEASED.search(text)) is not None:
            self._case.event(
                Event("released", file, number, at, match["address"], by="azure-cns", detail=match["pod"][:80])
            )
            known = True
        else:
            known = False
        excerpt = Excerpt(file, [(number, line)], Origin(at, program="azure-cns"))
        if not known and _WRONG.search(text):
            return rules.apply_or_say(self._case, excerpt, text)
        return rules.apply(self._case, excerpt) or known

    def _change(self, file: str, number: int, text: str, at: float | None) -> bool:
        match = _CHANGE.search(text)
        if match is None:
            return False
        pod = f"{match['namespace']}/{match['pod']}" if match["pod"] else ""
        container = match["container"] or ""
        if pod and container:
            self._case.pod_of(container, pod)
        where = evidence(file, number, text)
        self._case.event(
            Event(
                _VERBS.get(match["state"], "noted"),
                file,
                number,
                at,
                match["address"],
                container,
                pod,
                by="azure-cns",
                detail=f"{match['before'] or 'new'} → {match['state']}",
            )
        )
        since = stamps.rfc3339((match["since"] or "").encode())
        if since is not None and at is not None:
            self._case.clocks.compare_stored(
                "the line clock", "LastStateTransition (UTC) inside the line", at - since[0], where
            )
        return True

    def _monitor(self, file: str, number: int, text: str) -> bool:
        counts = {match["name"]: int(match["value"]) for match in _MONITOR.finditer(text)}
        requested, held = counts.get("requestedIPs"), counts.get("secondaryIPs")
        if requested is None or held is None:
            return False
        pool = self._case.pool("azure-cns", "azure-cns")
        pool.capacity, pool.in_use = held, counts.get("allocatedToPods")
        pool.evidence = [evidence(file, number, text)]
        return True
