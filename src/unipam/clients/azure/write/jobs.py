"""Jobs: what has to be asked one after the other, as generators that yield questions and are sent the answers.

A job neither waits nor sends. Who drives it does, with threads and a real clock, or within a test's simulated hours
(`dispatcher`); so nothing here knows of either. A refusal is thrown into the job as SourceFailed.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Generator, Mapping
from typing import Any, NamedTuple, TypeAlias, TypeVar

from unipam.clients.azure.arm import DONE, Answer, Arm
from unipam.model.errors import SourceFailed

T = TypeVar("T")

WRITTEN = (200, 201, 202)
STRAY = 60.0
"""Seconds for which a write may still arrive that a process has sent which is gone: nobody knows of it."""


class Ask(NamedTuple):
    """One request. `link` is an absolute one that Azure gave, instead of a path.

    `follows` says that it looks at what an earlier request of the job began: such a look costs no token of the budget.
    """

    method: str = "GET"
    path: str = ""
    version: str = ""
    body: Mapping[str, Any] | None = None
    match: str = ""
    expect: Collection[int] = DONE
    link: str = ""
    follows: bool = False

    @property
    def writes(self) -> bool:
        """Return whether it changes anything."""
        return self.method != "GET"

    @property
    def subscription(self) -> str:
        """Return which subscription's budget it is charged to."""
        parts = (self.link.partition("://")[2].partition("/")[2] or self.path.lstrip("/")).split("/")
        return parts[1].lower() if len(parts) > 1 and parts[0].lower() == "subscriptions" else ""

    def __str__(self) -> str:
        return f"{self.method} {self.link.partition('?')[0] or self.path}"


class Pause(NamedTuple):
    """Seconds to wait, and what for."""

    seconds: float
    why: str


Job: TypeAlias = Generator[Ask | Pause, Answer, T]
"""A Pause is answered by None, which nobody reads."""


def send(arm: Arm, ask: Ask, may: Callable[[], bool] | None = None) -> Answer:
    """Send it once and return the answer; a write only if it `may` be made when its turn comes. Raises SourceFailed."""
    if ask.link:
        return arm.follow(ask.link, ask.expect, repeat=False)
    return arm.request(
        ask.method, ask.path, ask.version, body=ask.body, match=ask.match, expect=ask.expect, repeat=False,
        may=may if ask.writes else None,
    )  # fmt: skip


def defect(error: Exception) -> SourceFailed:
    """Return what became of a job, or of a request, that ended in an error of nobody's: what it was, and where."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{last.name} ({last.filename.rpartition('/')[2]}:{last.lineno})"
    return SourceFailed(f"defect: {error!r} in {where}", source="azure")
