"""How addresses are taken from a node: the table of spec cilium §1.7."""

from __future__ import annotations

import pytest
from tests.dialects.cilium.test_nodes import nic, node

from unipam.dialects.cilium.formulas import Parameters
from unipam.dialects.cilium.node import KEPT, MARKED, READY, RELEASED, CiliumNode
from unipam.dialects.cilium.planning import Policy
from unipam.dialects.cilium.releasing import Handshake, handshake

RELEASING = Policy(release=True, release_after=180.0)
HIGHEST = "10.240.0.14"


def with_release(states: dict[str, str], *used: str) -> CiliumNode:
    """A node that keeps eight, with these states and these addresses in use."""
    return node(pre=8)._replace(release=states, used=frozenset(used), wanted=Parameters(8))


def go(states: dict[str, str], *used: str, secondary: int = 10, since: float = 0.0, now: float = 0.0) -> Handshake:
    addresses = nic(count=secondary + 1)
    known = {each.ip: since for each in addresses.secondary}
    return handshake(with_release(states, *used), [addresses], RELEASING, known, now)


def test_a10_what_is_too_much_waits_before_it_is_marked() -> None:
    """A10: the two highest of ten, after 180 s, not before; the first moment counts."""
    assert go({}, now=179.0).states == {}
    assert go({}, now=180.0).states == {HIGHEST: MARKED, "10.240.0.13": MARKED}
    assert go({}, now=180.0).take == []


@pytest.mark.parametrize(
    ("state", "states", "take"),
    [
        (MARKED, {HIGHEST: MARKED, "10.240.0.13": MARKED}, []),
        (READY, {HIGHEST: READY, "10.240.0.13": MARKED}, [HIGHEST]),
        (KEPT, {"10.240.0.13": MARKED}, []),
        (RELEASED, {HIGHEST: MARKED, "10.240.0.13": MARKED}, []),
    ],
)
def test_a10_each_answer(state: str, states: dict[str, str], take: list[str]) -> None:
    """A10: marked stands, ready is taken, kept begins anew; released and back in the pool begins anew."""
    found = go({HIGHEST: state}, now=200.0)
    assert (found.states, found.take) == (states, take)


def test_a10_called_off_while_it_is_marked_and_not_later() -> None:
    """A10: no longer too much: a marked one is let go, a ready one is taken all the same."""
    used = [f"10.240.0.{5 + i}" for i in range(8)]
    assert go({HIGHEST: MARKED}, *used) == Handshake({}, {}, [])
    assert go({HIGHEST: READY}, *used) == Handshake({HIGHEST: READY}, {}, [HIGHEST])


def test_a10_what_is_used_is_never_taken() -> None:
    """A10: whatever the document says, perhaps by hand."""
    assert go({HIGHEST: READY}, HIGHEST) == Handshake({}, {"10.240.0.13": 0.0}, [])


def test_a10_gone_from_the_interface_is_released_until_the_agent_forgets_it() -> None:
    """A10: ready and not there any more: released; but nothing is said where no interface is known."""
    assert go({"10.240.0.99": READY}, secondary=8).states == {"10.240.0.99": RELEASED}
    assert go({"10.240.0.99": RELEASED}, secondary=8).states == {"10.240.0.99": RELEASED}
    assert handshake(with_release({HIGHEST: READY}), [], RELEASING, {}, 0.0).states == {}


def test_what_was_begun_is_ended_also_when_release_is_off() -> None:
    found = handshake(with_release({HIGHEST: READY}), [nic(count=11)], Policy(), {}, 0.0)
    assert found == Handshake({HIGHEST: READY}, {}, [HIGHEST])


@pytest.mark.parametrize("state", ["updating", "failed", "deleting"])
def test_what_is_at_the_interface_in_whatever_state_is_not_gone(state: str) -> None:
    """An interface that somebody writes, or whose write has failed: nothing is told to be released that is there."""
    addresses = nic(count=11)
    shown = tuple(each._replace(state=state) if each.ip == HIGHEST else each for each in addresses.addresses)
    updating = addresses._replace(addresses=shown, updating=state == "updating")
    for said in (READY, RELEASED) if state != "updating" else (READY,):
        assert handshake(with_release({HIGHEST: said}), [updating], RELEASING, {}, 0.0).states[HIGHEST] == said
