"""Which leases have outlived their container. The table of cases:

| what the lease says                | what the world says                                | verdict             |
|------------------------------------|----------------------------------------------------|---------------------|
| handed out in boot n               | this is boot n+1 or later                          | gone: rebooted      |
| a namespace that was seen          | its path leads nowhere                             | gone: no namespace  |
| a namespace that was seen          | its path leads to another namespace                | gone: replaced      |
| a CRI sandbox, older than STARTING | the runtime's list has no such sandbox             | gone: unknown there |
| a namespace that was never seen, or none | nothing above applies                         | in doubt: shown     |
| a namespace that was seen          | we may not look whether it is there                | in doubt: shown     |
| a namespace that was seen          | it is there                                        | alive               |

A runtime lists a sandbox when it is complete, so absence says nothing while it may still be starting; and other
runtimes' containers (podman's, a person's) are never on its list.

In doubt means: a person may look, nobody frees it. A lease is released only when it was found gone twice, and still is
at the moment of release (`Ledger.release_claim` checks its generation).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from unipam.model.errors import Stale
from unipam.model.records import HELD, Claim
from unipam.service.ledger import Ledger

STARTING = 300.0
"""Seconds for which a sandbox may be on its way: a kubelet waits 4 minutes for it (spec cni-and-host-local §5.3)."""


class World(NamedTuple):
    """What is known from outside the ledger.

    `boot` is this boot's number in the ledger. `inode` gives the inode that a path leads to, None for nowhere, HIDDEN
    where we may not look.
    `sandboxes` are the ids that the runtime lists, asked at `asked` (epoch seconds); None when it was not asked.
    """

    boot: int
    inode: Callable[[str], int | None]
    sandboxes: frozenset[str] | None = None
    asked: float = 0.0


class Verdict(NamedTuple):
    """`alive`, `gone` or `doubt`, and why."""

    state: str
    reason: str = ""


ALIVE = Verdict("alive")


HIDDEN = -1
"""Stands for an inode that may not be looked at."""


def inode(path: str) -> int | None:
    """The inode that a path leads to; None when it leads nowhere, HIDDEN when we may not look."""
    try:
        return os.stat(path).st_ino
    except (FileNotFoundError, NotADirectoryError, ProcessLookupError, ValueError):
        return None
    except OSError:
        return HIDDEN


def details(claim: Claim) -> dict[str, object]:
    """The facts about a claim's owner; {} when they cannot be read."""
    try:
        found = msgspec.json.decode(claim.details) if claim.details else {}
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def judge(claim: Claim, world: World) -> Verdict:
    """Whether the container behind a lease still lives (the table above, top to bottom)."""
    if 0 < claim.boot < world.boot:
        return Verdict("gone", "the machine was rebooted since")
    facts = details(claim)
    netns, seen = str(facts.get("netns") or ""), facts.get("inode")
    now = world.inode(netns) if netns else None
    if seen and now == HIDDEN:
        return Verdict("doubt", f"its network namespace {netns} may not be looked at: let the agent run as root")
    if seen and now is None:
        return Verdict("gone", f"its network namespace {netns} is gone")
    if seen and now != seen:
        return Verdict("gone", f"its network namespace {netns} is another one now")
    if facts.get("sandbox") and world.sandboxes is not None:
        if claim.owner.holder not in world.sandboxes and claim.since + STARTING < world.asked:
            return Verdict("gone", "the container runtime knows no such sandbox")
        return ALIVE
    if seen:
        return ALIVE
    return Verdict("doubt", "nothing is known about its network namespace")


class Suspect(NamedTuple):
    """A lease that was found gone, as it was seen."""

    claim: Claim
    reason: str


def suspects(ledger: Ledger, world: World, state: str) -> list[Suspect]:
    """Every held lease on which the verdict is this one."""
    with ledger.store.reading() as tx:
        return [
            Suspect(claim, verdict.reason)
            for space, _ in tx.spaces()
            for claim in tx.claims(space)
            if claim.state == HELD and (verdict := judge(claim, world)).state == state
        ]


def reclaim(
    ledger: Ledger, world: World, before: Mapping[tuple[int, int, int], str]
) -> tuple[dict[tuple[int, int, int], str], list[Suspect]]:
    """One round: release what was gone `before` and still is.

    Answers what is gone now, with the reasons, to be handed to the next round, and what was released. A lease is
    known from round to round by parent, address and generation, so one that changed hands begins anew.
    """
    gone = suspects(ledger, world, "gone")
    released = []
    for suspect in gone:
        if key(suspect.claim) in before and judge(suspect.claim, world).state == "gone":
            try:
                ledger.release_claim(suspect.claim, suspect.reason, "sweep")
            except Stale:
                continue
            released.append(suspect)
    done = {key(suspect.claim) for suspect in released}
    return {key(s.claim): s.reason for s in gone if key(s.claim) not in done}, released


def key(claim: Claim) -> tuple[int, int, int]:
    """What tells a holding of an address from every other."""
    return claim.parent, claim.first, claim.generation
