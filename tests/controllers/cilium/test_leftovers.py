"""A growth that Azure has carried out by half leaves configurations in the machine's model that no interface has."""

from __future__ import annotations

from tests.controllers.cilium.simulation import Simulation

from unipam.dialects.cilium.planning import Policy

RELEASE = Policy(release=True, release_after=60.0)
JUST_TOLD = 90.0


def failed_halfway(operator: Simulation) -> None:
    """Eight more are wanted, four come, and others take what is left of the subnet."""
    operator.compute.half = True
    operator.azure.arm.fail_next = ("InternalServerError", "failed halfway")
    operator.use("n0", 8)
    assert operator.run(60, lambda: operator.azure.arm.fail_next is None)
    operator.azure.arm.settle()
    operator.compute.fill(left=0)


def in_model(operator: Simulation) -> int:
    """How many secondary configurations the machine's model names."""
    machine = operator.azure.arm.raw(operator.ids[0])
    (nic,) = machine["properties"]["networkProfileConfiguration"]["networkInterfaceConfigurations"]
    return len(nic["properties"]["ipConfigurations"]) - 1


def test_addresses_are_given_back_in_a_full_subnet() -> None:
    operator = Simulation(1, policy=RELEASE)
    assert operator.run(60, operator.ready)
    failed_halfway(operator)
    before = operator.compute.addresses(operator.ids[0])
    assert len(before) < in_model(operator)
    operator.use("n0", -8)
    for _ in range(40):
        operator.run(15)
        operator.agents["n0"].tell()
    assert len(operator.compute.addresses(operator.ids[0])) == len(operator.pool("n0")) == in_model(operator) == 8
    assert not operator.error("n0")


def test_a_node_gets_what_little_room_there_is() -> None:
    """One address is needed, two are free, and four lie in the model that nobody needs any more."""
    operator = Simulation(1)
    assert operator.run(60, operator.ready)
    failed_halfway(operator)
    operator.run(JUST_TOLD)
    assert "SubnetIsFull" in operator.error("n0") or "no free address" in operator.error("n0")
    operator.use("n0", -3)
    del operator.compute.holders[next(ip for ip, holder in operator.compute.holders.items() if holder == "others")]
    assert operator.run(1200, lambda: operator.ready(13)), operator.error("n0")
    assert not operator.error("n0")
