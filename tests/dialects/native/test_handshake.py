"""What a node answers, by the table of its docstring; and what it says it uses."""

from __future__ import annotations

import itertools

import pytest
from tests.dialects.native.cluster import NIC, cilium_node

from unipam.addr.prefix import parse_address
from unipam.dialects.cilium.node import KEPT, MARKED, READY, RELEASED, node_of
from unipam.dialects.native.handshake import answers, is_older, used, used_patch
from unipam.model.records import LEASE, Claim, Owner

IP = "10.240.0.10"
AT = parse_address(IP)
STATES, WHERE, HOLDS = (MARKED, READY, KEPT, RELEASED, "what?"), (True, False), ("", "held", "resting")


@pytest.mark.parametrize(("state", "pooled", "holds"), list(itertools.product(STATES, WHERE, HOLDS)))
def test_a10_each_case_has_its_answer(state: str, pooled: bool, holds: str) -> None:
    """A10, the node's side: nothing that a pod has is ever given up, whoever wrote what."""
    seen = node_of(cilium_node(*([IP] if pooled else []), release={IP: state}))
    found = answers(seen, {AT} if holds == "held" else set(), {AT} if holds == "resting" else set())
    if holds == "held":
        expected = {MARKED: KEPT, READY: KEPT}.get(state, "")
    elif state == MARKED:
        expected = KEPT if not pooled else "" if holds == "resting" else READY
    else:
        expected = ""
    if state == RELEASED and not pooled:
        assert found == {IP: None}
    else:
        assert found == ({IP: expected} if expected else {})


def test_a_block_is_given_up_as_a_whole_or_not() -> None:
    seen = node_of(cilium_node("10.240.0.16/28", release={"10.240.0.16/28": MARKED}))
    assert answers(seen, {parse_address("10.240.0.20")}, ()) == {"10.240.0.16/28": KEPT}
    assert answers(seen, {parse_address("10.240.0.32")}, ()) == {"10.240.0.16/28": READY}


def test_what_is_used_is_told_by_its_pod_and_interface_and_only_where_it_differs() -> None:
    seen = node_of(cilium_node(IP, used={"10.9.9.9": {"owner": "x/y"}}))
    claims = [
        Claim(1, AT, AT, LEASE, Owner("c1", "eth0"), details='{"pod":"default/web"}'),
        Claim(1, AT + 1, AT + 1, LEASE, Owner("c2", "eth0")),
    ]
    wanted = used(seen, claims)
    assert wanted == {
        IP: {"owner": "default/web", "resource": NIC}, "10.240.0.11": {"owner": "c2/eth0"},
    }  # fmt: skip
    assert used_patch(seen, wanted) == {"10.9.9.9": None, **wanted}
    assert used_patch(node_of(cilium_node(IP, used=wanted)), wanted) == {}


def test_revisions_that_are_no_numbers_tell_nothing() -> None:
    assert is_older("9", "10")
    assert not is_older("10", "10")
    assert not is_older("a", "10")
    assert not is_older("", "10")
