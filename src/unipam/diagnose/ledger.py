"""unipam's own ledger as one more source: sizes, holders and refusals of each network, and the timeline by its journal.

The file is read without a trace (`store.sqlite_reading`), and another program's SQLite file is left alone.
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import msgspec

from unipam.addr.prefix import format_address
from unipam.diagnose.case import Case, evidence
from unipam.diagnose.report import Event, Evidence, Holder, Verb
from unipam.diagnose.stamps import show
from unipam.model import facts, rules
from unipam.model.errors import StoreBroken, StoreBusy
from unipam.model.pool_notes import pools_note, recall
from unipam.model.records import COOLING, HELD, LEASE, Claim, Entry, Pool
from unipam.store.api import Tx
from unipam.store.sqlite_reading import reading

MAGIC = b"SQLite format 3\x00"
_VERBS: dict[str, Verb] = {
    "allocate": "given",
    "adopt": "given",
    "release": "released",
    "undo": "released",
    "give-back": "released",
    "refuse": "refused",
}
KIND = "unipam ledger"
"""What the report calls a pool of a ledger."""

_STATE, _USUAL = "/var/lib/", "/var/lib/cni/networks"
"""Below which data directories are on a node, and the one that commands look into unless told otherwise."""


class _Use(msgspec.Struct):
    """How full a pool of the ledger is, gateways left out. `name` is that of the pool in the report."""

    pool: Pool
    name: str
    held: int
    size: int

    @property
    def is_full(self) -> bool:
        """Return whether every request is refused: what cools is given away when nothing else is left."""
        return self.held >= self.size


class _Network(msgspec.Struct):
    """A space of the ledger with its pools, in the order in which requests ask them."""

    name: str
    pools: list[_Use]

    @property
    def shortest(self) -> _Use | None:
        """Return the pool that decides whether a request is served: it takes an address of each."""
        return min(self.pools, key=lambda use: use.size - use.held, default=None)

    def pool_of(self, claim: Claim) -> str:
        """Return the name in the report of the pool that a claim lies in."""
        return next((use.name for use in self.pools if use.pool.find(claim.first)), f"unipam {self.name}")


def is_database(path: Path) -> bool:
    """Return whether a file is an SQLite database, by its first bytes. A pipe is none: what is read of it is gone."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def read(case: Case, path: Path) -> int:
    """Read a ledger and return the number of its journal entries. One that cannot be read is a finding, no error."""
    where = evidence(str(path), 1, "unipam's ledger")
    try:
        with reading(str(path)) as tx:
            return _Ledger(case, tx, path, where).tell()
    except (StoreBroken, StoreBusy) as error:
        _unread(case, path, where, error)
        return 0


def _unread(case: Case, path: Path, where: Evidence, error: StoreBroken | StoreBusy) -> None:
    if "application" in error.facts:
        case.fact("foreign-database", f"{path} is another program's SQLite file.", where)
    elif "damage" in error.facts:
        case.signal("ledger-damaged", str(path), where, values={"reason": str(error.facts["damage"])})
    else:
        case.signal("ledger-unread", str(path), where, values={"reason": error.message})


class _Ledger:
    """One ledger, as a transaction shows it."""

    def __init__(self, case: Case, tx: Tx, path: Path, where: Evidence) -> None:
        self.case, self.tx, self.path, self.where = case, tx, path, where
        self.networks = {number: _Network(name, self._uses(number, name)) for number, name in tx.spaces()}

    def tell(self) -> int:
        """Record what the ledger holds and return the number of its journal entries."""
        for number, network in self.networks.items():
            self._leases(number, network)
        count = self._journal()
        for network in self.networks.values():
            self._full(network)
        return count

    def _uses(self, number: int, network: str) -> list[_Use]:
        pools = _pools(self.tx.note(pools_note(number)))
        return [self._use(number, network, pool, f" {pool}" if len(pools) > 1 else "") for pool in pools]

    def _use(self, number: int, network: str, pool: Pool, suffix: str) -> _Use:
        parts = [part for span in pool.ranges for part in rules.usable(span, span.first, span.last)]
        held, cooling = (sum(self.tx.count(number, *part, state) for part in parts) for state in (HELD, COOLING))
        size = sum(part.last - part.first + 1 for part in parts)
        text = f"unipam's ledger, network {network}, pool {pool}: {held} of {size} addresses held, {cooling} cooling."
        self.case.fact("ledger-pool", text, self.where)
        told = self.case.pool(f"unipam {network}{suffix}", KIND)
        told.capacity, told.in_use, told.evidence = size, held, [self.where]
        return _Use(pool, told.name, held, size)

    def _leases(self, number: int, network: _Network) -> None:
        states: Counter[str] = Counter()
        for claim in self.tx.claims(number):
            if claim.kind == LEASE:
                states[claim.state] += 1
                self._hold(network, claim)
        for state, count in states.items():
            self.case.fact(
                "ledger-leases", f"unipam's ledger, network {network.name}: {count} lease(s) {state}.", self.where
            )
        if states[HELD] and not network.pools:
            self.case.pool(f"unipam {network.name}", KIND).in_use = states[HELD]

    def _hold(self, network: _Network, claim: Claim) -> None:
        pod = self._pod(claim.owner.holder, claim.details)
        pool = self.case.pool(network.pool_of(claim), KIND)
        pool.evidence = [self.where]
        if claim.state == HELD:
            self.case.hold(pool, Holder(claim.text, str(claim.owner), pod, show(claim.since)))

    def _journal(self) -> int:
        count = 0
        for entry in self.tx.entries(math.inf):
            count += 1
            if entry.verb in _VERBS:
                self._entry(entry, self._pod(entry.owner.holder, entry.details))
        return count

    def _entry(self, entry: Entry, pod: str) -> None:
        address = format_address(entry.first) if entry.first else ""  # a refusal is about none
        detail = entry.verb if entry.verb in {"undo", "give-back", "adopt"} else entry.reason
        verb, file, holder = _VERBS[entry.verb], str(self.path), entry.owner.holder
        self.case.event(Event(verb, file, entry.id, entry.at, address, holder, pod, by="unipam", detail=detail))
        network = self.networks.get(entry.parent)
        if verb == "refused" and network is not None:
            self._refusal(entry, pod, network)

    def _refusal(self, entry: Entry, pod: str, network: _Network) -> None:
        """Record that a request was refused; whether that is over is decided by what is free now."""
        short = network.shortest
        known = {"held": short.held, "capacity": short.size, "free": short.size - short.held} if short else {}
        question = f"unipam explain {network.name}{_place(str(self.path.parent))}"
        self.case.signal(
            "unipam-full" if short is not None and short.is_full else "unipam-was-full",
            network.name,
            evidence(str(self.path), entry.id, f"journal entry {entry.id}: {pod or entry.owner}: {entry.reason}"),
            at=entry.at,
            values={**known, "question": question},
            pods=[pod],
            containers=[entry.owner.holder],
            refused=True,
        )

    def _full(self, network: _Network) -> None:
        for use in network.pools:
            if use.is_full and ("unipam-full", network.name) not in self.case.signals:
                values = {"in_use": use.held, "capacity": use.size}
                self.case.signal("pool-full", use.name, self.where, values=values)

    def _pod(self, holder: str, details: str) -> str:
        """Return the pod that a holder is of, and remember it for what else is known of the container."""
        pod = facts.read_lease(details).pod
        if pod:
            self.case.pod_of(holder, pod)
        return pod or self.case.pods.get(holder, "")


def _pools(note: str) -> tuple[Pool, ...]:
    """Return the pools that a note describes; none when damage that SQLite does not see has made it unreadable."""
    try:
        return recall(note)
    except (msgspec.DecodeError, ValueError, TypeError, KeyError):
        return ()


def _place(directory: str) -> str:
    """Return the option that names a ledger's directory as it is on the node, of which this may be a copy."""
    place = directory[max(directory.rfind(_STATE), 0) :]
    return "" if place == _USUAL else f" --data-dir {place}"
