"""How long a call may take."""

from __future__ import annotations

import pytest

from unipam.cni.call import Call
from unipam.dialects.calico.attending import AGENT_TIMEOUT, TIMEOUT, time_of
from unipam.ledger.open import uptime


@pytest.mark.parametrize(
    ("waited", "left"),
    [(0.0, TIMEOUT), (AGENT_TIMEOUT / 2, TIMEOUT - AGENT_TIMEOUT / 2), (1e6, TIMEOUT - AGENT_TIMEOUT)],
)
def test_a_cold_call_counts_what_its_launcher_has_waited(waited: float, left: float) -> None:
    """So that the runtime, which ends whoever takes two minutes, hears why."""
    call = Call("calico-ipam", {}, b"", asked=uptime() - waited)
    assert time_of(call) == pytest.approx(left, abs=5)


def test_a_call_of_which_nobody_knows_when_it_began_has_all_of_its_time() -> None:
    assert time_of(Call("calico-ipam", {}, b"")) == TIMEOUT
    assert time_of(Call("calico-ipam", {}, b"", last=False, asked=uptime())) == AGENT_TIMEOUT
