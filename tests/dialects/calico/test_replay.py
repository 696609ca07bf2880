"""The captured calls of the real calico-ipam, each on the datastore that it found: answers, codes and every change."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from tests.dialects.calico.captures import Captured, calls, changes, compared, contents, fill

from unipam.cni.call import Answer, Call
from unipam.cni.context import Context
from unipam.dialects import registry
from unipam.dialects.calico import connection, verbs
from unipam.dialects.calico.config import Where
from unipam.dialects.calico.datastore.api import Datastore
from unipam.dialects.calico.datastore.memory import MemoryDatastore
from unipam.ledger.open import Ledgers

ETCD = [each for each in calls("etcd") if each.command == ["calico-ipam"]]

BETTER = {
    "045": "1.1.0 is spoken, since a runtime can ask for GC and STATUS in no other version",
    "046": "and is named among the versions",
    "004": "and is named among the versions",
    "103": "CHECK finds that the container holds nothing",
    "088": "no IPv6 block is claimed for a call that already lacks an IPv4 address",
    "112": "GC is answered",
    "113": "STATUS is answered",
    "174": "an error of the second family gives the first one's address back",
    "204": "a handle that counted too much goes with the container",
    "205": "a handle that counts addresses nobody holds goes with the container",
}
"""Where ours does what the real one should: tested by name below, and in docs/calico.md."""


def ask(call: Captured, store: Datastore, monkeypatch: pytest.MonkeyPatch) -> Answer:
    """What our plugin answers."""

    def connect(where: Where) -> Datastore:
        assert where.kind == "etcdv3"
        return store

    monkeypatch.setattr(connection, "datastore", connect)
    monkeypatch.setattr(socket, "gethostname", lambda: "vm")  # what the machine of the captures was called
    asked = Call("calico-ipam", call.environment, call.input)
    return registry.answer(asked, Context(Ledgers(), clock=lambda: call.at / 1e9))


def told(answer: Answer) -> Any:
    """What the plugin printed, read as the captures were."""
    return json.loads(answer.stdout) if answer.stdout else ""


@pytest.fixture(params=[True, False], ids=["at once", "in turn"])
def transactional(request: pytest.FixtureRequest) -> bool:
    """Whether the datastore writes several objects at once."""
    return bool(request.param)


@pytest.mark.parametrize("call", [c for c in ETCD if c.number[:3] not in BETTER], ids=lambda c: c.number)
def test_a_call_is_answered_as_the_real_one_answered_it(
    call: Captured, transactional: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AC-9, AC-12, AC-15, AC-21: 117 calls without those of BETTER."""
    store = MemoryDatastore(transactional=transactional)
    fill(store, call.before)
    if call.number[:3] in {"122", "123"}:  # etcd did not answer, for ninety seconds
        monkeypatch.setattr(verbs, "PATIENCE", 0.0)
    before = contents(store)
    answer = ask(call, store, monkeypatch)
    shown = told(answer)
    if call.number[:3] in {"122", "123"}:
        assert shown.pop("details")
    assert (answer.code, shown) == (call.exit_code, call.stdout)
    found = compared(changes(before, contents(store)), before)
    assert found == compared(call.changes, before)
