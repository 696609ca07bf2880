"""Everything that the readers found, kept within bounds however long the input is.

Readers say what they saw (`signal`, `fact`, `event`, `pod_of`); nothing here judges. What the signals mean is
in `catalogue`, what follows from several of them together is in `conclude`.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from unipam.addr.prefix import Prefix
from unipam.diagnose.clocks import Clocks
from unipam.diagnose.inputs import log_group
from unipam.diagnose.live_pods import LivePods
from unipam.diagnose.report import EXCERPT_LENGTH, Event, Evidence, Fact, Holder, Pool, Source, Variant

MAX_EVIDENCE = 5
MAX_ENTITIES = MAX_NAMES = 5_000
"""Names kept of one sort for one finding: whole lists for any node, and bounded for a cluster of them."""

SHORT_ID = 12
"""Container ids are told apart by their first twelve characters, as Docker and people shorten them."""

MAX_ENDED = 100_000
SHORT_ENDPOINT = 8
"""azure-vnet names an endpoint by so much of its container's id."""

JUNK = "binary-junk"
"""The signal of an input that is no text everywhere."""
MAX_SIGNALS = 2_000
MAX_FACTS = 400
MAX_FACTS_OF_A_KIND = 25
"""A thousand sandboxes must not crowd out the one pool."""

MAX_TRACKS = 6_000
MAX_EVENTS_PER_TRACK = 12
MAX_PODS = 20_000
MAX_RESETS = 1_000
_SAME_ACT_SECONDS = 3.0
"""Two plugins log the same act (azure-vnet and azure-vnet-ipam, kubelet and Calico) within a moment of each other."""


def evidence(file: str, line: int, text: bytes | str) -> Evidence:
    """Return the evidence of one line, cut to a readable length."""
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    words = words.strip()
    return Evidence(file, line, words if len(words) <= EXCERPT_LENGTH else words[: EXCERPT_LENGTH - 1] + "…")


def note_unknown(source: Source, number: int, line: bytes) -> None:
    """Count a line that no reader understood; the first few are kept."""
    source.unknown += 1
    if len(source.unknown_examples) < MAX_EVIDENCE:
        source.unknown_examples.append(evidence(source.path, number, line))


class Signal(msgspec.Struct):
    """One kind of trouble about one subject, counted, with its first few lines and the names that appear in them."""

    kind: str
    subject: str
    counts: Counter[str] = msgspec.field(default_factory=Counter)
    """How often each log reports it. Several logs report one act, so these do not add up."""
    containers: dict[str, None] = {}
    """Every container that it happened to, shortened."""
    refused: dict[str, None] = {}
    """Who got no address: pods, and containers whose pod no line names."""
    first: float | None = None
    last: float | None = None
    evidence: list[Evidence] = []
    entities: dict[str, dict[str, None]] = {}
    values: dict[str, str | int | float] = {}

    @property
    def count(self) -> int:
        """Return how often it happened: as often as the log that tells most, and at least once a container."""
        return max(len(self.containers), max(self.counts.values(), default=0))

    def add(self, where: Evidence, at: float | None, times: int, containers: Iterable[str]) -> None:
        """Count a sighting. One of containers that were all seen in it before is a repetition by another writer."""
        container = next((name[:SHORT_ID] for name in containers if name), "")
        if not container or container not in self.containers or times != 1:
            self.counts[log_group(where.file)] += times
        if container and len(self.containers) < MAX_NAMES:
            self.containers[container] = None
        if len(self.evidence) < MAX_EVIDENCE and where not in self.evidence:
            self.evidence.append(where)
        if at is not None:
            self.first = at if self.first is None else min(self.first, at)
            self.last = at if self.last is None else max(self.last, at)

    def refuse(self, names: Iterable[str]) -> None:
        """Remember who got no address."""
        for name in names:
            if name and len(self.refused) < MAX_NAMES:
                self.refused[name] = None

    def name(self, sort: str, names: Iterable[str]) -> None:
        known = self.entities.setdefault(sort, {})
        for name in names:
            if name and len(known) < MAX_ENTITIES:
                known[name] = None


class Case:
    """What one diagnosis has gathered so far."""

    def __init__(self) -> None:
        self.signals: dict[tuple[str, str], Signal] = {}
        self.facts: dict[str, Fact] = {}
        self._fact_kinds: Counter[str] = Counter()
        self.facts_left_out = 0
        self.tracks: OrderedDict[str, deque[Event]] = OrderedDict()
        self.dropped: Counter[str] = Counter()
        self.tracks_dropped = 0
        self.acts: Counter[str] = Counter()
        self.pods: OrderedDict[str, str] = OrderedDict()
        self._held: OrderedDict[str, str] = OrderedDict()
        self.pools: dict[str, Pool] = {}
        self.variants: dict[str, Variant] = {}
        self.clocks = Clocks()
        self.sources: list[Source] = []
        self.address_lines = 0
        """Log lines of programs that give addresses, which say nothing by themselves but show that one was read."""
        self.unknown_log_lines = 0
        self.live_containers: dict[str, Evidence] = {}
        """Containers that some list of what runs names (endpoints of azure-vnet.json, crictl, CNS)."""
        self.live_pods = LivePods()
        self.pod_cidrs: dict[str, Evidence] = {}
        self.node_ranges: set[str] = set()
        """Those of `pod_cidrs` that a Node itself shows."""
        self.ranges_in_use: list[tuple[str, Prefix, Evidence]] = []
        """What a node gives pods' addresses from, whatever its Node says: its configuration, its bridge."""
        self.calico_sign: Evidence | None = None
        """A line that only a cluster with Calico has: its pods."""
        self.mixed_ranges: list[tuple[str, list[tuple[str, int]], str, Evidence]] = []
        """Reservation directories with more than one /24: directory, (range, count) of each, in words, where."""
        self.hosts: set[str] = set()
        """The nodes that syslog names."""
        self.served: float | None = None
        """When a pod got its network for the last time."""
        self.releases: set[str] = set()
        """Logs that show releases at all: only in those does the lack of one mean anything."""
        self._ended: set[str] = set()
        self._ends_forgotten = False
        self.resets: list[tuple[str, int]] = []
        """Where (file, line) a plugin began with an empty store: what was given before it is forgotten, not doubled."""

    def signal(  # noqa: PLR0913 (one call tells all that is known of a sighting)
        self,
        kind: str,
        subject: str,
        where: Evidence,
        *,
        at: float | None = None,
        times: int = 1,
        values: dict[str, Any] | None = None,
        refused: bool = False,
        **entities: Iterable[str],
    ) -> None:
        """Record one sighting of `kind` about `subject`. Entities are names by sort: `pods=["ns/name"]`.

        `refused` tells that the pods, or else the containers, asked for an address and did not get it.
        """
        signal = self.signals.get((kind, subject))
        if signal is None:
            if len(self.signals) >= MAX_SIGNALS:
                subject = ""
            signal = self.signals.setdefault((kind, subject), Signal(kind, subject))
        signal.add(where, at, times, entities.get("containers", ()))
        if refused:
            self._refuse(signal, [*entities.get("pods", ())], [*entities.get("containers", ())])
        signal.values.update({name: value for name, value in (values or {}).items() if value is not None})
        for sort, names in entities.items():
            signal.name(sort, names)

    def _refuse(self, signal: Signal, pods: list[str], containers: list[str]) -> None:
        """Remember who was refused: the pod, or else the container, whose pod another message may name."""
        pods = [pod for pod in pods if pod]
        if len(pods) == 1 and "/" in pods[0] and containers and containers[0]:
            self.pod_of(containers[0], pods[0])
        signal.refuse(pods or [name[:SHORT_ID] for name in containers])

    def waited(self, subject: str, where: Evidence, at: float | None, seconds: float) -> None:
        """Record that someone waited for a lock; the longest wait is what counts."""
        known = self.signals.get(("lock-wait", subject))
        longest = max(round(seconds), int(known.values.get("longest", 0)) if known else 0)
        self.signal("lock-wait", subject, where, at=at, values={"longest": longest})

    def has(self, *kinds: str) -> bool:
        """Return whether any of the kinds was seen."""
        return any(kind in kinds for kind, _ in self.signals)

    def fact(self, kind: str, text: str, where: Evidence | Callable[[], Evidence]) -> None:
        """Record something the input shows that is neither good nor bad. `where` may be made only when it is new.

        Of each `kind` only the first `MAX_FACTS_OF_A_KIND` are kept; the report does not show it.
        """
        fact = self.facts.get(text)
        if fact is not None:
            fact.count += 1
        elif self._fact_kinds[kind] < MAX_FACTS_OF_A_KIND and len(self.facts) < MAX_FACTS:
            self._fact_kinds[kind] += 1
            self.facts[text] = Fact(text, [where() if callable(where) else where])
        else:
            self.facts_left_out += 1

    def event(self, event: Event) -> None:
        """Append to the history of the event's address, or of its container when it has no address."""
        self._find_released(event)
        if event.verb == "given":
            self.serve(event.at)
        subject = event.address or event.container or event.pod or "(no address, no name)"
        track = self.tracks.get(subject)
        if track is None:
            track = self._new_track(subject)
        elif track and _same_act(track[-1], event):
            _merge(track[-1], event)
            return
        if len(track) == MAX_EVENTS_PER_TRACK:
            self.dropped[subject] += 1
        track.append(event)
        self.acts[event.verb] += 1

    def serve(self, at: float | None) -> None:
        """Record that a pod of the node got its network at this time."""
        if at is not None:
            self.served = at if self.served is None else max(self.served, at)

    def end(self, container: str) -> None:
        """Remember that some log shows the end of a container: a DEL, its endpoint deleted, its sandbox torn down."""
        if not container:
            return
        if len(self._ended) < MAX_ENDED:
            self._ended.add(container[:SHORT_ENDPOINT])
        else:
            self._ends_forgotten = True

    def has_ended(self, container: str) -> bool:
        """Return whether a container is known to have ended, or may have ended in what is forgotten by now."""
        return self._ends_forgotten or container[:SHORT_ENDPOINT] in self._ended

    def _find_released(self, event: Event) -> None:
        """Name the address of a release by handle or container: it is the one that the container got."""
        if event.verb == "given" and event.address and event.container:
            self._held[event.container] = event.address
            if len(self._held) > MAX_PODS:
                self._held.popitem(last=False)
        elif event.verb == "released" and event.container:
            self.releases.add(log_group(event.file))
            self.end(event.container)
            event.address = event.address or self._held.pop(event.container, "")

    def _new_track(self, subject: str) -> deque[Event]:
        if len(self.tracks) >= MAX_TRACKS:
            oldest, _ = self.tracks.popitem(last=False)
            self.dropped.pop(oldest, None)
            self.tracks_dropped += 1
        track = self.tracks[subject] = deque(maxlen=MAX_EVENTS_PER_TRACK)
        return track

    def pod_of(self, container: str, pod: str) -> None:
        """Remember which pod (`namespace/name`) a container belongs to."""
        if container not in self.pods and len(self.pods) >= MAX_PODS:
            self.pods.popitem(last=False)
        self.pods[container] = pod

    def pool(self, name: str, kind: str) -> Pool:
        """Return the pool of that name, new when it was not known."""
        return self.pools.setdefault(name, Pool(name, kind))

    def hold(self, pool: Pool, holder: Holder) -> None:
        """Record that a dump names a holder of an address of the pool; the newest dump wins."""
        pool.holders = [known for known in pool.holders if known.address != holder.address]
        pool.holders.append(holder)

    def reset(self, file: str, line: int) -> None:
        """Record that a plugin began with an empty store here."""
        if len(self.resets) < MAX_RESETS:
            self.resets.append((file, line))

    def is_live(self, container: str) -> bool:
        """Return whether a list of what runs names the container; crictl shortens ids to 13 characters."""
        return container in self.live_containers or container[:13] in self.live_containers

    @property
    def is_about_addresses(self) -> bool:
        """Return whether anything that was read is about addresses."""
        return bool(
            self.facts
            or self.tracks
            or any(kind != JUNK for kind, _ in self.signals)  # which tells of the input, whatever it is about
            or self.pools
            or self.variants
            or self.address_lines
            or self.live_pods.count
            or self.live_containers
        )

    def log_lines(self) -> tuple[int, int]:
        """Return how many log lines of address-giving programs were understood, and how many were not."""
        return sum(source.understood for source in self.sources), self.unknown_log_lines

    def source(self, path: str) -> Source:
        """Open the account of one input."""
        self.sources.append(Source(path))
        return self.sources[-1]


def _same_act(known: Event, event: Event) -> bool:
    if known.verb != event.verb or (known.container and event.container and known.container != event.container):
        return False
    if known.pod and event.pod and known.pod != event.pod:
        return False
    return known.at is None or event.at is None or abs(known.at - event.at) <= _SAME_ACT_SECONDS


def _merge(known: Event, event: Event) -> None:
    known.pod = known.pod or event.pod
    known.container = known.container or event.container
    known.pool = known.pool or event.pool
    known.by = f"{known.by}, {event.by}" if event.by not in known.by else known.by
