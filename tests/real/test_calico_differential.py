"""calico-ipam and unipam asked the same, one after the other and mixed on one datastore: answers, codes, documents."""

from __future__ import annotations

import json
import random
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.real import calico_original as original
from tests.real.calico_original import CALICO_IPAM, SITES, Site, brought, calicoctl, resource

from unipam.cni.call import Call
from unipam.cni.context import Context
from unipam.dialects import registry
from unipam.dialects.calico import connection
from unipam.ledger.open import Ledgers

pytestmark = brought

POOLS: dict[str, dict[str, Any]] = {
    "a-small": {"cidr": "10.77.0.0/28", "blockSize": 30, "nodeSelector": "!all()"},
    "b-manual": {"cidr": "10.78.0.0/26", "blockSize": 28, "assignmentMode": "Manual"},
    "c-wide": {"cidr": "192.168.0.0/20", "blockSize": 29},
    "d-six": {"cidr": "fd80:24e2:f998:72d6::/112"},
    "e-off": {"cidr": "10.80.0.0/24", "disabled": True},
    "f-tunnels": {"cidr": "10.79.0.0/24", "allowedUses": ["Tunnel"]},
}
NODES = ("node1", "node2", "node3")
CALLS = 40


class Asked(NamedTuple):
    """One call of a runtime."""

    verb: str
    container: str
    node: str
    arguments: str
    ipam: dict[str, Any]
    version: str = "1.0.0"

    def environment(self) -> dict[str, str]:
        """The variables."""
        return {
            "CNI_COMMAND": self.verb, "CNI_CONTAINERID": self.container, "CNI_NETNS": "/var/run/netns/x",
            "CNI_IFNAME": "eth0", "CNI_PATH": "/opt/cni/bin", "CNI_ARGS": self.arguments,
        }  # fmt: skip

    def stdin(self, site: Site, directory: Path) -> bytes:
        """The network's configuration."""
        network = {
            "cniVersion": self.version, "name": "k8s-pod-network", "type": "calico", "nodename": self.node,
            "log_level": "error", "log_file_path": str(directory / "cni.log"),
            "ipam_lock_file": str(directory / "ipam.lock"), "ipam": {"type": "calico-ipam", **self.ipam},
            **site.network,
        }  # fmt: skip
        return json.dumps(network).encode()


Answered = tuple[int, Any]
Ask = Callable[[Site, Path, Asked], Answered]


def theirs(site: Site, directory: Path, asked: Asked) -> Answered:
    """What the original answers."""
    done = subprocess.run(
        ["calico-ipam"], executable=CALICO_IPAM, env=asked.environment(), input=asked.stdin(site, directory),
        capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout) if done.stdout.strip() else ""


def ours(site: Site, directory: Path, asked: Asked) -> Answered:
    """What ours answers."""
    return _answered(site, directory, asked, Context(Ledgers()))


def agents(site: Site, directory: Path, asked: Asked) -> Answered:
    """What ours answers by what an agent has at hand."""
    return _answered(site, directory, asked, Context(Ledgers(), attended=True))


def _answered(site: Site, directory: Path, asked: Asked, context: Context) -> Answered:
    answer = registry.answer(Call("calico-ipam", asked.environment(), asked.stdin(site, directory)), context)
    return answer.code, json.loads(answer.stdout) if answer.stdout else ""


def sequence(seed: int) -> Iterator[Asked]:
    """Calls at random, most of which make sense."""
    dice = random.Random(seed)
    pod = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=p{}"
    for _ in range(CALLS):
        container = f"c{dice.randrange(25)}"
        node, arguments = dice.choice(NODES), pod.format(container)
        if dice.random() < 0.35:
            yield Asked("DEL", container, node, arguments, {})
            continue
        ipam: dict[str, Any] = dice.choice(
            [
                {}, {}, {}, {"assign_ipv6": "true"}, {"assign_ipv4": "false", "assign_ipv6": "true"},
                {"ipv4_pools": ["a-small"]}, {"ipv4_pools": ["a-small"]}, {"ipv4_pools": ["a-small"]},
                {"ipv4_pools": ["b-manual", "c-wide"]}, {"ipv4_pools": ["10.78.0.0/26"]}, {"ipv4_pools": ["e-off"]},
                {"ipv4_pools": ["f-tunnels"]}, {"ipv4_pools": ["nope"]}, {"ipv6_pools": ["c-wide"]},
                {"ipv4_pools": ["d-six"]}, {"assign_ipv6": True}, {"ipv4_pools": "c-wide"},
            ]
        )  # fmt: skip
        if dice.random() < 0.2:
            address = f"192.168.{dice.randrange(2)}.{dice.randrange(20)}"
            arguments += f";IP={dice.choice([address, address, 'zzz', '10.80.0.1', '10.79.0.1', '8.8.8.8'])}"
        arguments = dice.choice([arguments] * 8 + ["", "FOO=BAR"])
        node = dice.choice([node] * 15 + ["ghost"])
        yield Asked("ADD", container, node, arguments, ipam, dice.choice(["1.0.0"] * 5 + ["0.3.1", "0.2.0", ""]))


_VOLATILE = re.compile(r'"(timestamp|affinity_claim_time|affinityClaimTime|releasedAt|uid|creationTimestamp)": "[^"]*"')


def comparable(stored: Any) -> Any:
    """What is stored without times, names that are random, and with sequence numbers by their distance."""
    if isinstance(stored, bytes | str):
        text = stored.decode() if isinstance(stored, bytes) else stored
        return comparable(json.loads(text)) if text.startswith("{") else text
    if isinstance(stored, dict) and "sequenceNumber" in stored:
        last = stored["sequenceNumber"]
        given = {at: number - last for at, number in stored["sequenceNumberForAllocation"].items()}
        stored = {**stored, "sequenceNumber": 0, "sequenceNumberForAllocation": given}
    elif isinstance(stored, dict) and "sequenceNumber" in stored.get("spec", {}):
        stored = {**stored, "spec": comparable_spec(stored["spec"])}
    return _VOLATILE.sub(r'"\1": "*"', json.dumps(stored)).replace("\\", "")


def comparable_spec(spec: dict[str, Any]) -> Any:
    """A block's specification, likewise."""
    return json.loads(str(comparable(spec)))


@pytest.fixture(params=SITES)
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Site]]:
    """Empties a datastore, and puts pools and nodes there."""
    made: list[Site] = []

    def make() -> Site:
        _close(made)
        site = SITES[request.param](tmp_path)
        for name, spec in POOLS.items():
            original.apply(site, tmp_path, resource("IPPool", name, spec))
        original.apply(site, tmp_path, resource("IPReservation", "r", {"reservedCIDRs": ["192.168.0.2/31"]}))
        for node in NODES:
            site.add_node(node)
        made.append(site)
        return site

    yield make
    _close(made)


def _close(made: list[Site]) -> None:
    """Close a site, and what ours has open to it."""
    connection.close()
    for site in made:
        site.close()
    made.clear()


def run(site: Site, directory: Path, seed: int, ask: Ask) -> tuple[list[Answered], dict[str, Any]]:
    """The answers to a sequence, and what is stored at its end."""
    answers = [ask(site, directory, asked) for asked in sequence(seed)]
    checked = calicoctl(site, "ipam", "check")
    unused, problems = (
        _number(r"Found (\d+) IPs that are allocated", checked),
        _number(r"found (\d+) problems", checked),
    )
    assert unused == problems > 0  # no pod has what was handed out, and nothing else is wrong
    stored = {name: comparable(value) for name, value in site.stored().items()}
    return answers, {name: value for name, value in stored.items() if "ipam" in name or "blockaffinit" in name}


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    assert found, text
    return int(found[1])


@pytest.mark.parametrize("seed", range(3))
def test_all_are_answered_alike(fresh: Callable[[], Site], tmp_path: Path, seed: int) -> None:
    """Also when each call is answered by one or the other, on one datastore."""
    asked, dice = list(sequence(seed)), random.Random(seed)
    first, left = run(fresh(), tmp_path, seed, theirs)

    def either(site: Site, directory: Path, asked: Asked) -> Answered:
        return dice.choice([ours, agents, theirs])(site, directory, asked)

    for ask in (ours, agents, either):
        second, found = run(fresh(), tmp_path, seed, ask)
        for call, one, other in zip(asked, first, second, strict=True):
            assert (call, one) == (call, other)
        assert found == left
