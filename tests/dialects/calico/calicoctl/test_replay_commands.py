"""The captured calls of the real calicoctl, each on the datastore that it found: texts, tables, codes, every change."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.dialects.calico.captures import Captured, calls, changes, compared, contents, fill

from unipam.cli import calico_check, calico_cluster, calico_ipam
from unipam.cli.main import unipam
from unipam.dialects.calico import connection
from unipam.dialects.calico.calicoctl import pooling
from unipam.dialects.calico.datastore.api import Datastore
from unipam.dialects.calico.datastore.memory import MemoryDatastore
from unipam.dialects.calico.datastore.paths import key as key_of
from unipam.dialects.calico.where import Where
from unipam.model.errors import UnipamError

ETCD = {call.number[:3]: call for call in calls("etcd") if call.command[0] == "calicoctl"}
KUBERNETES = {call.number[:3]: call for call in calls("kubernetes") if call.command[0] == "calicoctl"}

PODS = {
    "192.168.166.128": "web-0", "192.168.166.129": "web-1", "192.168.7.7": "stray", "10.9.9.9": "outside",
}  # fmt: skip
"""What the pods of the captures on Kubernetes used, which no capture holds."""

_POINTER = "the persistence of VMs' addresses is printed, not where it is in memory"
_LARGE = "a pool of more than 2^63 addresses has as many free ones as it has"
_NO_CONTROLLERS = "without a configuration of kube-controllers nobody assigns addresses to Services"
BETTER = {
    "e029": _POINTER, "e132": _POINTER, "e197": _POINTER, "k040": _POINTER,
    "e089": _LARGE, "e090": _LARGE, "e138": _LARGE, "e167": _LARGE, "e213": _LARGE,
    "e097": _NO_CONTROLLERS, "k023": _NO_CONTROLLERS,
    "e131": "nothing cools longer than 1200 s, on etcd neither",
    "e159": "a pool that cannot be split is not disabled",
    "e160": "a line ends",
}  # fmt: skip
"""Where ours does what the real one should: tested by name below, and in docs/calico.md."""


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version that the captures' reports are of, and no file of this machine."""
    for module in (calico_check, calico_ipam):
        monkeypatch.setattr(module, "report_version", lambda: "v3.34.0-0.dev-head")
    monkeypatch.setattr(calico_cluster, "find", lambda config: Where("etcdv3"))
    monkeypatch.setattr(calico_check, "find", lambda config: Where("etcdv3"))
    monkeypatch.setattr(calico_check, "services", lambda where, kubeconfig, session: [])
    monkeypatch.delenv("KUBECONFIG", raising=False)


def store_of(call: Captured, kind: str) -> MemoryDatastore:
    """The datastore before a call, with the pods that the captures on Kubernetes had from 025 on."""
    store = MemoryDatastore(transactional=kind == "etcd")
    fill(store, call.before)
    if kind == "kubernetes" and call.number[:3] >= "025":
        fill(store, dict(workload(address, pod) for address, pod in PODS.items()))
    return store


def workload(address: str, pod: str) -> tuple[str, dict[str, Any]]:
    name = f"node1-k8s-{pod.replace('-', '--')}-eth0"
    path = f"/calico/resources/v3/projectcalico.org/workloadendpoints/default/{name}"
    return path, {"metadata": {"name": name}, "spec": {"pod": pod, "ipNetworks": [f"{address}/32"]}}


def run(monkeypatch: pytest.MonkeyPatch, store: Datastore, *words: str) -> Result:
    """What our command answers."""
    monkeypatch.setattr(connection, "datastore", lambda where: store)
    return CliRunner().invoke(unipam, ["calico", *words])


def asked(call: Captured, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Result, dict[str, Any]]:
    """What ours answers to a captured call, and what it changes."""
    store = store_of(call, kind)
    before = contents(store)
    result = run(monkeypatch, store, *(word.replace("/run/example", str(tmp_path)) for word in call.command[1:]))
    return result, changes(before, contents(store))


def cells(text: str) -> list[list[str]]:
    """A table's rows, cell by cell."""
    return [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if line.startswith("|")
    ]


def of(*words: str) -> list[Any]:
    """The captured calls of a command, but for those of BETTER."""
    found = (("etcd", ETCD), ("kubernetes", KUBERNETES))
    return [
        pytest.param(kind, call, id=f"{kind[0]}{call.number}")
        for kind, several in found
        for call in several.values()
        if tuple(call.command[1 : 1 + len(words)]) == words and f"{kind[0]}{call.number[:3]}" not in BETTER
    ]


def complaint(result: Result) -> str:
    """What `unipam` says is wrong, without the "Error: " before it."""
    if isinstance(result.exception, UnipamError):
        return result.exception.message
    return result.stderr.removeprefix("Error: ").strip()


def agrees(result: Result, call: Captured) -> None:
    """Exit code and text are the captured ones; what goes wrong is told on stderr, behind "Error: "."""
    assert result.exit_code == call.exit_code, result.output
    if call.exit_code:
        told = "\n".join(call.stderr) or call.stdout.removeprefix("Error executing command: ")
        assert complaint(result) == told.removeprefix("error: ").strip()
    else:
        assert result.stdout == call.stdout


@pytest.mark.parametrize(("kind", "call"), of("ipam", "show"))
def test_show_prints_what_calicoctl_printed(
    kind: str, call: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AC-18, AC-26."""
    result, changed = asked(call, kind, tmp_path, monkeypatch)
    agrees(result, call)
    assert changed == {}


@pytest.mark.parametrize(("kind", "call"), of("ipam", "check"))
def test_check_prints_what_calicoctl_printed(
    kind: str, call: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AC-18: whole texts; the order of addresses is by chance in the captures, but of nothing else."""
    if call.number[:3] != "096":
        monkeypatch.setenv("KUBECONFIG", "/a/kubeconfig")
    result, changed = asked(call, kind, tmp_path, monkeypatch)
    if call.exit_code:
        agrees(result, call)
        return
    assert result.exit_code == 0, result.output
    assert unordered(result.stdout) == unordered(call.stdout)
    assert changed == {}


def unordered(text: str) -> list[str]:
    """The lines, those of leaked and strange addresses in order."""
    lines = text.splitlines()
    at = [place for place, line in enumerate(lines) if re.search(r" leaked; | in use by ", line)]
    for place, line in zip(at, sorted(lines[place] for place in at), strict=True):
        lines[place] = line
    return lines


@pytest.mark.parametrize(("kind", "call"), of("ipam", "configure"))
def test_configure_does_what_calicoctl_did(
    kind: str, call: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AC-18, AC-21."""
    result, changed = asked(call, kind, tmp_path, monkeypatch)
    if call.number == "037-configure-cool":  # the API server refuses it in its own words
        assert (result.exit_code, changed) == (1, {})
        return
    agrees(result, call)
    ordered = kind == "etcd"
    found = compared(changed, call.before, ordered=ordered)
    assert found == compared(call.changes, call.before, ordered=ordered)


# Releases ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "call"), [param for param in of("ipam", "release") if "--from-report" not in str(param.values[1].command)]  # type: ignore[attr-defined]
)  # fmt: skip
def test_release_of_an_address_does_what_calicoctl_did(
    kind: str, call: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AC-10, AC-18."""
    result, changed = asked(call, kind, tmp_path, monkeypatch)
    agrees(result, call)
    assert compared(changed, call.before) == compared(call.changes, call.before)


def change(store: MemoryDatastore, changed: dict[str, Any]) -> None:
    """Let a datastore change as captured."""
    for name, document in changed.items():
        if (key := key_of(name)) is None:
            continue
        if document is None:
            store.delete(key, None, time.monotonic() + 9)
        else:
            store.put(key, json.dumps(document).encode())


def story(kind: str, first: str, last: str) -> list[Captured]:
    """Captured calls from one number to another."""
    return [call for call in calls(kind) if first <= call.number[:3] <= last]


@pytest.mark.parametrize(
    ("kind", "first", "last"), [("etcd", "157", "164"), ("kubernetes", "024", "034")], ids=["etcd", "kubernetes"]
)
def test_releases_from_reports_do_what_calicoctl_did(
    kind: str, first: str, last: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AC-18: the guards in their order, what all reports say, and what was released already.

    calicoctl's commands are ours, in the order of the captures and on one datastore; what else was done meanwhile is
    done as captured.
    """
    monkeypatch.setenv("KUBECONFIG", "/a/kubeconfig")
    told = story(kind, first, last)
    store = store_of(told[0], kind)
    for call in told:
        if call.number == "025-check-pods":
            fill(store, dict(workload(address, pod) for address, pod in PODS.items()))
        if call.command[:2] != ["calicoctl", "ipam"] or call.command[2] == "split":
            change(store, call.changes)
            continue
        before = contents(store)
        words = [word.replace("/run/example", str(tmp_path)) for word in call.command[1:]]
        result = run(monkeypatch, store, *words)
        if call.command[2] == "check":
            assert unordered(result.stdout) == unordered(call.stdout)
            continue
        if call.exit_code:
            agrees(result, call)
        else:
            assert first_conflict(result.stdout) == first_conflict(call.stdout)
        found = compared(changes(before, contents(store)), before, ordered=kind == "etcd")
        assert tidied(found) == tidied(compared(call.changes, before, ordered=kind == "etcd"))


def first_conflict(text: str) -> str:
    """A text without which of several addresses was the first to be refused."""
    return re.sub(r"update conflict: \S+\.", "update conflict: *", text)


def tidied(found: dict[str, str]) -> dict[str, str]:
    """Changes without in which order addresses were freed: the captures have them by chance."""
    return {name: re.sub(r'"unallocated": \[([^]]*)\]', _in_order, text) for name, text in found.items()}


def _in_order(found: re.Match[str]) -> str:
    return f'"unallocated": {sorted(map(int, found[1].split(", ")))}' if found[1] else found[0]


# Pools ------------------------------------------------------------------------------------------------------------


def created(call: Captured, tmp_path: Path) -> tuple[str, ...]:
    """The words that apply what a captured call created."""
    (tmp_path / "in.yaml").write_text(call.files["in.yaml"])
    return ("pool", "apply", "-f", str(tmp_path / "in.yaml"))


POOLS = [call for call in ETCD.values() if call.command[1] == "create" and "kind: IPPool" in str(call.files)]


@pytest.mark.parametrize("call", POOLS, ids=lambda call: call.number)
def test_pools_are_made_and_refused_as_by_calicoctl(
    call: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AC-1: the original's texts, without what it puts around them; the same documents but for uid and time."""
    store = store_of(call, "etcd")
    before = contents(store)
    result = run(monkeypatch, store, *created(call, tmp_path))
    found = changes(before, contents(store))
    assert result.exit_code == call.exit_code, result.output
    if call.exit_code:
        assert found == {}
        for text in reasons("\n".join(call.stderr)):
            assert text in complaint(result)
    else:
        assert nameless(found) == nameless(call.changes)


def reasons(text: str) -> list[str]:
    """What stands in the innermost parentheses at the end of a field's line, but for what only a validator says."""
    found = re.findall(r"\((.+)\)\]?$", text, re.MULTILINE)
    return [each for each in found if not each.startswith(("Reason: failed to validate", "supported values"))]


def nameless(documents: dict[str, Any]) -> str:
    return re.sub(r'"(uid|creationTimestamp)": "[^"]*"', r'"\1": "*"', json.dumps(documents))


@pytest.mark.parametrize("number", ["165"])
def test_a_pool_is_deleted_as_by_calicoctl(number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """AC-23."""
    call = ETCD[number]
    monkeypatch.setattr(pooling, "PAUSE", 0)
    store = store_of(call, "etcd")
    before = contents(store)
    result = run(monkeypatch, store, "pool", "delete", call.command[-1])
    assert result.exit_code == 0, result.output
    assert changes(before, contents(store)) == call.changes


# Where ours is better -----------------------------------------------------------------------------------------------


def test_every_call_that_is_answered_otherwise_is_named() -> None:
    known = {f"e{number}" for number in ETCD} | {f"k{number}" for number in KUBERNETES}
    assert set(BETTER) <= known


@pytest.mark.parametrize("name", [name for name, why in BETTER.items() if why == _POINTER])
def test_the_configuration_is_printed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, call = ("etcd", ETCD[name[1:]]) if name[0] == "e" else ("kubernetes", KUBERNETES[name[1:]])
    result, _ = asked(call, kind, tmp_path, monkeypatch)
    theirs = [["KubeVirtVMAddressPersistence", "Enabled"] if "Kube" in row[0] else row for row in cells(call.stdout)]
    assert cells(result.stdout) == theirs


@pytest.mark.parametrize("name", [name for name, why in BETTER.items() if why == _LARGE])
def test_large_pools_have_free_addresses(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AC-18."""
    call = ETCD[name[1:]]
    result, _ = asked(call, "etcd", tmp_path, monkeypatch)
    theirs = [[cell.replace("-9.2234e+18 (-100%)", "9.2234e+18 (100%)") for cell in row] for row in cells(call.stdout)]
    assert cells(result.stdout) == theirs


@pytest.mark.parametrize(("kind", "number"), [("etcd", "097"), ("kubernetes", "023")])
def test_without_kube_controllers_services_are_skipped(
    kind: str, number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/a/kubeconfig")
    call = (ETCD if kind == "etcd" else KUBERNETES)[number]
    result, _ = asked(call, kind, tmp_path, monkeypatch)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(call.stdout.rstrip("\n"))
    assert "No configuration for LoadBalancer kubecontroller found, skipping service check" in result.stdout


def test_nothing_cools_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, changed = asked(ETCD["131"], "etcd", tmp_path, monkeypatch)
    assert complaint(result) == "IPCooldownSeconds must be from 0 to 1200, not 99999"
    assert changed == {}


def test_a_pool_that_cannot_be_split_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call = ETCD["159"]
    result, changed = asked(call, "etcd", tmp_path, monkeypatch)
    assert complaint(result) == "\n".join(call.stderr)
    assert changed == {}


def test_a_pool_is_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AC-24: the pools are the captured ones, and no block, affinity or handle changes."""
    call = ETCD["160"]
    result, changed = asked(call, "etcd", tmp_path, monkeypatch)
    assert result.stdout.rstrip("\n") == call.stdout.replace("pools.Created", "pools.\nCreated")
    assert nameless(changed) == nameless(call.changes)
