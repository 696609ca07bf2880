"""Cilium's operator on Azure: what cluster sizes cost in seconds and requests, by a simulated clock.

The peer is cilium-operator-azure 1.20.2, as it was measured on the same work against a fake Resource Manager, with the
same budget (4 requests a second, 20 at once; spec cilium §9.1), unless a row says otherwise. Where it is on the machine
(`UNIPAM_CILIUM_OPERATOR`), both are run as processes besides, by the real clock, each with the same machines.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from tests.controllers.cilium.day import SCALE_SET
from tests.controllers.cilium.simulation import Simulation
from tests.fakes.azure import azure
from tests.fakes.azure_http import Refused
from tests.real import cilium_nodes, cilium_original, etcd, kube_apiserver
from tests.real.cilium_nodes import until

from bench.needs import Need
from bench.table import Row, row, show
from unipam.clients.azure.write.budget import Budget
from unipam.dialects.cilium.node import PATH

SETTLES = 5.0
"""Seconds in which an operator ends what it does after the last pool."""
BESIDE = Need(
    "a cilium-operator-azure (UNIPAM_CILIUM_OPERATOR) and a kube-apiserver of 1.21 or newer",
    lambda: not cilium_original.WHY,
    "the rows of both operators as processes",
)
SERVER = Need("a kube-apiserver (UNIPAM_KUBE_APISERVER)", lambda: not kube_apiserver.WHY, "the hand-over")
NEEDS = (BESIDE, SERVER)

PASS = """
import json, random, resource, sys, time
import msgspec
from unipam.controllers.cilium.controller import Operator
from unipam.controllers.cilium.surveying import Survey
from unipam.controllers.term import Term
from unipam.dialects.cilium.nics import subnet_of
from unipam.dialects.cilium.node import node_of
from unipam.dialects.cilium.planning import Policy

count, addresses = int(sys.argv[1]), 24
group = "/subscriptions/s/resourceGroups/g"
subnet = f"{group}/providers/Microsoft.Network/virtualNetworks/v/subnets/nodes"
machine = "{}/providers/Microsoft.Compute/virtualMachineScaleSets/np/virtualMachines/{}".format

def ip(node, at):
    number = node * 32 + at
    return f"10.{192 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"

def configuration(node, at):
    return {"name": f"Cilium-{node:05}{at:03}", "properties": {"privateIPAddress": ip(node, at), "primary": at == 0,
        "privateIPAddressVersion": "IPv4", "provisioningState": "Succeeded", "subnet": {"id": subnet}}}

def nic(node):
    of = machine(group, node)
    return msgspec.json.encode({"id": f"{of}/networkInterfaces/nic", "name": "nic", "properties": {
        "virtualMachine": {"id": of}, "macAddress": "00-22-48-00-00-01", "provisioningState": "Succeeded",
        "ipConfigurations": [configuration(node, at) for at in range(addresses + 1)]}})

def cilium_node(node):
    resource = {"resource": f"{machine(group, node)}/networkInterfaces/nic"}
    pool = {ip(node, at): resource for at in range(1, addresses + 1)}
    used = {ip(node, at): {"owner": f"default/pod-{at}"} for at in range(1, 17 + node % 2)}
    return msgspec.json.encode({"metadata": {"name": f"aks-np-vmss{node:06}", "uid": str(node), "resourceVersion": "7"},
        "spec": {"instance-id": machine(group, node).lower(), "ipam": {"pool": pool, "pre-allocate": 8}},
        "status": {"ipam": {"used": used}}})

class Still:
    def snapshot(self): return nodes
    def start(self, name, job, done, urgency=0.0): job.close()
    def busy(self, name): return False
    def lead(self, term): pass
    def listen(self, heard): pass
    def publish(self, node, said): return True
    def tell(self, *_, **__): pass
    def close(self): pass

nodes = {each.name: each for each in (node_of(msgspec.json.decode(cilium_node(n))) for n in range(count))}
still, term = Still(), Term(1e9)
operator = Operator(group, Policy(release=True), lambda _: still, still, still, lambda *_, **__: None)
operator.observe(term)  # the term begins, in which all is learnt
began = time.process_time()
seen = []
for each in range(count):
    seen += operator._serving.inventory.nics_of([msgspec.json.decode(nic(each))])
found = Survey(time.monotonic(), seen, [], [subnet_of({
    "id": subnet, "properties": {"addressPrefix": "10.192.0.0/12", "ipConfigurations": []}})], [], True)
operator._serving.inventory.surveyed_all(found, ())
survey = time.process_time() - began
began = time.process_time()
observed = operator.observe(term)
changes = operator.desired(observed, 0.0)
done = operator.carry_out(changes, term)
operator.report(observed, done)
assert len(changes.steps) == count and sum(each.growth is not None for each in changes.steps) == count // 2
print(json.dumps({"survey": survey, "cpu": time.process_time() - began,
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def taken(operator: Simulation, until: Callable[[], bool], within: float) -> float:
    """Return how many seconds it took until something was so."""
    began = operator.world.now
    assert operator.run(within, until), "it did not come about"
    return operator.world.now - began


def cold(nodes: int) -> Iterator[Row]:
    """A cluster of new nodes."""
    operator = Simulation(nodes)
    began = operator.world.now
    assert operator.run(60, lambda: any(operator.pool(each) for each in operator.cluster.documents))
    yield row(f"{nodes} new nodes: the first pool, s", operator.world.now - began, "72.2 s", 2.0, " s")
    assert operator.run(120, operator.ready)
    yield row(f"{nodes} new nodes: all of them, s", operator.world.now - began, "97.0 s", 30.0, " s")
    yield row("tokens of the budget a node", operator.dispatcher.tokens / nodes, "4", 1.2)
    yield row("HTTP requests a node", operator.dispatcher.sent / nodes, "6.08", 2.5)


def thousand() -> Iterator[Row]:
    """The same with 1,000."""
    operator = Simulation(1000)
    yield row("1,000 new nodes: all of them, s", taken(operator, operator.ready, 1200), "996 s *", 300.0, " s")


def joining() -> Iterator[Row]:
    """A node that joins a cluster, and one that grows."""
    operator = Simulation(1)
    taken(operator, operator.ready, 30)
    operator.run(1)
    before = operator.dispatcher.tokens
    operator.node("n1", operator.compute.machine(SCALE_SET, 1))
    taken(operator, operator.ready, 30)
    yield row("a node joins: tokens", operator.dispatcher.tokens - before, "6", 2.0)
    operator.run(1)
    calls = operator.dispatcher.sent
    operator.use("n0", 8)
    taken(operator, lambda: len(operator.pool("n0")) == 16, 30)
    yield row("a node grows by 8: HTTP requests", operator.dispatcher.sent - calls, "6", 2.0)


def slow_write() -> Iterator[Row]:
    """A write that takes five seconds, and Azure does not say when to look."""
    operator = Simulation(1)
    operator.run(1)
    taken(operator, operator.ready, 30)
    operator.azure.arm.takes, operator.azure.arm.retry_after = 5.0, "unsaid"
    operator.use("n0", 8)
    yield row("a PUT of 5 s, no Retry-After", taken(operator, lambda: len(operator.pool("n0")) == 16, 60),
              "30.6 s", 7.0, " s")  # fmt: skip


def refused_for_good() -> Iterator[Row]:
    """One machine may not be written, and another one grows all the time."""
    operator = Simulation(2)
    operator.azure.fault = lambda ask: (
        Refused(403, "AuthorizationFailed", "no") if ask.path.endswith("/virtualMachines/0") and ask.writes else None
    )
    for _ in range(12):
        operator.run(300)
        operator.use("n1", 2)
    about = [each for each in operator.azure.calls if each.ask.path.lower().startswith(operator.ids[0])]
    assert "AuthorizationFailed" in operator.error("n0"), "the CiliumNode says why"
    yield row("a permanent 403: requests about it in an hour", len(about), "120 **", 10.0)


def throttled() -> Iterator[Row]:
    """75 seconds in which every request is refused with a Retry-After of 5."""
    operator = Simulation(5)
    taken(operator, operator.ready, 60)
    operator.run(2)
    until, ends = operator.world.now + 75.0, []
    operator.azure.fault = lambda _: (
        Refused(429, "TooManyRequests", "no", {"Retry-After": "5"}) if operator.world.now < until else None
    )
    before = len(operator.azure.calls)
    for name in operator.agents:
        operator.use(name, 4)
    taken(operator, lambda: operator.ready(12), 200)
    calls = operator.azure.calls[before:]
    ends = [(each.at + 5.0, each.ask.writes) for each in calls if each.status == 429]
    # a request that was on its way when the first refusal came is not one before its time
    early = [each for each in calls if any(
        end - 5.0 + operator.azure.latency < each.at < end - 0.1 and each.ask.writes == writes for end, writes in ends
    )]  # fmt: skip
    yield row("75 s of 429: requests before their time", len(early), "-", 0.0)
    yield row("75 s of 429: requests refused", len(ends), "26", None)


def unlimited() -> Iterator[Row]:
    """300 nodes without our budget, all at once: who collides with itself."""
    operator = Simulation(300)
    operator.dispatcher._new_budget = lambda: Budget(1e5, 100_000)  # noqa: SLF001
    operator.azure.reads.left = operator.azure.writes.left = 1e6
    operator.azure.reads.size = operator.azure.writes.size = 1e6
    conflicts = 0
    publish = operator.cluster.publish

    def counted(node: Any, said: Any) -> bool:
        nonlocal conflicts
        done = publish(node, said)
        conflicts += not done
        return done

    operator.cluster.publish = counted  # type: ignore[method-assign]
    taken(operator, operator.ready, 300)
    operator.run(130)
    puts = Counter(each.ask.path for each in operator.azure.asked("PUT"))
    yield row("300 nodes, no budget: machines written twice", sum(each > 1 for each in puts.values()), "10", 0.0)
    yield row("300 nodes, no budget: conflicts with itself", conflicts, "465", 0.0)


def steady(nodes: int) -> Iterator[Row]:
    """Nothing happens."""
    operator = Simulation(nodes)
    taken(operator, operator.ready, 1200)
    operator.run(120)
    tokens, before = operator.dispatcher.tokens, len(operator.azure.calls)
    operator.run(600)
    minute = (len(operator.azure.calls) - before) / 10
    yield row(f"{nodes} nodes at rest: reads a minute", (operator.dispatcher.tokens - tokens) / 10, "4", 4.0)
    yield row(f"{nodes} nodes at rest: the same with further pages", minute, f"{4 + (nodes - 1) // 100}", None)


def large(nodes: int) -> Iterator[Row]:
    """One round over a large cluster, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", PASS, str(nodes)], stdout=subprocess.PIPE, check=True, timeout=600)
    found = json.loads(done.stdout)
    yield row(f"a survey of {nodes} machines taken in: processor seconds", found["survey"], "-", None, " s")
    yield row(f"one round over {nodes} nodes: processor seconds", found["cpu"], "-", 2.0, " s")
    yield row(f"one round over {nodes} nodes: memory at the most, MB", found["peak"], "-", 300.0, " MB")


def handed_over() -> Iterator[Row]:
    """Two processes, of which the one that leads is ended, by the real clock."""
    if not SERVER.met():
        return
    with (
        TemporaryDirectory(prefix="unipam-bench-") as home,
        azure(Path(home)) as fake,
        cilium_nodes.defined(),
        ExitStack() as running,
    ):
        logs, subscription = [Path(home) / "one", Path(home) / "two"], fake.subscribe()
        kubeconfig = kube_apiserver.shared("crd.projectcalico.org/v1").kubeconfig
        processes = []
        for log, event in zip(logs, ("leading", "contending"), strict=True):
            made = cilium_nodes.operator(fake, subscription, kubeconfig, log, *cilium_nodes.LASTING)
            processes.append(running.enter_context(made))
            until(lambda: event in cilium_nodes.events(log), log)  # noqa: B023 (at once)
        took = cilium_nodes.hand_over(processes[0], logs[1])
        yield row("processes: from SIGTERM to one until another leads", took, "-", 2.0, " s")


class Cost(NamedTuple):
    """What an operator took: seconds until the first and the last new node had its pool, requests, writes of machines.

    `grown` is the requests that it took to give one of them more.
    """

    first: float
    last: float
    requests: float
    writes: float
    grown: int


def lived(run: Callable[..., AbstractContextManager[Any]], where: cilium_original.Where, nodes: int) -> Cost:
    """Give new nodes to an operator, let one of them grow, and take everything away again."""
    with TemporaryDirectory(prefix="unipam-bench-") as home, azure(Path(home)) as fake:
        site, log = cilium_original.Nodes(fake, where.api, [{}] * nodes), Path(home) / "log"

        def after(what: Callable[[list[int]], bool]) -> float:
            until(lambda: what(site.sizes()), log, 600.0)
            return time.monotonic()

        def asked() -> int:
            return cilium_original.calls_by_kind(fake).total()

        with run(fake, site.subscription, where.server.kubeconfig, log):
            until(lambda: bool(asked()), log)
            began = time.monotonic()
            first, last = after(any) - began, after(all) - began
            requests, writes = asked() / nodes, site.writes().total() / nodes
            time.sleep(SETTLES)
            before = asked()
            site.use("n0", len(site.at_azure()["n0"]))
            after(lambda sizes: sizes[0] > len(site.document("n0")["status"]["ipam"]["used"]))
            grown = asked() - before
        where.api.delete(PATH, {}, etcd.soon())
    return Cost(first, last, requests, writes, grown)


def beside(nodes: int) -> Iterator[Row]:
    """Both operators as processes, by the real clock, where the genuine one is here."""
    if not BESIDE.met():
        return
    with cilium_original.api_server() as where:
        them, us = lived(cilium_original.original, where, nodes), lived(cilium_nodes.operator, where, nodes)
    work = f"processes, {nodes} new nodes:"
    yield beside_row(f"{work} the first pool, s", us.first, them.first)
    yield beside_row(f"{work} all of them, s", us.last, them.last)
    yield beside_row(f"{work} HTTP requests a node", us.requests, them.requests)
    yield beside_row(f"{work} writes a node", us.writes, them.writes)
    yield beside_row("processes, a node grows by 8: HTTP requests", us.grown, them.grown)


def beside_row(work: str, us: float, them: float) -> Row:
    """Return a row of two figures of one run."""
    return Row(work, f"{us:.4g}", f"{them:.4g}", us / them, 1.0)


def rows() -> Iterator[Row]:
    """Measure, the short ones first."""
    for part in (
        partial(cold, 100), thousand, joining, slow_write, refused_for_good, throttled, unlimited, partial(steady, 300),
        partial(large, 5000), handed_over, partial(beside, 20),
    ):  # fmt: skip
        yield from part()


def main() -> None:
    """Print the rows."""
    show("Cilium on Azure, simulated; computed: * from its 4 tokens a node, ** from one GET and PUT a minute", rows())
