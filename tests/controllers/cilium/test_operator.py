"""Cilium's operator through good days and bad ones, and its cost against the genuine one's (spec cilium §9)."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
from tests.controllers.cilium.simulation import Simulation, merged
from tests.fakes.azure_compute import DISKS, GROUP, Compute
from tests.fakes.azure_http import Refused
from tests.fakes.simulated import LOST, UNSENT

from unipam.dialects.cilium.node import CiliumNode, Published
from unipam.dialects.cilium.planning import Policy
from unipam.model.errors import SourceFailed


def puts(operator: Simulation) -> int:
    return len(operator.azure.asked("PUT"))


def test_a_node_gets_its_first_pool() -> None:
    operator = Simulation(1)
    begun = operator.world.now
    assert operator.run(60, operator.ready)
    assert operator.world.now - begun <= 2.0
    assert operator.pool("n0") == operator.compute.addresses(operator.ids[0])
    assert puts(operator) == 1


def test_a9_status_before_spec_and_nothing_that_is_not_needed() -> None:
    """A9: the interface is told before the pool; what is as it was is not written."""
    operator = Simulation(3)
    assert operator.run(60, operator.ready)
    operator.run(1)
    for name in operator.cluster.documents:
        of_node = [what for each, what in operator.cluster.order if each == name]
        assert of_node[-2:] == ["status", "spec"]
    before = len(operator.cluster.order)
    operator.run(600)
    assert len(operator.cluster.order) == before


def test_a6_a_full_look_is_two_and_scale_sets_and_subnets() -> None:
    """A6, and steady state: 2 + V + S reads a minute, whatever the number of nodes."""
    operator = Simulation(20)
    assert operator.run(60, operator.ready)
    operator.run(120)
    before = len(operator.azure.calls)
    operator.run(600)
    assert (len(operator.azure.calls) - before) / 10 <= 2 + 1 + 1


def test_a6_growing_costs_two_calls() -> None:
    """A6: eight more are one write and one look (theirs: 6)."""
    operator = Simulation(1)
    assert operator.run(30, operator.ready)
    operator.run(1)
    before = len(operator.azure.calls)
    operator.use("n0", 8)
    assert operator.run(10, lambda: operator.ready(16))
    assert len(operator.azure.calls) - before <= 2


def test_a20_a_cold_start_of_100_nodes() -> None:
    """A20: first pool ≤ 2 s (theirs 72 s), all ≤ 30 s (97 s), ≤ 1.2 tokens and ≤ 2.5 calls a node (4 and 6)."""
    operator = Simulation(100)
    begun = operator.world.now
    assert operator.run(60, lambda: any(operator.pool(each) for each in operator.cluster.documents))
    assert operator.world.now - begun <= 2.0
    assert operator.run(60, operator.ready)
    assert operator.world.now - begun <= 30.0
    assert operator.dispatcher.tokens <= 120
    assert operator.dispatcher.sent <= 250
    assert puts(operator) == 100


def test_a3_1000_nodes_within_five_minutes() -> None:
    """A3, scale: 1,000 nodes with the real default budget in ≤ 5 minutes (theirs about 16.6)."""
    operator = Simulation(1000)
    begun = operator.world.now
    assert operator.run(600, operator.ready)
    assert operator.world.now - begun <= 300.0
    assert puts(operator) == 1000
    assert len(operator.compute.holders) == 9000, "exactly eight each, and the primary ones"


def test_a_node_that_joins_costs_two_tokens() -> None:
    """≤ 2 tokens (theirs: 6), although no list has shown it yet."""
    operator = Simulation(1)
    assert operator.run(30, operator.ready)
    operator.run(1)
    before = operator.dispatcher.tokens
    machine = operator.compute.machine(f"{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/np", 1)
    operator.node("n1", machine)
    assert operator.run(10, operator.ready)
    assert operator.dispatcher.tokens - before <= 2


def test_a_write_of_five_seconds_costs_at_most_seven() -> None:
    """Without Retry-After (theirs: 30 s)."""
    operator = Simulation(1)
    operator.azure.arm.takes, operator.azure.arm.retry_after = 5.0, "unsaid"
    begun = operator.world.now
    assert operator.run(30, operator.ready)
    assert operator.world.now - begun <= 7.0 + 0.5, "and half a second for the lists"


@pytest.mark.parametrize("takes", [0.1, 5.0])
@pytest.mark.parametrize("alone", [False, True])
def test_a_write_may_be_answered_by_nothing_but_where_it_is_followed(takes: float, alone: bool) -> None:
    """202 and a `Location`, as the examples of Azure have it for a scale set's machines."""
    operator = Simulation(0 if alone else 1)
    if alone:
        operator.node("vm", operator.compute.alone("vm"))
    operator.azure.arm.terse, operator.azure.arm.takes = True, takes
    (name,) = operator.cluster.documents
    for count in (8, 16, 24):
        assert operator.run(30, lambda count=count: operator.ready(count))  # type: ignore[misc]
        operator.use(name, 8)
    operator.run(60)
    assert not [facts for event, facts in operator.told if event == "machine not served"]
    assert puts(operator) == 4


def test_what_has_no_state_has_come_about() -> None:
    """Azure need not say `Succeeded` (the ARM fixtures' README)."""
    operator = Simulation(1)
    (nic,) = operator.compute.interfaces(operator.ids[0])

    def stateless(found: dict[str, Any]) -> dict[str, Any]:
        made = copy.deepcopy(found)
        for each in made["properties"]["ipConfigurations"]:
            if each["properties"]["provisioningState"] == "Succeeded":
                del each["properties"]["provisioningState"]
        return made

    operator.azure.arm.in_lists[nic] = stateless
    begun = operator.world.now
    assert operator.run(60, operator.ready)
    assert operator.world.now - begun <= 2.0


def test_a8_a_permanent_refusal_is_told_and_left_alone() -> None:
    """A8: ≤ 10 calls an hour as a whole in a busy cluster, and the CiliumNode says why (theirs: `{}`)."""
    operator = Simulation(2)
    text = "The client does not have authorization to perform action 'Microsoft.Compute/virtualMachines/write'."
    operator.azure.fault = lambda ask: (
        Refused(403, "AuthorizationFailed", text) if ask.path.endswith("/virtualMachines/0") and ask.writes else None
    )
    for _ in range(12):
        operator.run(300)
        operator.use("n1", 2)
    about = [each for each in operator.azure.calls if each.ask.path.lower().startswith(operator.ids[0])]
    assert len(about) <= 10, "the reads of the model counted"
    assert len([each for each in about if each.ask.writes]) <= 7
    assert "AuthorizationFailed" in operator.error("n0")
    assert [each[:2] for each in operator.cluster.events] == [("n0", "AddressesShort")]
    assert len(operator.pool("n1")) >= 24 + 8 - 8
    operator.azure.fault = lambda _: None
    assert operator.run(3700, lambda: bool(operator.pool("n0")))
    operator.run(1)
    assert operator.error("n0") == ""


def test_a8_a_scale_set_that_is_busy_for_long_keeps_no_other_waiting() -> None:
    """A8: its hundred machines are asked after less and less often, and behind whoever was not refused."""
    operator = Simulation(100)
    assert operator.run(60, operator.ready)
    busy = Refused(409, "OperationNotAllowed", "The machine is being updated.")
    operator.azure.fault = lambda ask: busy if ask.writes and "/np/" in ask.path.lower() else None
    for index in range(100):
        operator.use(f"n{index}", 8)
    operator.run(300)
    before = len(operator.azure.calls)
    for index, machine in enumerate(operator.compute.scale_set("other", 3)):
        operator.node(f"new{index}", machine)
    assert operator.run(60, operator.ready), "also when a hundred others wait"
    operator.run(600)
    assert (len(operator.azure.calls) - before) / 660 <= 2.0, "requests a second, of four"
    operator.azure.fault = lambda _: None
    assert operator.run(120, lambda: all(len(operator.pool(f"n{index}")) == 16 for index in range(100)))


def test_a8_a_lock_of_the_group_is_no_operation_that_ends() -> None:
    """A8: Azure calls a lock a conflict (409); it stands until somebody takes it away."""
    operator = Simulation(1)
    text = "The scope cannot perform write operation because following scope(s) are locked. Please remove the lock."
    operator.azure.fault = lambda ask: Refused(409, "ScopeLocked", text) if ask.writes else None
    operator.run(3600)
    assert puts(operator) <= 7
    assert "ScopeLocked" in operator.error("n0")


def test_a8_a_permanent_refusal_of_a_machine_that_joins() -> None:
    """A8: no list has shown it when it is refused first; ≤ 10 calls an hour all the same."""
    operator = Simulation(1)
    assert operator.run(30, operator.ready)
    operator.azure.fault = lambda ask: Refused(403, "LinkedAuthorizationFailed", "no right") if ask.writes else None
    machine = operator.compute.machine(f"{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/np", 1)
    operator.node("n1", machine)
    operator.run(3600)
    about = [each for each in operator.azure.calls if each.ask.path.lower().startswith(machine)]
    assert 6 <= len(about) <= 10
    assert "LinkedAuthorizationFailed" in operator.error("n1")


def test_a8_75_seconds_of_429() -> None:
    """A8: no call before its time, all counted, and served when it ends."""
    operator = Simulation(5)
    assert operator.run(30, operator.ready)
    end = operator.world.now + 75
    limited = Refused(429, "TooManyRequests", "throttled", {"Retry-After": "5"})
    operator.azure.fault = lambda _: limited if operator.world.now < end else None
    begun = len(operator.azure.calls)
    for index in range(5):
        operator.use(f"n{index}", 4)
    operator.run(75)
    for writes in (True, False):
        times = [each.at for each in operator.azure.calls[begun:] if each.ask.writes == writes]
        waves = sorted({round(each, 1) for each in times})
        assert all(later - earlier >= 4.9 for earlier, later in itertools.pairwise(waves) if later - earlier > 0.2)
    assert operator.run(15, lambda: operator.ready(12))


def test_a4_a5_never_two_subnets_and_never_more_than_256() -> None:
    """A4, A5: a pod-hungry node stops at 255; the fake would refuse more, and another subnet."""
    operator = Simulation(1, pre_allocate=300)
    operator.run(600)
    assert len(operator.pool("n0")) == 255
    assert [each.status for each in operator.azure.calls if each.status >= 400] == []


def test_a_full_subnet_is_shared_out_and_told() -> None:
    """Theirs: three refused writes by racing on the same room, and `{}`."""
    operator = Simulation(4, cidr="10.240.0.0/27")
    operator.run(60)
    given = sorted(len(operator.pool(each)) for each in operator.cluster.documents)
    assert sum(given) == 32 - 5 - 4
    assert [each.status for each in operator.azure.calls if each.status >= 400] == []
    short = [each for each in operator.cluster.documents if len(operator.pool(each)) < 8]
    assert all("has no free address" in operator.error(each) for each in short)
    before = puts(operator)
    operator.run(600)
    assert puts(operator) == before


def test_a_subnet_that_others_fill_is_told_and_served_when_there_is_room() -> None:
    operator = Simulation(2)
    assert operator.run(30, operator.ready)
    operator.compute.fill(left=3)
    operator.use("n0", 8)
    operator.run(30)
    assert "SubnetIsFull" in operator.error("n0")
    for ip in [each for each, holder in operator.compute.holders.items() if holder == "others"][:100]:
        del operator.compute.holders[ip]
    assert operator.run(300, lambda: len(operator.pool("n0")) == 16)


def test_a_subnet_that_was_full_for_hours_is_asked_again_as_soon_as_it_has_more_room() -> None:
    """It claims to have room while it is full: blocks, and what no list shows, use more than its document tells."""
    operator = Simulation(2)
    assert operator.run(30, operator.ready)
    operator.compute.fill(left=40)
    full = Refused(400, "SubnetIsFull", "Subnet nodes does not have enough capacity for 8 IP addresses.")
    operator.azure.fault = lambda ask: full if ask.writes else None
    operator.use("n0", 8)
    before = puts(operator)
    operator.run(2.5 * 3600)
    assert puts(operator) - before <= 9
    for ip in [each for each, holder in operator.compute.holders.items() if holder == "others"][:8]:
        del operator.compute.holders[ip]
    operator.azure.fault = lambda _: None
    assert operator.run(90, lambda: len(operator.pool("n0")) == 16)
    assert operator.run(2, lambda: operator.error("n0") == "")


@pytest.mark.parametrize("fault", [LOST, UNSENT])
def test_no_node_is_written_twice_for_one_need(fault: str) -> None:
    """The answer is lost: what is in the model counts (theirs: 10 of 300 written twice)."""
    operator = Simulation(1)
    faults = iter([fault])
    operator.azure.fault = lambda ask: next(faults, None) if ask.writes else None
    assert operator.run(60, operator.ready)
    operator.run(200)
    assert len(operator.pool("n0")) == 8
    assert len(operator.compute.addresses(operator.ids[0])) == 8


def test_an_operation_that_fails_late_leaves_nothing_and_is_tried_again() -> None:
    operator = Simulation(1)
    operator.azure.arm.takes = 3.0
    operator.azure.arm.fail_next = ("InternalServerError", "allocation failed")
    assert operator.run(60, operator.ready)
    assert len(operator.compute.addresses(operator.ids[0])) == 8


def test_a12_the_body_that_is_written() -> None:
    """A12: no image, existing configurations untouched, new names as Cilium's."""
    operator = Simulation(1)
    assert operator.run(30, operator.ready)
    (put,) = operator.azure.asked("PUT")
    assert put.ask.body is not None
    properties = put.ask.body["properties"]
    assert properties["storageProfile"] == {"dataDisks": []}
    assert "instanceView" not in properties
    assert put.ask.match


def test_a_foreign_change_of_the_model_is_not_overwritten() -> None:
    """Between read and write somebody attaches a disk: 412, read again, both changes stand."""
    operator = Simulation(1)
    assert operator.run(30, operator.ready)
    operator.compute.attach_disk(operator.ids[0])
    operator.use("n0", 8)
    assert operator.run(30, lambda: operator.ready(16))
    assert operator.compute.disks(operator.ids[0]) == DISKS
    assert [each.status for each in operator.azure.calls].count(412) == 1


def test_a13_strict_max_allocate() -> None:
    """A13: Cilium's max-allocate does not bound the watermark; ours does on request."""
    theirs = Simulation(1, max_allocate=10, max_above_watermark=20)
    theirs.run(60)
    assert len(theirs.pool("n0")) == 28
    strict = Simulation(1, policy=Policy(strict=True), max_allocate=10, max_above_watermark=20)
    strict.run(60)
    assert len(strict.pool("n0")) == 10


def test_a14_a_scale_set_without_machines() -> None:
    """A14: capacity 0 is passed over; a 404 of a list empties nothing."""
    operator = Simulation(1)
    operator.compute.scale_set("empty", 0)
    operator.azure.fault = lambda ask: (
        Refused(404, "ResourceNotFound", "gone") if "empty/networkInterfaces" in ask.path else None
    )
    flexible = f"{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/flexible"
    operator.azure.arm.put(flexible, {"orchestrationMode": "Flexible"}, sku={"capacity": 3})
    assert operator.run(30, operator.ready)
    assert not [each for each in operator.azure.calls if "empty" in each.ask.path or "flexible" in each.ask.path], (
        "the interfaces of flexible machines stand alone: Azure has no list of them (404)"
    )


def test_a16_metrics() -> None:
    """A16: Cilium's names; a node's series go with it."""
    operator = Simulation(2)
    assert operator.run(30, operator.ready)
    operator.run(1)

    def samples() -> dict[tuple[str, ...], float]:
        return {(s.name, *s.labels.values()): s.value for m in operator.operator.metrics() for s in m.samples}

    found = samples()
    assert found["cilium_operator_ipam_available_ips", "n0"] == 255
    assert found["cilium_operator_ipam_needed_ips", "n1"] == 0
    assert found["cilium_operator_ipam_nodes", "total"] == 2
    subnet = operator.compute.subnet
    assert found["cilium_operator_ipam_ip_allocation_ops", subnet] == 16
    assert found["cilium_operator_ipam_available_ips_per_subnet", subnet, ""] == 65536 - 5 - 18
    assert found["cilium_operator_ipam_interface_candidates",] == 2
    assert found["cilium_operator_ipam_allocation_duration_seconds_count", "allocateIP", "success", subnet] == 2
    assert found["cilium_operator_ipam_background_sync_duration_seconds_count", "success"] == 1
    assert found["cilium_operator_ipam_resync_total",] == 1
    operator.cluster.remove("n0")
    operator.run(1)
    assert ("cilium_operator_ipam_used_ips", "n0") not in samples()


def test_a17_a_machine_that_stands_alone() -> None:
    """A17: by its interface, in every path."""
    operator = Simulation(0, policy=Policy(release=True, release_after=60.0))
    operator.node("vm", operator.compute.alone("vm"))
    assert operator.run(30, lambda: operator.ready(8))
    operator.use("vm", 8)
    assert operator.run(30, lambda: operator.ready(16))
    released(operator, "vm", 8)


def released(operator: Simulation, name: str, count: int) -> None:
    """Pods go, the agent answers, and so many addresses come back to the subnet."""
    before = len(operator.compute.holders)
    operator.use(name, -100)
    for _ in range(40):
        operator.run(15)
        operator.agents[name].tell()
    assert len(operator.compute.holders) == before - count
    assert len(operator.pool(name)) == 8
    assert operator.cluster.documents[name]["status"]["ipam"]["release-ips"] == {}


@pytest.mark.parametrize("restart", [False, True])
def test_a10_addresses_that_are_too_many_come_back(restart: bool) -> None:
    """A10: the handshake to its end, also over a restart of the operator."""
    operator = Simulation(1, policy=Policy(release=True, release_after=60.0))
    assert operator.run(30, operator.ready)
    operator.use("n0", 8)
    assert operator.run(30, lambda: operator.ready(16))
    if restart:
        operator.use("n0", -100)
        operator.run(70)
        operator.start()
    released(operator, "n0", 8)


def test_a10_an_address_that_is_used_again_is_not_taken() -> None:
    """A10: excess goes away while it is marked: the handshake is called off."""
    operator = Simulation(1, policy=Policy(release=True, release_after=60.0))
    assert operator.run(30, operator.ready)
    operator.use("n0", 8)
    assert operator.run(30, lambda: operator.ready(16))
    operator.use("n0", -100)
    operator.run(70)
    assert set(operator.cluster.documents["n0"]["status"]["ipam"]["release-ips"].values()) == {"marked-for-release"}
    operator.use("n0", 8)
    operator.run(300)
    assert len(operator.compute.addresses(operator.ids[0])) == 16
    assert operator.agents["n0"].pods <= operator.compute.addresses(operator.ids[0])


def test_without_release_nothing_is_taken() -> None:
    """As Cilium: a node keeps its most."""
    operator = Simulation(1)
    assert operator.run(30, operator.ready)
    operator.use("n0", 8)
    assert operator.run(30, lambda: operator.ready(16))
    operator.use("n0", -100)
    operator.run(900)
    assert len(operator.pool("n0")) == 16


def test_a11_a_list_that_began_earlier_does_not_undo_what_is_newer() -> None:
    """A11, A19: a survey is read before a write, and comes after it."""
    operator = Simulation(2)
    assert operator.run(30, operator.ready)
    operator.run(50)
    operator.azure.latency = 3.0
    operator.use("n0", 8)
    pools = []
    for _ in range(60):
        operator.run(1)
        pools.append(len(operator.pool("n0")))
    assert pools == sorted(pools), "the pool never shrank"
    assert pools[-1] == 16
    assert len(operator.compute.addresses(operator.ids[0])) == 16


@pytest.mark.parametrize("part", ["networkInterfaces", "subnets", "virtualMachineScaleSets"])
def test_a21_a_list_that_fails_empties_nothing(part: str) -> None:
    """A21: what was known stays, and the problem is told."""
    operator = Simulation(2)
    assert operator.run(30, operator.ready)
    operator.run(1)
    before = {name: operator.pool(name) for name in operator.cluster.documents}
    operator.azure.fault = lambda ask: Refused(500, "InternalServerError", "") if ask.path.endswith(part) or (
        part == "subnets" and "/subnets/" in ask.path
    ) else None  # fmt: skip
    operator.run(600)
    assert {name: operator.pool(name) for name in operator.cluster.documents} == before
    assert [facts for event, facts in operator.told if event == "survey incomplete"]
    interfaces = operator.cluster.documents["n0"]["status"]["azure"]["interfaces"]
    assert interfaces[0]["cidr"] == "10.240.0.0/16"


def test_a_node_recreated_under_its_name_is_another() -> None:
    operator = Simulation(2)
    assert operator.run(30, operator.ready)
    operator.cluster.remove("n0")
    operator.run(1)
    operator.node("n0", operator.ids[0])
    assert operator.run(30, operator.ready)
    assert puts(operator) == 2, "its machine has its addresses already"


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        (f"{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/np/virtualMachines/77", "404 ResourceNotFound"),
        (f"{GROUP}/providers/Microsoft.Compute/virtualMachines/gone", "Azure has no machine"),
        ("../../nonsense", "Azure has no machine"),
        ("", "it has no spec.instance-id"),
    ],
)
def test_an_unknown_machine_is_told_and_does_not_block_others(machine: str, said: str) -> None:
    operator = Simulation(1)
    operator.node("ghost", machine.lower())
    assert operator.run(60, lambda: bool(operator.pool("n0")))
    assert operator.run(125, lambda: said in operator.error("ghost"))
    operator.run(3600)
    assert [reason for name, reason, _ in operator.cluster.events if name == "ghost"] == ["AddressesShort"]
    about = [each for each in operator.azure.calls if machine and machine.lower() in each.ask.path.lower()]
    assert len(about) <= 10


def test_a_new_machine_that_stands_alone_is_no_missing_one() -> None:
    """The next list shows it; until then nothing is said."""
    operator = Simulation(1)
    assert operator.run(30, operator.ready)
    operator.run(15)
    operator.node("vm", operator.compute.alone("vm"))
    assert operator.run(70, operator.ready)
    assert operator.cluster.events == []


def test_a_machine_of_another_group_is_not_written() -> None:
    """A CiliumNode is written by many; the operator is to give the machines of one group addresses."""
    operator = Simulation(1)
    theirs = Compute(operator.azure.arm, "10.9.0.0/16", "/subscriptions/s/resourceGroups/MC_theirs")
    (machine,) = theirs.scale_set("np", 1)
    operator.node("ghost", machine)
    operator.run(300)
    assert [each.ask.path for each in operator.azure.calls if "mc_theirs" in each.ask.path.lower()] == []
    assert "Azure has no machine" in operator.error("ghost")
    assert len(operator.pool("n0")) == 8


def test_an_answer_that_nobody_expected_is_told_and_ends_nothing() -> None:
    """A subnet, and then a model, of a shape that Azure never sends: told in one line, and later all goes on."""
    operator = Simulation(2)
    subnet = operator.compute.subnet.lower()
    shown = operator.azure.arm.shows.pop(subnet)
    operator.azure.arm.shows[subnet] = lambda found: {**found, "properties": ["?"]}
    operator.run(30)
    assert operator.told[0][0] == "survey incomplete"
    assert "defect: AttributeError" in operator.told[0][1]["problems"][0]
    operator.azure.arm.shows[subnet] = shown
    assert operator.run(30, operator.ready)
    model = operator.ids[0]
    operator.azure.arm.shows[model] = lambda found: {**found, "properties": {"networkProfileConfiguration": "?"}}
    operator.azure.arm.remember(model)
    operator.compute.attach_disk(model)
    operator.use("n0", 8)
    assert operator.run(30, lambda: "defect: AttributeError" in operator.error("n0"))
    del operator.azure.arm.shows[model]
    assert operator.run(600, lambda: len(operator.pool("n0")) == 16)


def test_two_nodes_that_name_one_machine_are_not_given_the_same_addresses() -> None:
    """A CiliumNode copied by hand, or left behind by a machine's former name: the one that was first keeps it."""
    operator = Simulation(2)
    assert operator.run(30, operator.ready)
    operator.use("n0", 3)
    operator.node("copy", operator.ids[0])
    operator.run(180)
    assert operator.pool("copy") == set()
    assert operator.error("copy") == "its machine is that of CiliumNode n0: delete the one of the two that is not there"
    assert operator.error("n0") == operator.error("n1") == ""
    operator.use("n0", 5)
    assert operator.run(30, lambda: len(operator.pool("n0")) == 16)
    operator.start()
    operator.run(120)
    assert operator.pool("copy") == set()
    assert len(operator.pool("n0")) == 16
    operator.cluster.remove("n0")
    assert operator.run(120, lambda: len(operator.pool("copy")) >= 8)
    operator.run(1)
    assert operator.error("copy") == ""


@pytest.mark.parametrize("alone", [False, True])
def test_an_interface_that_somebody_else_writes_keeps_its_addresses_and_is_given_no_more(alone: bool) -> None:
    """While an interface is written Azure calls each of its configurations `Updating`, also those that stay."""
    operator = Simulation(0 if alone else 1, policy=Policy(release=True, release_after=60.0))
    if alone:
        operator.node("n0", operator.compute.alone("vm"))
    (machine,) = [each["spec"]["instance-id"] for each in operator.cluster.documents.values()]
    assert operator.run(30, operator.ready)
    operator.use("n0", 6)
    assert operator.run(30, lambda: operator.ready(14))
    before, written = operator.pool("n0"), puts(operator)
    with operator.compute.written_by_another(machine):
        operator.run(200)
        assert operator.pool("n0") == before
        assert puts(operator) == written
        shown = operator.cluster.documents["n0"]["status"]["azure"]["interfaces"][0]["addresses"]
        assert {each["state"] for each in shown} == {"updating"}
        operator.use("n0", 8)
        operator.run(200)
        assert len(operator.compute.addresses(machine)) == 14
    assert operator.run(120, lambda: operator.ready(22))
    operator.run(300)
    assert len(operator.pool("n0")) == len(operator.compute.addresses(machine)) == 22
    assert operator.error("n0") == ""


@pytest.mark.parametrize("takes", [3.0, 20.0])
def test_a_leader_that_is_killed_while_its_write_goes_on_is_followed_by_one_that_waits_for_it(takes: float) -> None:
    """What is being added is not asked for again, and is published soon after the write has ended."""
    operator = Simulation(1)
    operator.azure.arm.takes = takes
    operator.run(2.0)
    begun = operator.world.now
    assert puts(operator) == 1
    operator.start()
    assert operator.run(120, operator.ready)
    assert operator.world.now - begun <= 2 * takes + 2
    operator.run(300)
    assert (len(operator.pool("n0")), puts(operator)) == (8, 1)


def test_a_node_that_the_api_server_refuses_is_written_ever_more_seldom() -> None:
    """A schema of an older day refuses each of them: no round writes all of them again."""
    operator = Simulation(2)
    assert operator.run(30, operator.ready)
    asked: list[float] = []
    publish = operator.cluster.publish

    def refuse(node: CiliumNode, said: Published) -> bool:
        if node.name == "n0":
            asked.append(operator.world.now)
            raise SourceFailed("spec.ipam.pool: unknown field", source="kubernetes", status=422)
        return publish(node, said)

    operator.cluster.publish = refuse  # type: ignore[method-assign]
    operator.agents["n0"].use(8)
    operator.agents["n0"].tell()
    for number in range(60):  # for ten minutes somebody changes the other one
        said = {"metadata": {"labels": {"number": str(number)}}}
        operator.cluster.put("n1", merged(operator.cluster.documents["n1"], said))
        operator.run(10)
    assert 3 <= len(asked) <= 12
    operator.cluster.publish = publish  # type: ignore[method-assign]
    assert operator.run(310, lambda: len(operator.pool("n0")) >= 16)


def test_a_list_that_is_refused_from_the_start_is_no_loop_and_makes_the_process_unready() -> None:
    """Without its lists the operator knows nothing: it asks less and less often, and each round counts as failed."""
    operator = Simulation(1)
    refused = Refused(403, "AuthorizationFailed", "no right to 'Microsoft.Network/networkInterfaces/read'")
    operator.azure.fault = lambda ask: refused if ask.path.endswith("/Microsoft.Network/networkInterfaces") else None
    operator.run(600)
    assert len(operator.azure.asked("GET", "/Microsoft.Network/networkInterfaces")) <= 15
    assert operator.failed
    assert all("AuthorizationFailed" in each for each in operator.failed)
    operator.azure.fault = lambda _: None
    assert operator.run(65, operator.ready)
    operator.failed.clear()
    operator.run(120)
    assert operator.failed == []


@pytest.mark.parametrize("model", ["Failed", "Succeeded"])
def test_addresses_that_a_failed_write_has_left_failed_are_repaired_and_not_asked_for_anew(model: str) -> None:
    """The interface has failed as a whole, by somebody else's write; the model says so, or says nothing of it."""
    operator = Simulation(1)
    assert operator.run(30, operator.ready)
    operator.use("n0", 6)
    assert operator.run(30, lambda: operator.ready(14))
    operator.compute.failed(operator.ids[0], model)
    assert operator.run(70, lambda: operator.pool("n0") == set()), "nobody is given what has failed"
    assert operator.run(70, lambda: operator.ready(14))
    operator.run(300)
    assert len(operator.pool("n0")) == 14
    assert puts(operator) == 3


def test_a_machine_that_joins_gets_no_more_than_others_where_the_primary_address_counts() -> None:
    operator = Simulation(1, policy=Policy(use_primary=True))
    assert operator.run(30, operator.ready)
    operator.run(1)
    machine = operator.compute.machine(f"{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/np", 1)
    operator.node("n1", machine)
    assert operator.run(10, operator.ready)
    operator.run(120)
    assert [len(operator.pool(each)) for each in ("n0", "n1")] == [8, 8]


def test_a_node_that_goes_with_its_machine_is_no_news() -> None:
    """Its CiliumNode goes a minute later: nobody is warned of it meanwhile."""
    operator = Simulation(2)
    assert operator.run(30, operator.ready)
    operator.run(205)
    operator.compute.gone(operator.ids[1])
    before = len(operator.cluster.order)
    operator.run(70)
    operator.cluster.remove("n1")
    operator.run(120)
    assert operator.cluster.events == []
    assert len(operator.cluster.order) == before
