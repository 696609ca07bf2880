"""Which node gets which range."""

from __future__ import annotations

import random
import time

import pytest
from tests.dialects.kubenet.nodes import node, nodes

from unipam.addr.prefix import Prefix, parse_prefix
from unipam.dialects.kubenet.node import Node, node_of
from unipam.dialects.kubenet.policy import Policy, policy
from unipam.dialects.kubenet.ranges import Memory, desired, findings, rested, usage

PLAIN = policy("10.244.0.0/16", rest=0.0)
SMALL = policy("10.244.0.0/22", rest=0.0)
DUAL = policy("10.244.0.0/16,fd00:1::/60", rest=0.0)


class Cluster:
    """Nodes that come and go, and the ranges that planning gives them."""

    def __init__(self, of: Policy = PLAIN) -> None:
        self.policy, self.memory, self.now = of, Memory(), 0.0
        self.nodes: dict[str, Node] = {}

    def add(self, name: str, *ranges: str) -> None:
        self.now += 1
        self.nodes[name] = node(name, *ranges, created=self.now)

    def remove(self, name: str) -> None:
        gone = self.nodes.pop(name)
        if self.policy.rest:
            self.memory = rested(self.memory, gone.prefixes, self.now + self.policy.rest)

    def settle(self) -> list[str]:
        """Assign, as if every write succeeded; the names of those for whom there is nothing."""
        plan = desired(self.nodes.values(), self.policy, self.memory, self.now)
        for each in plan.assignments:
            made = self.nodes[each.node.name]._replace(ranges=tuple(map(str, each.ranges)))
            self.nodes[each.node.name] = made
        self.memory = plan.memory
        return [each.name for each in plan.short]

    def of(self, name: str) -> str:
        return ",".join(self.nodes[name].ranges)


def test_k1_next_fit() -> None:
    """K1: five nodes one by one get .0 to .4; the second deleted and one added: .5."""
    cluster = Cluster()
    for index in range(5):
        cluster.add(f"n{index}")
        cluster.settle()
    assert [cluster.of(f"n{i}") for i in range(5)] == [f"10.244.{i}.0/24" for i in range(5)]
    cluster.remove("n1")
    cluster.add("n5")
    cluster.settle()
    assert cluster.of("n5") == "10.244.5.0/24"


@pytest.mark.parametrize("seed", range(30))
def test_k1_as_the_bitmap_of_the_real_one(seed: int) -> None:
    """K1: random additions and removals, against nodeipam's bitmap and cursor (spec §1.2), written down plainly."""
    dice, cluster, bitmap, cursor = random.Random(seed), Cluster(SMALL), [False] * 4, 0
    expected: dict[str, int] = {}
    for step in range(60):
        if expected and (dice.random() < 0.5 or len(expected) == 4):
            name = dice.choice(sorted(expected))
            bitmap[expected.pop(name)] = False
            cluster.remove(name)
        else:
            name = f"n{step}"
            slot = next(i % 4 for i in range(cursor, cursor + 4) if not bitmap[i % 4])
            bitmap[slot], cursor, expected[name] = True, (slot + 1) % 4, slot
            cluster.add(name)
            assert cluster.settle() == []
        assert {n: cluster.of(n) for n in expected} == {n: f"10.244.{s}.0/24" for n, s in expected.items()}


def test_k2_only_freed_slots_are_reused_and_a_restart_begins_at_the_lowest() -> None:
    """K2: four slots; wrap-around; after a restart the lowest free slot."""
    cluster = Cluster(SMALL)
    for index in range(4):
        cluster.add(f"n{index}")
    cluster.settle()
    cluster.remove("n2")
    cluster.add("a")
    assert cluster.settle() == []
    assert cluster.of("a") == "10.244.2.0/24"
    cluster.remove("n0")
    cluster.remove("n3")
    cluster.memory = Memory()
    cluster.add("b")
    cluster.settle()
    assert cluster.of("b") == "10.244.0.0/24"


def test_k3_the_oldest_that_waits_gets_what_becomes_free() -> None:
    """K3: full; after a deletion the oldest waiting node has the range, though it rests."""
    cluster = Cluster(SMALL._replace(rest=30.0))
    for index in range(6):
        cluster.add(f"n{index}")
    assert cluster.settle() == ["n4", "n5"]
    cluster.remove("n1")
    assert cluster.settle() == ["n5"]
    assert cluster.of("n4") == "10.244.1.0/24"


def test_a_range_rests_while_there_is_another() -> None:
    cluster = Cluster(SMALL._replace(rest=30.0))
    for index in range(3):
        cluster.add(f"n{index}")
    cluster.settle()
    cluster.remove("n2")
    cluster.memory = cluster.memory._replace(cursors={})
    cluster.add("a")
    cluster.settle()
    assert cluster.of("a") == "10.244.3.0/24"


@pytest.mark.parametrize("applied", [True, False])
def test_k4_k11_a_write_without_an_answer_neither_leaks_nor_doubles(applied: bool) -> None:
    """K4, K11: between a promise and its answer anything may happen; the truth is what the nodes show."""
    cluster = Cluster(SMALL)
    cluster.add("a")
    plan = desired(cluster.nodes.values(), SMALL, Memory(), 0.0)
    (promised,) = plan.assignments
    cluster.add("b")
    again = desired(cluster.nodes.values(), SMALL, plan.memory, 0.0)
    assert [each.node.name for each in again.assignments] == ["b"], "the promise to a stands until a shows something"
    assert again.assignments[0].ranges != promised.ranges
    if applied:
        cluster.nodes["a"] = cluster.nodes["a"]._replace(ranges=tuple(map(str, promised.ranges)))
    restarted = desired(cluster.nodes.values(), SMALL, Memory(), 0.0)
    given = [each.ranges for each in restarted.assignments] + [tuple(each.prefixes) for each in cluster.nodes.values()]
    assert len({each for each in given if each}) == 2, "each has its own"


def test_k4_a_promise_of_which_another_node_has_got_a_part_is_not_kept() -> None:
    """K4, K9: somebody has given a /25 out of the promised /24 meanwhile, by hand or with another mask."""
    plan = desired([node("a")], SMALL, Memory(), 0.0)
    again = desired([node("a"), node("b", "10.244.0.128/25")], SMALL, plan.memory, 1.0)
    assert [str(each) for each in again.memory.promised["uid-a"]] == ["10.244.1.0/24"]


def test_k5_no_slot_that_services_touch() -> None:
    """K5: services inside of the cluster's range."""
    cluster = Cluster(policy("10.244.0.0/22", services="10.244.1.128/25", rest=0.0))
    for index in range(4):
        cluster.add(f"n{index}")
    assert cluster.settle() == ["n3"]
    assert [cluster.of(f"n{i}") for i in range(3)] == ["10.244.0.0/24", "10.244.2.0/24", "10.244.3.0/24"]
    (full,) = usage(cluster.nodes.values(), cluster.policy)
    assert (full.used, full.reserved, full.free) == (3, 1, 0)
    beside = policy("10.244.0.0/22", services="10.0.0.0/16")
    assert usage([], beside)[0].free == 4


def test_k6_both_families_or_none() -> None:
    """K6: the order of the flags; while the second family is full for 100 tries the first loses nothing."""
    cluster = Cluster(DUAL)
    for index in range(17):
        cluster.add(f"n{index}")
    assert cluster.settle() == ["n16"]
    assert cluster.of("n3") == "10.244.3.0/24,fd00:1:0:3::/64"
    before = cluster.memory.cursors
    for _ in range(100):
        assert cluster.settle() == ["n16"]
    assert cluster.memory.cursors == before
    assert usage(cluster.nodes.values(), DUAL)[0].used == 16


def test_k8_a_node_outside_of_the_ranges_hinders_nobody() -> None:
    """K8: it is reported, and others are served."""
    cluster = Cluster()
    cluster.add("odd", "192.168.5.0/24")
    cluster.add("broken", "nonsense")
    cluster.add("n0")
    assert cluster.settle() == []
    assert cluster.of("n0") == "10.244.0.0/24"
    assert [(each.kind, each.about) for each in findings(cluster.nodes.values(), PLAIN)] == [
        ("unreadable range", "broken"),
        ("range outside", "odd"),
    ]


@pytest.mark.parametrize("ranges", [("10.244.0.0/24", "10.244.0.0/24"), ("10.244.0.0/26", "10.244.0.64/26")])
def test_k9_a_slot_of_two_is_busy_until_the_last_is_gone(ranges: tuple[str, str]) -> None:
    """K9: two nodes with one range are reported; two /26s in one slot keep it."""
    cluster = Cluster(SMALL)
    cluster.add("a", ranges[0])
    cluster.add("b", ranges[1])
    shared = [each for each in findings(cluster.nodes.values(), SMALL) if each.kind == "range shared"]
    assert [each.about for each in shared] == (["b"] if ranges[0] == ranges[1] else [])
    cluster.remove("a")
    cluster.add("c")
    cluster.settle()
    assert cluster.of("c") == "10.244.1.0/24"
    cluster.remove("b")
    cluster.memory = Memory()
    cluster.add("d")
    cluster.settle()
    assert cluster.of("d") == "10.244.0.0/24"


def test_k10_a_node_that_is_going_keeps_its_range() -> None:
    """K10: deletionTimestamp with a finalizer: the node is there, and so is its range."""
    document = {
        "metadata": {"name": "a", "uid": "1", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x"]},
        "spec": {"podCIDR": "10.244.0.0/24", "podCIDRs": ["10.244.0.0/24"]},
    }
    plan = desired([node_of(document), node("b")], PLAIN, Memory(), 0.0)
    assert plan.assignments[0].ranges == (parse_prefix("10.244.1.0/24"),)


def test_k12_a_thousand_nodes_that_go_before_they_have_a_range_leave_nothing() -> None:
    """K12: promises to nodes that are gone are forgotten."""
    memory = Memory()
    for index in range(1000):
        memory = desired([node(f"n{index}")], PLAIN, memory, 0.0).memory
        memory = desired([], PLAIN, memory, 0.0).memory
    assert memory.promised == {}
    assert usage([], PLAIN)[0].used == 0


def test_k13_400_nodes_at_once_get_400_ranges() -> None:
    """K13: all distinct."""
    wide = policy("10.0.0.0/8", rest=0.0)
    begun = time.process_time()
    plan = desired([each._replace(ranges=()) for each in nodes(400)], wide, Memory(), 0.0)
    assert len({each.ranges for each in plan.assignments}) == 400
    assert time.process_time() - begun < 10, "a bound against hanging"


def test_further_ranges_serve_when_the_first_is_full() -> None:
    grown = policy("10.244.0.0/23", further=["10.245.0.0/23"], rest=0.0)
    cluster = Cluster(grown)
    for index in range(5):
        cluster.add(f"n{index}")
    assert cluster.settle() == ["n4"]
    assert cluster.of("n3") == "10.245.1.0/24"
    (full,) = findings(cluster.nodes.values(), grown)
    assert (full.about, full.text[:12]) == ("10.244.0.0/23,10.245.0.0/23", "0 nodes more")


def test_a_full_range_beside_a_further_one_with_room_is_no_finding() -> None:
    grown = policy("10.244.0.0/23", further=["10.245.0.0/20"], rest=0.0)
    assert findings([node("a", "10.244.0.0/24"), node("b", "10.244.1.0/24")], grown) == []
    dual = policy("10.244.0.0/16,fd00:1::/63", rest=0.0)
    (full,) = findings([node("a", "10.244.0.0/24", "fd00:1::/64"), node("b", "10.244.1.0/24", "fd00:1:0:1::/64")], dual)
    assert full.about == "fd00:1::/63"


def test_a_node_is_read_from_its_document() -> None:
    document = {
        "metadata": {
            "name": "a", "uid": "u", "creationTimestamp": "2026-11-26T09:31:13Z",
            "labels": {"kubernetes.azure.com/managed": "false"},
        },
        "spec": {"podCIDR": "10.244.7.0/24"},
        "status": {
            "addresses": [
                {"type": "Hostname", "address": "a"}, {"type": "InternalIP", "address": "10.240.0.4"},
                {"type": "InternalIP", "address": "oops"}, {"type": "InternalIP", "address": "fd00::4"},
            ],
            "conditions": [{"type": "NetworkUnavailable", "status": "False", "reason": "RouteCreated"}],
        },
    }  # fmt: skip
    found = node_of(document)
    assert found.prefixes == [Prefix(parse_prefix("10.244.7.0/24").first, 120)]
    assert (found.managed, found.condition, found.created) == (False, ("False", "RouteCreated"), 1795685473.0)
    assert found.address(6) == 0xFD00 << 112 | 4
    assert node_of({}).ranges == ()
