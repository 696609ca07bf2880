"""Which leases have outlived their container. The table of cases:

| what the lease says                | what is observed                                   | verdict             |
|------------------------------------|----------------------------------------------------|---------------------|
| handed out in boot n               | this is boot n+1 or later                          | gone: rebooted      |
| a namespace that was seen          | its path leads nowhere                             | gone: no namespace  |
| a namespace that was seen          | its path leads to another namespace                | gone: replaced      |
| the same                           | a process has the address in its network           | in doubt: shown     |
| a CRI sandbox that its runtime has forgotten | nobody is in its namespace               | gone: unknown there |
| a CRI sandbox that its runtime has forgotten | somebody is, or may be, in its namespace | in doubt            |
| the same, and its namespace was never seen | a process has its address in its network   | in doubt            |
| a namespace that was never seen, or none | a process has the address in its network    | alive               |
| a namespace that was never seen, or none | nothing above applies                         | in doubt: shown     |
| a namespace that was seen          | we may not look whether it is there                | in doubt: shown     |
| a namespace that was seen          | it is there                                        | alive               |

A runtime lists a sandbox when it is complete, so absence says nothing while it may still be making it. That ends with
its process: the next one lists what its predecessor completed, and completes nothing else. It can fail to read one that
lives (containerd logs that and goes on), hence the look into the namespace. Other runtimes' containers (podman's, a
person's) are never on its list. A lease that was adopted says neither what it is nor where: see `ledger.adopted`.

In doubt means: a person may look, nobody frees it. A lease is released only when it was found gone twice, and still is
at the moment of release (`Ledger.release_claim` checks its generation).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

from unipam.ledger import processes
from unipam.ledger.ledger import Ledger
from unipam.model import facts
from unipam.model.errors import Stale
from unipam.model.records import HELD, Claim

STARTING = 3600.0
"""Seconds for which one runtime process may be making a sandbox. A kubelet waits for twice its runtimeRequestTimeout (2
minutes unless set, and 15 are not rare), CRI-O takes 5 minutes more (spec cni-and-host-local §5.3) and keeps the result
for the next request."""


class Listed(NamedTuple):
    """A sandbox on the container runtime's list: whose it is, and when it was made (seconds since the epoch)."""

    pod: str
    uid: str
    made: float


class Runtime(NamedTuple):
    """What the container runtime says: the `sandboxes` that it lists, by their ids, asked at `asked`.

    `began` is when its process did, or earlier; 0 when that is not known. Both are CLOCK_BOOTTIME seconds, which nobody
    moves by setting a clock.
    """

    sandboxes: Mapping[str, Listed]
    asked: float
    began: float = 0.0

    def has_forgotten(self, sandbox: str, asked: float) -> bool:
        """Return whether it knows no such sandbox and is not making it, for which an address was asked at `asked`."""
        return sandbox not in self.sandboxes and (asked < self.began or asked + STARTING < self.asked)


class Observed(NamedTuple):
    """What is known from outside the ledger.

    `boot` is this boot's number in the ledger. `inode` gives the inode that a path leads to, None for nowhere, HIDDEN
    where we may not look. `runtime` is None when it was not asked; `inhabited` gives the inodes of the namespaces that
    processes are in, `addresses` the addresses that they have there.
    """

    boot: int
    inode: Callable[[str], int | None]
    runtime: Runtime | None = None
    inhabited: Callable[[], frozenset[int]] = frozenset
    addresses: Callable[[], frozenset[int]] = frozenset


def observe(boot: int, runtime: Runtime | None = None) -> Observed:
    """Return what this machine shows during this boot; what takes long is looked at once, if at all."""
    return Observed(boot, inode, runtime, functools.cache(inhabited), functools.cache(processes.addresses))


class Verdict(NamedTuple):
    """`alive`, `gone` or `doubt`, and why."""

    state: str
    reason: str = ""


ALIVE = Verdict("alive")


HIDDEN = -1
"""Stands for an inode that may not be looked at."""


def inode(path: str) -> int | None:
    """Return the inode that a path leads to; None when it leads nowhere, HIDDEN when we may not look."""
    try:
        return os.stat(path).st_ino
    except (FileNotFoundError, NotADirectoryError, ProcessLookupError, ValueError):
        return None
    except OSError:
        return HIDDEN


def inhabited() -> frozenset[int]:
    """Return the inodes of all network namespaces of processes; HIDDEN is among them if one may not be looked at."""
    ours = inode(_DEVICES.format("self"))
    found = (_namespace(name, ours) for name in os.listdir("/proc") if name.isdecimal())
    return frozenset(each for each in found if each is not None)


_DEVICES = "/proc/{}/net/dev"
"""Has a number of its own in every network namespace, which shows without the right to trace the process."""


def _namespace(process: str, ours: int | None) -> int | None:
    found = inode(f"/proc/{process}/ns/net")
    if found == HIDDEN and inode(_DEVICES.format(process)) in {ours, None}:
        return None  # it is in our network, which is no container's, or has just ended
    return found


def is_of_earlier_boot(claim: Claim, boot: int) -> bool:
    """Return whether a lease was handed out before this `boot` of the machine, which no container outlives."""
    return 0 < claim.boot < boot


def judge(claim: Claim, observed: Observed) -> Verdict:
    """Return whether the container behind a lease still lives (the table above, top to bottom)."""
    if is_of_earlier_boot(claim, observed.boot):
        return Verdict("gone", "the machine was rebooted since")
    known = facts.read(claim.details)
    netns, seen = str(known.get("netns") or ""), known.get("inode")
    now = observed.inode(netns) if netns else None
    if seen and now == HIDDEN:
        return Verdict("doubt", f"its network namespace {netns} may not be looked at: let the agent run as root")
    if seen and now != seen:
        return Verdict(
            *_lost(claim.first, f"its network namespace {netns} is {'another one now' if now else 'gone'}", observed)
        )
    asked = known.get("sandbox")
    if isinstance(asked, float) and observed.runtime:
        forgotten = observed.runtime.has_forgotten(claim.owner.holder, asked)
        return Verdict(*_forgotten(claim.first, netns, now, observed)) if forgotten else ALIVE
    if seen or claim.first in observed.addresses():
        return ALIVE
    return Verdict("doubt", "nothing is known about its network namespace, and no process has the address")


def _lost(address: int, what: str, observed: Observed) -> tuple[str, str]:
    if address in observed.addresses():  # where the runtime's paths do not show, every container's would be gone
        return "doubt", f"{what}, but a process has its address"
    return "gone", what


def _forgotten(address: int, netns: str, namespace: int | None, observed: Observed) -> tuple[str, str]:
    unknown = "the container runtime knows no such sandbox"
    if not netns and address in observed.addresses():
        return "doubt", f"{unknown}, but a process has its address"
    if namespace and not observed.inhabited().isdisjoint((namespace, HIDDEN)):
        return "doubt", f"{unknown}, but processes are, or may be, in its network namespace"
    return "gone", unknown


class Suspect(NamedTuple):
    """A lease that was found gone, as it was seen."""

    claim: Claim
    reason: str


def suspects(ledger: Ledger, observed: Observed, state: str) -> list[Suspect]:
    """Return every held lease on which the verdict is this one."""
    with ledger.store.reading() as tx:
        return [
            Suspect(claim, verdict.reason)
            for space, _ in tx.spaces()
            for claim in tx.claims(space)
            if claim.state == HELD and (verdict := judge(claim, observed)).state == state
        ]


def reclaim(
    ledger: Ledger, observed: Observed, before: Mapping[tuple[int, int, int], str]
) -> tuple[dict[tuple[int, int, int], str], list[Suspect]]:
    """Release what was gone `before` and still is, as one round.

    Answers what is gone now, with the reasons, to be handed to the next round, and what was released. A lease is
    known from round to round by parent, address and generation, so one that changed hands begins anew.
    """
    gone = suspects(ledger, observed, "gone")
    released = []
    for suspect in gone:
        if key(suspect.claim) in before and judge(suspect.claim, observed).state == "gone":
            try:
                ledger.release_claim(suspect.claim, suspect.reason, "sweep")
            except Stale:
                continue
            released.append(suspect)
    done = {key(suspect.claim) for suspect in released}
    return {key(s.claim): s.reason for s in gone if key(s.claim) not in done}, released


def key(claim: Claim) -> tuple[int, int, int]:
    """Return what tells a holding of an address from every other."""
    return claim.parent, claim.first, claim.generation


_RUNTIME_NOTE = "runtime"


def complain(ledger: Ledger, complaint: str) -> None:
    """Keep for whoever looks at the ledger why the runtime is not asked about its leases; "" when it is."""
    if complaint_of(ledger) != complaint:
        with ledger.store.transaction() as tx:
            tx.set_note(_RUNTIME_NOTE, complaint)


def complaint_of(ledger: Ledger) -> str:
    """Return why the sweep does not ask the container runtime; "" when it does, or there was no sweep yet."""
    with ledger.store.reading() as tx:
        return tx.note(_RUNTIME_NOTE)
