"""An API server that is killed under load, and comes back."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest
from tests.real import kube_apiserver
from tests.real.etcd import soon

from unipam.clients.kubernetes.api import KubernetesApi
from unipam.dialects.calico.datastore.api import Selection
from unipam.dialects.calico.datastore.keys import HandleKey
from unipam.dialects.calico.datastore.kubernetes import KubernetesDatastore
from unipam.dialects.calico.datastore.resources import STORED
from unipam.model.errors import Conflict, Expired, SourceFailed, Unanswered

KEY, BLOCK = HandleKey("counted"), "10.0.0.0/26"
SELECTION = Selection(HandleKey)


@pytest.fixture
def server() -> Iterator[kube_apiserver.ApiServer]:
    made = kube_apiserver.shared(STORED)
    with contextlib.closing(KubernetesApi(str(made.kubeconfig))) as api:
        kube_apiserver.empty(api, STORED)
        yield made
        kube_apiserver.empty(api, STORED)


def document(count: int) -> dict[str, object]:
    return {"block": {BLOCK: count}, "deleted": False}


def count_up(store: KubernetesDatastore, told: list[str], until: threading.Event) -> None:
    """Add one again and again, each time at the revision that was read; note what became of it."""
    while not until.is_set():
        try:
            item = store.get(KEY, soon(60))
            store.update(item._replace(document=document(item.document["block"][BLOCK] + 1)), soon(60))
        except Conflict:
            told.append("conflict")
        except Unanswered:
            told.append("unanswered")
        else:
            told.append("done")


def follow(store: KubernetesDatastore, revision: str, seen: list[int], until: threading.Event) -> None:
    """Note every count that a watch tells. One that fails is gone on with, one without a history begun with a list."""
    while not until.is_set():
        try:
            watch = store.watch(SELECTION, revision, soon(60))
            with contextlib.closing(watch):
                while not until.is_set():
                    seen += [event.item.document["block"][BLOCK] for event in watch.next(time.monotonic() + 0.2)]
                    revision = watch.revision
        except Expired:  # a server that has just started knows nothing of before
            listing = store.list(SELECTION, soon(60))
            revision = listing.revision
            counts = [item.document["block"][BLOCK] for item in listing.items]
            seen += [count for count in counts if count not in seen]
        except SourceFailed:
            time.sleep(0.1)


def test_nothing_is_lost_or_done_twice_when_the_server_dies(server: kube_apiserver.ApiServer) -> None:
    told: list[str] = []
    seen: list[int] = []
    until, unseen = threading.Event(), threading.Event()
    with contextlib.closing(KubernetesDatastore(KubernetesApi(str(server.kubeconfig)))) as store:
        store.create(KEY, document(0), soon())
        revision = store.list(SELECTION, soon()).revision
        threads = [threading.Thread(target=count_up, args=(store, told, until), daemon=True) for _ in range(3)]
        following = threading.Thread(target=follow, args=(store, revision, seen, unseen), daemon=True)
        for thread in (*threads, following):
            thread.start()
        for _ in range(2):
            await_more(told)
            server.kill()
            server.run()
        await_more(told)
        until.set()
        for thread in threads:
            thread.join()
        counted = store.get(KEY, soon()).document["block"][BLOCK]
        deadline = soon(60)
        while counted not in seen:
            assert time.monotonic() < deadline, seen[-5:]
            time.sleep(0.05)
        unseen.set()
        following.join()
    assert told.count("done") <= counted <= told.count("done") + told.count("unanswered")
    assert seen == sorted(set(seen))


def await_more(told: list[str]) -> None:
    """Wait until some more was done than until now."""
    enough = told.count("done") + 30
    deadline = soon(120)
    while told.count("done") < enough:
        assert time.monotonic() < deadline, told[-20:]
        time.sleep(0.05)
