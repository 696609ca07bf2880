"""The captured calls of the real calico-ipam, each on the datastore that it found: answers, codes and every change."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.dialects.calico.captures import Captured, calls, changes, compared, contents, fill

from unipam.cni.call import Answer, Call
from unipam.cni.context import Context
from unipam.dialects import registry
from unipam.dialects.calico import attending, config, connection
from unipam.dialects.calico.datastore.api import Datastore
from unipam.dialects.calico.datastore.memory import MemoryDatastore
from unipam.dialects.calico.where import Where
from unipam.ledger.open import Ledgers
from unipam.model.errors import NotFound

ETCD = [each for each in calls("etcd") if each.command == ["calico-ipam"]]
KUBERNETES = [each for each in calls("kubernetes") if each.command == ["calico-ipam"]]

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
        assert where.kind == call.stdin["datastore_type"]
        return store

    def kubernetes(where: Where, path: str, deadline: float) -> dict[str, Any]:
        if path != "/api/v1/namespaces/default":
            raise NotFound(f'namespaces "{path.rpartition("/")[2]}" not found')
        return {"metadata": {"name": "default"}}

    if call.stdin and call.stdin != "{" and call.stdin.get("kubernetes"):
        monkeypatch.setattr(connection, "kubernetes", kubernetes)
    monkeypatch.setattr(connection, "datastore", connect)
    monkeypatch.setattr(config, "hostname", lambda: "vm")  # what the machine of the captures was called
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
        monkeypatch.setattr(attending, "TIMEOUT", 0.0)
    before = contents(store)
    answer = ask(call, store, monkeypatch)
    shown = told(answer)
    if call.number[:3] in {"122", "123"}:
        assert shown.pop("details")
    assert (answer.code, shown) == (call.exit_code, call.stdout)
    found = compared(changes(before, contents(store)), before)
    assert found == compared(call.changes, before)


@pytest.mark.parametrize("call", KUBERNETES, ids=lambda c: c.number)
def test_a_call_on_kubernetes_is_answered_as_the_real_one_answered_it(
    call: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AC-15: block and handle are written in turn, a namespace is asked for, and a node is missed in other words."""
    store = MemoryDatastore(transactional=False)
    fill(store, call.before)
    before = contents(store)
    answer = ask(call, store, monkeypatch)
    assert (answer.code, told(answer)) == (call.exit_code, call.stdout)
    found = compared(changes(before, contents(store)), before, ordered=False)
    assert found == compared(call.changes, before, ordered=False)


# Where ours is better ---------------------------------------------------------------------------------------------


def captured(number: str) -> Captured:
    """A call by its number."""
    return next(call for call in ETCD if call.number.startswith(number))


def asked(number: str, transactional: bool, monkeypatch: pytest.MonkeyPatch) -> tuple[Answer, dict[str, Any]]:
    """What ours answers to a captured call, and what it changes."""
    call = captured(number)
    store = MemoryDatastore(transactional=transactional)
    fill(store, call.before)
    before = contents(store)
    return ask(call, store, monkeypatch), changes(before, contents(store))


def test_every_call_that_is_answered_otherwise_is_named() -> None:
    assert {call.number[:3] for call in ETCD} >= set(BETTER)


def test_version_names_1_1_0(transactional: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    found, theirs = told(asked("004", transactional, monkeypatch)[0]), captured("004").stdout
    assert found == {**theirs, "supportedVersions": [*theirs["supportedVersions"], "1.1.0"]}


def test_an_add_of_version_1_1_0_is_served(transactional: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(asked("045", transactional, monkeypatch)[0])["cniVersion"] == "1.1.0"


def test_a_version_that_nobody_speaks_is_refused(transactional: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, changed = asked("046", transactional, monkeypatch)
    assert told(answer)["details"] == captured("046").stdout["details"].replace('"1.0.0"]', '"1.0.0" "1.1.0"]')
    assert changed == {}


def test_a_check_of_nothing_fails(transactional: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, changed = asked("103", transactional, monkeypatch)
    assert (answer.code, told(answer)["msg"]) == (1, "k8s-pod-network.nobody holds no address")
    assert changed == {}


def test_a_call_that_lacks_an_address_claims_nothing_more(transactional: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """AC-15: all or nothing; the real one leaves an empty IPv6 block behind."""
    answer, changed = asked("088", transactional, monkeypatch)
    assert (answer.code, told(answer)) == (1, captured("088").stdout)
    assert changed == {}


def test_an_error_of_the_second_family_gives_the_first_address_back(
    transactional: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AC-15: the real one leaves the IPv4 address assigned."""
    answer, changed = asked("174", transactional, monkeypatch)
    assert (answer.code, told(answer)) == (1, captured("174").stdout)
    block = changed.pop("/calico/ipam/v2/assignment/ipv4/block/10.81.0.0-30")
    assert (block["allocations"], block["unallocated"], block["attributes"]) == ([None] * 4, [1, 2, 3, 0], [])
    assert set(changed) == {"/calico/ipam/v2/host/node1/ipv4/block/10.81.0.0-30"}


@pytest.mark.parametrize(("number", "handle"), [("204", "k8s-pod-network.z9"), ("205", "default.web-7")])
def test_a_handle_that_counts_too_much_goes_with_its_container(
    number: str, handle: str, transactional: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AC-14: what a crash left is mended; the block is written too, so that nobody is overtaken."""
    answer, changed = asked(number, transactional, monkeypatch)
    assert (answer.code, answer.stdout) == (0, b"")
    assert changed.pop(f"/calico/ipam/v2/handle/{handle}") is None
    name, block = changed.popitem()
    assert block["sequenceNumber"] == captured(number).before[name]["sequenceNumber"] + 1
    assert changed == {}


def test_gc_spares_what_is_valid(transactional: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    call = captured("112")
    document = {**call.stdin, "cni.dev/valid-attachments": [{"containerID": "v", "ifname": "eth0"}]}
    store = MemoryDatastore(transactional=transactional)
    fill(store, call.before)
    answer = ask(call._replace(stdin=document), store, monkeypatch)
    assert (answer.code, answer.stdout) == (0, b"")
    left = {name for name in contents(store) if name.startswith("/calico/ipam/v2/handle/")}
    node2 = {f"/calico/ipam/v2/handle/k8s-pod-network.s{number}" for number in range(6)}
    assert left == {"/calico/ipam/v2/handle/k8s-pod-network.v", *node2}


def test_gc_without_a_list_frees_nothing(transactional: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, changed = asked("112", transactional, monkeypatch)
    assert (answer.code, answer.stdout, changed) == (0, b"", {})


def test_status_says_whether_an_add_could_be_served(transactional: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, changed = asked("113", transactional, monkeypatch)
    assert (answer.code, answer.stdout, changed) == (0, b"", {})
    call = captured("113")
    answer = ask(call._replace(stdin={**call.stdin, "nodename": "ghost"}), MemoryDatastore(), monkeypatch)
    assert answer.code == 1
    assert told(answer)["code"] == 50
    assert "Node(ghost)" in told(answer)["msg"]
