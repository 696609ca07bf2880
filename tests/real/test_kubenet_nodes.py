"""kubenet's nodes: genuine containerds draw AKS' template for the ranges that the controller gave, and pods meet.

The test plays kubelet (it tells containerd the ranges) and the router (it routes what the table at Azure names, nothing
else). The controller, the API server, containerd, bridge and the launcher in host-local's place are the real ones.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.real import kube_apiserver
from tests.real.conftest import ip
from tests.real.containerd import Containerd
from tests.real.cri import Runtime
from tests.real.image import BUSYBOX
from tests.real.kubenet import Running, kubenet
from tests.real.node import PATIENCE, Node, missing, wait_until

pytestmark = pytest.mark.real
_PACKAGES = {
    "containerd": "containerd", "runc": "runc", "busybox-static": str(BUSYBOX), "iputils-ping": "ping",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
}  # fmt: skip
TEMPLATE = """\
{
  "cniVersion": "0.3.1", "name": "kubenet",
  "plugins": [{
    "type": "bridge", "bridge": "cbr0", "mtu": 1500, "isGateway": true, "ipMasq": false, "promiscMode": true,
    "hairpinMode": false,
    "ipam": {
      "type": "host-local", "dataDir": "DATA",
      "ranges": [{{range $i, $range := .PodCIDRRanges}}{{if $i}}, {{end}}[{"subnet": "{{$range}}"}]{{end}}],
      "routes": [{{range $i, $route := .Routes}}{{if $i}}, {{end}}{"dst": "{{$route}}"}{{end}}]
    }
  }]
}
"""
"""AKS' `kubenet_template.conf` (spec kubenet §3), but for portmap and the state's place."""


class Machine:
    """A node of kubenet: containerd, the plugins, and pods' sandboxes."""

    def __init__(self, root: Path, host: str) -> None:
        self.node = Node(root)
        self.node.install(["bridge", "loopback"])
        (root / "c").mkdir()
        template = TEMPLATE.replace("DATA", str(self.node.data_dir))
        self.containerd = Containerd(root / "c", self.node, host, template)
        self.containerd.start()
        self.containerd.import_image()
        self.cri = Runtime(self.containerd.socket).__enter__()

    def pod(self, name: str) -> tuple[str, str]:
        """Start one: its network namespace, and its first address."""
        sandbox = self.cri.run(name)
        claim = next(each for each in self.node.claims() if each.owner.holder == sandbox)
        netns = msgspec.json.decode(claim.details)["netns"]
        return netns, next(address for address, holder in self.node.held().items() if holder == sandbox)

    def close(self) -> None:
        """Whatever runs of it ends."""
        self.cri.__exit__()
        self.containerd.clean_up()


@pytest.fixture
def machine(tmp_path: Path, namespace: Callable[[], str]) -> Iterator[Callable[[], Machine]]:
    """Makes nodes, each in a network namespace of its own."""
    if why := missing(_PACKAGES):
        pytest.skip(why)
    with contextlib.ExitStack() as made:

        def make() -> Machine:
            host = namespace()
            root = tmp_path / host
            root.mkdir()
            one = Machine(root, host)
            made.callback(one.close)
            return one

        yield make


@pytest.mark.parametrize("ranges", [["10.244.3.0/24"], ["10.244.3.0/24", "fd00:1:0:3::/64"]])
def test_k30_the_template_gives_2_to_254_and_says_when_it_is_full(
    machine: Callable[[], Machine], ranges: list[str]
) -> None:
    """K30: drawn for one range and for two; the gateway is never given, and the 254th pod is told why."""
    one = machine()
    one.cri.ranges(*ranges)
    network = one.containerd.network
    assert [each[0]["subnet"] for each in network["plugins"][0]["ipam"]["ranges"]] == ranges
    assert [each["dst"] for each in network["plugins"][0]["ipam"]["routes"]] == ["0.0.0.0/0", "::/0"][: len(ranges)]
    one.pod("first")
    given = {"cniVersion": "0.3.1", "name": "kubenet", **network["plugins"][0]}
    with one.node.agent("--sweep", "0"):
        for index in range(252):
            assert one.node.call("ADD", given, f"c{index}").code == 0
        full = one.node.call("ADD", given, "c252")
    assert full.code == 1
    assert "no IP addresses available in range set: 10.244.3.1-10.244.3.254" in full.document["msg"]
    held = {each for each in one.node.held() if ":" not in each}
    assert held == {f"10.244.3.{index}" for index in range(2, 255)}


def test_a_range_that_changes_is_not_drawn_again(machine: Callable[[], Machine]) -> None:
    """K31: why a node that was made anew gives addresses of its old range: containerd keeps a network that is ready."""
    one = machine()
    one.cri.ranges("10.244.1.0/24")
    assert one.pod("before")[1] == "10.244.1.2"
    one.cri.ranges("10.244.2.0/24")
    assert one.pod("after")[1] == "10.244.1.3"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    if kube_apiserver.WHY:
        pytest.skip(kube_apiserver.WHY)
    (tmp_path / "controller").mkdir()
    with kubenet(tmp_path / "controller") as made:
        yield made


def test_pods_of_two_nodes_meet_by_the_routes_that_the_table_names(
    running: Running, machine: Callable[[], Machine], namespace: Callable[[], str]
) -> None:
    router = namespace()
    ip("-n", router, "link", "add", "br0", "type", "bridge")
    ip("-n", router, "addr", "add", "10.240.0.1/24", "dev", "br0")
    ip("-n", router, "link", "set", "br0", "up")
    _within(router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    machines = [machine(), machine()]
    for index, one in enumerate(machines):
        _connect(router, one.containerd.host, index)
        running.add(f"n{index}", f"10.240.0.{index + 4}")
    running.start()
    running.await_(lambda: all(running.reason(f"n{index}") == "RouteCreated" for index in range(2)))
    for index, one in enumerate(machines):
        one.cri.ranges(*running.ranges()[f"n{index}"])
    (there, address), (here, other) = machines[0].pod("web"), machines[1].pod("db")
    assert not _reaches(here, address), "the network knows nothing of pods"
    for prefix, hop in running.hops().items():
        ip("-n", router, "route", "add", prefix, "via", hop)
    wait_until(lambda: _reaches(here, address))
    assert _reaches(there, other)


def _connect(router: str, host: str, index: int) -> None:
    ip("-n", router, "link", "add", f"v{index}", "type", "veth", "peer", "name", "eth0", "netns", host)
    ip("-n", router, "link", "set", f"v{index}", "master", "br0", "up")
    ip("-n", host, "addr", "add", f"10.240.0.{index + 4}/24", "dev", "eth0")
    ip("-n", host, "link", "set", "eth0", "up")
    ip("-n", host, "route", "add", "default", "via", "10.240.0.1")
    _within(host, "sysctl", "-qw", "net.ipv4.ip_forward=1")


def _within(namespace: str, *command: str) -> None:
    subprocess.run(["nsenter", f"--net=/run/netns/{namespace}", *command], check=True, timeout=PATIENCE)


def _reaches(netns: str, address: str) -> bool:
    command = ["nsenter", f"--net={netns}", "ping", "-n", "-c1", "-W2", address]
    return not subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False).returncode
