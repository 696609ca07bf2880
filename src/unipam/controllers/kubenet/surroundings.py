"""What lies around the nodes: read once, before the first range is given, and again each day."""

from __future__ import annotations

import queue
from collections.abc import Callable

from unipam.addr.prefix import Prefix
from unipam.clients.azure.write.networks import spans
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
        self._next = 0.0
        self.known = not self._network
        """Whether Azure has answered, or there is nothing to ask it."""
        self.findings: list[Finding] = overlaps(policy, {})

    def look(self, now: float) -> None:
        """Take what has come, and ask if it is time."""
        while not self._outcomes.empty():
            self._learn(self._outcomes.get_nowait())
        if self._network and now >= self._next:
            self._next = now + _AGAIN
            self._jobs.start(("network", self._network), spans(self._network), self._came, urgency=1.0)

    def _came(self, result: dict[str, list[Prefix]] | SourceFailed) -> None:
        self._outcomes.put(result)
        self._wake()

    def _learn(self, result: dict[str, list[Prefix]] | SourceFailed) -> None:
        self.known = True
        if isinstance(result, SourceFailed):
            self._tell("network not read", network=self._network, error=result.message)
        else:
            self.findings = overlaps(self._policy, result)
