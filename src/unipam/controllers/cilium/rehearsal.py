"""The operator for a moment, without hands: what it would do about a cluster, asked of Azure by reads alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from unipam.clients.azure.arm import Answer
from unipam.clients.azure.write.dispatcher import Done, Heard
from unipam.clients.azure.write.jobs import Ask, Job, Pause, defect
from unipam.controllers.cilium.controller import Changes, Operator, Pods
from unipam.controllers.term import Term
from unipam.dialects.cilium.node import CiliumNode, Published
from unipam.dialects.cilium.planning import Policy
from unipam.dialects.cilium.preview import Difference, differences
from unipam.model.errors import SourceFailed

Send = Callable[[Ask], Answer]
"""Sends one request. Raises SourceFailed."""


class _Nodes:
    def __init__(self, nodes: Mapping[str, CiliumNode]) -> None:
        self._nodes = nodes

    def snapshot(self) -> Mapping[str, CiliumNode]:
        return self._nodes

    def close(self) -> None:
        """Nothing to let go of."""


class _NoWriter:
    def publish(self, node: CiliumNode, said: Published) -> bool:  # noqa: ARG002
        raise AssertionError("a rehearsal writes nothing")

    def tell(self, node: CiliumNode, reason: str, message: str, *, warning: bool) -> None:  # noqa: ARG002
        raise AssertionError("a rehearsal tells nobody")


class _Reading:
    """Has each job done at once, as far as it reads."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def start(self, name: Hashable, job: Job[Any], done: Done, urgency: float = 0.0) -> None:  # noqa: ARG002
        try:
            wanted = next(job)
            while True:
                wanted = self._answered(job, wanted)
        except StopIteration as stop:
            done(stop.value)
        except SourceFailed as error:
            done(error)
        except AssertionError:  # it was about to write: a defect of ours that nobody may take for a fault of Azure
            raise
        except Exception as error:  # noqa: BLE001 (as the dispatcher does: told as what could not be read)
            done(defect(error))

    def _answered(self, job: Job[Any], wanted: Ask | Pause) -> Ask | Pause:
        if isinstance(wanted, Pause) or wanted.writes:
            raise AssertionError("a rehearsal only reads")
        try:
            answer = self._send(wanted)
        except SourceFailed as error:
            return job.throw(error)
        return job.send(answer)

    def busy(self, name: Hashable) -> bool:  # noqa: ARG002
        return False

    def lead(self, term: Term) -> None:
        """Nobody leads."""

    def listen(self, heard: Callable[[Heard], None]) -> None:
        """Nobody counts."""

    def close(self) -> None:
        """Nothing to let go of."""


def rehearse(
    group: str, policy: Policy, nodes: Mapping[str, CiliumNode], send: Send, pods: Callable[[], Pods] | None = None
) -> tuple[list[Difference], list[str]]:
    """Return what the operator would do first about these nodes, and what could not be read. Changes nothing.

    Raises SourceFailed when too little can be read to say.
    """
    problems: list[str] = []

    def tell(event: str, **facts: Any) -> None:
        problems.extend([event, *map(str, facts.get("problems", ()))])

    operator = Operator(group, policy, lambda _: _Nodes(nodes), _NoWriter(), _Reading(send), tell, pods)
    term = Term(math.inf)
    try:
        seen = operator.observe(term)
        operator.carry_out(Changes([], seen.at), term)
        changes = operator.desired(operator.observe(term), seen.at)
        if operator.problems:
            raise SourceFailed(operator.problems[0], source="azure")
    finally:
        operator.close()
    found = [
        each
        for step in changes.steps
        for each in differences(step.node, step.growth, step.release, step.said, step.taken, policy.release_after)
    ]
    return found, problems
