"""calico-ipam and unipam at once on one datastore: nothing is held twice, nothing lost, and the end is in order."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.conftest import UNIPAM, Agent
from tests.faults.calico_crowd import Crowd, compare, handles, holdings
from tests.real import etcd, kube_apiserver
from tests.real.calico_original import (
    CALICO_IPAM,
    SITES,
    EtcdSite,
    Site,
    apply,
    brought,
    calicoctl,
    resource,
)
from tests.real.calico_record import Record, recording
from tests.real.etcd import soon
from tests.real.test_calico_differential import NODES, POOLS, Asked, agents, fresh, ours, theirs

from unipam.cni.install import install
from unipam.dialects.calico.datastore.api import Selection
from unipam.dialects.calico.datastore.keys import BlockKey, HandleKey
from unipam.dialects.calico.datastore.resources import STORED

__all__ = ["fresh"]  # a fixture

pytestmark = brought

CALLERS, CALLS = 8, int(os.environ.get("UNIPAM_CALICO_CALLS", "14"))
STORM = int(os.environ.get("UNIPAM_CALICO_STORM", "160"))
"""How many calls are made through deaths, by 64 callers on 8 nodes where there are many."""
CROWD, NODES_AT_ONCE, DEATHS = (64, 8, 10) if STORM >= 2000 else (8, 2, 2)
ORIGINALS = float(os.environ.get("UNIPAM_CALICO_ORIGINALS", "0.25"))
"""Which part of them the original answers."""
Living = dict[str, set[str]]
"""The addresses that each container was told."""


def caller(site: Site, directory: Path, number: int) -> Living:
    """One runtime, whose containers are its own; each call is answered by the original, by ours, or by an agent."""
    dice, living = random.Random(number), dict[str, set[str]]()
    for turn in range(CALLS):
        node, ask = NODES[number % len(NODES)], dice.choice([ours, agents, theirs])
        if living and dice.random() < 0.4:
            container = dice.choice(sorted(living))
            pod = f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={container}"
            assert ask(site, directory, Asked("DEL", container, node, pod, {})) == (0, "")
            del living[container]
            continue
        container = f"c{number}-{turn}"
        pod = f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={container}"
        ipam = dice.choice([{}, {"ipv4_pools": ["b-manual"]}, {"assign_ipv6": "true"}])
        code, answer = ask(site, directory, Asked("ADD", container, node, pod, ipam))
        assert code == 0, answer
        living[container] = {ip["address"].partition("/")[0] for ip in answer["ips"]}
    return living


def test_both_at_once(fresh: Callable[[], Site], tmp_path: Path) -> None:
    site = fresh()
    with ThreadPoolExecutor(CALLERS) as threads:
        all_living = list(threads.map(lambda number: caller(site, tmp_path, number), range(CALLERS)))
    living = {container: addresses for each in all_living for container, addresses in each.items()}
    told = [address for addresses in living.values() for address in addresses]
    assert len(set(told)) == len(told)
    held = {}
    for item in site.store.list(Selection(BlockKey), soon()).items:
        attributes = item.document["attributes"]
        for index in item.document["allocations"]:
            if index is not None:
                handle = attributes[index]["handle_id"]
                held[handle] = held.get(handle, 0) + 1
    assert held == {f"k8s-pod-network.{name}": len(addresses) for name, addresses in living.items()}
    checked = calicoctl(site, "ipam", "check")
    assert f"found {len(told)} problems" in checked  # no pod has what was handed out, and nothing else is wrong
    assert re.search(r"Found 0 handles with no matching IPs", checked), checked
    with ThreadPoolExecutor(CALLERS) as threads:
        list(threads.map(lambda name: ours(site, tmp_path, Asked("DEL", name, NODES[0], "", {})), living))
    assert site.store.list(Selection(HandleKey), soon()).items == ()


# ---- with deaths


@dataclass
class Storm:
    """Nodes, each with an agent and a launcher, and the original beside it, on one datastore."""

    site: Site
    directory: Path
    launchers: list[Path]
    record: Record
    touched: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Who has been asked about a container."""

    forgetful: set[str] = field(default_factory=set)
    """Containers that the original has added: if the answer to its write of a block is lost, it counts the address no
    more, and takes another one. The first is then held for ever."""

    removed: dict[str, tuple[float, float]] = field(default_factory=dict)
    """From when until when the original was at the DEL of a container that it says is gone."""

    starts: list[tuple[float, float]] = field(default_factory=list)
    """From when until when an API server did not serve Calico's resources."""

    asked: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    def ask(self, caller: int, verb: str, container: str) -> subprocess.CompletedProcess[bytes]:
        """Let the original or ours answer, by the dice."""
        dice = random.Random(f"{caller} {verb} {container} {self.asked.total()}")
        who = "original" if dice.random() < ORIGINALS else "unipam"
        self.touched[container].add(who)
        if (verb, who) == ("ADD", "original"):
            self.forgetful.add(container)
        self.asked[who] += 1
        number = caller % len(self.launchers)
        pod = f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={container}"
        ipam = random.Random(container).choice([{}, {"ipv4_pools": ["b-manual"]}, {"assign_ipv6": "true"}])
        asked = Asked(verb, container, f"node{number}", pod, ipam)
        began = time.monotonic()
        done = subprocess.run(
            ["calico-ipam"], executable=CALICO_IPAM if who == "original" else self.launchers[number],
            env=asked.environment(), input=asked.stdin(self.site, self.directory / f"node{number}"),
            capture_output=True, check=False, timeout=600,
        )  # fmt: skip
        ended = time.monotonic()
        self.slowest = max(self.slowest, ended - began)
        self.record.note(
            "call", who=who, verb=verb, container=container, node=number, seconds=round(ended - began, 3),
            code=done.returncode, answer=done.stdout.decode(errors="replace"),
        )  # fmt: skip
        if done.returncode:
            self.failed[f"{who} {verb}: {_message(done.stdout)}"] += 1
        elif (verb, who) == ("DEL", "original"):
            self.removed[container] = began, ended
        elif verb == "DEL":
            self.removed.pop(container, None)
        return done

    def kept(self) -> set[str]:
        """Containers whose DEL the original may have answered without making it.

        Until a new API server has read a CustomResourceDefinition it answers 404 for whatever that defines, and the
        original takes this for a handle that is gone. Then handle and address are as they were.
        """
        return {
            container
            for container, (began, ended) in self.removed.items()
            if any(began < until and since < ended for since, until in self.starts)
        }


def _message(stdout: bytes) -> str:
    try:
        return str(json.loads(stdout)["msg"])[:60]
    except ValueError:
        return stdout[:60].decode(errors="replace")


def unipam(site: Site, *words: str) -> str:
    """What `unipam calico ipam` prints."""
    command, environment = [str(UNIPAM), "calico", "ipam", *words], {**os.environ, **site.environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300).stdout


def mend(site: Site) -> list[str]:
    """What `check --fix` has done."""
    text = unipam(site, "check", "--fix")
    return [line for line in text.splitlines() if line.startswith(("handle", "block", "affinity"))]


def release_leaks(storm: Storm) -> list[str]:
    """Release by hand what nobody holds any more, which only the original may have left: the addresses."""
    left = holdings(storm.site.store)
    assert {handle.rpartition(".")[2] for handle in left} <= storm.forgetful | storm.kept()
    leaked = [address for addresses in left.values() for address in addresses]
    named = unipam(storm.site, "check", "--show-problem-ips")
    for address in leaked:
        assert f"  {address} leaked; " in named
        unipam(storm.site, "release", "--ip", address)
    return leaked


def stored_in(site: Site) -> etcd.Cluster:
    """The etcd that a site, or its API server, is on."""
    return etcd.shared() if isinstance(site, EtcdSite) else kube_apiserver.shared(STORED).stored


def restart_storage(site: Site) -> None:
    """Let etcd die, and return."""
    cluster = stored_in(site)
    cluster.members[0].kill()
    cluster.members[0].start(cluster.peers)


def restart_server() -> None:
    """Let the API server die, and return."""
    kube_apiserver.shared(STORED).kill()
    kube_apiserver.shared(STORED).run()


@pytest.fixture(params=["etcd", "kubernetes"])
def wide(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """Nodes, and pools with room for a storm."""
    site = SITES[request.param](tmp_path)
    manual = {"cidr": "10.78.0.0/20", "assignmentMode": "Manual"}
    for name, spec in {**POOLS, "b-manual": manual, "c-wide": {"cidr": "192.168.0.0/16"}}.items():
        apply(site, tmp_path, resource("IPPool", name, spec))
    for number in range(NODES_AT_ONCE):
        site.add_node(f"node{number}")
        (tmp_path / f"node{number}").mkdir()
    yield site
    site.close()


class Agents:
    """One on each node, with a launcher; killed and replaced."""

    def __init__(self, start: Callable[..., Agent], short_dir: Callable[[], Path]) -> None:
        self._start, self._homes = start, [short_dir() for _ in range(NODES_AT_ONCE)]
        self._running = [start(directory=home) for home in self._homes]
        self.launchers = [install(short_dir(), each.socket, ["calico-ipam"])[0].path for each in self._running]

    def kill(self, node: int) -> None:
        self._running[node].process.kill()
        self._running[node].process.wait()

    def replace(self, node: int) -> None:
        self._running[node] = self._start(directory=self._homes[node])

    def stop(self) -> None:
        """End them in good order: they have taken back by then whatever nobody heard of."""
        assert [each.stop() for each in self._running] == [0] * NODES_AT_ONCE


def weather(storm: Storm, crowd: Crowd, agents: Agents, threads: Sequence[threading.Thread]) -> None:
    """Let agents and the datastore die, as the calls go on."""
    for number in range(DEATHS):
        while any(thread.is_alive() for thread in threads) and crowd.told < STORM * (number + 1) / (DEATHS + 1):
            time.sleep(0.1)
        node, server_dies = number % NODES_AT_ONCE, not storm.site.store.transactional and number % 2 == 0
        began = time.monotonic()
        storm.record.note("death", node=node, server=server_dies)
        agents.kill(node)
        restart_server() if server_dies else restart_storage(storm.site)
        agents.replace(node)
        if server_dies:
            kube_apiserver.shared(STORED).await_serving()
            storm.starts.append((began, time.monotonic()))
            storm.record.note("serves")


def test_through_deaths(
    wide: Site, tmp_path: Path, start_agent: Callable[..., Agent], short_dir: Callable[[], Path]
) -> None:
    """What the originals and ours were told is theirs alone, nothing of it is lost, and nothing stays behind."""
    with recording(type(wide).__name__, stored_in(wide).endpoints) as record:
        _through_deaths(wide, tmp_path, Agents(start_agent, short_dir), record)


def _through_deaths(site: Site, directory: Path, agents: Agents, record: Record) -> None:
    storm = Storm(site, directory, agents.launchers, record)
    crowd = Crowd(storm.ask, CROWD, STORM // CROWD)
    began = time.monotonic()
    with crowd.at_work() as threads:
        weather(storm, crowd, agents, threads)
    report = [f"{crowd.told} calls answered in {time.monotonic() - began:.0f} s, {dict(storm.asked)} asked"]
    report += [f"slowest {storm.slowest:.1f} s; {crowd.failures} failed: {dict(storm.failed)}"]
    crowd.tidy_up(tries=3)
    agents.stop()
    untold = compare(crowd, site.store, storm.forgetful, storm.kept())
    alive, held, counted = sum(map(len, crowd.living.values())), holdings(site.store), handles(site.store)
    over, uncounted = [name for name in counted if name not in held], held.keys() - counted.keys()
    report += [f"{alive} addresses of {len(crowd.living)} containers, {untold} more untold; handles of nobody: {over}"]
    text = calicoctl(site, "ipam", "check")
    assert f"Found {alive + untold} IPs that are allocated in IPAM but not actually in use." in text, text
    assert "Found 0 invalid IPAMBlocks." in text
    assert f"Found {len(uncounted)} handles mentioned in blocks with no matching handle resource." in text
    crowd.remove_all()
    report += [f"left by the original: {release_leaks(storm)}"]
    report += [f"mended when all are removed: {mend(site)}"]
    text = calicoctl(site, "ipam", "check")
    print(*report, text, sep="\n")  # noqa: T201 (the numbers of a storm)
    assert "found 0 problems" in text, text
    if site.store.transactional:  # there ours leaves no count too high, whatever dies; the original does
        assert not [name for name in over if storm.touched[name.rpartition(".")[2]] == {"unipam"}]
