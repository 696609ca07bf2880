"""Configurations, arguments and documents with anything in them: nothing is a fault of ours, and nothing leaks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.dialects.calico.captures import Captured, calls, changes, contents, fill
from tests.dialects.calico.test_replay import told

from unipam.cni.call import Answer, Call
from unipam.cni.context import Context
from unipam.dialects import registry
from unipam.dialects.calico import connection
from unipam.dialects.calico.datastore.memory import MemoryDatastore
from unipam.dialects.calico.datastore.paths import key
from unipam.ledger.open import Ledgers
from unipam.model.errors import NotFound

CALLS = [each for each in calls("etcd") if each.command == ["calico-ipam"] and isinstance(each.stdin, dict)]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 65), 1 << 65) | st.text(max_size=6) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
QUICK = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])


def ask(call: Captured, stdin: bytes, arguments: str, store: MemoryDatastore, patch: pytest.MonkeyPatch) -> Answer:
    """What ours answers."""

    def nowhere(*_: object) -> Any:
        raise NotFound("there is no Kubernetes")

    with patch.context() as patched:
        patched.setattr(connection, "datastore", lambda _where: store)
        patched.setattr(connection, "kubernetes", nowhere)
        environment = {**call.environment, "CNI_ARGS": arguments}
        return registry.answer(Call("calico-ipam", environment, stdin), Context(Ledgers(), clock=lambda: call.at / 1e9))


def paths(document: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a document."""
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [at, *(path for name, value in inner for path in paths(value, (*at, name)))]


def with_(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A document with another value somewhere."""
    if not path:
        return value
    changed = document.copy()
    changed[path[0]] = with_(document[path[0]], path[1:], value)
    return changed


@QUICK
@given(st.data())
def test_a_configuration_with_anything_in_it(monkeypatch: pytest.MonkeyPatch, data: st.DataObject) -> None:
    call = data.draw(st.sampled_from(CALLS))
    place = data.draw(st.sampled_from(paths({**call.stdin, "policy": {"type": ""}, "kubernetes": {"kubeconfig": ""}})))
    document = {**call.stdin, "policy": {"type": ""}, "kubernetes": {"kubeconfig": ""}}
    arguments = data.draw(
        st.sampled_from([call.environment.get("CNI_ARGS", ""), "IP=::1", "a=b=c", ";", "IgnoreUnknown=1"])
    )
    store = MemoryDatastore()
    fill(store, call.before)
    before = contents(store)
    answer = ask(call, json.dumps(with_(document, place, data.draw(ANYTHING))).encode(), arguments, store, monkeypatch)
    check(call, answer, before, contents(store))


@QUICK
@given(st.data())
def test_a_document_with_anything_in_it(monkeypatch: pytest.MonkeyPatch, data: st.DataObject) -> None:
    call = data.draw(st.sampled_from([call for call in CALLS if call.before]))
    name = data.draw(st.sampled_from([name for name, value in call.before.items() if key(name) and value]))
    broken = with_(call.before[name], data.draw(st.sampled_from(paths(call.before[name]))), data.draw(ANYTHING))
    store = MemoryDatastore(transactional=data.draw(st.booleans()))
    fill(store, {**call.before, name: broken if isinstance(broken, dict) else {}})
    before = contents(store)
    answer = ask(call, call.input, call.environment.get("CNI_ARGS", ""), store, monkeypatch)
    check(call, answer, before, contents(store))


def check(call: Captured, answer: Answer, before: dict[str, Any], after: dict[str, Any]) -> None:
    """It is an answer, and a failed ADD holds nothing."""
    if answer.code:
        assert "internal error" not in told(answer)["msg"], told(answer)["msg"]
        if call.environment["CNI_COMMAND"] == "ADD":
            changed = changes(before, after)
            assert not any("/handle/" in name and value is not None for name, value in changed.items()), changed
