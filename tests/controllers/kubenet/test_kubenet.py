"""kubenet's controller through good days and bad ones."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from tests.controllers.kubenet.simulation import SUBNET, TABLE, Simulation
from tests.dialects.kubenet.nodes import route
from tests.fakes.azure_http import Refused
from tests.fakes.simulated import LOST, UNSENT

from unipam.clients.azure.write.jobs import Ask
from unipam.dialects.kubenet.node import Node
from unipam.dialects.kubenet.policy import policy

READY = ("False", "RouteCreated")
NOT_READY = ("True", "NoRouteCreated")


@pytest.fixture
def kubenet() -> Simulation:
    return Simulation()


def puts(kubenet: Simulation) -> int:
    return len(kubenet.azure.asked("PUT"))


def test_a_node_gets_its_range_and_its_route(kubenet: Simulation) -> None:
    kubenet.add("n0", ip="10.240.0.7")
    assert kubenet.run(60, kubenet.ready)
    assert kubenet.hops == {"10.244.0.0/24": "10.240.0.7"}
    (put,) = kubenet.azure.asked("PUT")
    assert put.ask.match, "a table is written at the version that was read"
    body: Any = put.ask.body
    assert body["tags"] == {"owner": "us"}
    assert body["properties"]["disableBgpRoutePropagation"] is True


def test_k17_400_nodes_at_once_are_at_most_three_writes(kubenet: Simulation) -> None:
    """K17, K13: 400 nodes in five seconds; an idle hour costs no write, and a read for each audit."""
    kubenet = Simulation(policy("10.0.0.0/8", rest=0.0))
    for index in range(400):
        kubenet.world.after(
            index * 5 / 400,
            lambda i=index: kubenet.add(f"n{i}", ip=f"10.240.{i // 250}.{i % 250 + 4}"),  # type: ignore[misc]
        )
    assert kubenet.run(120, lambda: len(kubenet.cluster.nodes) == 400 and kubenet.ready())
    assert puts(kubenet) <= 3
    assert len(kubenet.hops) == 400
    assert all(
        kubenet.hops[each.ranges[0]] == f"10.240.{i // 250}.{i % 250 + 4}"
        for i, each in enumerate(kubenet.cluster.nodes.values())
    )
    before, calls, writes = puts(kubenet), len(kubenet.azure.calls), kubenet.cluster.writes
    kubenet.run(3600)
    assert puts(kubenet) == before
    assert len(kubenet.azure.calls) - calls <= 3600 / kubenet.settings.audit
    assert kubenet.cluster.writes == writes


def test_k12_a_node_that_leaves_before_its_route_is_written_leaves_nothing_to_do(kubenet: Simulation) -> None:
    """K12: the controller is not due at once, again and again, for a need that is gone."""
    kubenet.add("n0")
    kubenet.run(0.5)
    del kubenet.cluster.nodes["n0"]
    kubenet.run(20)
    assert kubenet.controller.table.due(kubenet.world.now) > kubenet.world.now + 30
    assert puts(kubenet) == 0


def test_k17_an_unchanged_restart_writes_nothing(kubenet: Simulation) -> None:
    """K16, K17: neither to Azure nor to the cluster."""
    for index in range(5):
        kubenet.add(f"n{index}", ip=f"10.240.0.{index + 4}")
    assert kubenet.run(60, kubenet.ready)
    before = puts(kubenet), kubenet.cluster.writes
    kubenet.start()
    kubenet.run(600)
    assert (puts(kubenet), kubenet.cluster.writes) == before


def test_k3_a_full_range_is_told_once_a_minute_and_the_next_is_served_at_once(kubenet: Simulation) -> None:
    """K3: event reason and message as the real one's; a freed range is used within two seconds."""
    kubenet = Simulation(policy("10.244.0.0/24"))
    kubenet.add("a")
    kubenet.run(1)
    kubenet.add("b")
    kubenet.run(180)
    told = [(name, text) for name, reason, text in kubenet.cluster.events if reason == "CIDRNotAvailable"]
    assert set(told) == {("b", "Node b status is now: CIDRNotAvailable")}
    assert 3 <= len(told) <= 4
    del kubenet.cluster.nodes["a"]
    assert kubenet.run(2, lambda: bool(kubenet.cluster.nodes["b"].ranges))


@pytest.mark.parametrize("fault", ["refused", "lost", "applied"])
def test_k11_a_patch_that_goes_wrong_makes_no_second_owner(kubenet: Simulation, fault: str) -> None:
    """K11: refused, lost before or after it was applied: never two owners; an event only if there is no range."""
    kubenet.cluster.fault = lambda each: fault if each.name == "a" else ""
    kubenet.add("a")
    kubenet.add("b", ip="10.240.0.5")
    kubenet.run(30)
    failed = [name for name, reason, _ in kubenet.cluster.events if reason == "CIDRAssignmentFailed"]
    assert failed == ([] if fault == "applied" else ["a"])
    kubenet.cluster.fault = lambda _: ""
    kubenet.add("c", ip="10.240.0.6")
    assert kubenet.run(400, kubenet.ready)
    assert len({each.ranges for each in kubenet.cluster.nodes.values()}) == 3


def test_k14_beside_another_allocator_nothing_is_written(kubenet: Simulation) -> None:
    """K14: whoever else gives ranges is left alone, and named."""
    kubenet.add("n0")
    kubenet.run(1)
    kubenet.add("theirs", "10.244.7.0/24", ip="10.240.0.5")
    kubenet.run(1)
    kubenet.add("later", ip="10.240.0.6")
    kubenet.run(60)
    assert kubenet.cluster.nodes["later"].ranges == ()
    assert kubenet.findings("another allocator") == ["theirs"]
    assert kubenet.run(300, lambda: bool(kubenet.cluster.nodes["later"].ranges))


def test_k19_what_somebody_breaks_is_repaired_in_one_write(kubenet: Simulation) -> None:
    """K19: a hop edited and a route removed by hand: found at the audit, one write; everything foreign stays."""
    for index in range(3):
        kubenet.add(f"n{index}", ip=f"10.240.0.{index + 4}")
    assert kubenet.run(60, kubenet.ready)
    before = puts(kubenet)
    mine = route("mine", "0.0.0.0/0", "10.9.9.9")
    kubenet.write([mine, {**kubenet.routes[0], "properties": route("x", "10.244.0.0/24", "10.9.9.9")["properties"]}])
    kubenet.run(kubenet.settings.audit + 30)
    assert puts(kubenet) == before + 1
    assert kubenet.hops == {"0.0.0.0/0": "10.9.9.9"} | {f"10.244.{i}.0/24": f"10.240.0.{i + 4}" for i in range(3)}
    assert kubenet.routes[0] == mine


def test_k19_a_node_made_anew_is_not_ready_by_a_route_that_is_being_taken_away(kubenet: Simulation) -> None:
    """K19, K22: its predecessor's route is in the table still, and a write that removes it is under way."""
    kubenet.azure.arm.takes = 10.0
    kubenet.add("aks-np-1-vmss000000")
    assert kubenet.run(60, kubenet.ready)
    before = kubenet.cluster.nodes.pop("aks-np-1-vmss000000")
    assert kubenet.run(30, lambda: puts(kubenet) == 2)
    kubenet.cluster.nodes[before.name] = before._replace(uid="another", condition=("", ""))
    kubenet.run(1)
    assert kubenet.condition(before.name) != READY
    assert kubenet.run(120, kubenet.ready)
    assert kubenet.hops == {"10.244.0.0/24": "10.240.0.4"}


def test_k20_a_foreign_writer_every_second_is_merged_with(kubenet: Simulation) -> None:
    """K20: 412 makes it read again; what others write is kept."""
    kubenet.azure.arm.takes = 0.0
    foreign: list[dict[str, Any]] = []

    def write() -> None:
        foreign.append(route(f"mine-{len(foreign)}", f"192.168.{len(foreign)}.0/24", "10.9.9.9"))
        kubenet.write([*foreign, *[each for each in kubenet.routes if not each["name"].startswith("mine")]])
        if len(foreign) < 20:
            kubenet.world.after(1.0, write)

    kubenet.world.after(0.5, write)
    kubenet.run(0.2)
    kubenet.add("n0")
    assert kubenet.run(30, kubenet.ready)
    assert len([each for each in kubenet.azure.calls if each.status == 412]) <= 3
    kubenet.run(30)
    assert [each for each in kubenet.routes if each["name"].startswith("mine")] == foreign
    assert kubenet.findings("another writer") == []


def test_k29_somebody_who_keeps_changing_nodes_routes_is_named_and_not_fought(kubenet: Simulation) -> None:
    """K20, K29: after three times nothing is written for a while."""
    kubenet.add("n0")
    assert kubenet.run(60, kubenet.ready)
    kubenet.settings = kubenet.controller.table.settings = kubenet.settings._replace(audit=30.0)

    def vandal() -> None:
        kubenet.write([])
        kubenet.world.after(60.0, vandal)

    vandal()
    kubenet.run(1200)
    assert kubenet.findings("another writer") == [TABLE]
    assert puts(kubenet) <= 4


def test_k21_a_write_whose_answer_is_lost_is_not_repeated(kubenet: Simulation) -> None:
    """K21: the table is read, and it is as it should be."""
    faults = iter([LOST])
    kubenet.azure.fault = lambda ask: next(faults, None) if ask.writes else None
    kubenet.add("n0")
    assert kubenet.run(60, kubenet.ready)
    assert puts(kubenet) == 1


def test_k20_an_answer_that_lags_behind_our_own_write_is_nobody_elses(kubenet: Simulation) -> None:
    """K20: for some seconds Azure shows the table as it was before: that is waited for, and not written over."""
    kubenet.azure.arm.lags = lambda path: 6.0 if "/routetables/" in path else 0.0
    for index in range(5):
        kubenet.add(f"n{index}", ip=f"10.240.0.{index + 4}")
        assert kubenet.run(60, kubenet.ready)
    assert [each.status for each in kubenet.azure.asked("PUT")] == [200] * 5
    assert "route table changed by others" not in {event for event, _ in kubenet.told}


@pytest.mark.parametrize(
    "fault", [UNSENT, Refused(503, "ServerBusy", "later"), Refused(500, "InternalServerError", "")]
)
def test_k21_a_fault_that_passes_is_tried_again_after_a_pause(kubenet: Simulation, fault: str | Refused) -> None:
    """K21: reset, 503, 500: back-off."""
    count = iter(range(3))
    kubenet.azure.fault = lambda ask: fault if ask.writes and next(count, None) is not None else None
    kubenet.add("n0")
    assert kubenet.run(120, kubenet.ready)
    assert puts(kubenet) <= 4


def test_k21_429_is_waited_for(kubenet: Simulation) -> None:
    """K21: Retry-After 7: no call before."""
    end = kubenet.world.now + 20
    limited = Refused(429, "TooManyRequests", "too many", {"Retry-After": "7"})
    kubenet.azure.fault = lambda ask: limited if ask.writes and kubenet.world.now < end else None
    kubenet.add("n0")
    assert kubenet.run(120, kubenet.ready)
    times = [each.at for each in kubenet.azure.asked("PUT")]
    assert all(later - earlier >= 7 for earlier, later in itertools.pairwise(times))


def test_k21_another_operation_is_waited_for(kubenet: Simulation) -> None:
    """K21: RetryableErrorDueToAnotherOperation: waits the seconds that it names."""
    busy = Refused(429, "RetryableErrorDueToAnotherOperation", "This operation can be retried in 13 seconds.")
    faults = iter([busy])
    kubenet.azure.fault = lambda ask: next(faults, None) if ask.writes else None
    kubenet.add("n0")
    assert kubenet.run(120, kubenet.ready)
    first, second = (each.at for each in kubenet.azure.asked("PUT"))
    assert 13 <= second - first <= 14


@pytest.mark.parametrize("code", ["InternalServerError", "Canceled"])
def test_k22_an_operation_that_ends_badly_is_told_at_the_node(kubenet: Simulation, code: str) -> None:
    """K22: NetworkUnavailable is True and an event has Azure's code, until it succeeds."""
    kubenet.azure.arm.fail_next = (code, "it did not work")
    kubenet.add("n0")
    assert kubenet.run(60, lambda: kubenet.condition("n0") == NOT_READY)
    ((name, reason, text),) = kubenet.cluster.events
    assert (name, reason) == ("n0", "FailedToCreateRoute")
    assert code in text
    assert kubenet.azure.arm.get(TABLE)["properties"]["provisioningState"] == "Failed"  # type: ignore[index]
    assert kubenet.run(100, kubenet.ready)
    assert kubenet.azure.arm.get(TABLE)["properties"]["provisioningState"] == "Succeeded"  # type: ignore[index]
    assert puts(kubenet) == 2


def test_k22_a_table_that_stays_failed_is_written_ever_more_seldom(kubenet: Simulation) -> None:
    """K22: nobody is told ready by what a failed write has left in it."""

    def failing(ask: Ask) -> None:
        if ask.writes:
            kubenet.azure.arm.fail_next = ("InternalServerError", "it did not work")

    kubenet.azure.fault = failing
    kubenet.add("n0")
    kubenet.run(3600)
    assert kubenet.condition("n0") == NOT_READY
    assert kubenet.hops, "it holds the route"
    assert puts(kubenet) <= 20
    assert kubenet.findings("route table refused") == [TABLE]


def test_k22_a_write_without_an_answer_makes_ready_only_when_it_has_ended_and_settled(kubenet: Simulation) -> None:
    """K22: the table shows a route as soon as the write has begun."""
    kubenet.azure.arm.takes = 40.0
    kubenet.azure.fault = lambda ask: LOST if ask.writes else None
    kubenet.add("n0")
    begun = kubenet.world.now
    assert kubenet.run(120, kubenet.ready)
    assert kubenet.world.now - begun >= 40.0 + kubenet.settings.settling
    assert puts(kubenet) == 1


def test_k22_ready_only_after_the_read_back_and_the_settling_time(kubenet: Simulation) -> None:
    """K22: not while the operation runs, nor before what was written is used."""
    kubenet.azure.arm.takes = 20.0
    kubenet.add("n0")
    begun = kubenet.world.now
    assert kubenet.run(120, kubenet.ready)
    assert kubenet.world.now - begun >= 20.0 + kubenet.settings.settling


def test_k22_a_slow_api_server_takes_nothing_of_the_settling_time(kubenet: Simulation) -> None:
    """K22: what Azure answers in the middle of a long round is no older than it is."""
    kubenet.add("n0")
    assert kubenet.run(60, kubenet.ready)
    kubenet.add("n1", ip="10.240.0.5")
    assert kubenet.run(30, lambda: puts(kubenet) == 2)
    event, ended = kubenet.cluster.event, list[float]()

    def slow(*given: Any, **more: Any) -> str:
        if not ended:
            kubenet.world.run(40.0, kubenet.dispatcher.step)
            ended.append(kubenet.world.now)
        return event(*given, **more)

    kubenet.cluster.event = slow  # type: ignore[method-assign]
    kubenet.add("twin", *kubenet.cluster.nodes["n0"].ranges)
    assert kubenet.run(120, lambda: kubenet.condition("n1") == READY)
    assert kubenet.world.now - ended[0] >= kubenet.settings.settling


def test_a_condition_that_may_not_be_written_is_tried_seldom_and_makes_no_events(kubenet: Simulation) -> None:
    """Every change of any node is a reason to look; a hundred looks are no reason to ask a hundred times."""
    tried = list[str]()

    def denied(node: Node, *, created: bool) -> str:
        tried.append(f"{node.name} {created}")
        return "denied the request"

    kubenet.cluster.condition = denied  # type: ignore[method-assign]
    kubenet.azure.arm.fail_next = ("InternalServerError", "it did not work")
    kubenet.add("n0")
    kubenet.run(20)
    for _ in range(600):
        kubenet.run(1.0)
    assert 5 <= len(tried) <= 15
    assert kubenet.cluster.events == []


def test_k23_a_foreign_route_in_the_way_of_one_node_hinders_no_other(kubenet: Simulation) -> None:
    """K23: all others are served; this one is told."""
    kubenet.write([route("mine", "10.244.0.0/24", "10.9.9.9")])
    for index in range(3):
        kubenet.add(f"n{index}", ip=f"10.240.0.{index + 4}")
    kubenet.run(60)
    assert [kubenet.condition(f"n{i}") for i in range(3)] == [NOT_READY, READY, READY]
    assert kubenet.findings("no route") == ["n0"]


def test_k23_what_azure_refuses_as_a_conflict_is_left_out(kubenet: Simulation) -> None:
    """K23: Azure knows of a conflict that the table does not show: the others go without that one."""

    def conflict(ask: Ask) -> Refused | None:
        names = [each["name"] for each in (ask.body or {}).get("properties", {}).get("routes", [])]
        text = "Route: n1 conflicts with Route: hidden. Routes cannot have the same AddressPrefix."
        return Refused(400, "RouteConflict", text) if "n1" in names else None

    kubenet.azure.fault = conflict
    for index in range(3):
        kubenet.add(f"n{index}", ip=f"10.240.0.{index + 4}")
    kubenet.run(60)
    assert [kubenet.condition(f"n{i}") for i in range(3)] == [READY, NOT_READY, READY]


def test_k23_a_route_that_azure_refuses_by_name_holds_back_no_other(kubenet: Simulation) -> None:
    """K23: whatever is wrong with it: an odd next hop, a name that is too long (spec §4: send the others)."""

    def invalid(ask: Ask) -> Refused | None:
        hops = {each["name"]: each["properties"].get("nextHopIpAddress")
                for each in (ask.body or {}).get("properties", {}).get("routes", [])}  # fmt: skip
        text = f"Resource {TABLE}/routes/n1 has an invalid next hop."
        return Refused(400, "InvalidRequestFormat", text) if hops.get("n1") == "127.0.0.1" else None

    kubenet.azure.fault = invalid
    for index, ip in enumerate(("10.240.0.4", "127.0.0.1", "10.240.0.6")):
        kubenet.add(f"n{index}", ip=ip)
    kubenet.run(60)
    assert [kubenet.condition(f"n{i}") for i in range(3)] == [READY, NOT_READY, READY]
    assert kubenet.findings("no route") == ["n1"]


def test_k25_a_subnet_that_does_not_use_the_table_is_found(kubenet: Simulation) -> None:
    """K25: within an audit, with the command that repairs it."""
    kubenet.write([], subnets=[])
    kubenet.run(kubenet.settings.audit + 10)
    (found,) = [each for each in kubenet.controller.findings() if each.kind == "table not in use"]
    assert found.way_out == f"az network vnet subnet update --ids {SUBNET} --route-table {TABLE}"


def test_k25_a_table_that_is_not_there_is_made_where_it_may_be() -> None:
    """K25: 404: created if it is ours, told if it is the user's own."""
    made = Simulation(table=False, location="westeurope", subnet="")
    made.add("n0")
    assert made.run(60, made.ready)
    assert made.azure.arm.get(TABLE)["location"] == "westeurope"  # type: ignore[index]
    own = Simulation(table=False)
    own.add("n0")
    own.run(600)
    assert puts(own) == 0
    assert own.findings("route table refused") == [TABLE]


def test_k25_403_names_the_action_and_is_tried_seldom(kubenet: Simulation) -> None:
    """K25: the missing action is named; six tries within an hour."""
    text = (
        "The client 'c' does not have authorization to perform action 'Microsoft.Network/routeTables/write' over 'x'."
    )
    kubenet.azure.fault = lambda ask: Refused(403, "AuthorizationFailed", text) if ask.writes else None
    kubenet.add("n0")
    kubenet.run(3600)
    (found,) = [each for each in kubenet.controller.findings() if each.kind == "route table refused"]
    assert "Microsoft.Network/routeTables/write" in found.way_out
    assert kubenet.condition("n0") == NOT_READY
    assert puts(kubenet) <= 7


def test_k27_no_first_range_where_it_overlaps_the_network(kubenet: Simulation) -> None:
    """K27: found before the first range is given, with both owners; a cluster that has ranges goes on."""
    peer = {"name": "hub", "properties": {"remoteAddressSpace": {"addressPrefixes": ["10.244.128.0/17"]}}}
    space = {"addressPrefixes": ["10.240.0.0/16"]}
    network = SUBNET.rpartition("/subnets/")[0]
    kubenet.azure.arm.put(network, {"addressSpace": space, "virtualNetworkPeerings": [peer]})
    kubenet.add("n0")
    kubenet.run(60)
    assert kubenet.cluster.nodes["n0"].ranges == ()
    (found,) = [each for each in kubenet.controller.findings() if each.kind == "ranges overlap"]
    assert found.text == "the pods' range 10.244.0.0/16 overlaps the peer hub 10.244.128.0/17"
    kubenet.add("old", "10.244.9.0/24", ip="10.240.0.9")
    assert kubenet.run(400, lambda: bool(kubenet.cluster.nodes["n0"].ranges))


def test_k27_a_fault_that_passes_does_not_let_the_first_range_be_given(kubenet: Simulation) -> None:
    """K27: the network is asked for again, as often as it takes; a refusal that stays hinders nobody."""
    network, answers = SUBNET.rpartition("/subnets/")[0], itertools.cycle([Refused(503, "ServerBusy", "later")])
    kubenet.azure.arm.put(network, {"addressSpace": {"addressPrefixes": ["10.244.128.0/17"]}})
    kubenet.azure.fault = lambda ask: next(answers, None) if ask.path == network else None
    kubenet.add("n0")
    kubenet.run(600)
    assert kubenet.cluster.nodes["n0"].ranges == ()
    assert 5 <= len([each for each in kubenet.azure.calls if each.ask.path == network]) <= 20
    kubenet.azure.fault = lambda _: None
    kubenet.run(600)
    assert kubenet.cluster.nodes["n0"].ranges == ()
    assert kubenet.findings("ranges overlap") == ["10.244.0.0/16"]


def test_k27_a_network_that_may_not_be_read_hinders_nobody(kubenet: Simulation) -> None:
    network = SUBNET.rpartition("/subnets/")[0]
    kubenet.azure.fault = lambda ask: Refused(403, "AuthorizationFailed", "no") if ask.path == network else None
    kubenet.add("n0")
    assert kubenet.run(10, lambda: bool(kubenet.cluster.nodes["n0"].ranges))
    kubenet.run(3600)
    assert len([each for each in kubenet.azure.calls if each.ask.path == network]) == 1


def test_k4_killed_between_every_two_steps(kubenet: Simulation) -> None:
    """K4: after a restart at each of 20 moments nothing leaks and nobody shares a range."""
    for index in range(20):
        kubenet.add(f"n{index}", ip=f"10.240.0.{index + 4}")
        kubenet.cluster.fault = lambda _, i=index: ("applied", "lost", "")[i % 3]  # type: ignore[misc]
        kubenet.run(0.05 * index)
        kubenet.start()
    kubenet.cluster.fault = lambda _: ""
    assert kubenet.run(120, kubenet.ready)
    ranges = [each.ranges for each in kubenet.cluster.nodes.values()]
    assert sorted(ranges) == sorted((f"10.244.{i}.0/24",) for i in range(20)), "as many slots as nodes, from the lowest"


def test_who_leads_again_takes_nothing_for_his_own_that_another_leader_did_meanwhile(kubenet: Simulation) -> None:
    """K14, K29: ranges and routes of a replica that led in between are no other allocator's, and nobody's edits."""
    kubenet.add("n0")
    assert kubenet.run(60, kubenet.ready)
    kubenet.add("n1", "10.244.1.0/24", ip="10.240.0.5")
    kubenet.write([*kubenet.routes, route("n1", "10.244.1.0/24", "10.240.0.5")])
    kubenet.lead_again()
    kubenet.add("n2", ip="10.240.0.6")
    assert kubenet.run(10, lambda: bool(kubenet.cluster.nodes["n2"].ranges))
    assert kubenet.run(120, kubenet.ready)
    assert not {"another allocator", "route table changed by others"} & {event for event, _ in kubenet.told}


def test_k28_every_write_is_told_with_its_cause(kubenet: Simulation) -> None:
    """K28: what changed, and the table's version before and after."""
    kubenet.add("n0")
    assert kubenet.run(60, kubenet.ready)
    (facts,) = [facts for event, facts in kubenet.told if event == "route table written"]
    assert facts["changes"] == ["add n0"]
    assert facts["before"]
    assert facts["after"]
    assert facts["before"] != facts["after"]


def test_an_api_server_that_is_away_changes_nothing(kubenet: Simulation) -> None:
    kubenet.add("n0")
    assert kubenet.run(60, kubenet.ready)
    kubenet.cluster.away = True
    before = kubenet.routes
    kubenet.run(3600)
    assert kubenet.routes == before


def test_k15_metrics_have_the_real_ones_names_and_agree(kubenet: Simulation) -> None:
    """K15: names of spec §1.4, values of the API."""
    for index in range(3):
        kubenet.add(f"n{index}", ip=f"10.240.0.{index + 4}")
    assert kubenet.run(60, kubenet.ready)
    kubenet.run(1)
    found = measured(kubenet)
    assert found["node_ipam_controller_cidrset_usage_cidrs", "10.244.0.0/16"] == 3 / 256
    assert found["node_ipam_controller_cirdset_max_cidrs", "10.244.0.0/16"] == 256
    assert found["unipam_kubenet_nodes", "RouteCreated"] == 3
    assert (found["unipam_kubenet_table_routes",], found["unipam_kubenet_table_limit",]) == (3, 400)


def measured(kubenet: Simulation) -> dict[tuple[str, ...], float]:
    """What Prometheus is told, by name and labels."""
    samples = [sample for metric in kubenet.controller.metrics() for sample in metric.samples]
    return {(each.name, *each.labels.values()): each.value for each in samples}


def test_k15_slots_of_services_count_as_with_the_original() -> None:
    """K15: as kube-controller-manager 1.33.5 shows it after the same: two slots of services, three nodes, one gone."""
    kubenet, range_ = Simulation(policy("10.244.0.0/21", services="10.244.2.0/23")), "10.244.0.0/21"
    for index in range(3):
        kubenet.add(f"n{index}", ip=f"10.240.0.{index + 4}")
    assert kubenet.run(60, kubenet.ready)
    del kubenet.cluster.nodes["n0"]
    kubenet.run(1)
    found = measured(kubenet)
    assert found["node_ipam_controller_cidrset_usage_cidrs", range_] == 0.5
    assert found["node_ipam_controller_cirdset_max_cidrs", range_] == 8
    assert found["node_ipam_controller_cidrset_cidrs_allocations_total", range_] == 5
    assert found["node_ipam_controller_cidrset_cidrs_releases_total", range_] == 1


def test_k8_k9_what_is_wrong_with_a_node_is_an_event_of_it_once(kubenet: Simulation) -> None:
    """K8, K9: with the way out; not again with each look."""
    kubenet.add("a", "10.244.9.0/24")
    kubenet.add("b", "10.244.9.0/24", ip="10.240.0.5")
    kubenet.add("far", "10.99.0.0/24", ip="10.240.0.6")
    kubenet.run(300)
    told = [(name, reason) for name, reason, _ in kubenet.cluster.events if reason.startswith("Range")]
    assert sorted(told) == [("b", "RangeShared"), ("far", "RangeOutside")]
    assert all("delete the Node object" in text or "delete its Node object" in text
               for _, reason, text in kubenet.cluster.events if reason.startswith("Range"))  # fmt: skip


def test_k9_a_pair_that_was_told_is_gone_with_one_of_them(kubenet: Simulation) -> None:
    kubenet.add("a", "10.244.9.0/24")
    kubenet.add("b", "10.244.9.0/24", ip="10.240.0.5")
    kubenet.run(30)
    assert kubenet.findings("range shared") == ["b"]
    del kubenet.cluster.nodes["a"]
    kubenet.run(30)
    assert kubenet.findings("range shared") == []
    assert ("finding gone", {"kind": "range shared", "about": "b"}) in kubenet.told
