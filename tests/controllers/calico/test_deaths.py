"""The leader dies before and after each of its writes, or stands still while another one leads.

Nothing that lives is freed. Whoever leads next finds what is left: of a handle that is garbage all goes in the end, and
nothing of one that is not.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.clients.fake_api_server import Asked, Say, fake_api_server, status
from tests.dialects.calico.cluster import Cluster
from tests.dialects.calico.engine.test_deaths import Death, Mortal

from unipam.addr.prefix import format_address
from unipam.clients.kubernetes.api import KubernetesApi
from unipam.controllers.calico.removing import Remover
from unipam.controllers.term import Term
from unipam.dialects.calico.datastore.api import Selection
from unipam.dialects.calico.datastore.keys import AffinityKey, HandleKey, NodeKey
from unipam.dialects.calico.documents import handle, pod
from unipam.dialects.calico.engine import counting
from unipam.dialects.calico.engine.counting import Count
from unipam.dialects.calico.rules.garbage import Garbage, Policy, Seen, look
from unipam.dialects.calico.rules.leases import of_block, of_handle
from unipam.dialects.calico.rules.liveness import Living

WRITES = range(12)
"""A round over `ruins` makes no more on any datastore."""
AT_ONCE = Policy(0.0, 0.0, 0.0)


class Scene:
    """A cluster after bad days, and the API server that knows which pods there are."""

    def __init__(self, transactional: bool, directory: Path) -> None:
        self.cluster = Cluster(transactional=transactional)
        self.cluster.store = self.store = Mortal(transactional=transactional)
        self.pods: dict[str, list[str]] = {}
        self.nodes = {"host-a"}
        self._directory = directory

    def answer(self, asked: Asked) -> Say:
        """What the API server says of a pod, a node, or all pods."""
        *_, kind, name = urlsplit(asked.target).path.split("/")
        if name == "pods":
            return Say(200, {"kind": "PodList", "metadata": {}, "items": [self._pod(each) for each in self.pods]})
        known = {"pods": self.pods, "nodes": self.nodes}[kind]
        if name not in known:
            return status(404, "NotFound", "gone", name)
        return Say(200, self._pod(name) if kind == "pods" else {"metadata": {"name": name}})

    def _pod(self, name: str) -> dict[str, Any]:
        ips = [{"ip": each} for each in self.pods[name]]
        status = {"phase": "Running", "podIPs": ips}
        return {"metadata": {"name": name, "namespace": "d"}, "spec": {"nodeName": "host-a"}, "status": status}

    def lease(self, name: str, family: int, node: str = "host-a") -> str:
        """An address for a pod, which need not be there."""
        attributes = {"namespace": "d", "pod": name, "node": node}
        found = self.cluster.ask(1, node, family=family, handle=f"net.{name}", attributes=attributes)
        assert found.error is None
        return format_address(found.addresses[0][0])

    def look(self) -> Garbage:
        """What a leader finds that has seen all of it for long enough."""
        found = [self.cluster.session.block(prefix).value for prefix in self.cluster.session.blocks()]
        items = self.store.list(Selection(HandleKey), time.monotonic() + 60).items
        counted = {i.key.id: of_handle(handle.read(i.document, ""), i.revision) for i in items}  # type: ignore[union-attr]
        claims = self.store.list(Selection(AffinityKey), time.monotonic() + 60).items
        living = {("d", name): pod.read(self._pod(name)) for name in self.pods}
        seen = Seen(
            {block.cidr: of_block(block) for block in found},
            counted,
            {item.key: item.revision for item in claims if isinstance(item.key, AffinityKey)},
            Living(living, frozenset(self.nodes)),
        )
        self.handles = counted
        return look(seen, {}, AT_ONCE, 1.0, self.cluster.now)

    def remove(self, found: Garbage) -> None:
        """Lead, and remove what was found, with this process' connections."""
        with fake_api_server(self._directory, self.answer) as one, closing(KubernetesApi(str(one.kubeconfig))) as api:
            Remover(self.store, api).remove(found, self.handles, Term(3600))

    def held(self) -> dict[str, set[str]]:
        """Who holds what."""
        found: dict[str, set[str]] = {}
        for block in self.cluster.blocks().values():
            for lease in of_block(block).leases:
                found.setdefault(lease.handle, set()).add(format_address(lease.address))
        return found


@pytest.fixture(params=[True, False], ids=["at once", "in turn"])
def ruins(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    """Pods that are gone and pods that live, a node that is gone, counts and claims of nothing."""
    scene = Scene(bool(request.param), tmp_path)
    cluster = scene.cluster
    cluster.pool("v4", "10.0.0.0/26", blockSize=29)
    cluster.pool("v6", "fd00::/120", blockSize=125)
    for node in ("host-a", "host-b"):
        cluster.node(node)
    for name in ("alive", "half", "gone", "gone-too"):
        every = [scene.lease(name, 4), scene.lease(name, 6)]
        if name == "alive":
            scene.pods[name] = every
        elif name == "half":  # it uses one of its two families
            scene.pods[name] = every[1:]
    scene.lease("lost", 4, "host-b")  # with its node
    of_tunnel = {"node": "host-b", "type": "vxlanTunnelAddress"}
    cluster.give("10.0.0.63", "host-b", "vxlan-tunnel-addr-host-b", attributes=of_tunnel)
    scene.store.delete(NodeKey("host-b"), None, float("inf"))
    cidr = next(iter(cluster.blocks()))
    counting.add(cluster.session, Count("net.counted", cidr, 2))
    scene.store.create(AffinityKey("host-a", "10.0.0.56/29"), {"state": "confirmed", "deleted": False}, float("inf"))
    yield scene
    cluster.close()


LIVING = {"net.alive", "net.half"}


def check(scene: Scene, before: dict[str, set[str]]) -> None:
    """What lives has all that it had, and no count is too low."""
    now = scene.held()
    assert {name: now[name] for name in LIVING} == {name: before[name] for name in LIVING}
    counted, held = scene.cluster.handles(), scene.cluster.recounted()
    for name, blocks in held.items():
        for cidr, number in blocks.items():
            assert counted[name][cidr] >= number


def finish(scene: Scene) -> None:
    """Whoever leads next removes the rest, in as many rounds as it takes."""
    for _ in range(4):
        scene.remove(scene.look())
    assert scene.look().nothing
    assert set(scene.held()) == LIVING
    assert scene.cluster.handles() == scene.cluster.recounted()
    assert {owner for owner, _ in scene.cluster.affinities()} == {"host:host-a"}


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("number", WRITES)
def test_the_leader_dies_at_a_write(ruins: Scene, number: int, before: bool) -> None:
    """AC-19."""
    ruins.nodes = {"host-a"}
    first, store = ruins.held(), ruins.store
    found = ruins.look()
    store.left, store.before = number, before
    with suppress(Death):
        ruins.remove(found)
    store.left, store.dead = -1, False
    check(ruins, first)
    finish(ruins)
    check(ruins, first)


def test_one_round_makes_no_more_writes_than_are_tried(ruins: Scene) -> None:
    ruins.store.left = len(WRITES)
    ruins.remove(ruins.look())
    assert ruins.store.left > 0 or not ruins.store.dead


@pytest.mark.parametrize("again", ["the same pod", "others"])
def test_a_leader_that_stood_still_frees_nothing_that_was_given_meanwhile(ruins: Scene, again: str) -> None:
    """AC-19: another one led and removed what it found, and the addresses are somebody's by the time it goes on."""
    late, handles = ruins.look(), ruins.handles
    finish(ruins)
    names = ["gone", "gone-too"] if again == "the same pod" else ["new", "newer"]
    for name in names * 3:  # until the very addresses are handed out again
        ruins.pods.setdefault(name, []).extend([ruins.lease(name, 4), ruins.lease(name, 6)])
    before = ruins.held()
    assert {lease.address for _, lease, _ in late.leaks} & _addresses(ruins)
    ruins.handles = handles
    ruins.remove(late)
    assert ruins.held() == before
    assert ruins.cluster.handles() == ruins.cluster.recounted()


def _addresses(scene: Scene) -> set[int]:
    return {lease.address for block in scene.cluster.blocks().values() for lease in of_block(block).leases}
