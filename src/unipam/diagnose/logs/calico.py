"""Calico's CNI plugin, IPAM and kube-controllers, from 2.x (logrus) to now (brackets) (spec calico-ipam §1, §2).

Messages are known by their words: the source file and line in front of them change with every release.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable

from unipam.diagnose import stamps, variants
from unipam.diagnose.case import Case, evidence
from unipam.diagnose.excerpt import Excerpt
from unipam.diagnose.logs.calico_lines import LOCKS, STEP_HEAD, pid_of
from unipam.diagnose.logs.envelope import Written
from unipam.diagnose.report import Event, Evidence, Verb

WORDS = frozenset(
    b"podcidr podcidrv6 podcidrs assigned claimed released confirmed acquire acquired ensure final teardown sync need "
    b"deleted extracted environment cleaning syncing affinities collected".split()
)
_CONTAINER = re.compile(r"C(?:NI_CONTAINERID|ontainerID)=\"?([0-9a-f]{12,64})")
_HANDLE = re.compile(r"(?:HandleID=\"?|[Hh]andle[ =]['\"]?)([\w.-]+)")
_HANDLE_CONTAINER = re.compile(r"\.([0-9a-f]{64})$")
_WORKLOAD = re.compile(r"Workload=\"?([\w.-]+)")
_CIDR = r"\"?([0-9a-fA-F:./]+)"
_POD = re.compile(r"\bNamespace=\"([a-z0-9-]+)\" .{0,40}?Pod=\"([a-z0-9.-]+)\"")
_BLOCK = re.compile(r"(?:block|cidr)=\"?([0-9a-fA-F:.]+(?:/\d+)?)")
_ADDRESSES = re.compile(r"[0-9a-fA-F:.]+/\d+|[0-9a-fA-F:.]{7,}")
_DUMMIES = {"0.0.0.0/0", "::/0"}

_ASKED, _GOT = (text[:STEP_HEAD] for text in LOCKS)
LONG_WAIT_SECONDS = 5.0


def container_of(text: str) -> str:
    """Return the container that a line names, directly or in its handle (`<network>.<container id>`)."""
    # Looking for fixed text first is much quicker than a pattern that begins with a choice.
    if ("ContainerID=" in text or "CNI_CONTAINERID=" in text) and (match := _CONTAINER.search(text)):
        return match[1]
    at = text.find("andle")
    handle = _HANDLE.search(text, max(at - 1, 0)) if at >= 0 else None
    inside = _HANDLE_CONTAINER.search(handle[1]) if handle else None
    return inside[1] if inside else ""


class CalicoLog:
    """Reads Calico's messages, whatever envelope they came in."""

    words = WORDS

    @property
    def phrases(self) -> tuple[str, ...]:
        return PHRASES

    def __init__(self, case: Case) -> None:
        self.case = case
        self.holder: OrderedDict[str, str] = OrderedDict()  # workload name -> container that got its last address
        self.calling = self.workload = ""
        self._locks: OrderedDict[str, float] = OrderedDict()

    def lock(self, line: bytes, file: str, number: int) -> bool:
        """Take a line of the bracket form that asks for the host's lock, or has got it."""
        start = line.find(b": ", 28) + 2
        head = line[start : start + STEP_HEAD]
        if head == _ASKED:
            self._ask(pid_of(line), stamps.plain(line[:23]))
        elif head == _GOT:
            self._get(pid_of(line), stamps.plain(line[:23]), lambda: evidence(file, number, line))
        return head in {_ASKED, _GOT}

    def read(self, written: Written, text: str, excerpt: Excerpt) -> bool:
        """Read a message. Tells whether it is one that is known."""
        if "CNI_CONTAINERID=" in text or "Extracted identifiers" in text:
            self._remember(text)
            return True
        if "host-wide IPAM lock" in text:
            if text.startswith("About"):
                self._ask(written.pid, written.at)
            elif not text.startswith("Released"):
                self._get(written.pid, written.at, excerpt.where)
            return True
        for anchor, pattern, handler in _MESSAGES:
            if anchor in text and (match := pattern.search(text)) is not None:
                message = _Message(self, match, written, text, excerpt)
                if "Namespace=" in text and message.container and "/" in message.pod:
                    self.case.pod_of(message.container, message.pod)
                handler(message)
                return True
        return False

    def _remember(self, text: str) -> None:
        """Remember the container and workload that 2.x names once, at the start of a call, and not in later lines."""
        container, workload = container_of(text), _WORKLOAD.search(text)
        self.calling = container or self.calling
        self.workload = workload[1] if workload else self.workload

    def _ask(self, pid: str, at: float | None) -> None:
        if at is None:
            return
        self._locks[pid] = at
        if len(self._locks) > 512:
            self._locks.popitem(last=False)

    def _get(self, pid: str, at: float | None, where: Callable[[], Evidence]) -> None:
        if at is not None and (waited := at - self._locks.pop(pid, at)) >= LONG_WAIT_SECONDS:
            self.case.waited("host-wide IPAM lock", where(), at, waited)


class _Message:
    """One message whose meaning matters, and what it tells."""

    __slots__ = ("_container", "_pod", "case", "excerpt", "log", "match", "text", "written")

    def __init__(self, log: CalicoLog, match: re.Match[str], written: Written, text: str, excerpt: Excerpt) -> None:
        self.case, self.log = log.case, log
        self.match, self.written, self.text, self.excerpt = match, written, text, excerpt
        self._container: str | None = None
        self._pod: str | None = None

    @property
    def container(self) -> str:
        """The container that the line names, "" for none."""
        if self._container is None:
            self._container = container_of(self.text)
        return self._container

    @property
    def pod(self) -> str:
        """The pod that the line names, in whatever form, "" for none."""
        if self._pod is None:
            self._pod = _named_pod(self.text, self.excerpt)
        return self._pod

    def where(self) -> Evidence:
        return self.excerpt.where()

    def event(self, verb: Verb, address: str = "", detail: str = "", pool: str = "", *, old: bool = False) -> None:
        """Record an event; with `old`, container and workload may be those named when the call began."""
        container, pod = self.container, self.pod or _pod_of_workload(self.text)
        if old:
            container, pod = container or self.log.calling, pod or self.log.workload.replace(".", "/", 1)
        file, number = self.excerpt.place
        event = Event(verb, file, number, self.written.at, address.partition("/")[0], container, pod, pool)
        event.by, event.detail = "calico", detail
        self.case.event(event)

    def pod_cidr(self) -> None:
        cidr = self.match[1]
        if cidr in _DUMMIES:
            self.case.signal("dummy-cidr", "", self.where(), at=self.written.at, containers=[self.container])
            return
        self.case.pod_cidrs.setdefault(cidr, self.where())
        variants.seen(self.case, "kubenet-calico", self.where(), f"podCIDR {cidr}")
        self.case.fact("calico-pod-cidr", f"Calico passes the node's podCIDR {cidr} to host-local.", self.where())
        self.event("asked", pool=cidr, detail="from host-local")

    def dummy(self) -> None:
        self.case.signal("dummy-cidr", "", self.where(), at=self.written.at)

    def given(self) -> None:
        old = "ContainerID=" not in self.text  # 2.x
        for address in _ADDRESSES.findall(self.match["addresses"]):
            self.event("given", address, old=old)
        workload, container = _WORKLOAD.search(self.text), self.container or (self.log.calling if old else "")
        name = workload[1] if workload else self.log.workload if old else ""
        if name and container:
            self.log.holder[name] = container
            if len(self.log.holder) > 5_000:
                self.log.holder.popitem(last=False)

    def claimed(self) -> None:
        block = self._block()
        for address in self.match["addresses"].split():
            if block:
                self.case.fact("calico-given", f"{address.strip(',')} was given from block {block[1]}.", self.where)
            self.event("given", address.strip(","), pool=block[1] if block else "")

    def _block(self) -> re.Match[str] | None:
        starts = [at for mark in ("block=", "cidr=") if (at := self.text.find(mark)) >= 0]
        return _BLOCK.search(self.text, min(starts)) if starts else None

    def released_by_handle(self) -> None:
        self.event("released", detail="by handle")

    def released_from_block(self) -> None:
        self.case.fact("calico-released", f"Addresses were released from block {self.match[1]}.", self.where)

    def released_by_workload(self) -> None:
        workload = _WORKLOAD.search(self.text)
        name = workload[1] if workload else ""
        holder = self.log.holder.get(name, "")
        self.case.signal(
            "release-by-workload",
            name,
            self.where(),
            at=self.written.at,
            containers=[holder] if holder else [],
            values={"holder": holder or None, "caller": self.log.calling if holder != self.log.calling else None},
        )
        self.event("released", detail="by workload name")

    def add_failed(self) -> None:
        self.event("refused", detail=self.match[1][:160])

    def owns_block(self) -> None:
        host = re.search(r"host=\"?([\w.-]+)", self.text)
        self.case.fact(
            "calico-affinity",
            f"Host {host[1] if host else 'unnamed'} owns block {self.match[1]}: affinity confirmed, block loaded.",
            self.where,
        )

    def windows_block(self) -> None:
        first, last = int(self.match["first"]), int(self.match["last"])
        self.case.fact(
            "calico-windows-host",
            f"Windows host {self.match['host']}: each block keeps its first {first} and last {last} addresses for "
            "the host, so a /26 has "
            f"{64 - first - last} for pods.",
            self.where(),
        )

    def node_cleaned(self) -> None:
        self.case.fact(
            "calico-cleanup", f"kube-controllers cleans up after the deleted node {self.match[1]}.", self.where()
        )

    def cleanup_failed(self) -> None:
        node = self.match["node"] or self.match["calico"]
        self.case.signal(
            "calico-cleanup-failed", "", self.where(), at=self.written.at, nodes=[node] if node else [], refused=False
        )

    def collected(self) -> None:
        address = re.search(r"ip=\"?([0-9a-fA-F.:]+)", self.text)
        self.event("released", address[1] if address else "", detail="by garbage collection")

    def no_affinity(self) -> None:
        self.case.fact(
            "calico-affinity-kept",
            f"The affinity of block {self.match[1]} to the deleted node {self.match[2]} needs no release of its own.",
            self.where(),
        )

    def in_sync(self) -> None:
        self.case.fact("calico-in-sync", "kube-controllers: nodes and IPAM data are in sync.", self.where)

    def torn_down(self) -> None:
        self.case.fact(
            "calico-teardown", f"Calico finished the teardown of container {self.container or 'unnamed'}.", self.where
        )


def _named_pod(text: str, excerpt: Excerpt) -> str:
    """Return the pod that the message's own fields name, else whatever form of a pod's name is in it; "" for none."""
    match = _POD.search(text) if "Namespace=" in text else None
    if match is not None:
        return f"{match[1]}/{match[2]}"
    pods = excerpt.pods
    return pods[0] if pods else ""


def _pod_of_workload(text: str) -> str:
    workload = _WORKLOAD.search(text)
    if workload is None or workload[1].count(".") != 1:
        return ""
    return workload[1].replace(".", "/")


Handler = Callable[[_Message], None]
_MESSAGES: tuple[tuple[str, re.Pattern[str], Handler], ...] = tuple(
    (anchor, re.compile(pattern), handler)
    for anchor, pattern, handler in (
        # The plugin's own steps first: they are by far the commonest.
        ("assigned addr", r"assigned addresses\"?.*?IPv4=\"?\[(?P<addresses>[^\]\"]*)\]", _Message.given),
        ("claimed IPs", r"Successfully claimed IPs: \[(?P<addresses>[^\]]*)\]", _Message.claimed),
        ("assigned", r"Auto-?assigned [1-9]\d* out of \d+ IPv[46]s?: \[(?P<addresses>[^\]]*)\]", _Message.claimed),
        ("handleID", r"Released address using handleID", _Message.released_by_handle),
        ("Teardown", r"Teardown processing complete", _Message.torn_down),
        ("is confirmed", rf"Affinity is confirmed and block has been loaded\"? cidr={_CIDR}", _Message.owns_block),
        ("podCidr", r"passing podCidr(?:v6)? to host-local IPAM: (\S+)", _Message.pod_cidr),
        ("dummy", r"Using dummy podCidrs", _Message.dummy),
        ("workloadID", r"Released address using workloadID", _Message.released_by_workload),
        ("from block", rf"Successfully released IPs from block cidr={_CIDR}", _Message.released_from_block),
        ("Final result", r"Final result of CNI ADD was an error\.?\"? error=(.+)", _Message.add_failed),
        (
            "Ensure block",
            r"Ensure block for host (?P<host>[\w.-]+), .*?&\{(?P<first>\d+) (?P<last>\d+) windows-reserved",
            _Message.windows_block,
        ),
        (
            "cleaning up node",
            r"Error cleaning up node\b.*?(?:node=\"?(?P<node>[\w.-]+))?(?P<calico>)\"?$",
            _Message.cleanup_failed,
        ),
        (
            "for node",
            r"Failed to release block affinities for node\b.*?(?P<node>)(?:calicoNode=\"?(?P<calico>[\w.-]+))",
            _Message.cleanup_failed,
        ),
        ("syncing IPAM data", r"error syncing IPAM data(?P<node>)(?P<calico>)", _Message.cleanup_failed),
        ("garbage collected", r"Successfully garbage collected leaked IP address", _Message.collected),
        (
            "deleted node",
            r"Cleaning up IPAM (?:resources|affinities) for deleted node\"? node=\"?([\w.-]+)",
            _Message.node_cleaned,
        ),
        (
            "no need to release",
            rf"Node doesn't exist, no need to release affinity\"? cidr={_CIDR}\"? host=\"?([\w.-]+)",
            _Message.no_affinity,
        ),
        ("in sync", r"Node and IPAM data is in sync", _Message.in_sync),
    )
)
PHRASES = ("CNI_CONTAINERID=", "Extracted identifiers", "host-wide IPAM lock", *(anchor for anchor, _, _ in _MESSAGES))
"""Texts, one of which is in every message that is read here."""
