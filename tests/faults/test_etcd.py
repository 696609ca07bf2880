"""etcd on a bad day: members that are gone, that hang, that lead no more; answers that are lost."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes.certificates import Authority
from tests.faults.proxy import Proxy, proxy
from tests.real import etcd as real
from tests.real.etcd import Cluster, cluster, soon

from unipam.clients.etcd.client import Etcd
from unipam.clients.etcd.settings import Settings, Tls
from unipam.clients.protobuf import field
from unipam.dialects.calico.datastore.api import Event, Item, Selection
from unipam.dialects.calico.datastore.etcd import EtcdDatastore
from unipam.dialects.calico.datastore.keys import HandleKey
from unipam.model.errors import BadValue, Conflict, NotFound, SourceFailed, Unanswered

KEY = HandleKey("counted")


@pytest.fixture(scope="module")
def three() -> Iterator[Cluster]:
    """Three members; a test that ends one starts it again."""
    with cluster(3) as made:
        yield made


@contextlib.contextmanager
def datastore(*endpoints: str) -> Iterator[EtcdDatastore]:
    made = EtcdDatastore(Etcd(Settings(endpoints)))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def between() -> Iterator[tuple[Proxy, str]]:
    """A proxy before the shared server, and its endpoint."""
    with contextlib.closing(Etcd(Settings(real.shared().endpoints))) as etcd:
        real.empty(etcd)
    port = int(real.shared().endpoints[0].rpartition(":")[2])
    with proxy(port) as made:
        yield made, f"http://127.0.0.1:{made.port}"


def document(count: int) -> dict[str, object]:
    return {"block": {"10.0.0.0/26": count}, "deleted": False}


def test_a_member_that_is_gone_costs_nothing(between: tuple[Proxy, str]) -> None:
    (nobody,) = real.free_ports(1)
    with datastore(f"http://127.0.0.1:{nobody}", *real.shared().endpoints) as store:
        item = store.create(KEY, document(1), soon())
        store.update(item, soon())
        store.delete(KEY, None, soon())


def test_a_member_that_hangs_is_left_for_another(between: tuple[Proxy, str]) -> None:
    hanging, endpoint = between
    hanging.swallow()
    with datastore(endpoint, *real.shared().endpoints) as store:
        item = store.create(KEY, document(1), soon())
        assert store.get(KEY, soon()).revision == item.revision


def test_a_server_that_is_gone_is_waited_for_until_the_deadline(between: tuple[Proxy, str]) -> None:
    gone, endpoint = between
    gone.stop_listening()
    with datastore(endpoint) as store:
        began = time.monotonic()
        with pytest.raises(SourceFailed, match=f"etcd at {endpoint}: UNAVAILABLE"):
            store.create(KEY, document(1), began + 0.5)
        assert 0.4 < time.monotonic() - began < 10


def test_a_write_without_an_answer_says_so(between: tuple[Proxy, str]) -> None:
    way, endpoint = between
    with datastore(endpoint) as store, datastore(*real.shared().endpoints) as other:
        with pytest.raises(NotFound):
            store.get(KEY, soon())
        way.swallow()
        with pytest.raises(Unanswered, match=r"it may have been written \(handle counted\)") as caught:
            store.create(KEY, document(1), time.monotonic() + 0.5)
        assert caught.value.facts["key"] == KEY
        with pytest.raises(NotFound):
            other.get(KEY, soon())


def test_a_write_whose_answer_is_lost_was_made(between: tuple[Proxy, str]) -> None:
    way, endpoint = between
    with datastore(endpoint) as store, datastore(*real.shared().endpoints) as other:
        with pytest.raises(NotFound):
            store.get(KEY, soon())
        way.delay = 1.0
        failures: list[Exception] = []

        def write() -> None:
            try:
                store.create(KEY, document(1), soon(60))
            except SourceFailed as error:
                failures.append(error)

        writing = threading.Thread(target=write, daemon=True)
        writing.start()
        deadline = soon()
        while not other.list(Selection(HandleKey), soon()).items:
            assert time.monotonic() < deadline
        way.cut(reset=True)
        writing.join()
        assert [type(error) for error in failures] == [Unanswered]


def count_up(store: EtcdDatastore, told: list[str], until: threading.Event) -> None:
    """Add one again and again, each time at the revision that was read; note what became of it."""
    while not until.is_set():
        try:
            item = store.get(KEY, soon())
            store.update(item._replace(document=document(item.document["block"]["10.0.0.0/26"] + 1)), soon())
        except Conflict:
            told.append("conflict")
        except Unanswered:
            told.append("unanswered")
        else:
            told.append("done")


def test_nothing_is_lost_or_done_twice_when_leaders_die(three: Cluster) -> None:
    told: list[str] = []
    until = threading.Event()
    with datastore(*three.endpoints) as first, datastore(*reversed(three.endpoints)) as second:
        first.create(KEY, document(0), soon())
        threads = [
            threading.Thread(target=count_up, args=(each, told, until), daemon=True)
            for each in (first, first, second, second)
        ]
        for thread in threads:
            thread.start()
        for _ in range(3):
            seen = told.count("done")
            leader = next(member for member in three.members if member.leads)
            leader.kill()
            deadline = soon(60)
            while told.count("done") < seen + 20:
                assert time.monotonic() < deadline, told[-20:]
                time.sleep(0.05)
            leader.start(three.peers)
            await_member(leader)
        until.set()
        for thread in threads:
            thread.join()
        counted = first.get(KEY, soon()).document["block"]["10.0.0.0/26"]
        first.delete(KEY, None, soon())
    assert told.count("done") <= counted <= told.count("done") + told.count("unanswered")


def await_member(member: real.Member) -> None:
    """Wait until a member that was started takes part again."""
    with contextlib.closing(Etcd(Settings((member.endpoint,)))) as etcd:
        etcd.range(b"/", b"", soon(60))


def test_a_watch_goes_on_at_another_member(three: Cluster) -> None:
    with datastore(*three.endpoints) as store, datastore(*three.endpoints[1:]) as other:
        selection = Selection(HandleKey)
        watch = store.watch(selection, store.list(selection, soon()).revision, soon())
        item = other.create(KEY, document(1), soon())
        assert [event.item.revision for event in watch.next(soon())] == [item.revision]
        three.members[0].kill()
        with pytest.raises(SourceFailed, match="etcd at"):
            watch.next(soon(60))
        item = other.update(other.get(KEY, soon(60)), soon(60))  # once they have a leader again
        assert [event.item.revision for event in watch_on(store, selection, watch.revision)] == [item.revision]
        watch.close()
        other.delete(KEY, None, soon())
    three.members[0].start(three.peers)
    await_member(three.members[0])


def watch_on(store: EtcdDatastore, selection: Selection, revision: str) -> tuple[Event, ...]:
    """The first events after a revision, from whichever member can tell: one without a leader says that it cannot."""
    deadline = soon(60)
    while time.monotonic() < deadline:
        watch = store.watch(selection, revision, deadline)
        with contextlib.closing(watch), contextlib.suppress(SourceFailed):
            return watch.next(deadline)
    raise AssertionError("no member tells")


def test_a_document_that_is_too_large_is_refused(between: tuple[Proxy, str]) -> None:
    with datastore(*real.shared().endpoints) as store:
        for size in (1 << 21, 1 << 22):
            with pytest.raises(BadValue, match="max-request-bytes"):
                store.create(KEY, {"block": {}, "filling": "x" * size}, soon())
        store.create(KEY, {"block": {}, "filling": "x" * 1_400_000}, soon())


def tls(authority: Authority) -> Tls:
    return Tls.read(str(authority.ca), str(authority.server), str(authority.server))


def test_members_and_clients_show_certificates(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    options = (
        "--cert-file", str(authority.server), "--key-file", str(authority.server),
        "--trusted-ca-file", str(authority.ca), "--client-cert-auth",
    )  # fmt: skip
    with cluster(1, options, "https", lambda made: Settings(made.endpoints, tls(authority))) as made:
        with contextlib.closing(EtcdDatastore(Etcd(Settings(made.endpoints, tls(authority))))) as store:
            store.create(KEY, document(1), soon())
        without = Settings(made.endpoints, Tls(tls(authority).authorities))
        with (
            contextlib.closing(EtcdDatastore(Etcd(without))) as store,
            pytest.raises(SourceFailed, match="UNAVAILABLE"),
        ):
            store.get(KEY, soon(5))


def test_users_are_signed_in_and_again(tmp_path: Path) -> None:
    with cluster(1, ("--auth-token", "simple", "--auth-token-ttl", "1")) as made:
        (endpoint,) = made.endpoints
        for method, request in (
            ("UserAdd", field(1, "root") + field(2, "secret")),
            ("RoleAdd", field(1, "root")),
            ("UserGrantRole", field(1, "root") + field(2, "root")),
            ("AuthEnable", b""),
        ):
            real.call(endpoint, f"/etcdserverpb.Auth/{method}", request)
        with contextlib.closing(EtcdDatastore(Etcd(Settings((endpoint,), user="root", password="secret")))) as store:
            item = store.create(KEY, document(1), soon())
            time.sleep(2.5)  # the token is good for a second, and the server looks each second
            store.update(Item(KEY, document(2), item.revision), soon())
        wrong = Settings((endpoint,), user="root", password="wrong")
        with (
            contextlib.closing(EtcdDatastore(Etcd(wrong))) as store,
            pytest.raises(SourceFailed, match="authentication"),
        ):
            store.get(KEY, time.monotonic() + 1)
