"""A call that nobody has prepared reads a node's part at once, and what has changed since again."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.dialects.calico.datastore.documents import EXAMPLES
from tests.real.etcd import soon

from unipam.cni.call import Call
from unipam.cni.context import Context
from unipam.dialects import registry
from unipam.dialects.calico import connection
from unipam.dialects.calico.config import Where
from unipam.dialects.calico.datastore.api import Selection
from unipam.dialects.calico.datastore.keys import AffinityKey, BlockKey, ConfigKey, NodeKey, PoolKey
from unipam.dialects.calico.datastore.memory import Fault, MemoryDatastore
from unipam.dialects.calico.datastore.snapshot import SnapshotDatastore
from unipam.ledger.open import Ledgers
from unipam.model.errors import Conflict, NotFound, Unreadable


class Counted(MemoryDatastore):
    """Notes what is asked of it."""

    def __init__(self, *, transactional: bool = True) -> None:
        super().__init__(transactional=transactional, faults=self._count)
        self.asked: list[str] = []

    def _count(self, call: str, _about: object) -> Fault | None:
        self.asked.append(call)
        return None


@pytest.fixture
def store() -> Iterator[Counted]:
    made = Counted()
    made.put(PoolKey("p"), b'{"metadata":{"name":"p"},"spec":{"cidr":"10.0.0.0/24"}}')
    made.put(NodeKey("n"), b'{"metadata":{"name":"n"}}')
    made.put(NodeKey("other"), b'{"metadata":{"name":"other"}}')
    yield made
    made.close()


def test_all_of_it_is_read_in_one_request(store: Counted) -> None:
    snapshot = SnapshotDatastore(store, "n")
    assert snapshot.get(NodeKey("n"), soon()).document["metadata"] == {"name": "n"}
    assert [item.key for item in snapshot.list(Selection(PoolKey), soon()).items] == [PoolKey("p")]
    with pytest.raises(NotFound):
        snapshot.get(ConfigKey(), soon())
    assert store.asked == ["list"]
    snapshot.get(NodeKey("other"), soon())
    assert store.asked == ["list", "get"]


def test_what_is_broken_is_named(store: Counted) -> None:
    store.put(ConfigKey(), b"[no document")
    with pytest.raises(Unreadable):
        SnapshotDatastore(store, "n").get(ConfigKey(), soon())


def test_what_was_written_or_not_is_read_again(store: Counted) -> None:
    snapshot, key = SnapshotDatastore(store, "n"), AffinityKey("n", "10.0.0.0/26")
    mine = Selection(AffinityKey, "n", "host")
    assert snapshot.list(mine, soon()).items == ()
    item = snapshot.create(key, {"state": "pending"}, soon())
    assert [each.document for each in snapshot.list(mine, soon()).items] == [{"state": "pending"}]
    store.put(key, b'{"state":"confirmed"}')
    with pytest.raises(Conflict):
        snapshot.update(item, soon())
    assert snapshot.get(key, soon()).document == {"state": "confirmed"}


@pytest.mark.parametrize(("transactional", "add", "remove"), [(True, 3, 4), (False, 8, 5)], ids=["at once", "in turn"])
def test_what_a_cold_call_asks(transactional: bool, add: int, remove: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/calico.md; the original: 10 and 9 requests on etcd, 11 and 11 on Kubernetes (spec §9)."""
    store = Counted(transactional=transactional)
    for key in (PoolKey("p"), NodeKey("n")):
        store.put(key, json.dumps({"metadata": {"name": key.name}, "spec": {"cidr": "10.0.0.0/24"}}).encode())

    def connect(_: Where) -> MemoryDatastore:
        return store

    monkeypatch.setattr(connection, "datastore", connect)
    asked = [call(store, verb, container) for verb, container in (("ADD", "c1"), ("ADD", "c2"), ("DEL", "c2"))]
    assert asked[1:] == [add, remove]


def call(store: Counted, verb: str, container: str) -> int:
    """How many requests a call makes; it must succeed."""
    config = {"cniVersion": "1.0.0", "name": "net", "nodename": "n", "datastore_type": "etcdv3"}
    env = {
        "CNI_COMMAND": verb, "CNI_CONTAINERID": container, "CNI_NETNS": "/x", "CNI_IFNAME": "eth0", "CNI_PATH": "/x",
    }  # fmt: skip
    store.asked.clear()
    answer = registry.answer(Call("calico-ipam", env, json.dumps(config).encode()), Context(Ledgers()))
    assert answer.code == 0, answer
    return len(store.asked)


def test_blocks_and_handles_are_always_asked_for(store: Counted) -> None:
    snapshot, key = SnapshotDatastore(store, "n"), BlockKey("10.0.0.0/30")
    item = snapshot.create(key, EXAMPLES[key], soon())
    store.update(item, soon())
    with pytest.raises(Conflict):
        snapshot.update(item, soon())
    assert snapshot.get(key, soon()).revision != item.revision
