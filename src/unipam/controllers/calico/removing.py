"""What was found to be garbage is looked at once more, live, and removed."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, TypeVar
from urllib.parse import quote

from unipam.clients.kubernetes.api import KubernetesApi, Refusal
from unipam.clients.kubernetes.collection import read_all
from unipam.clients.kubernetes.objects import exists
from unipam.controllers.calico import pods, vms
from unipam.controllers.calico.documents import read_kubernetes_name, read_ready
from unipam.controllers.term import Term
from unipam.dialects.calico.datastore.api import Datastore, Item, Listing, Selection
from unipam.dialects.calico.datastore.keys import BlockKey, ClusterKey, HandleKey, Key, NodeKey, PoolKey
from unipam.dialects.calico.datastore.remembered import Remembered
from unipam.dialects.calico.documents.configuration import Configuration
from unipam.dialects.calico.documents.handle import Handle
from unipam.dialects.calico.documents.pod import Pod
from unipam.dialects.calico.engine import garbage as engine
from unipam.dialects.calico.engine.session import Session
from unipam.dialects.calico.rules.garbage import Garbage, Leak, by_block, still_garbage
from unipam.dialects.calico.rules.leases import Kind, Lease, SeenHandle
from unipam.dialects.calico.rules.liveness import Living, PodName
from unipam.model.errors import NotFound, SourceFailed

_ONE, _ALL = 30.0, 120.0
"""Seconds that one thing may take, and a list of everything."""
_FEW = 20
"""Pods and blocks that are asked for one by one; more of them are looked up in a list of all, a thousand a request."""

T = TypeVar("T")


class Done(NamedTuple):
    """What came of a round: leases that were released, those that live after all, and how many other things went.

    `cooled` are blocks of which addresses became free; `candidates` are leases that are suspected still.
    """

    released: tuple[Leak, ...] = ()
    alive: tuple[Leak, ...] = ()
    blocks: int = 0
    claims: int = 0
    handles: int = 0
    cooled: int = 0
    candidates: tuple[Leak, ...] = ()

    def counts(self) -> dict[str, int]:
        """Return how many of each kind of thing were removed."""
        return {
            "leases": len(self.released), "blocks": self.blocks, "claims": self.claims, "handles": self.handles,
            "cooled": self.cooled,
        }  # fmt: skip


class Remover:
    """Removes garbage from a datastore. One thread uses it."""

    def __init__(self, datastore: Datastore, api: KubernetesApi) -> None:
        self._datastore, self._api = datastore, api

    def remove(self, found: Garbage, handles: Mapping[str, SeenHandle], term: Term) -> Done:
        """Remove what is garbage still, as long as the term lasts. Raises SourceFailed."""
        if found.nothing or self._is_locked():
            return Done(candidates=found.candidates)
        settings = self._session().configuration()
        leaks = self._still_leaks(found.leaks)
        released = self._release(settings, leaks, handles, term)
        claims = [
            *(self._each(found.empty + found.abandoned, engine.give_up, term)),
            *(self._each(found.stray, lambda session, each: engine.remove_claim(session, *each), term)),
        ]
        return Done(
            tuple(released),
            tuple(set(found.leaks) - set(leaks)),
            sum(self._each(found.ownerless, engine.remove_block, term)),
            sum(claims),
            self._recount(found, term),
            sum(self._each(found.cooled, lambda session, cidr: engine.free_cooled(session, settings, cidr), term)),
            found.candidates,
        )

    def _session(self, seconds: float = _ONE) -> Session:
        return Session(self._datastore, time.monotonic() + seconds)

    def _is_locked(self) -> bool:
        """Return whether somebody moves the datastore, as it says now."""
        try:
            found = self._datastore.get(ClusterKey(), time.monotonic() + _ONE)
        except NotFound:
            return False
        return not read_ready(found)

    def _each(self, things: Iterable[T], remove: Callable[[Session, T], bool], term: Term) -> Iterator[bool]:
        for thing in things:
            if not term.lasts:
                return
            yield remove(self._session(), thing)

    def _still_leaks(self, leaks: Sequence[Leak]) -> list[Leak]:
        """Return the leaks that are ones by what the API server says now."""
        if not leaks:
            return []
        names = {(lease.namespace, lease.name) for _, lease, _ in leaks if lease.kind is Kind.POD}
        nodes = {lease.node for _, lease, _ in leaks if lease.kind is Kind.TUNNEL}
        there = frozenset(node for node in nodes if self._has_node(node))
        known = vms.list_all(self._api) if any(lease.kind is Kind.VM for _, lease, _ in leaks) else None
        return still_garbage(leaks, Living(self._pods(names), there, vms=known))

    def _has_node(self, name: str) -> bool:
        """Return whether a node of Calico's is there now, or is none of Kubernetes."""
        if self._datastore.transactional:
            with suppress(NotFound):
                name = read_kubernetes_name(self._datastore.get(NodeKey(name), time.monotonic() + _ONE))
        return not name or exists(self._api, f"{pods.NODES}/{quote(name, safe='')}", time.monotonic() + _ONE)

    def _pods(self, names: set[PodName]) -> dict[PodName, Pod]:
        """Return those of the pods that are there now."""
        try:
            if len(names) > _FEW:
                _, found = read_all(self._api, pods.PODS, pods.pair, time.monotonic() + _ALL)
                return {name: pod for name, pod in found if name in names}
            asked = ((name, pods.find_pod(self._api, name, time.monotonic() + _ONE)) for name in names)
            return {name: pod for name, pod in asked if pod is not None}
        except Refusal as error:
            raise SourceFailed(f"{self._api.name}: {error}", source=self._api.name) from error

    def _release(
        self, settings: Configuration, leaks: Sequence[Leak], handles: Mapping[str, SeenHandle], term: Term
    ) -> list[Leak]:
        """Release leaks, block by block."""
        blocks = by_block(leaks)
        datastore = self._remembering(blocks, _handles(leaks, handles))
        gone: set[Lease] = set()
        for cidr, leases in blocks.items():
            if not term.lasts:
                break
            gone.update(engine.release(self._session(_ALL)._replace(datastore=datastore), settings, cidr, leases))
        return [leak for leak in leaks if leak.lease in gone]

    def _remembering(self, cidrs: Collection[str], items: dict[Key, Item]) -> Datastore:
        """Return the datastore with what is known of it; of many blocks, all that is needed is read in lists."""
        if len(cidrs) <= _FEW:
            return Remembered(self._datastore, items)
        pools, nodes, blocks = (self._list(kind) for kind in (PoolKey, NodeKey, BlockKey))
        wanted = {BlockKey(cidr) for cidr in cidrs}
        items |= {item.key: item for item in nodes.items}
        items |= {item.key: item for item in blocks.items if item.key in wanted}
        return Remembered(self._datastore, items, {Selection(PoolKey): pools})

    def _list(self, kind: type[Key]) -> Listing:
        return self._datastore.list(Selection(kind), time.monotonic() + _ALL)

    def _recount(self, found: Garbage, term: Term) -> int:
        if not found.surplus:
            return 0
        cidrs = {cidr for each in found.surplus for cidr, _ in each.seen.counts}
        blocks = engine.blocks_of(self._session(_ALL), cidrs)
        return sum(self._each(found.surplus, lambda session, each: engine.recount(session, each, blocks), term))


def _handles(leaks: Iterable[Leak], handles: Mapping[str, SeenHandle]) -> dict[Key, Item]:
    """Return the handles that count one address and nothing else, which need not be read to be removed."""
    known = ((leak.lease.handle, handles.get(leak.lease.handle)) for leak in leaks)
    return {
        HandleKey(handle): Item(HandleKey(handle), Handle(dict(seen.counts)).document(), seen.revision)
        for handle, seen in known
        if seen is not None and sum(number for _, number in seen.counts) == 1
    }
