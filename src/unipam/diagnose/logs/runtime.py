"""containerd and kubelet: which sandbox belongs to which pod, and when its network was set up and torn down."""

from __future__ import annotations

import re
from collections import OrderedDict

from unipam.diagnose.case import Case
from unipam.diagnose.excerpt import Excerpt
from unipam.diagnose.logs.envelope import Written
from unipam.diagnose.logs.shapes import HEAD

WORDS = frozenset(b"podsandboxmetadata teardown pleg removepodsandbox".split())
PHRASES = ("returns sandbox id", "TearDown network for sandbox", 'RemovePodSandbox "', "event for pod")
"""Texts, one of which is in every message that is read here."""

_STARTED = re.compile(
    r"PodSandboxMetadata\{Name:([^,]+),Uid:([^,]+),Namespace:([^,]+),[^}]*\} returns sandbox id \"([0-9a-f]{64})"
)
_TORN_DOWN = re.compile(r"TearDown network for sandbox \"([0-9a-f]{64})\" successfully")
_REMOVED = re.compile(r"RemovePodSandbox \"([0-9a-f]{64})\" returns successfully")
_PLEG = re.compile(
    r"event for pod\" pod=\"([^\"]+)\" event=\{\"ID\":\"[^\"]*\",\"Type\":\"(\w+)\",\"Data\":\"([0-9a-f]{64})\""
)
_PLEG_LINE = re.compile(
    rb"event for pod\" pod=\"([^\"]+)\" event=\{\"ID\":\"[^\"]*\",\"Type\":\"\w+\",\"Data\":\"([0-9a-f]{64})\""
)
LIFE = b'] "SyncLoop (PLEG): event for pod" pod='[:HEAD]
_MAX_SANDBOXES = 5_000


class RuntimeLog:
    """Reads runtime messages, whatever envelope they came in."""

    words, phrases = WORDS, PHRASES

    def __init__(self, case: Case) -> None:
        self._case = case
        self._teardowns: OrderedDict[str, tuple[int, Excerpt]] = OrderedDict()

    def take(self, line: bytes) -> bool:
        """Take a whole line of kubelet's pod life-cycle events, by far its commonest line that names a container."""
        match = _PLEG_LINE.search(line) if b"(PLEG)" in line else None
        if match is None:
            return False
        self._case.pod_of(match[2].decode(), match[1].decode())
        return True

    def read(self, written: Written, text: str, excerpt: Excerpt) -> bool:
        """Read a message. Tells whether it is one that is known."""
        if match := _STARTED.search(text):
            name, namespace, sandbox = match[1], match[3], match[4]
            self._case.pod_of(sandbox, f"{namespace}/{name}")
            self._case.serve(written.at)
            self._case.fact("sandbox-started", f"Sandbox {sandbox} of {namespace}/{name} was started.", excerpt.where)
        elif match := _TORN_DOWN.search(text):
            self._torn_down(match[1], excerpt)
        elif match := _REMOVED.search(text):
            pod = self._case.pods.get(match[1], "")
            self._case.fact(
                "sandbox-removed",
                f"Sandbox {match[1]}{f' of {pod}' if pod else ''} was removed: a normal end.",
                excerpt.where,
            )
        elif match := _PLEG.search(text):
            self._case.pod_of(match[3], match[1])
        else:
            return False
        return True

    def _torn_down(self, sandbox: str, excerpt: Excerpt) -> None:
        self._case.end(sandbox)
        times, first = self._teardowns.get(sandbox, (0, excerpt))
        self._teardowns[sandbox] = (times + 1, first)
        if len(self._teardowns) > _MAX_SANDBOXES:
            self._teardowns.popitem(last=False)

    def flush(self) -> None:
        """Say at the end which sandboxes were torn down more than once (a habit of kubelet, not a fault)."""
        for sandbox, (times, first) in self._teardowns.items():
            if times > 1:
                pod = self._case.pods.get(sandbox, "")
                self._case.signal(
                    "repeat-teardown",
                    sandbox,
                    first.where(),
                    values={"times_text": times},
                    containers=[sandbox],
                    pods=[pod],
                )
        self._teardowns.clear()
