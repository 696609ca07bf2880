"""The captured calls on a real etcd: what is said and stored is, byte for byte, what the real calico-ipam left."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.dialects.calico.captures import Captured, changes, compared
from tests.dialects.calico.test_replay import BETTER, ETCD, ask, told
from tests.real import etcd

from unipam.clients.etcd import messages
from unipam.clients.etcd.client import Etcd
from unipam.clients.etcd.settings import Settings
from unipam.dialects.calico import attending
from unipam.dialects.calico.datastore.etcd import EtcdDatastore
from unipam.dialects.calico.datastore.paths import key

pytestmark = [pytest.mark.real, etcd.needs_etcd]


@pytest.fixture
def client() -> Iterator[Etcd]:
    """An empty etcd."""
    client = Etcd(Settings(etcd.shared().endpoints))
    etcd.empty(client)
    yield client
    etcd.empty(client)
    client.close()


def stored(client: Etcd) -> dict[str, object]:
    """Every document that IPAM looks at by its key, its fields in the order of their bytes."""
    return {name: json.loads(value or b"{}") for name, value in etcd.everything(client).items() if key(name)}


@pytest.mark.parametrize("call", [c for c in ETCD if c.number[:3] not in BETTER], ids=lambda c: c.number)
def test_a_call_leaves_in_etcd_what_the_real_one_left(
    call: Captured, client: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, document in call.before.items():
        value = document.encode() if isinstance(document, str) else json.dumps(document, separators=(",", ":")).encode()
        client.transact([], [messages.put(name.encode(), value)], [], etcd.soon())
    before = stored(client)
    if call.number[:3] in {"122", "123"}:  # etcd did not answer, for ninety seconds
        monkeypatch.setattr(attending, "TIMEOUT", 0.0)
    answer = ask(call, EtcdDatastore(client), monkeypatch)
    shown = told(answer)
    if call.number[:3] in {"122", "123"}:
        del shown["details"]
    assert (answer.code, shown) == (call.exit_code, call.stdout)
    assert compared(changes(before, stored(client)), before) == compared(call.changes, before)
