"""What the real calico-ipam and calicoctl were asked, answered and wrote, call by call; and documents made comparable.

`captured/` holds the calls in order. Times and the numbers that come of them differ from run to run; all else must not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from unipam.dialects.calico.datastore.api import Datastore, Selection
from unipam.dialects.calico.datastore.document import decode
from unipam.dialects.calico.datastore.keys import Key, NodeKey
from unipam.dialects.calico.datastore.memory import MemoryDatastore
from unipam.dialects.calico.datastore.paths import key as key_of
from unipam.dialects.calico.datastore.paths import path
from unipam.dialects.calico.datastore.resources import RESOURCES, STORED, Objects
from unipam.dialects.calico.documents.times import parse_rfc3339

CAPTURED = Path(__file__).parent / "captured"
State = dict[str, Any]
"""Documents by their etcd keys, in the order of their fields; "" for one without a byte."""


class Captured(NamedTuple):
    """A call, and the datastore before it."""

    number: str
    command: list[str]
    environment: dict[str, str]
    stdin: Any
    exit_code: int
    stdout: Any
    stderr: list[str]
    files: dict[str, str]
    changes: State
    before: State
    at: int
    """When it was asked, in nanoseconds since the epoch."""

    @property
    def input(self) -> bytes:
        """What the program was given on standard input."""
        if self.stdin is None:
            return b""
        return self.stdin.encode() if isinstance(self.stdin, str) else json.dumps(self.stdin).encode()


CONFIG = "/calico/ipam/v2/config"
_NODE3 = "/calico/ipam/v2/host/node3/ipv4/block/10.82.0.0-30"
BY_HAND: dict[str, State] = {
    "197": {CONFIG: {}},
    "201": {CONFIG: None, _NODE3: {"state": "pending", "deleted": False}},
    "202": {_NODE3: ""},
    "203": {"/calico/ipam/v2/handle/k8s-pod-network.z9": {"block": {"10.82.0.0/30": 1}, "deleted": False}},
    "205": {"/calico/ipam/v2/handle/default.web-7": {"block": {"10.82.0.0/30": 1}, "deleted": False}},
}
"""What was put there by hand before a call, which the captures tell in words only; None for what was removed."""

_FRESH = "168"
"""The call before which the datastore was emptied."""


def calls(kind: str) -> Iterator[Captured]:
    """Every captured call on `etcd` or `kubernetes` in order, with documents as datastores give them."""
    state: State = {} if kind == "etcd" else {path(NodeKey("node1")): {"metadata": {"name": "node1"}}}
    paths: dict[str, str] = {}
    for line in (CAPTURED / f"{kind}.jsonl").read_text("utf-8").splitlines():
        raw = json.loads(line)
        number = raw["number"].partition("-")[0]
        if kind == "kubernetes":
            raw["changes"] = dict(_of_objects(raw["changes"], paths))
        elif number == _FRESH:
            state = {}
        state = _changed(state, BY_HAND.get(number, {}) if kind == "etcd" else {})
        yield Captured(
            raw["number"], raw["command"], raw["environment"], raw["stdin"], raw["exit_code"], raw["stdout"],
            raw["stderr"], raw["files"], raw["changes"], state, parse_rfc3339(raw["at"]),
        )  # fmt: skip
        state = _changed(state, raw["changes"])


def _of_objects(objects: State, paths: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """Kubernetes' objects as documents. `paths` remembers what became of a name, for when it goes."""
    kinds = {resource.plural: kind for kind, resource in RESOURCES.items()}
    for name, found in objects.items():
        if found is not None:
            item = Objects(STORED).read(kinds[name.partition("/")[0]], found)
            paths[name] = path(item.key)
        yield paths[name], None if found is None else item.document


def _changed(state: State, changes: State) -> State:
    return {name: value for name, value in {**state, **changes}.items() if value is not None}


def fill(store: MemoryDatastore, state: State) -> None:
    """Put what IPAM looks at into a datastore."""
    for name, document in state.items():
        if (found := key_of(name)) is not None:
            store.put(found, document.encode() if isinstance(document, str) else json.dumps(document).encode())


def contents(store: Datastore) -> State:
    """Every document in a datastore, by its etcd key."""
    found = {}
    for kind in Key.__args__:  # type: ignore[attr-defined]  # the members of the union
        for item in store.list(Selection(kind), float("inf")).items:
            found[path(item.key)] = decode(_bytes(item.document))
    return found


def _bytes(document: Any) -> bytes:
    return json.dumps(document).encode()


def changes(before: State, after: State) -> State:
    """What differs, None for what is gone."""
    known = {name: value for name, value in before.items() if key_of(name) is not None}
    gone = {name: None for name in known if name not in after}
    return gone | {name: value for name, value in after.items() if known.get(name, _MISSING) != value and value != {}}


_MISSING = object()
_TIMES = re.compile(r'("(?:timestamp|affinity_claim_time|releasedAt)": )"[^"]*"')


def comparable(document: Any, *, known: bool, ordered: bool) -> str:
    """A document as text: its fields in order, without times; sequence numbers of a new one count from its first."""
    if isinstance(document, dict) and "sequenceNumber" in document and not known:
        given = document["sequenceNumberForAllocation"]
        first = min([document["sequenceNumber"], *given.values()])
        document = {
            **document,
            "sequenceNumber": document["sequenceNumber"] - first,
            "sequenceNumberForAllocation": {name: number - first for name, number in given.items()},
        }
    return _TIMES.sub(r'\1"*"', json.dumps(document, sort_keys=not ordered))


def compared(found: State, before: State, *, ordered: bool = True) -> dict[str, str]:
    """Changes as texts that can be compared; an API server puts fields into an order of its own."""
    return {name: comparable(value, known=name in before, ordered=ordered) for name, value in found.items()}
