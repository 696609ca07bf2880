"""A node of a cluster in memory that asks calico-ipam, by what an agent has at hand or cold."""

from __future__ import annotations

import json
from typing import Any

from tests.conftest import environment
from tests.dialects.calico.cluster import Cluster

from unipam.addr.prefix import format_address
from unipam.cni.call import Answer, Call
from unipam.cni.context import Context
from unipam.dialects import registry
from unipam.ledger.open import Ledgers

NETWORK = {
    "cniVersion": "1.0.0", "name": "k8s-pod-network", "type": "calico", "nodename": "host-a",
    "datastore_type": "etcdv3", "etcd_endpoints": "http://127.0.0.1:1",
}  # fmt: skip


class Node:
    """A node that asks an agent, or as `cold` as without one."""

    def __init__(self, cluster: Cluster, known: bool) -> None:
        self.cluster, self._attended = cluster, known

    @property
    def context(self) -> Context:
        return Context(Ledgers(), attended=self._attended)

    def ask(self, verb: str, container: str, context: Context | None = None, **ipam: Any) -> Answer:
        network = {**NETWORK, "ipam": {"type": "calico-ipam", **ipam}}
        call = Call("calico-ipam", environment(verb, container), json.dumps(network).encode())
        return registry.answer(call, context or self.context)

    def add(self, container: str) -> tuple[Answer, str]:
        """The answer to an ADD that succeeds, and the address."""
        answer = self.ask("ADD", container)
        assert answer.code == 0, answer
        return answer, json.loads(answer.stdout)["ips"][0]["address"].partition("/")[0]

    def remove(self, container: str) -> None:
        assert self.ask("DEL", container).code == 0

    def held(self) -> dict[str, list[str]]:
        """What every container holds."""
        found: dict[str, list[str]] = {}
        for block in self.cluster.blocks().values():
            for ordinal in range(len(block.allocations)):
                if attribute := block.attribute(ordinal):
                    name = str(attribute["handle_id"]).rpartition(".")[2]
                    found.setdefault(name, []).append(format_address(block.address(ordinal)))
        return found
