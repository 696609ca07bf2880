"""A containerd of the test's own: root, state, socket and network namespace; nothing of it is left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.real import image
from tests.real.cri import Runtime
from tests.real.node import PATIENCE, Node, wait_until

PAUSE = "docker.io/library/pause:1"
_CACHE = Path("/var/lib/cni/results")  # containerd cannot be told to keep the results of ADD anywhere else

_CONFIG = """
version = 2
root = "{0}/root"
state = "{0}/state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing",
]
[grpc]
  address = "{0}/c.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{2}"
  restrict_oom_score_adj = true
  disable_cgroup = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{1}"
    conf_dir = "{0}/net.d"
    conf_template = "{3}"
"""


class Containerd:
    """Runs in the network namespace `host` with the plugins of `node`.

    It draws its network from a `template`, when it is told the node's ranges; where there is none it has one at once.
    """

    def __init__(self, root: Path, node: Node, host: str, template: str = "") -> None:
        self.root = root
        self.host = host
        self.socket = str(root / "c.sock")
        self._config = root / "config.toml"
        drawn = root / "template" if template else Path()
        self._config.write_text(_CONFIG.format(root, node.bin_dir, PAUSE, drawn if template else ""))
        self._ipam = node.ipam("10.88.0.0/24", "fd88::/64")
        (root / "net.d").mkdir()
        if template:
            drawn.write_text(template)
        else:
            self.configure()
        self._foreign = set(_CACHE.glob("*"))

    def configure(self, *further: dict[str, Any], **ipam: Any) -> None:
        """Its network: a bridge, then `further` plugins. A containerd that runs takes notice by and by."""
        bridge = {"type": "bridge", "bridge": "cri0", "isGateway": True, "ipam": self._ipam | ipam}
        conf = {"cniVersion": "1.0.0", "name": "cri", "plugins": [bridge, *further]}
        (self.root / "net.d" / "10-cri.conflist").write_text(json.dumps(conf))

    @property
    def network(self) -> dict[str, Any]:
        """The network that it has drawn, or was given."""
        (path,) = (self.root / "net.d").glob("10-*.conflist")
        return dict(json.loads(path.read_text()))

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = ["nsenter", f"--net=/run/netns/{self.host}", "containerd", "-c", str(self._config)]
        with (self.root / "containerd.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        with Runtime(self.socket) as runtime:
            runtime.call("Version", wait=True)

    def import_image(self) -> None:
        """Give it the image of sandboxes' first process."""
        command = ["ctr", "-a", self.socket, "-n", "k8s.io", "images", "import", "-"]
        done = subprocess.run(command, input=image.archive(PAUSE), capture_output=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stderr
        # The CRI plugin learns of an image through an event, a moment later.
        with Runtime(self.socket) as runtime:
            wait_until(lambda: PAUSE.encode() in runtime_images(runtime))

    def stop(self) -> None:
        """End it; its sandboxes live on."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)

    def remnants(self) -> list[int]:
        """The shims that were started for this containerd, and their children."""
        shims = [pid for pid, command in _processes() if self.socket.encode() in command and b"shim" in command]
        return [*shims, *(child for shim in shims for child in _children(shim))]

    def clean_up(self) -> None:
        """Whatever happened before: no process, no mount remains."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
        for pid in self.remnants():
            kill(pid)
        for path in self.mounts():
            subprocess.run(["umount", "--lazy", path], capture_output=True, check=False)
        for result in set(_CACHE.glob("c*-*")) - self._foreign:
            result.unlink()

    def mounts(self) -> list[str]:
        """What is mounted below its root, the innermost first."""
        found = re.findall(rf"^\S+ \S+ \S+ \S+ ({re.escape(str(self.root))}\S*) ", _mounts(), re.MULTILINE)
        return sorted(found, reverse=True)


def runtime_images(runtime: Runtime) -> bytes:
    """The encoded list of images."""
    return runtime.call("ListImages", service="/runtime.v1.ImageService/")


def _mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


def _processes() -> Iterator[tuple[int, bytes]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                yield int(entry.name), (entry / "cmdline").read_bytes()
            except OSError:
                continue


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def kill(pid: int) -> None:
    """Kill -9, and wait until it is dead."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    wait_until(lambda: not _alive(pid))


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
