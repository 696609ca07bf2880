"""The leader dies at every point: before and after each request to Azure, and before and after each record of it.

What was sent goes on at Azure, and its answer reaches nobody. Three seconds later another process leads, which knows
nothing. At the end everything is as if nobody had died, and nothing was given twice or taken from a pod on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.controllers.cilium.simulation import Simulation
from tests.fakes.azure_public_ips import PublicIps

from unipam.dialects.cilium.planning import Policy

RELEASE = Policy(release=True, release_after=20.0)


class Died(Exception):
    """The process is no more."""


class Mortal(Simulation):
    """A simulation whose operator dies at its `fatal`th point; `points` counts them."""

    def __init__(self, fatal: int = -1, **given: Any) -> None:
        self.fatal, self.points, self.busy = fatal, 0, False
        super().__init__(**given)
        self.azure.send = self._around(self.azure.send)  # type: ignore[method-assign]
        self.cluster.put = self._around(self.cluster.put)  # type: ignore[method-assign]
        self.start()

    def _around(self, what: Callable[..., None]) -> Callable[..., None]:
        def called(*given: Any) -> None:
            if self.busy:
                self._point()
                what(*given)
                self._point()
            else:
                what(*given)

        return called

    def _point(self) -> None:
        self.points += 1
        if self.points == self.fatal:
            raise Died

    def step(self) -> float:
        self.busy = True
        try:
            return super().step()
        except Died:
            self.busy = False
            self.start()
            return self.world.now + 3.0
        finally:
            self.busy = False


def alone(fatal: int) -> Mortal:
    operator = Mortal(fatal, policy=RELEASE)
    operator.ids = [operator.compute.alone("vm")]
    operator.node("n0", operator.ids[0])
    return operator


def of_scale_set(fatal: int) -> Mortal:
    return Mortal(fatal, machines=1, policy=RELEASE)


def with_blocks(fatal: int) -> Mortal:
    operator = Mortal(fatal, policy=RELEASE._replace(blocks=True))
    operator.ids = [operator.compute.alone("vm")]
    operator.node("n0", operator.ids[0])
    return operator


def with_public_address(fatal: int) -> Mortal:
    operator = Mortal(fatal, policy=RELEASE)
    PublicIps(operator.compute).prefix("p", "203.0.113.0", 30, pool="prod")
    operator.ids = operator.compute.scale_set("np", 1)
    operator.node("n0", operator.ids[0], **{"static-ip-tags": {"pool": "prod"}})
    return operator


KINDS = [of_scale_set, alone, with_blocks, with_public_address]


def lived(operator: Mortal, unit: int) -> None:
    """Grow, grow again, and give back: whatever happens, it comes to its end and nothing is wrong on the way."""
    machine, agent = operator.ids[0], operator.agents["n0"]
    assert operator.run(240, lambda: operator.ready(unit)), operator.error("n0")
    assert len(operator.compute.addresses(machine)) == unit
    operator.use("n0", unit)
    assert operator.run(240, lambda: operator.ready(2 * unit)), operator.error("n0")
    operator.run(1)
    assert len(operator.compute.addresses(machine)) == 2 * unit, "something was given twice"
    kept = {max(agent.pods)}
    agent.pods = set(kept)
    for _ in range(40):
        agent.tell()
        operator.run(5)
        assert set(agent.free) | kept <= operator.compute.addresses(machine), "offered or used, and not there"
        if len(operator.compute.addresses(machine)) == len(operator.pool("n0")) == expected(unit) and not handshake(
            agent
        ):
            break
    assert len(operator.compute.addresses(machine)) == len(operator.pool("n0")) == expected(unit)
    assert handshake(agent) == {}


def expected(unit: int) -> int:
    """One used and eight free; with blocks the one block."""
    return 9 if unit == 8 else 16


def handshake(agent: Any) -> dict[str, str]:
    return dict(agent.document["status"]["ipam"].get("release-ips", {}))


def unit_of(make: Callable[[int], Mortal]) -> int:
    return 16 if make is with_blocks else 8


@pytest.mark.parametrize("make", KINDS)
def test_the_leader_dies_at_every_point(make: Callable[[int], Mortal]) -> None:
    """A crash matrix: as many lives as there are points in one without a crash."""
    whole = make(-1)
    lived(whole, unit_of(make))
    assert whole.points > 20
    for fatal in range(1, whole.points + 1):
        operator = make(fatal)
        try:
            lived(operator, unit_of(make))
        except AssertionError as error:
            raise AssertionError(f"died at point {fatal} of {whole.points}: {error}") from error
        if make is with_public_address:
            assert operator.run(600, lambda operator=operator: bool(given(operator))), fatal  # type: ignore[misc]
            assert given(operator) == "203.0.113.0", "another address was given"


def given(operator: Mortal) -> str:
    return str(operator.cluster.documents["n0"]["status"]["ipam"].get("assigned-static-ip", ""))
