"""An AKS node in small: a network namespace with the wireserver's address, network interfaces, launchers, an agent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients import fake_wireserver
from tests.real.node import PATIENCE, UNIPAM, Keeps, Said, wait_until

from unipam.cni.install import install

WIRESERVER = "168.63.129.16"
INTERFACES = {"eth0": "02:fc:00:00:00:01", "ifb0": "72:64:e7:e4:45:df"}
PLUGIN = "azure-vnet-ipam"


def document(*interfaces: tuple[str, bool, dict[str, Sequence[str]]]) -> str:
    """A wireserver's answer: per interface its address, whether it is primary, and its subnets.

    The first address of a subnet is the interface's own.
    """
    text = ""
    for mac, primary, subnets in interfaces:
        inner = ""
        for prefix, addresses in subnets.items():
            flags = (f'<IPAddress Address="{a}" IsPrimary="{str(not i).lower()}"/>' for i, a in enumerate(addresses))
            inner += f'<IPSubnet Prefix="{prefix}">{"".join(flags)}</IPSubnet>'
        flag = str(primary).lower()
        text += f'<Interface MacAddress="{mac.replace(":", "").upper()}" IsPrimary="{flag}">{inner}</Interface>'
    return f"<Interfaces>{text}</Interfaces>"


def one_pool(count: int, subnet: str = "10.224") -> str:
    """A primary interface with `count` usable addresses: .5 and following."""
    addresses = [f"{subnet}.0.4", *(f"{subnet}.{(4 + i) // 256}.{(4 + i) % 256}" for i in range(1, count + 1))]
    return document((INTERFACES["eth0"], True, {f"{subnet}.0.0/16": addresses}))


@dataclass
class AzureNode(Keeps):
    """Everything of it lies below `root`, or in the network namespace `name`."""

    root: Path
    name: str

    def __post_init__(self) -> None:
        self.bin_dir = self.root / "bin"
        self.socket = self.root / "agent.sock"
        self.data_dir = self.root / "data"
        self.state_file = self.root / "azure-vnet-ipam.json"
        self.log = self.root / "azure-vnet-ipam.log"
        self.wire = self.root / "wire"
        self.bin_dir.mkdir()
        self.wire.mkdir()
        install(self.bin_dir, self.socket, [PLUGIN, "host-local"])
        self.answer(one_pool(3))

    def answer(self, body: str | bytes, status: int = 200, delay: float = 0.0) -> None:
        """What the wireserver says from now on."""
        whole = body.encode() if isinstance(body, str) else body
        for name, content in {"answer": whole, "status": b"%d" % status, "delay": f"{delay}".encode()}.items():
            draft = self.wire / f".{name}"
            draft.write_bytes(content)
            draft.rename(self.wire / name)

    @property
    def calls(self) -> int:
        """How often the wireserver was asked."""
        path = self.wire / "calls"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def inside(self, command: Sequence[object], **how: Any) -> subprocess.Popen[bytes]:
        """Start a process in the node's network namespace."""
        return subprocess.Popen(["nsenter", f"--net=/run/netns/{self.name}", *map(str, command)], **how)

    @contextmanager
    def wireserver(self) -> Iterator[None]:
        """The wireserver answers while the block lasts."""
        command = [sys.executable, fake_wireserver.__file__, self.wire, WIRESERVER, "80"]
        process = self.inside(command, stdout=subprocess.PIPE)
        assert process.stdout
        try:
            assert process.stdout.readline() == b"listening\n"
            yield
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    @contextmanager
    def agent(self, *options: str) -> Iterator[None]:
        """An agent in the namespace while the block lasts."""
        log = self.root / "agent.log"
        command = [
            UNIPAM,
            "agent",
            "--socket",
            self.socket,
            "--data-dir",
            self.data_dir,
            "--metrics",
            "",
            "--sweep",
            "0",
            *options,
        ]
        with log.open("ab") as file:
            agent = self.inside(command, stderr=file)
        try:
            wait_until(lambda: self.socket.exists() or agent.poll() is not None)
            assert agent.poll() is None, log.read_text()
            yield
        finally:
            agent.send_signal(signal.SIGTERM)
            code = agent.wait(PATIENCE)
        assert code == 0, log.read_text()

    def conf(self, *, version: str = "0.3.0", master: str = "", **ipam: Any) -> bytes:
        """A configuration as azure-vnet passes it."""
        base = {"type": PLUGIN, "dataDir": str(self.data_dir), "stateFile": str(self.state_file)}
        top = {"cniVersion": version, "name": "azure", "type": "azure-vnet", "mode": "transparent"}
        more = {"master": master} if master else {}
        return json.dumps({**top, **more, "ipam": {**base, **ipam}}).encode()

    def start(self, verb: str, container: str, conf: bytes, interface: str = "eth0") -> subprocess.Popen[bytes]:
        """Run the plugin as azure-vnet does, without waiting for it."""
        env = {
            "CNI_COMMAND": verb, "CNI_CONTAINERID": container, "CNI_IFNAME": interface,
            "CNI_NETNS": f"/var/run/netns/cni-{container}", "CNI_PATH": str(self.bin_dir), "PATH": os.environ["PATH"],
            "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={container}",
        }  # fmt: skip
        process = self.inside([self.bin_dir / PLUGIN], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin
        process.stdin.write(conf)
        process.stdin.close()
        process.stdin = None
        return process

    def call(self, verb: str, container: str, conf: bytes | None = None, interface: str = "eth0", **ipam: Any) -> Said:
        """Run the plugin and wait for its answer."""
        return finish(self.start(verb, container, conf or self.conf(**ipam), interface))


def finish(process: subprocess.Popen[bytes]) -> Said:
    """A plugin's answer."""
    out, _ = process.communicate(timeout=PATIENCE)
    return Said(process.returncode, out)


@contextmanager
def azure_node(root: Path, name: str) -> Iterator[AzureNode]:
    """A node with its namespace, which goes when the block ends."""
    _ip("netns", "add", name)
    try:
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "address", "add", f"{WIRESERVER}/32", "dev", "lo")
        for number, (interface, mac) in enumerate(INTERFACES.items()):
            _ip("-n", name, "link", "add", interface, "address", mac, "type", "veth", "peer", "name", f"peer{number}")
        yield AzureNode(root, name)
    finally:
        _ip("netns", "del", name)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
