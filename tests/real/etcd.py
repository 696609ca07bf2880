"""Real etcd servers for the tests: Debian's, on loopback, gone at the end."""

from __future__ import annotations

import atexit
import contextlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import grpc
import pytest

from unipam.clients.etcd.client import Etcd
from unipam.clients.etcd.settings import Settings
from unipam.clients.protobuf import content, field, fields

needs_etcd = pytest.mark.skipif(not shutil.which("etcd"), reason="needs the Debian package etcd-server")
_STARTS_WITHIN = 30.0


def soon(seconds: float = 20.0) -> float:
    """A deadline that a loaded machine keeps."""
    return time.monotonic() + seconds


class Member:
    """One process of a cluster. It can be killed, stopped like a machine that hangs, and started again."""

    def __init__(self, directory: Path, name: str, options: Sequence[str] = (), scheme: str = "http") -> None:
        self.name, self._directory, self._options = name, directory, options
        client, peer = free_ports(2)
        self.endpoint = f"{scheme}://127.0.0.1:{client}"
        self.peer = f"http://127.0.0.1:{peer}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, peers: str) -> None:
        """Run it as a member of a cluster of these peers (`name=url,…`)."""
        command = [
            "etcd", "--name", self.name, "--data-dir", str(self._directory / self.name),
            "--listen-client-urls", self.endpoint, "--advertise-client-urls", self.endpoint,
            "--listen-peer-urls", self.peer, "--initial-advertise-peer-urls", self.peer, "--initial-cluster", peers,
            "--heartbeat-interval", "50", "--election-timeout", "500", *self._options,
        ]  # fmt: skip
        with (self._directory / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def leads(self) -> bool:
        """Whether it is the leader, as it says itself."""
        said = dict(fields(call(self.endpoint, "/etcdserverpb.Maintenance/Status", b"")))
        return dict(fields(content(said[1])))[2] == said.get(4)

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()


class Cluster:
    """Members that know one another."""

    def __init__(self, directory: Path, size: int, options: Sequence[str] = (), scheme: str = "http") -> None:
        self.members = [Member(directory, f"m{number}", options, scheme) for number in range(size)]
        self.peers = ",".join(f"{each.name}={each.peer}" for each in self.members)

    @property
    def endpoints(self) -> tuple[str, ...]:
        return tuple(each.endpoint for each in self.members)

    def start(self, settings: Settings | None = None) -> None:
        """Start every member, and wait until the cluster answers."""
        for member in self.members:
            member.start(self.peers)
        with contextlib.closing(Etcd(settings or Settings(self.endpoints))) as etcd:
            etcd.range(b"/", b"", soon(_STARTS_WITHIN))

    def stop(self) -> None:
        for member in self.members:
            if member.process is not None:
                member.kill()


@contextlib.contextmanager
def cluster(
    size: int = 1,
    options: Sequence[str] = (),
    scheme: str = "http",
    settings: Callable[[Cluster], Settings] | None = None,
) -> Iterator[Cluster]:
    """A cluster of one's own. Skips where there is no etcd."""
    if not shutil.which("etcd"):
        pytest.skip("needs the Debian package etcd-server")
    directory = Path(tempfile.mkdtemp(prefix="unipam-etcd-"))
    made = Cluster(directory, size, options, scheme)
    try:
        made.start(settings(made) if settings else None)
        yield made
    finally:
        made.stop()
        shutil.rmtree(directory)


def requests(endpoint: str) -> int:
    """How many ranges and transactions a server has answered, as it has counted itself."""
    with urllib.request.urlopen(f"{endpoint}/metrics", timeout=30) as answer:
        return total(answer.read().decode(), r'^grpc_server_started_total\{.*grpc_method="(?:Range|Txn)".*\} (\S+)$')


def total(metrics: str, pattern: str) -> int:
    """The sum of what a pattern finds, line by line, in Prometheus' text."""
    return sum(int(float(found)) for found in re.findall(pattern, metrics, re.MULTILINE))


def everything(etcd: Etcd) -> dict[str, bytes]:
    """Every key with its value."""
    return {pair.key.decode(): pair.value for pair in etcd.range(b"\0", b"\0", soon()).pairs}


def empty(etcd: Etcd) -> None:
    """Remove every key."""
    etcd.transact([], [field(3, field(1, b"\0") + field(2, b"\0"))], [], soon())


def compact(endpoint: str, revision: int) -> None:
    """Forget what was before a revision."""
    call(endpoint, "/etcdserverpb.KV/Compact", field(1, revision))


def call(endpoint: str, method: str, request: bytes) -> bytes:
    """A call of one member, encoded."""
    with grpc.insecure_channel(endpoint.removeprefix("http://")) as channel:
        answer: bytes = channel.unary_unary(method)(request, timeout=10)
        return answer


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


_open = contextlib.ExitStack()


@lru_cache(maxsize=1)
def shared() -> Cluster:
    """The server that tests share: started when first needed, gone when the tests are."""
    atexit.register(_open.close)
    return _open.enter_context(cluster())
