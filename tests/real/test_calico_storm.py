"""calico-ipam and unipam at once on one datastore: nothing is held twice, nothing lost, and the end is in order."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.real.calico_original import Site, brought, calicoctl
from tests.real.etcd import soon
from tests.real.test_calico_differential import NODES, Asked, agents, fresh, ours, theirs

from unipam.dialects.calico.datastore.api import Selection
from unipam.dialects.calico.datastore.keys import BlockKey, HandleKey

__all__ = ["fresh"]  # a fixture

pytestmark = brought

CALLERS, CALLS = 8, int(os.environ.get("UNIPAM_CALICO_CALLS", "14"))
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
