"""How the register does: the same answer for its native API and its pages."""

from __future__ import annotations

import msgspec

from unipam.plan.reads import counts
from unipam.server.register import Register


class Status(msgspec.Struct, frozen=True):
    """A running register.

    `engine` is the kind of its database. `waiting` are the writes that wait for their turn. `cloud_seen_on` is when the
    cloud was last seen (epoch seconds; None: never), `cloud_problems` what went wrong then. `objects` counts the plan's
    objects by kind, `lacking` says in words what the database has to do without.
    """

    version: str
    stack: str
    environment: str
    engine: str
    waiting: int
    now: float
    cloud_seen_on: float | None
    cloud_problems: list[str]
    objects: dict[str, int]
    lacking: list[str]


async def status_of(register: Register) -> Status:
    """Return how the register does. Raises the store's errors when the database is away."""
    snapshot = await register.last_snapshot()
    return Status(
        register.version, register.stack, register.environment, register.engine, register.worker.waiting,
        register.clock(), snapshot.taken or None, list(snapshot.problems),
        *await register.worker.read(lambda tx: (counts(tx), tx.lacking())),
    )  # fmt: skip
