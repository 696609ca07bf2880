"""The operator against CiliumNodes in memory, agents that use addresses, and the fake Azure, by a simulated clock."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from tests.controllers.driven import NoWait, Simulated
from tests.fakes.azure_compute import GROUP, Compute
from tests.fakes.simulated import SimulatedAzure, World

from unipam.clients.azure.write.budget import Budget
from unipam.controllers.cilium.controller import Operator, Pods
from unipam.dialects.cilium.node import (
    KEPT,
    MARKED,
    READY,
    RELEASED,
    CiliumNode,
    Published,
    node_of,
    spec_patch,
    status_patch,
)
from unipam.dialects.cilium.planning import Policy
from unipam.model.errors import SourceFailed, Unanswered

PLAIN = Policy()


def merged(document: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    made = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = merged(made.get(name), value)
    return made


class Cluster:
    """The API server's CiliumNodes. `fault` says how a write goes wrong; `order` is what was written, in order."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.away = False
        self.changed: Callable[[], None] = lambda: None
        """Is called when a mirror has seen a change."""
        self.stale = False
        """Whether the mirror stands still: what is written meanwhile is seen when it goes on."""
        self.fault: Callable[[], str] = lambda: ""
        self.order: list[tuple[str, str]] = []
        self.events: list[tuple[str, str, str]] = []
        self._read: dict[str, CiliumNode] = {}
        self._revision = 0

    def snapshot(self) -> Mapping[str, CiliumNode]:
        if self.away:
            raise SourceFailed("the API server is away", source="kubernetes")
        return dict(self._read)

    def close(self) -> None:
        """Nothing to let go of."""

    def put(self, name: str, document: dict[str, Any]) -> None:
        """Make or change one."""
        self._revision += 1
        document["metadata"] = {**document.get("metadata", {}), "name": name, "resourceVersion": str(self._revision)}
        self.documents[name] = document
        self._show(name)

    def remove(self, name: str) -> None:
        del self.documents[name]
        self._show(name)

    def catch_up(self) -> None:
        """The mirror goes on, and shows everything."""
        self.stale = False
        for name in {*self.documents, *self._read}:
            self._show(name)

    def _show(self, name: str) -> None:
        if self.stale:
            return
        document, shown = self.documents.get(name), self._read.get(name)
        if document is None:
            self._read.pop(name, None)
        elif shown is None or shown.revision != document["metadata"]["resourceVersion"]:
            self._read[name] = node_of(document)
        self.changed()

    def tell(self, node: CiliumNode, reason: str, message: str, *, warning: bool) -> None:
        self.events.append((node.name, reason, message))

    def publish(self, node: CiliumNode, said: Published) -> bool:
        fault = self.fault()
        if fault == "lost":
            raise Unanswered("no answer", source="kubernetes")
        there = self.documents.get(node.name)
        status, spec = status_patch(node, said), spec_patch(node, said)
        if there is None or there["metadata"].get("uid", "") != node.uid or fault == "conflict":
            return False
        if "release-ips" in status.get("ipam", {}) and there["metadata"]["resourceVersion"] != node.revision:
            return False  # as the real one: a conflict ends it, and is left to the next look
        if status:
            self.order.append((node.name, "status"))
            self.put(node.name, merged(self.documents[node.name], {"status": status}))
        if spec:
            self.order.append((node.name, "spec"))
            self.put(node.name, merged(self.documents[node.name], {"spec": {"ipam": spec}}))
        if fault == "applied":
            raise Unanswered("no answer", source="kubernetes")
        return True


class Agent:
    """A node's agent: pods take addresses of the pool and give them back; `used` is told at most every 15 s."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name
        self.pods: set[str] = set()
        self.look()

    def look(self) -> None:
        """See the node as it is now. What an agent gives to pods it knows from its last look."""
        self.view = self.document

    @property
    def document(self) -> dict[str, Any]:
        return self.cluster.documents[self.name]

    def _ipam(self) -> dict[str, Any]:
        return dict(self.view.get("status", {}).get("ipam", {}))

    @property
    def free(self) -> list[str]:
        """Addresses that a pod may be given: not those in the handshake."""
        pool = self.view.get("spec", {}).get("ipam", {}).get("pool", {})
        held = {ip for ip, state in self._ipam().get("release-ips", {}).items() if state != KEPT}
        nics = {each["id"] for each in self.view.get("status", {}).get("azure", {}).get("interfaces", ())}
        known = {ip for ip, entry in pool.items() if entry["resource"] in nics}
        return sorted(known - self.pods - held)

    def use(self, count: int) -> None:
        """So many pods more, or, with a negative number, fewer."""
        self.look()
        for _ in range(abs(count)):
            if count > 0 and self.free:
                self.pods.add(self.free[0])
            elif count < 0 and self.pods:
                self.pods.remove(max(self.pods))

    def tell(self) -> None:
        """Look, and write the status: what is used, and the answers of the handshake."""
        self.look()
        ipam = self._ipam()
        pool = self.document.get("spec", {}).get("ipam", {}).get("pool", {})
        answers = {}
        for ip, state in ipam.get("release-ips", {}).items():
            if state == MARKED:
                answers[ip] = KEPT if ip in self.pods or ip not in pool else READY
            elif state != RELEASED or ip in pool:
                answers[ip] = state
        used = {ip: {"owner": f"default/pod-{ip}"} for ip in sorted(self.pods)}
        if (answers, used) != (ipam.get("release-ips", {}), ipam.get("used", {})):
            told = {**ipam, "release-ips": answers, "used": used}
            self.cluster.put(self.name, {**self.document, "status": {**self.document.get("status", {}), "ipam": told}})
            self.look()


class Simulation:
    """A cluster of Cilium on Azure."""

    def __init__(
        self,
        machines: int = 0,
        *,
        policy: Policy = PLAIN,
        cidr: str = "10.240.0.0/16",
        pods: Pods | None = None,
        **given: Any,
    ) -> None:
        self.world, self.budget = World(), Budget
        self.azure = SimulatedAzure(self.world)
        self.azure.arm.retry_after = "2"
        self.compute = Compute(self.azure.arm, cidr)
        self.cluster = Cluster()
        self.policy, self.pods = policy, pods
        self.agents: dict[str, Agent] = {}
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.failed: list[str] = []
        """What was wrong with rounds that failed."""
        self.ids = self.compute.scale_set("np", machines)
        for index, machine in enumerate(self.ids):
            self.node(f"n{index}", machine, **given)
        self.start()

    def start(self) -> None:
        """A new process: nothing is remembered."""
        self.dispatcher = Simulated(self.azure.send, self.world, self.budget)
        self.operator = self.made()
        self._term = NoWait()

    def made(self) -> Operator:
        """An operator that knows nothing yet."""
        return Operator(
            GROUP, self.policy, self._watched, self.cluster, self.dispatcher, self._tell,
            self._pods(), self.world, random.Random(len(self.told)),
        )  # fmt: skip

    def _pods(self) -> Callable[[], Pods] | None:
        pods = self.pods
        return None if pods is None else lambda: pods

    def _watched(self, changed: Callable[[], None]) -> Cluster:
        self.cluster.changed = changed
        return self.cluster

    def _tell(self, event: str, **facts: Any) -> None:
        self.told.append((event, facts))

    def node(self, name: str, machine: str, **ipam: Any) -> None:
        """A CiliumNode is there."""
        wanted = {key.replace("_", "-"): value for key, value in ipam.items()}
        about = {"uid": f"{name}-{self.world.now}", "creationTimestamp": f"{self.world.now:.0f}"}
        document = {"metadata": about, "spec": {"instance-id": machine, "ipam": wanted}}
        self.cluster.put(name, document)
        self.agents[name] = Agent(self.cluster, name)

    def step(self) -> float:
        """One round of the operator, and of what it asks Azure."""
        self.dispatcher.step()
        try:
            seen = self.operator.observe(self._term)
        except SourceFailed:
            return min(self.dispatcher.step(), self.world.now + 1.0)
        changes = self.operator.desired(seen, 0.0)
        done = self.operator.carry_out(changes, self._term)
        try:
            self.operator.report(seen, done)
        except SourceFailed as error:
            self.failed.append(error.message)
        due = min(self.operator.due(), self.dispatcher.step())
        return max(due, self.world.now + 0.01) if not done.written else self.world.now + 0.01

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass."""
        return self.world.run(seconds, self.step, until)

    def use(self, name: str, count: int) -> None:
        """Pods come or go, and the agent tells."""
        self.agents[name].use(count)
        self.agents[name].tell()

    def pool(self, name: str) -> set[str]:
        """What a node may use."""
        return set(self.cluster.documents[name]["spec"]["ipam"].get("pool", {}))

    def ready(self, count: int = 8) -> bool:
        """Whether every node has so many addresses."""
        return all(len(self.pool(each)) >= count for each in self.cluster.documents)

    def error(self, name: str) -> str:
        """What the operator says is wrong."""
        ipam = self.cluster.documents[name].get("status", {}).get("ipam", {})
        return str(ipam.get("operator-status", {}).get("error", ""))
