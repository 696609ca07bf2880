"""The Kubernetes backend where the API server answers as servers do on some days only."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.clients.fake_api_server import Asked, FakeApiServer, Say, fake_api_server, status
from tests.dialects.calico.datastore.documents import affinity, block, handle

from unipam.clients.kubernetes.api import KubernetesApi
from unipam.dialects.calico.datastore.api import Item, Selection
from unipam.dialects.calico.datastore.keys import AffinityKey, BlockKey, HandleKey, Key, NodeKey, PoolKey
from unipam.dialects.calico.datastore.kubernetes import KubernetesDatastore
from unipam.dialects.calico.datastore.resources import NATIVE, STORED, Objects
from unipam.model.errors import BadValue, Conflict, Expired, NotFound, SourceFailed, Unreadable

KEY = HandleKey("net.a")
UID = "6395f9ec-a762-452a-8b07-6638fd1db29e"
GONE = status(404, "NotFound", 'ipamhandles "net.a" not found', "net.a")


def soon(seconds: float = 20) -> float:
    return time.monotonic() + seconds


def stored(key: Key, document: dict[str, Any], revision: str = "7") -> dict[str, Any]:
    """An object as a server has it."""
    made = Objects(STORED).write(Item(key, document, revision))
    return {**made, "metadata": {**made["metadata"], "uid": UID, "creationTimestamp": "2026-11-26T08:10:28Z"}}


def listed(*objects: dict[str, Any], more: str = "") -> Say:
    about = {"resourceVersion": "50", **({"continue": more} if more else {})}
    return Say(200, {"kind": "List", "metadata": about, "items": list(objects)})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeApiServer]:
    with fake_api_server(tmp_path) as made:
        yield made


@pytest.fixture
def store(server: FakeApiServer) -> Iterator[KubernetesDatastore]:
    with contextlib.closing(KubernetesDatastore(KubernetesApi(str(server.kubeconfig)), STORED)) as made:
        yield made


def targets(server: FakeApiServer) -> list[str]:
    """What was asked for, without the group."""
    return [f"{asked.method} {asked.target.removeprefix(f'/apis/{STORED}/')}" for asked in server.asked]


@pytest.mark.parametrize("key", [BlockKey("10.0.0.0/30"), KEY], ids=str)
@pytest.mark.parametrize("revision", ["", "6"])
def test_of_a_block_and_a_handle_only_metadata_comes_back(
    server: FakeApiServer, store: KubernetesDatastore, key: Key, revision: str
) -> None:
    """The document is as it was given, also where an old server tells all of it; the metadata is the server's."""
    given = block() if isinstance(key, BlockKey) else handle()
    answers = [stored(key, given), {"kind": "PartialObjectMetadata", "metadata": stored(key, given)["metadata"]}]
    for answer in answers:
        server.answers.append(Say(200, answer))
        item = Item(key, given, revision)
        written = store.update(item, soon()) if revision else store.create(key, given, soon())
        assert written == (key, given, "7", answer["metadata"])
    assert all("as=PartialObjectMetadata" in asked.accept for asked in server.asked)


# What marks an object as deleted -----------------------------------------------------------------------------


@pytest.mark.parametrize("removal", [Say(200, {}), GONE, status(409, "Conflict", "changed", "net.a")])
def test_a_removal_that_was_begun_is_ended(server: FakeApiServer, store: KubernetesDatastore, removal: Say) -> None:
    server.answers += [Say(200, stored(KEY, {**handle(), "deleted": True})), removal]
    with pytest.raises(NotFound):
        store.get(KEY, soon())
    assert targets(server) == ["GET ipamhandles/net.a", "DELETE ipamhandles/net.a"]
    assert server.asked[1].body["preconditions"] == {"resourceVersion": "7"}


def test_what_is_marked_as_deleted_is_in_no_list(server: FakeApiServer, store: KubernetesDatastore) -> None:
    marked = stored(BlockKey("10.0.0.4/30"), {**block("10.0.0.4/30"), "deleted": True})
    server.answers.append(listed(stored(BlockKey("10.0.0.0/30"), block()), marked))
    listing = store.list(Selection(BlockKey), soon())
    assert [item.key for item in listing.items] == [BlockKey("10.0.0.0/30")]
    assert [item.key for item in listing.leaving] == [BlockKey("10.0.0.4/30")]
    assert listing.revision == "50"


def test_a_watch_tells_that_what_was_marked_is_deleted(server: FakeApiServer, store: KubernetesDatastore) -> None:
    marked = stored(AffinityKey("n", "10.0.0.0/30"), {"state": "pendingDeletion", "deleted": True}, "9")
    events = [
        {"type": "MODIFIED", "object": marked},
        {"type": "DELETED", "object": {**marked, "metadata": {**marked["metadata"], "resourceVersion": "10"}}},
    ]
    server.answers.append(Say(200, events))
    watch = store.watch(Selection(AffinityKey), "8", soon())
    assert [(event.what, event.item.revision) for event in watch.next(soon())] == [("deleted", "9"), ("deleted", "10")]
    assert watch.revision == "10"
    watch.close()


# Lists and watches -------------------------------------------------------------------------------------------


def test_affinities_without_labels_are_found_too(server: FakeApiServer, store: KubernetesDatastore) -> None:
    mine, old = AffinityKey("n", "10.0.0.0/30"), AffinityKey("n", "10.0.0.4/30")
    other = AffinityKey("m", "10.0.0.8/30")
    server.answers += [listed(stored(mine, affinity())), listed(stored(old, affinity()), stored(other, affinity()))]
    assert [item.key for item in store.list(Selection(AffinityKey, "n", "host"), soon()).items] == [mine, old]
    first, second = targets(server)
    assert "affinity-type%3Dhost" in first
    assert second.endswith("labelSelector=%21projectcalico.org%2Fhostname-hash")


def test_a_list_comes_in_pages(server: FakeApiServer, store: KubernetesDatastore) -> None:
    keys = [BlockKey(f"10.0.{number}.0/30") for number in range(3)]
    first, second, third = (stored(key, block(key.cidr)) for key in keys)
    server.answers += [listed(first, second, more="c1"), listed(third)]
    assert [item.key for item in store.list(Selection(BlockKey), soon()).items] == keys
    assert targets(server) == ["GET ipamblocks?limit=1000", "GET ipamblocks?limit=1000&continue=c1"]


def test_a_list_that_took_too_long_begins_again(server: FakeApiServer, store: KubernetesDatastore) -> None:
    first = stored(BlockKey("10.0.0.0/30"), block())
    server.answers += [listed(first, more="c1"), status(410, "Expired", "continue too old"), listed(first)]
    assert len(store.list(Selection(BlockKey), soon()).items) == 1
    assert targets(server)[-1] == "GET ipamblocks?limit=1000"


def test_a_watch_that_ends_in_good_order_is_gone_on_with(server: FakeApiServer, store: KubernetesDatastore) -> None:
    made = stored(BlockKey("10.0.0.0/30"), block(), "9")
    bookmark = {"type": "BOOKMARK", "object": {"kind": "IPAMBlock", "metadata": {"resourceVersion": "15"}}}
    changed = stored(BlockKey("10.0.0.0/30"), block(affinity=None), "17")
    server.answers += [
        Say(200, [{"type": "ADDED", "object": made}, bookmark]),
        Say(200, [{"type": "MODIFIED", "object": changed}]),
    ]
    watch = store.watch(Selection(BlockKey), "8", soon())
    assert [event.item.revision for event in watch.next(soon())] == ["9"]
    assert [event.item.revision for event in watch.next(soon())] == ["17"]
    assert "resourceVersion=15" in server.asked[1].target
    watch.close()
    assert watch.next(soon()) == ()


def test_a_watch_is_gone_on_with_when_there_is_time(server: FakeApiServer, store: KubernetesDatastore) -> None:
    made = stored(BlockKey("10.0.0.0/30"), block(), "9")
    server.answers += [Say(200, []), Say(200, [{"type": "ADDED", "object": made}])]
    watch = store.watch(Selection(BlockKey), "8", soon())
    for _ in range(50):  # the end of the first watch is seen in one of these
        assert watch.next(time.monotonic()) == ()
        time.sleep(0.01)
    assert [event.item.revision for event in watch.next(soon())] == ["9"]
    watch.close()


def test_a_watch_whose_history_is_gone_meanwhile_says_so(server: FakeApiServer, store: KubernetesDatastore) -> None:
    server.answers += [Say(200, []), status(410, "Expired", "too old resource version")]
    watch = store.watch(Selection(BlockKey), "8", soon())
    with pytest.raises(Expired):
        watch.next(soon())


def test_what_is_broken_is_named_and_not_told(server: FakeApiServer, store: KubernetesDatastore) -> None:
    broken = stored(BlockKey("10.0.0.0/30"), block())
    broken["spec"]["cidr"] = "ten"
    fine = stored(BlockKey("10.0.0.4/30"), block("10.0.0.4/30"))
    server.answers += [listed(broken, fine), Say(200, broken)]
    listing = store.list(Selection(BlockKey), soon())
    assert [item.key for item in listing.items] == [BlockKey("10.0.0.4/30")]
    assert [each.name for each in listing.broken] == [f"/apis/{STORED}/ipamblocks/10-0-0-0-30"]
    assert "CIDR address: ten" in listing.broken[0].why
    with pytest.raises(Unreadable, match=r"block 10\.0\.0\.0/30 cannot be read"):
        store.get(BlockKey("10.0.0.0/30"), soon())
    events = [{"type": "MODIFIED", "object": each} for each in (broken, fine)]
    server.answers.append(Say(200, events))
    watch = store.watch(Selection(BlockKey), "8", soon())
    assert [event.item.key for event in watch.next(soon())] == [BlockKey("10.0.0.4/30")]
    watch.close()


# Where the resources are -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("groups", "used"),
    [
        (["crd.projectcalico.org", "apps"], STORED),
        (["crd.projectcalico.org", "projectcalico.org"], STORED),
        (["projectcalico.org"], NATIVE),
    ],
)
def test_native_resources_are_used_where_there_are_no_others(
    server: FakeApiServer, groups: list[str], used: str
) -> None:
    server.answers += [Say(200, {"groups": [{"name": name} for name in groups]}), listed(), listed()]
    with contextlib.closing(KubernetesDatastore(KubernetesApi(str(server.kubeconfig)))) as store:
        store.list(Selection(PoolKey), soon())
        store.list(Selection(PoolKey), soon())
    assert [asked.target for asked in server.asked] == ["/apis", *[f"/apis/{used}/ippools?limit=1000"] * 2]


def test_a_cluster_without_calico_is_not_one_without_pools(server: FakeApiServer, store: KubernetesDatastore) -> None:
    server.answers += [status(404, "NotFound", "the server could not find the requested resource")] * 2
    with pytest.raises(SourceFailed, match="could not find the requested resource"):
        store.get(PoolKey("a"), soon())
    with pytest.raises(SourceFailed, match="could not find the requested resource"):
        store.list(Selection(PoolKey), soon())


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.get(KEY, soon()),
        lambda store: store.update(Item(KEY, handle(), "7"), soon()),
        lambda store: store.delete(KEY, "7", soon()),
    ],
    ids=["get", "update", "delete"],
)
def test_nothing_is_gone_for_a_server_that_has_just_started(
    server: FakeApiServer, store: KubernetesDatastore, ask: Callable[[KubernetesDatastore], object]
) -> None:
    """A genuine one answers so until it has read the definitions of resources; a DEL must not succeed by that."""
    server.answers.append(Say(404, b"404 page not found\n"))
    with pytest.raises(SourceFailed, match=r"404 page not found \(it has just been started, or lacks"):
        ask(store)


def test_the_group_is_asked_for_again_until_one_is_there(server: FakeApiServer) -> None:
    """A server that has just started names neither, whichever it has."""
    fresh, native = ({"groups": [{"name": name} for name in names]} for names in (["apps"], ["projectcalico.org"]))
    server.answers += [Say(200, fresh), Say(404, b"404 page not found\n"), Say(200, native), listed(), listed()]
    with contextlib.closing(KubernetesDatastore(KubernetesApi(str(server.kubeconfig)))) as store:
        with pytest.raises(SourceFailed):
            store.list(Selection(PoolKey), soon())
        store.list(Selection(PoolKey), soon())
        store.list(Selection(PoolKey), soon())
    pools = [f"/apis/{group}/ippools?limit=1000" for group in (STORED, NATIVE, NATIVE)]
    assert [asked.target for asked in server.asked] == ["/apis", pools[0], "/apis", pools[1], pools[2]]


def test_what_a_schema_forbids_is_refused_by_name(server: FakeApiServer, store: KubernetesDatastore) -> None:
    server.answers.append(status(422, "Invalid", "spec.x: must be less than 1200", "net.a"))
    with pytest.raises(BadValue, match=r"handle net\.a is refused: spec\.x: must be less than 1200"):
        store.create(KEY, handle(), soon())


# Nodes -------------------------------------------------------------------------------------------------------

NODE = {
    "metadata": {"name": "n", "resourceVersion": "7", "annotations": {"projectcalico.org/IPv4Address": "10.0.0.1/24"}}
}


def test_of_a_node_only_calico_s_annotations_are_written(server: FakeApiServer, store: KubernetesDatastore) -> None:
    server.answers += [Say(200, NODE), Say(200, NODE), Say(200, NODE)]
    item = store.get(NodeKey("n"), soon())
    item.document["spec"]["bgp"]["ipv4IPIPTunnelAddr"] = "10.0.0.9"
    store.update(item, soon())
    patch: Asked = server.asked[-1]
    assert (patch.method, patch.target) == ("PATCH", "/api/v1/nodes/n")
    assert patch.body == {
        "metadata": {"resourceVersion": "7", "annotations": {"projectcalico.org/IPv4IPIPTunnelAddr": "10.0.0.9"}}
    }
    server.answers.append(Say(200, NODE))
    with pytest.raises(Conflict):
        store.update(item._replace(revision="6"), soon())
