"""unipam's node ranges beside those of the real `nodeipam`: the same nodes come and go, on a genuine API server.

Both are told the same steps one after the other, each in an empty cluster. Where the original is wrong, a test shows
its mistake and what unipam does instead (docs/kubenet.md lists them).
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.dialects.kubenet.test_policy import V4, V6
from tests.real import etcd, kube_apiserver
from tests.real.kubenet import WITHIN, Nodes, Running, kubenet
from tests.real.nodeipam import Nodeipam, brought

from unipam.controllers.kubenet.measures import metrics
from unipam.controllers.kubenet.turnover import Turnover
from unipam.dialects.kubenet.node import node_of
from unipam.dialects.kubenet.policy import policy
from unipam.model.errors import BadConfig

pytestmark = brought
SEEDS = range(int(os.environ.get("UNIPAM_KUBE_SEEDS", "1")))
STEPS = 40
SHORT = "CIDRNotAvailable"
USED = "node_ipam_controller_cidrset_usage_cidrs"


class Case(NamedTuple):
    """A cluster's flags, how many nodes find a range beside those that were there before, and what these have."""

    flags: tuple[str, ...]
    room: int
    before: tuple[tuple[str, ...], ...] = ()


CASES = {
    "four slots": Case(("--cluster-cidr=10.244.0.0/22",), 4),
    "plain": Case(("--cluster-cidr=10.244.0.0/16",), 256, (("10.244.0.0/24",), ("10.244.3.0/24",))),
    "other lengths": Case(
        ("--cluster-cidr=10.244.0.0/22", "--node-cidr-mask-size=26"), 9,
        (("10.244.1.0/24",), ("10.244.0.128/28",), ("10.244.0.0/26",), ("10.244.3.255/32",)),
    ),
    "services": Case(("--cluster-cidr=10.244.0.0/21", "--service-cluster-ip-range=10.244.2.0/23"), 6),
    "both families": Case(
        (
            "--cluster-cidr=10.244.0.0/20,fd00:1::/108", "--node-cidr-mask-size-ipv4=24",
            "--node-cidr-mask-size-ipv6=112",
        ), 15, (("10.244.2.0/24", "fd00:1::4:0/112"),),
    ),
    "IPv6 first": Case(
        (
            "--cluster-cidr=fd00:1::/61,10.244.0.0/20", "--service-cluster-ip-range=fd00:1::/112,10.0.0.0/16",
            "--node-cidr-mask-size-ipv4=25",
        ), 6, (("fd00:1:0:2::/64", "10.244.1.128/25"),),
    ),
}  # fmt: skip


class Both:
    """The original and ours, and the cluster in which they take turns."""

    def __init__(self, ours: Running, theirs: Nodeipam) -> None:
        self.ours, self.theirs = ours, theirs
        self.nodes = Nodes(ours.api)


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    server = kube_apiserver.shared("crd.projectcalico.org/v1")
    theirs = Nodeipam(server.kubeconfig, tmp_path)
    with kubenet(tmp_path) as ours:
        try:
            yield Both(ours, theirs)
        finally:
            theirs.stop()


def need(both: Both, flags: tuple[str, ...]) -> None:
    """Leave out a cluster of both families where the API server has none: before 1.21 that is behind a gate."""
    version = both.ours.api.get("/version", etcd.soon())
    if "," in flags[0] and int(version["minor"].rstrip("+")) < 21:
        pytest.skip(
            f"the API server is {version['gitVersion']}: two ranges of a node need 1.21 (UNIPAM_KUBE_APISERVER)"
        )


def await_(what: Callable[[], bool], why: Callable[[], object] = lambda: "it took too long") -> None:
    deadline = time.monotonic() + WITHIN
    while not what():
        assert time.monotonic() < deadline, why()
        time.sleep(0.02)


def steps(seed: int, case: Case) -> Iterator[tuple[str, str]]:
    """Yield what happens: `add` and `remove` of a node, `restart` of who gives ranges. At most one node waits."""
    dice, old, new = random.Random(seed), [f"old-{index}" for index in range(len(case.before))], list[str]()
    for number in range(STEPS):
        waits = len(new) > case.room
        if number == STEPS // 2 and not waits:
            yield "restart", ""
        elif waits or (new and dice.random() < (0.5 if len(new) == case.room else 0.4)):
            gone = dice.choice(new[:-1] if waits else old + new)
            (new if gone in new else old).remove(gone)
            yield "remove", gone
        else:
            new.append(f"n{number}")
            yield "add", new[-1]


class Player:
    """Whoever gives ranges, the steps that it is told, and what each node had after each.

    `releases` changes when a range that was released may be given again.
    """

    def __init__(
        self, nodes: Nodes, start: Callable[[], None], stop: Callable[[], None], releases: Callable[[], object]
    ) -> None:
        self._nodes, self._start, self._stop, self._releases = nodes, start, stop, releases
        self._waiting = ""

    def play(self, case: Case, seed: int) -> list[dict[str, list[str]]]:
        """Begin with a cluster that has its old nodes, and take every step."""
        self._nodes.forget()
        for index, ranges in enumerate(case.before):
            self._nodes.add(f"old-{index}", "", *ranges)
        self._start()
        seen = []
        for verb, name in steps(seed, case):
            self._take(verb, name)
            seen.append(self._nodes.ranges())
        self._stop()
        return seen

    def _take(self, verb: str, name: str) -> None:
        if verb == "restart":
            self._stop()
            self._nodes.forget_lease()
            self._start()
        elif verb == "add":
            self._nodes.add(name)
            await_(lambda: self._served(name) or name in dict(self._nodes.events(SHORT)))
            self._waiting = "" if self._served(name) else name
        else:
            self._remove(name)

    def _remove(self, name: str) -> None:
        before = self._releases()
        self._nodes.remove(name)
        await_(lambda: self._releases() != before)
        if waiting := self._waiting:
            await_(lambda: self._served(waiting))
            self._waiting = ""

    def _served(self, name: str) -> bool:
        return bool(self._nodes.ranges()[name])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", CASES)
def test_k1_the_same_nodes_get_the_same_ranges(both: Both, name: str, seed: int) -> None:
    """K1, K2, K5, K6: nodes come and go at random, restarts, ranges from before, both families, a full range."""
    case = CASES[name]
    need(both, case.flags)
    theirs = Player(both.nodes, lambda: both.theirs.start(*case.flags), both.theirs.stop, both.theirs.releases)
    expected = theirs.play(case, seed)
    ours = Player(both.nodes, lambda: start(both.ours, case.flags), lambda: _stopped(both.ours), both.nodes.ranges)
    assert ours.play(case, seed) == expected


def start(ours: Running, flags: tuple[str, ...]) -> None:
    """Start ours with kube-controller-manager's flags; a range rests for no time, as there."""
    cluster, *others = flags
    words = [word for each in others for word in each.split("=", 1)]
    ours.start("--range-rest", "0", *words, cluster_cidr=cluster.partition("=")[2])


def _stopped(ours: Running) -> None:
    assert ours.stop() == 0


def test_k3_a_node_that_waits_is_told_of_in_the_same_words(both: Both) -> None:
    """K3: the same event, and after a deletion the node that waited has the range."""
    said = []
    for begin, end in turns(both, "--cluster-cidr=10.244.0.0/24"):
        begin()
        both.nodes.add("n0")
        await_(lambda: bool(both.nodes.ranges()["n0"]))
        both.nodes.add("n1")
        await_(lambda: bool(both.nodes.events(SHORT)))
        said.append(set(both.nodes.events(SHORT)))
        both.nodes.remove("n0")
        await_(lambda: both.nodes.ranges()["n1"] == ["10.244.0.0/24"])
        end()
    assert said[0] == said[1] == {("n1", "Node n1 status is now: CIDRNotAvailable")}


def turns(both: Both, *flags: str) -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    """Yield how each of them begins and ends: the original, then ours, each in an empty cluster."""
    yield (lambda: both.theirs.start(*flags)), both.theirs.stop
    both.nodes.forget()
    yield (lambda: start(both.ours, flags)), lambda: _stopped(both.ours)


def test_k6_the_original_loses_ranges_of_one_family_when_the_other_is_full(both: Both) -> None:
    """K6: the original takes a slot of the first family at each try for a node that the second has no slot for."""
    flags = ("--cluster-cidr=10.244.0.0/22,fd00:1::/64",)  # four slots, and one
    need(both, flags)
    for begin, end in turns(both, *flags):
        begin()
        both.nodes.add("n0")
        await_(lambda: bool(both.nodes.ranges()["n0"]))
        both.nodes.add("n1")
        await_(lambda: bool(both.nodes.events(SHORT)))
        if both.theirs.process is not None and both.theirs.process.poll() is None:
            await_(lambda: both.theirs.metrics()[USED]["10.244.0.0/22"] == 1.0, both.theirs.metrics)
        both.nodes.remove("n0")
        await_(lambda: bool(both.nodes.ranges()["n1"]), both.theirs.log.read_text)
        end()
    assert both.nodes.ranges() == {"n1": ["10.244.1.0/24", "fd00:1::/64"]}, "ours goes on where it was"


@pytest.mark.parametrize(("name", "ranges"), [("outside", "10.99.0.0/24"), ("family", "fd00:9::/64")])
def test_k8_the_original_does_not_start_beside_a_range_that_is_not_its_own(both: Both, name: str, ranges: str) -> None:
    """K8: ours serves the others, and tells."""
    both.nodes.add(name, "", ranges)
    both.theirs.start("--cluster-cidr=10.244.0.0/22")
    code, log = both.theirs.ended()
    assert code != 0
    assert "range" in log
    start(both.ours, ("--cluster-cidr=10.244.0.0/22",))
    both.nodes.add("n0")
    both.ours.await_(lambda: both.nodes.ranges()["n0"] == ["10.244.0.0/24"])
    both.ours.await_(lambda: '"range outside"' in both.ours.log.read_text())


def test_k9_the_original_gives_a_range_of_two_nodes_to_a_third_when_one_is_gone(both: Both) -> None:
    """K9: two nodes in one slot; with ours it is busy until the last of them is gone."""
    found = []
    for begin, end in turns(both, "--cluster-cidr=10.244.0.0/23"):
        both.nodes.add("a", "", "10.244.0.0/24")
        both.nodes.add("b", "", "10.244.0.0/24")
        begin()
        both.nodes.remove("a")
        both.nodes.add("c")
        await_(lambda: bool(both.nodes.ranges()["c"]))
        both.nodes.add("d")
        await_(lambda: bool(both.nodes.ranges()["d"]) or bool(both.nodes.events(SHORT)))
        found.append(both.nodes.ranges())
        end()
    theirs, ours = found
    assert sorted(theirs.values()) == [["10.244.0.0/24"], ["10.244.0.0/24"], ["10.244.1.0/24"]], "two nodes, one range"
    assert ours == {"b": ["10.244.0.0/24"], "c": ["10.244.1.0/24"], "d": []}


def test_k10_a_node_that_is_being_deleted_keeps_its_range(both: Both) -> None:
    """K10: a deletionTimestamp and a finalizer: both wait until the node is really gone."""
    for begin, end in turns(both, "--cluster-cidr=10.244.0.0/24"):
        begin()
        both.nodes.add("n0", finalizers=["unipam.test/wait"])
        await_(lambda: bool(both.nodes.ranges()["n0"]))
        both.nodes.remove("n0")
        both.nodes.add("n1")
        await_(lambda: bool(both.nodes.events(SHORT)))
        assert both.nodes.ranges() == {"n0": ["10.244.0.0/24"], "n1": []}
        both.nodes.release("n0")
        await_(lambda: both.nodes.ranges() == {"n1": ["10.244.0.0/24"]})
        end()


def test_k13_400_nodes_in_a_crowd_have_400_ranges(both: Both) -> None:
    """K13: all distinct, with both; what each took is printed (pytest -s)."""
    for name, (begin, end) in zip(("nodeipam", "unipam"), turns(both, "--cluster-cidr=10.0.0.0/8"), strict=True):
        begin()
        both.nodes.add("first")
        await_(lambda: bool(both.nodes.ranges()["first"]))
        began = time.monotonic()
        with ThreadPoolExecutor(8) as crowd:
            list(crowd.map(both.nodes.add, [f"n{index}" for index in range(400)]))
        created = time.monotonic()
        await_(lambda: all(both.nodes.ranges().values()))
        took = f"{name}: created in {created - began:.2f} s, all served {time.monotonic() - created:.2f} s after that\n"
        sys.stdout.write(took)
        assert len({each for (each,) in both.nodes.ranges().values()}) == 401
        end()


def test_k14_beside_the_original_ours_only_reads_and_each_takes_over_what_the_other_gave(both: Both) -> None:
    """K14: both run, and the original serves; then each alone: no podCIDR changes at any hand-over."""
    flags = ("--cluster-cidr=10.244.0.0/16",)
    both.theirs.start(*flags)
    start(both.ours, flags)
    both.ours.await_(lambda: both.ours.table in [each.path for each in both.ours.fake.calls])
    for index in range(4):
        both.nodes.add(f"theirs-{index}")
        await_(lambda i=index: bool(both.nodes.ranges()[f"theirs-{i}"]))  # type: ignore[misc]
    both.ours.await_(lambda: '"another allocator"' in both.ours.log.read_text())
    assert '"range assigned"' not in both.ours.log.read_text()
    assert '"range not assigned"' not in both.ours.log.read_text(), "not even tried"
    before = both.nodes.ranges()
    both.theirs.stop()
    _stopped(both.ours)
    start(both.ours, flags)
    both.nodes.add("ours")
    both.ours.await_(lambda: bool(both.nodes.ranges()["ours"]))
    _stopped(both.ours)
    both.theirs.start(*flags)
    both.nodes.add("last")
    await_(lambda: bool(both.nodes.ranges()["last"]))
    after = both.nodes.ranges()
    assert before == {name: after[name] for name in before}
    assert len({each for (each,) in after.values()}) == 6


@pytest.mark.parametrize(
    "flags",
    [
        ("",),
        (f"{V4},10.0.0.0/16",),
        (f"{V4},{V6},fd00:2::/48",),
        (f"{V4},{V6}", "--node-cidr-mask-size=24"),
        (V4, "--node-cidr-mask-size=24", "--node-cidr-mask-size-ipv4=24"),
        (V4, "--node-cidr-mask-size-ipv6=64"),
        (V6, "--node-cidr-mask-size-ipv4=24"),
        (V4, "--node-cidr-mask-size=15"),
        ("fd00::/47",),
    ],
)
def test_k7_what_one_refuses_the_other_refuses(both: Both, flags: tuple[str, ...]) -> None:
    """K7: each refusal of the specification, of the original first."""
    both.theirs.start(*([f"--cluster-cidr={flags[0]}"] if flags[0] else []), *flags[1:])
    code, log = both.theirs.ended()
    assert code != 0
    given = {each.partition("=")[0].removeprefix("--node-cidr-mask-size"): each.partition("=")[2] for each in flags[1:]}
    masks = {{"": "mask", "-ipv4": "mask_v4", "-ipv6": "mask_v6"}[name]: int(value) for name, value in given.items()}
    with pytest.raises(BadConfig) as refused:
        policy(flags[0], **masks)  # type: ignore[arg-type]
    said = refused.value.message.split(": ")[-2 if "Invalid" in refused.value.message else 0]
    assert said in log, (refused.value.message, log[-2000:])


def test_k7_what_one_accepts_the_other_accepts(both: Both) -> None:
    """K7: an IPv6 difference of 16, and equal lengths."""
    for flags in (("--cluster-cidr=fd00::/48",), ("--cluster-cidr=10.244.0.0/24",)):
        for begin, end in turns(both, *flags):
            both.nodes.forget()
            begin()
            both.nodes.add("n0")
            await_(lambda: bool(both.nodes.ranges()["n0"]))
            end()


def test_k15_metrics_have_the_original_s_names(both: Both) -> None:
    """K15: what of ours bears a name of the original's is what it has, with the same value; services count as used."""
    flags = ("--cluster-cidr=10.244.0.0/21", "--service-cluster-ip-range=10.244.2.0/23")
    both.theirs.start(*flags)
    for index in range(4):
        both.nodes.add(f"n{index}")
    await_(lambda: all(both.nodes.ranges().values()))
    made, turnover = policy("10.244.0.0/21", services="10.244.2.0/23"), Turnover()
    turnover.note([node_of(both.nodes.node(f"n{index}")) for index in range(4)], made)
    both.nodes.remove("n3")
    await_(lambda: both.theirs.releases() == 1)
    nodes = [node_of(both.nodes.node(f"n{index}")) for index in range(3)]
    turnover.note(nodes, made)
    theirs = both.theirs.metrics()
    ours = [each for metric in metrics(nodes, made, (), None, turnover) for each in metric.samples]
    ours = [each for each in ours if not each.name.startswith("unipam_")]
    assert len(ours) == 4
    for sample in ours:
        assert theirs[sample.name][sample.labels["clusterCIDR"]] == sample.value, sample.name
