"""The genuine cilium-operator-azure and ours, each with the same machines, nodes and agents; and one after the other.

Where the original writes a machine twice for one need, as it does when other nodes' changes come between its write and
its next look (spec cilium §9.1), that node has more than with ours: nothing else may differ.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.fakes.azure import azure
from tests.real import etcd
from tests.real.cilium_nodes import operator, until
from tests.real.cilium_original import Nodes, Where, api_server, brought, calls_by_kind, original

from unipam.addr.prefix import parse_address
from unipam.clients.kubernetes.api import KubernetesApi
from unipam.dialects.cilium.node import PATH

pytestmark = brought

_log = logging.getLogger(__name__)

SPECS: list[dict[str, Any]] = [
    {}, {"min-allocate": 12}, {"pre-allocate": 4}, {"max-allocate": 6}, {"max-above-watermark": 3},
]  # fmt: skip
THROTTLED = 5.0
"""Seconds for which everything is refused, with a Retry-After of 2."""
WITHIN = 150.0
"""Seconds: the original looks at machines that stand alone once a minute."""
_VOLATILE = ("resourceVersion", "generation", "managedFields", "uid", "creationTimestamp")


class Step(NamedTuple):
    """What agents tell that pods use, and what each pool has to have then, by the formulas."""

    title: str
    used: dict[str, int]
    wanted: list[int]
    throttled: bool = False


STEPS = [
    Step("new nodes", {}, [8, 12, 4, 6, 11]),
    Step("all is used", {"n0": 8, "n1": 12, "n2": 3, "n3": 6, "n4": 11}, [16, 20, 7, 6, 22]),
    Step("more, throttled", {"n0": 16, "n1": 20, "n2": 7, "n4": 22}, [24, 28, 11, 6, 33], throttled=True),
    Step("less, and another node more", {"n0": 2, "n1": 28}, [24, 36, 11, 6, 33]),
]


class Seen(NamedTuple):
    """What there was after a step: the nodes, and what was asked of Azure until then."""

    documents: dict[str, dict[str, Any]]
    sizes: list[int]
    writes: Counter[str]
    calls: Counter[str]
    refused: int


@pytest.fixture(scope="module")
def cluster() -> Iterator[Where]:
    with api_server() as made:
        yield made


@pytest.fixture
def api(cluster: Where) -> Iterator[KubernetesApi]:
    yield cluster.api
    cluster.api.delete(PATH, {}, etcd.soon())


def shape(document: dict[str, Any]) -> Any:
    """What a CiliumNode says but for which addresses it has: these are numbered; and but for what is empty."""
    about = {name: value for name, value in document["metadata"].items() if name not in _VOLATILE}
    text = json.dumps({"metadata": about, "spec": document["spec"], "status": document["status"]})
    for number, ip in enumerate(sorted(document["spec"]["ipam"]["pool"], key=parse_address)):
        text = text.replace(f'"{ip}"', f'"secondary {number}"')
    return _without_empty(json.loads(text))


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: kept for name, each in value.items() if (kept := _without_empty(each)) not in ({}, [])}
    return [_without_empty(each) for each in value] if isinstance(value, list) else value


def take(nodes: Nodes, step: Step, log: Path) -> Seen:
    """Let a step happen, and wait until each pool has what it has to have, or more."""
    if step.throttled:
        nodes.fake.throttle("/subscriptions/", "2", times=1_000_000)
    for name, count in step.used.items():
        nodes.use(name, count)
    if step.throttled:
        time.sleep(THROTTLED)
        nodes.fake.relent()
    until(lambda: all(has >= want for has, want in zip(nodes.sizes(), step.wanted, strict=True)), log, WITHIN)
    return Seen(nodes.documents(), nodes.sizes(), nodes.writes(), calls_by_kind(nodes.fake), nodes.refused)


def live(
    run: Callable[..., contextlib.AbstractContextManager[Any]],
    cluster: Where,
    home: Path,
    steps: Sequence[Step],
    *,
    alone: bool = False,
) -> list[Seen]:
    """Give machines to an operator, and take the steps."""
    home.mkdir()
    server, api = cluster
    with azure(home) as fake:
        nodes = Nodes(fake, api, SPECS[: len(steps[0].wanted)], alone=alone)
        with run(fake, nodes.subscription, server.kubeconfig, home / "log"):
            seen = [take(nodes, step, home / "log") for step in steps]
    api.delete(PATH, {}, etcd.soon())
    return seen


def show(steps: Sequence[Step], by_them: Sequence[Seen], by_us: Sequence[Seen]) -> None:
    """Tell what was asked since the start, theirs and ours (`--log-cli-level=INFO`)."""
    for step, them, us in zip(steps, by_them, by_us, strict=True):
        lines = [f"{step.title}: wanted {step.wanted}, theirs {them.sizes}, ours {us.sizes}"]
        kinds = sorted(them.calls.keys() | us.calls.keys())
        lines += [f"  {kind:70} {them.calls[kind]:5} {us.calls[kind]:5}" for kind in kinds]
        lines.append(f"  {'requests in all':70} {them.calls.total():5} {us.calls.total():5}")
        lines.append(f"  {'of these refused with 429':70} {them.refused:5} {us.refused:5}")
        lines.append(f"  {'writes of machines done':70} {them.writes.total():5} {us.writes.total():5}")
        _log.info("\n".join(lines))


def judge(step: Step, them: Seen, us: Seen) -> None:
    """The same documents, but for nodes that have more of the original, which has written once more than was needed."""
    assert us.sizes == step.wanted
    assert all(has >= want for has, want in zip(them.sizes, step.wanted, strict=True))
    alike = [name for name, has, want in zip(us.documents, them.sizes, step.wanted, strict=True) if has == want]
    assert alike, them.sizes
    for name in alike:
        assert shape(us.documents[name]) == shape(them.documents[name])
    assert us.calls.total() < them.calls.total()
    assert us.refused <= them.refused


def test_both_give_a_scale_set_the_same(cluster: Where, api: KubernetesApi, tmp_path: Path) -> None:
    by_them, by_us = (live(run, cluster, tmp_path / run.__name__, STEPS) for run in (original, operator))
    show(STEPS, by_them, by_us)
    for step, them, us in zip(STEPS, by_them, by_us, strict=True):
        judge(step, them, us)
    assert by_us[-1].writes == {"n0": 3, "n1": 4, "n2": 3, "n3": 1, "n4": 3}, "one for each need"


def test_both_give_machines_that_stand_alone_the_same(cluster: Where, api: KubernetesApi, tmp_path: Path) -> None:
    """The original knows what it has done to them at its next list only, a minute later."""
    steps = [Step("new machines alone", {}, [8, 12])]
    ((them,), (us,)) = (live(run, cluster, tmp_path / run.__name__, steps, alone=True) for run in (original, operator))
    show(steps, [them], [us])
    judge(steps[0], them, us)
    assert us.writes == {"n0": 1, "n1": 1}


def test_one_takes_over_from_the_other_and_back(cluster: Where, api: KubernetesApi, tmp_path: Path) -> None:
    kubeconfig, log = cluster.server.kubeconfig, tmp_path / "log"
    with azure(tmp_path) as fake:
        nodes = Nodes(fake, api, SPECS)
        with original(fake, nodes.subscription, kubeconfig, log) as process:
            take(nodes, STEPS[0], log)
            process.terminate()
            process.wait(60)
        for run, name in ((operator, "n0"), (original, "n1"), (operator, "n4")):
            with run(fake, nodes.subscription, kubeconfig, log) as process:
                grow_one(nodes, name, log)
                process.terminate()
                process.wait(60)


def test_what_ours_takes_back_stays_so_with_the_original(cluster: Where, api: KubernetesApi, tmp_path: Path) -> None:
    """Its definition of a CiliumNode has room for the whole handshake, and it leaves what became of it alone."""
    kubeconfig, log = cluster.server.kubeconfig, tmp_path / "log"
    release = ("--azure-release-excess-ips", "--excess-ip-release-delay", "1")
    with azure(tmp_path) as fake:
        nodes = Nodes(fake, api, SPECS[:2])
        with operator(fake, nodes.subscription, kubeconfig, log, *release):
            take(nodes, Step("new nodes", {}, [8, 12]), log)
            take(nodes, Step("all of one is used", {"n0": 8}, [16, 12]), log)
            nodes.use("n0", 2)
            until(lambda: nodes.agree("n0") and nodes.sizes() == [10, 12], log, WITHIN)
            until(lambda: not nodes.handshake("n0"), log)
        with original(fake, nodes.subscription, kubeconfig, log):
            grow_one(nodes, "n1", log)
        assert len(pool(nodes.document("n0"))) == len(nodes.at_azure()["n0"]) == 10


def grow_one(nodes: Nodes, name: str, log: Path) -> None:
    """Whoever takes over serves the node that needs more, and changes nothing of any other, nor at Azure.

    But for a pool that whoever was before has not come to: he was ended between a write at Azure and its record.
    """
    before, writes, azures = nodes.documents(), nodes.writes(), nodes.at_azure()
    nodes.use(name, len(azures[name]))
    until(lambda: nodes.writes()[name] > writes[name] and all(nodes.sizes()), log, WITHIN)
    assert (nodes.writes() - writes).keys() == {name}
    after = nodes.documents()
    for other in nodes.machines.keys() - {name}:
        assert pool(after[other]) == azures[other] == nodes.at_azure()[other]
        if pool(before[other]) == azures[other]:
            assert shape(after[other]) == shape(before[other])


def pool(document: dict[str, Any]) -> set[str]:
    return set(document["spec"]["ipam"]["pool"])
