"""Azure answers with what was, for a while after a write: models, interfaces, lists, each by itself."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.controllers.cilium.simulation import Simulation
from tests.fakes.azure_compute import DISKS

from unipam.clients.azure.arm import Answer
from unipam.clients.azure.write.jobs import Ask
from unipam.controllers.cilium import jobs
from unipam.dialects.cilium.machine import COMPUTE, Machine
from unipam.dialects.cilium.planning import Policy

RELEASE = Policy(release=True, release_after=60.0)


def models(path: str) -> float:
    return 25.0 if "/networkinterfaces/" not in path else 0.0


def interfaces(path: str) -> float:
    return 25.0 if "/networkinterfaces/" in path else 0.0


def both(_: str) -> float:
    return 25.0


def long(path: str) -> float:
    return 90.0 if "/networkinterfaces/" in path else 40.0


LAGS = [models, interfaces, both, long]


def grown(lags: Callable[[str], float], alone: bool) -> Simulation:
    """An operator whose one node has got its first pool, and eight addresses more."""
    operator = Simulation(0 if alone else 1, policy=RELEASE)
    if alone:
        operator.ids = [operator.compute.alone("vm")]
        operator.node("n0", operator.ids[0])
    operator.azure.arm.lags = lags
    assert operator.run(150, operator.ready)
    operator.use("n0", 8)
    assert operator.run(300, lambda: operator.ready(16))
    return operator


@pytest.mark.parametrize("alone", [False, True], ids=["scale set", "alone"])
@pytest.mark.parametrize("lags", LAGS)
def test_an_old_answer_has_nothing_given_twice(lags: Callable[[str], float], alone: bool) -> None:
    """Grown twice, with surveys between: never more than was needed, and what was published stays."""
    operator = grown(lags, alone)
    pools = []
    for _ in range(60):
        operator.run(5)
        pools.append(len(operator.pool("n0")))
    assert set(pools) == {16}
    assert len(operator.compute.addresses(operator.ids[0])) == 16
    assert [verb for verb, _, _ in operator.compute.history].count("give") == 17


@pytest.mark.parametrize("alone", [False, True], ids=["scale set", "alone"])
@pytest.mark.parametrize("lags", LAGS)
def test_what_was_released_is_not_offered_again_by_an_old_answer(lags: Callable[[str], float], alone: bool) -> None:
    """An agent that is quick takes whatever the pool offers: it must be there."""
    operator = grown(lags, alone)
    operator.use("n0", -8)
    agent = operator.agents["n0"]
    for _ in range(300):
        operator.run(1)
        agent.tell()
        there = operator.compute.addresses(operator.ids[0])
        assert set(agent.free) <= there, "an address is offered that the machine has not"
    assert len(operator.compute.addresses(operator.ids[0])) == len(operator.pool("n0")) == 8


def test_a_model_that_somebody_else_has_changed_since_is_not_written_over() -> None:
    """The old answer has the old version: refused, read again, and both changes stand."""
    operator = Simulation(1)
    assert operator.run(30, operator.ready)
    operator.azure.arm.lags = models
    operator.compute.attach_disk(operator.ids[0])
    operator.use("n0", 8)
    assert operator.run(120, lambda: operator.ready(16))
    assert operator.compute.disks(operator.ids[0]) == DISKS


def test_a_model_that_was_read_while_its_write_was_under_way_is_not_believed_for_good() -> None:
    """It says Updating, and the interface shows nothing: the next write begins with reading it anew."""
    path = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachineScaleSets/np/virtualMachines/0"
    nic = {"name": "nic", "properties": {"ipConfigurations": [{"name": "ipconfig1"}, {"name": "Cilium-a"}]}}
    profile = {"networkInterfaceConfigurations": [nic]}
    model = {"id": path, "properties": {"provisioningState": "Updating", "networkProfileConfiguration": profile}}
    job = jobs.grow(Machine(path, COMPUTE, "nic"), jobs.Model(model, "7"), lambda _: jobs.More(0), iter(()))
    assert isinstance(next(job), Ask)
    shown = {"value": [{"name": "nic", "properties": {"ipConfigurations": []}}]}
    with pytest.raises(StopIteration) as ended:
        job.send(Answer(200, json.dumps(shown).encode(), {}, ""))
    assert ended.value.value.model.etag == ""
