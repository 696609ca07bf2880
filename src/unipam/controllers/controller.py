"""What a controller is: it looks, decides, carries out and reports, round after round, while its process leads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol, TypeVar

from unipam.controllers.term import Term

if TYPE_CHECKING:
    from prometheus_client.core import Metric

Observed = TypeVar("Observed")
Changes = TypeVar("Changes")
Done = TypeVar("Done")


FIRST_LIST = 5.0
"""Seconds that the first round waits for the list of what is observed, which wakes it; later it is a failed round."""


class Controller(Protocol[Observed, Changes, Done]):
    """A reconciler. One thread calls the four steps in order, another one `metrics`; `close` comes last."""

    name: str

    def observe(self, term: Term) -> Observed:
        """Return what there is, once there is a reason to look: `term.wait` waits for one, or for the end.

        Raises UnipamError when it cannot be found out; it is asked again after a pause.
        """

    def desired(self, observed: Observed, now: float) -> Changes:
        """Return what should be changed at `now` (seconds since the epoch), by what was observed and nothing else."""

    def carry_out(self, changes: Changes, term: Term) -> Done:
        """Make the changes and return what came of them. No write begins when the term has ended. Raises UnipamError.

        The steps before may have seen an old state: each write is at a revision, or found out to be needed still.
        """

    def report(self, observed: Observed, done: Done) -> None:
        """Tell the log, the metrics and the cluster what there is and what was done."""

    def metrics(self) -> Iterable[Metric]:
        """Return what Prometheus is told, by the last report."""

    def close(self) -> None:
        """Let go of watches and connections. Nothing is called afterwards."""
