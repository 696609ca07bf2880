"""The node: launcher and agent against the real host-local, ledger on disk; every figure a median of its run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import spawn
from bench.needs import MUSL, Need
from bench.table import Row, show
from unipam.addr.prefix import format_address, parse_address
from unipam.cni import install
from unipam.dialects.host_local.verbs import PLUGIN
from unipam.ledger.change import Inheritance
from unipam.ledger.open import Ledgers
from unipam.model.records import LEASE, Claim, Owner

PEER = "/usr/lib/cni/host-local"
THE_PEER = Need(
    f"{PEER} (Debian: containernetworking-plugins)", lambda: os.path.exists(PEER), "the rows against the real plugin"
)
NEEDS = (THE_PEER, MUSL)
ROUNDS = 5
TURNS, TURN = 40, 50
V4 = [[{"subnet": "10.0.0.0/14"}]]
V6 = [[{"subnet": "2001:db8::/64"}]]


def config(data_dir: Path, ranges: object, **extra: object) -> bytes:
    """Return a network configuration as bridge would hand it on."""
    ipam = {"type": "host-local", "dataDir": str(data_dir), "ranges": ranges, **extra}
    return json.dumps({"cniVersion": "1.0.0", "name": "bench", "type": "bridge", "ipam": ipam}).encode()


def environment(verb: str, holder: str = "c") -> dict[str, str]:
    """Return the variables of a call; %d becomes the number of the run."""
    return {
        "CNI_COMMAND": verb,
        "CNI_CONTAINERID": f"{holder}%d",
        "CNI_NETNS": __file__,  # there, as a runtime's is, and not the caller's own: all that anybody looks at
        "CNI_IFNAME": "eth0",
        "CNI_PATH": "/usr/lib/cni",
        "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod-%d",
    }


class Node:
    """A directory with an installed launcher, ledgers and directories of the peer."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / "bin"
        self.socket = root / "agent.sock"
        self.bin.mkdir()
        install.install(self.bin, self.socket, (PLUGIN.name,))
        self.ours = [str(self.bin / PLUGIN.name)]

    @contextlib.contextmanager
    def agent(self, *options: str) -> Iterator[int]:
        """Run an agent; yield its process id once it answers."""
        unipam = str(Path(sys.executable).with_name("unipam"))
        argv = [unipam, "agent", "--socket", str(self.socket), "--metrics", "127.0.0.1:0", *options]
        with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as process:
            try:
                while not self.socket.exists():
                    time.sleep(0.001)
                yield process.pid
            finally:
                process.terminate()
                process.wait()

    def fill(self, name: str, count: int, first: str) -> Path:
        """Make a ledger with this many leases."""
        data_dir = self.root / name
        start = parse_address(first)
        claims = tuple(
            Claim(0, start + i, start + i, LEASE, Owner(f"{i:064x}", "eth0"), since=time.time()) for i in range(count)
        )
        ledgers = Ledgers()
        ledgers.at(str(data_dir)).adopt(
            "bench", lambda: Inheritance(claims, ((0, start + count - 1),) if count else ())
        )
        ledgers.close_all()
        return data_dir

    def fill_peer(self, name: str, count: int, first: str) -> Path:
        """Make a directory of the peer with the same leases."""
        data_dir = self.root / name
        network = data_dir / "bench"
        network.mkdir(parents=True)
        start = parse_address(first)
        for i in range(count):
            (network / format_address(start + i)).write_bytes(f"{i:064x}\r\neth0".encode())
        if count:
            (network / "last_reserved_ip.0").write_text(format_address(start + count - 1))
        return data_dir


def pair(argv: list[str], stdin: bytes, n: int, offset: int) -> tuple[float, float]:
    """Return the median nanoseconds of n ADDs, and of the DELs that undo them."""
    adds = spawn.run(argv, environment("ADD"), stdin, n, offset=offset)
    dels = spawn.run(argv, environment("DEL"), stdin, n, offset=offset)
    return statistics.median(adds), statistics.median(dels)


def compare(node: Node, ours: bytes, peer: bytes, n: int, peer_n: int) -> tuple[float, float, float, float]:
    """Measure our ADD and DEL and the peer's, taken in turns so that both meet the same noise."""
    rounds = [(*pair(node.ours, ours, n, i * n), *pair([PEER], peer, peer_n, i * n)) for i in range(ROUNDS)]
    a, b, c, d = (statistics.median(column) for column in zip(*rounds, strict=True))
    return a, b, c, d


def against_peer(node: Node, label: str, count: int, ranges: list[list[dict[str, str]]], reach: float) -> list[Row]:
    """Measure ADD and DEL with so many leases present."""
    first = {"10": "10.0.0.2", "20": "2001:db8::2"}[ranges[0][0]["subnet"][:2]]
    suffix = f"{label}-{count}-{len(ranges)}"
    ours = node.fill(f"ours-{suffix}", count, first)
    peer = node.fill_peer(f"peer-{suffix}", count, first)
    n, peer_n = 300, (60 if count < 10_000 else 8)
    a, b, c, d = compare(node, config(ours, ranges), config(peer, ranges), n, peer_n)
    shutil.rmtree(peer)
    rows = [("ADD", a, c), ("DEL", b, d)]
    return [Row(f"{verb}, {label}, {count:,} leases", us(x), us(y), x / y, reach) for verb, x, y in rows]


def us(nanoseconds: float) -> str:
    """Show a duration to people."""
    return f"{nanoseconds / 1e3:,.0f} µs" if nanoseconds < 1e7 else f"{nanoseconds / 1e6:,.1f} ms"


def in_turns(*work: Callable[[int], list[int]]) -> list[float]:
    """Return the median of each piece of work, which is told how many runs there were before and measures TURN more.

    The turns are short because a program that is spawned a few hundred times in a row, and nothing else, comes to take
    a tenth to a third less: which piece gets there in a long turn is chance, and no runtime ever does.
    """
    measured: list[list[int]] = [[] for _ in work]
    for i in range(TURNS):
        for each, found in zip(work, measured, strict=True):
            found.extend(each(i * TURN))
    return [statistics.median(found) for found in measured]


def adding(node: Node, stdin: bytes) -> Callable[[int], list[int]]:
    """Return work that ADDs, and undoes that again."""

    def work(offset: int) -> list[int]:
        adds = spawn.run(node.ours, environment("ADD"), stdin, TURN, offset=offset)
        spawn.run(node.ours, environment("DEL"), stdin, TURN, offset=offset)
        return adds

    return work


def flat(node: Node, label: str, ranges: list[list[dict[str, str]]], first: str) -> Row:
    """Measure our own ADD at 60,000 leases against our own at none."""
    full, empty = node.fill(f"full-{label}", 60_000, first), node.fill(f"empty-{label}", 0, first)
    a, b = in_turns(adding(node, config(full, ranges)), adding(node, config(empty, ranges)))
    return Row(f"our ADD at 60,000 leases / at 0, {label}", us(a), us(b), a / b, 1.15)


def floor(node: Node) -> Row:
    """Measure our ADD against a static program that does nothing."""
    stdin, nothing = config(node.fill("floor", 0, "10.0.0.2"), V4), [str(spawn.floor())]
    a, b = in_turns(adding(node, stdin), lambda _: spawn.run(nothing, {}, b"", TURN))
    return Row("our ADD / spawning an empty musl program", us(a), us(b), a / b, 2.5)


def storm(node: Node) -> Row:
    """Measure 250 ADDs by 32 callers at once, 1,000 leases present: calls a second."""
    ours = node.fill("storm", 1000, "10.0.0.2")
    peer = node.fill_peer("storm-peer", 1000, "10.0.0.2")
    rates = []
    for i in range(ROUNDS):
        pair_of = []
        for argv, data_dir in ((node.ours, ours), ([PEER], peer)):
            stdin, offset = config(data_dir, V4), 10_000 * (i + 1)
            pair_of.append(spawn.rate(spawn.runs(argv, environment("ADD"), stdin, 250, 32, offset)))
            spawn.run(argv, environment("DEL"), stdin, 250, 8, offset)
        rates.append(pair_of)
    a, b = (statistics.median(column) for column in zip(*rates, strict=True))
    return Row("250 ADDs, 32 callers, 1,000 leases (calls/s)", f"{a:,.0f}/s", f"{b:,.0f}/s", a / b, 40, low=False)


def cold(node: Node) -> list[Row]:
    """Measure ADD without an agent, in milliseconds."""
    rows = []
    for count in (0, 60_000):
        data_dir = node.fill(f"cold-{count}", count, "10.0.0.2")
        add, _ = pair(node.ours, config(data_dir, V4), 25, 0)
        rows.append(Row(f"cold ADD (no agent), {count:,} leases (ms)", us(add), "", add / 1e6, 60))
    return rows


def footprint(node: Node) -> list[Row]:
    """Measure how soon an agent with 60,000 leases answers its first ADD, and how much memory it then has."""
    data_dir = node.fill("footprint", 60_000, "10.0.0.2")
    node.socket.unlink(missing_ok=True)
    begun = time.monotonic()
    with node.agent("--data-dir", str(data_dir), "--sweep", "0.2") as pid:
        spawn.run(node.ours, environment("ADD"), config(data_dir, V4), 1)
        seconds = time.monotonic() - begun
        time.sleep(1.5)  # let the sweep have been through the leases
        spawn.run(node.ours, environment("ADD"), config(data_dir, V4), 300, offset=10)
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    megabytes = int(status.split("VmRSS:")[1].split()[0]) / 1000
    return [
        Row("agent with 60,000 leases: start to first answer (s)", f"{seconds:.2f} s", "", seconds, 1),
        Row("agent with 60,000 leases: resident memory (MB)", f"{megabytes:.0f} MB", "", megabytes, 45),
    ]


def against_all_peers(node: Node) -> Iterator[Row]:
    """Measure ADD and DEL beside the peer, over families and numbers of leases."""
    for label, ranges in (("IPv4", V4), ("IPv6 /64", V6), ("dual stack", [*V4, *V6])):
        yield from against_peer(node, label, 0, ranges, 1 / 6)
    for label, ranges in (("IPv4", V4), ("IPv6 /64", V6)):
        yield from against_peer(node, label, 1000, ranges, 1 / 25)
    yield from against_peer(node, "IPv4", 10_000, V4, 1 / 150)


def rows(node: Node) -> Iterator[Row]:
    """Yield every row that this machine allows."""
    with node.agent():
        if THE_PEER.met():
            yield from against_all_peers(node)
        yield flat(node, "IPv4", V4, "10.0.0.2")
        yield flat(node, "IPv6 /64", V6, "2001:db8::2")
        if MUSL.met():
            yield floor(node)
        if THE_PEER.met():
            yield storm(node)
    if THE_PEER.met():
        with node.agent("--flush"):
            yield from against_peer(node, "IPv4, flushed", 0, V4, 1 / 5)
    yield from cold(node)
    yield from footprint(node)


def main() -> None:
    """Print the rows."""
    with tempfile.TemporaryDirectory(prefix="unipam-bench-") as root:
        show("host-local: medians, launcher and agent against the real plugin", rows(Node(Path(root))))
