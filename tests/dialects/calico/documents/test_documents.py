"""AC-21: documents come out as they went in, byte for byte, whatever is in them; and what is broken is said by name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.dialects.calico.captures import calls

from unipam.dialects.calico.documents import affinity, block, configuration, handle, pool
from unipam.model.errors import Unreadable

SEEN: dict[str, list[tuple[str, Any]]] = {}
for call in calls("etcd"):
    for name, document in call.changes.items():
        kind = next((k for k in ("assignment/", "/handle/", "v2/host/", "v2/config", "ippools/") if k in name), "")
        if isinstance(document, dict):
            SEEN.setdefault(kind, []).append((name, document))


@pytest.mark.parametrize(
    ("kind", "read"),
    [
        ("assignment/", block.read),
        ("/handle/", lambda document: handle.read(document, "a handle")),
        ("v2/host/", lambda document: affinity.read(document, "an affinity")),
        ("v2/config", configuration.read),
    ],
)
def test_every_captured_document_comes_out_as_it_went_in(kind: str, read: Any) -> None:
    assert len(SEEN[kind]) > 5
    for name, document in SEEN[kind]:
        assert json.dumps(read(document).document()) == json.dumps(document), name


def test_every_captured_pool_is_read() -> None:
    found = {each.name: each for _, document in SEEN["ippools/"] for each in (pool.read(document),)}
    assert (found["small"].block_bits, found["small"].node_selector, str(found["small"].prefix)) == (
        30, "kind == 'small'", "10.77.0.0/29",
    )  # fmt: skip
    assert (found["off"].enabled, found["tunnels"].uses) == (False, ("Tunnel",))


def test_absent_booleans() -> None:
    """A switch that is off is absent; absent is off, and only where nothing is stored blocks are claimed."""
    assert configuration.read({}) == configuration.Configuration(auto_allocate=False)
    assert configuration.DEFAULT.auto_allocate
    assert configuration.Configuration(strict=False, auto_allocate=False).document() == {}


def test_numbers_beyond_what_a_double_holds() -> None:
    number = (1 << 64) - 1
    document = {**_block(), "sequenceNumber": number, "sequenceNumberForAllocation": {"0": number - 1}}
    assert block.read(document).document()["sequenceNumber"] == number
    assert block.read(document).sequences == {0: number - 1}


def test_a_block_of_nobodys() -> None:
    found = block.read({**_block(), "affinity": None})
    assert found.affinity is None
    assert found.document()["affinity"] is None


def _block(**more: Any) -> dict[str, Any]:
    return {
        "cidr": "10.0.0.0/31", "affinity": "host:a", "allocations": [None, None], "unallocated": [0, 1],
        "attributes": [], "sequenceNumber": 1, "sequenceNumberForAllocation": {}, "deleted": False, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({}, "block  is broken: invalid CIDR address:"),
        (_block(cidr="10.0.0.1/31"), "host bits are set"),
        (_block(cidr="10.0.0.0/8"), "it has more than 4096 addresses"),
        (_block(allocations=[None]), "it has 2 addresses and 1 allocations"),
        (_block(allocations=[0, None], unallocated=[1]), "allocation 0 indexes a nonexistent attribute 0"),
        (_block(allocations=["x", None], unallocated=[1]), "allocation 0 indexes a nonexistent attribute x"),
        (_block(unallocated=[0, 0]), "ordinal 0 appears more than once in Unallocated array"),
        (_block(unallocated=[0, 2]), "ordinal 2 appears in the Unallocated array but is out of the block"),
        (
            _block(allocations=[0, None], attributes=[{}]),
            "ordinal 0 is allocated but appears in Unallocated",
        ),
        (_block(attributes=[7]), "an attribute is none, or has a field of another type"),
        (_block(attributes=[{"releasedAt": 7}]), "an attribute is none, or has a field of another type"),
        (_block(attributes=[{"secondary": "x"}]), "an attribute is none, or has a field of another type"),
        (_block(sequenceNumber="1"), "sequenceNumber is '1', which is no whole number"),
        (_block(sequenceNumberForAllocation={"a": 1}), "sequenceNumberForAllocation is not made of numbers"),
        (_block(sequenceNumberForAllocation={"0": 1.5}), "sequenceNumberForAllocation is not made of numbers"),
        (_block(deleted="false"), "deleted is 'false', which is no boolean"),
    ],
)
def test_a_broken_block_is_named(document: dict[str, Any], problem: str) -> None:
    with pytest.raises(Unreadable) as refused:
        block.read(document)
    assert problem in str(refused.value)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"metadata": {"name": "p"}, "spec": {"cidr": "10.0.0.1/24"}}, "pool p is broken: invalid prefix 10.0.0.1/24"),
        ({"metadata": {"name": "p"}, "spec": {"cidr": "10.0.0.0/24", "blockSize": 19}}, "blockSize 19 is not from 20"),
        ({"metadata": {"name": "p"}, "spec": {"cidr": "fd00::/64", "blockSize": 26}}, "is not from 116 to 128"),
        ({"metadata": {"name": "p"}, "spec": []}, "spec is [], which is no object"),
    ],
)
def test_a_broken_pool_is_named(document: dict[str, Any], problem: str) -> None:
    with pytest.raises(Unreadable) as refused:
        pool.read(document)
    assert problem in str(refused.value)


@pytest.mark.parametrize(
    ("more", "enabled"),
    [
        ({}, True),
        ({"status": {"conditions": [{"type": "Allocatable", "status": "True"}]}}, True),
        ({"status": {"conditions": [{"type": "Allocatable", "status": "False"}]}}, False),
        ({"metadata": {"name": "p", "deletionTimestamp": "2026-01-01T00:00:00Z"}}, False),
        ({"spec": {"cidr": "10.0.0.0/24", "disabled": True}}, False),
    ],
)
def test_which_pools_may_hand_anything_out(more: dict[str, Any], enabled: bool) -> None:
    document = {"metadata": {"name": "p"}, "spec": {"cidr": "10.0.0.0/24"}, **more}
    assert pool.read(document).enabled == enabled


def test_a_state_that_nobody_knows() -> None:
    with pytest.raises(Unreadable, match="its state is 'odd'"):
        affinity.read({"state": "odd"}, "affinity of host:a")
