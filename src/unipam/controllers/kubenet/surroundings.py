"""What lies around the nodes: read once, before the first range is given, and again each day."""

from __future__ import annotations

import math
import queue
from collections.abc import Callable

from unipam.addr.prefix import Prefix
from unipam.clients.azure.write.networks import spans
from unipam.clients.azure.write.verdicts import judge
from unipam.controllers.backoff import Backoff
from unipam.controllers.cloud import Jobs
from unipam.controllers.election import Tell
from unipam.dialects.kubenet.overlaps import overlaps
from unipam.dialects.kubenet.policy import Policy
from unipam.model.errors import SourceFailed
from unipam.model.finding import Finding

_AGAIN = 86400.0


class Surroundings:
    """The network of the nodes' subnet, and its peers. One thread calls it."""

    def __init__(self, subnet: str, policy: Policy, jobs: Jobs, tell: Tell, wake: Callable[[], None]) -> None:
        self._network = subnet[: max(0, subnet.lower().rfind("/subnets/"))]
        self._policy = policy
        self._jobs, self._tell, self._wake = jobs, tell, wake
        self._outcomes: queue.SimpleQueue[dict[str, list[Prefix]] | SourceFailed] = queue.SimpleQueue()
        self._next, self._backoff = 0.0, Backoff()
        self.known = not self._network
        """Whether Azure has answered, or there is nothing to ask it. A refusal that stays is an answer."""
        self.findings: list[Finding] = overlaps(policy, {})

    def look(self, now: float) -> None:
        """Take what has come, and ask if it is time."""
        while not self._outcomes.empty():
            self._learn(self._outcomes.get_nowait(), now)
        if self._network and now >= self._next:
            self._next = now + _AGAIN
            self._jobs.start(("network", self._network), spans(self._network), self._came, urgency=1.0)

    @property
    def due(self) -> float:
        """When Azure is to be asked again."""
        return self._next if self._network else math.inf

    def _came(self, result: dict[str, list[Prefix]] | SourceFailed) -> None:
        self._outcomes.put(result)
        self._wake()

    def _learn(self, result: dict[str, list[Prefix]] | SourceFailed, now: float) -> None:
        if isinstance(result, SourceFailed):
            verdict = judge(result)
            self._backoff.failed(now, permanent=False, least=verdict.wait)
            if verdict.permanent:
                self.known = True
            else:
                self._next = self._backoff.until
            self._tell("network not read", network=self._network, error=result.message)
        else:
            self._backoff.succeeded()
            self.findings, self.known = overlaps(self._policy, result), True
