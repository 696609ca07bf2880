"""Pods that run, with their addresses, as lists of them say, and which addresses two of them have."""

from __future__ import annotations

import re
from collections import Counter

import msgspec

from unipam.diagnose.report import Evidence

MAX_PODS = 20_000
_ON_THE_HOST = re.compile(
    r"(?:^|/)(?:kube-proxy|kube-apiserver|kube-scheduler|kube-controller-manager|etcd|azure-cns|azure-npm|azure-ip-masq-agent|cloud-node-"
    r"manager|cloud-controller-manager|csi-azure\w+-node|csi-\w+-node|calico-node|calico-typha|cilium|kube-flannel|node-local-dns|nodelocaldns"
    r"|node-exporter|\S*node-exporter|kube-multus|multus|weave-net|aws-node|speaker|tigera-operator|whereabouts|kured|retina-agent"
    r"|unipam-agent|antrea-agent)(?:-|$)"
)
"""Pods that are known to use their node's own address."""


class Pod(msgspec.Struct, frozen=True):
    """A pod as a list shows it. `address` is "" for one that has none."""

    name: str
    address: str
    node: str
    running: bool
    where: Evidence
    on_host: bool = False
    """It uses the address of its node (hostNetwork)."""


class LivePods:
    """The pods that lists have named, by address."""

    def __init__(self) -> None:
        self._by_address: dict[str, dict[tuple[str, str], Pod]] = {}
        self._hosts: set[str] = set()
        self.count = 0

    def see(self, pod: Pod) -> None:
        """Record that a list names a pod."""
        self.count += 1
        if pod.on_host or _ON_THE_HOST.search(pod.name):
            self.host(pod.address)
        if pod.address and pod.running and len(self._by_address) < MAX_PODS:
            # One list may leave the namespace out, and another be of a later hour: names are compared within a list.
            self._by_address.setdefault(pod.address, {})[(pod.where.file, pod.name.rpartition("/")[2])] = pod

    def host(self, address: str) -> None:
        """Record that an address is a node's own."""
        if address:
            self._hosts.add(address)

    def of(self, address: str) -> str:
        """Return the name of a pod that has the address, "" when no list says so."""
        return next((pod.name for pod in self._by_address.get(address, {}).values()), "")

    def __bool__(self) -> bool:
        return bool(self._by_address)

    def shared(self) -> list[tuple[str, list[Pod]]]:
        """Return the addresses that several running pods of one list have, and that are no node's own."""
        found = []
        for address, pods in self._by_address.items():
            lists = Counter(file for file, _ in pods)
            file, count = lists.most_common(1)[0]
            if count > 1 and address not in self._hosts:
                found.append((address, [pod for (name, _), pod in pods.items() if name == file]))
        return found
