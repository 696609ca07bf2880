"""The register under load, on both databases; the same questions put to plain `netaddr` set arithmetic.

The server is a process of its own, and so is the database; the clients are this one. All of them share this machine's
cores. Everything is durable: SQLite flushes, and PostgreSQL runs with fsync on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import netaddr
from tests.plan.clouds import MemoryCloud
from tests.real.postgres import binaries, cluster

from bench.needs import Need
from unipam.addr.prefix import Prefix, line_length, parse_prefix
from unipam.model.objects import External, Network
from unipam.model.records import Owner
from unipam.plan import blocks as plan_blocks
from unipam.plan.free import FreeSpace, next_free
from unipam.plan.networks import claim_prefixes
from unipam.plan.open import open_store
from unipam.plan.tree import Author, Draft, Plan, create_all, find_block, find_space
from unipam.store.api import Tx

POSTGRESQL = Need("PostgreSQL (Debian: postgresql)", lambda: binaries() is not None, "the rows on it")
NEEDS = (POSTGRESQL,)
CLIENTS = 32
SECONDS = 5.0
HELD = 50_000
NETWORKS = 10_000
BY = Author("bench", "bench")


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="unipam-bench-") as name:
        directory = Path(name)
        _load("SQLite", str(directory / "load.db"), directory)
        if POSTGRESQL.met():
            with cluster(fsync="on") as server:
                _load("PostgreSQL", server.create(), directory)
        _search(str(directory / "search.db"), directory)
        _listing(str(directory / "listing.db"), directory)


def _row(what: str, value: float, unit: str, wanted: str) -> None:
    print(f"{what:<72} {value:>10,.2f} {unit:<12} wanted {wanted}", flush=True)


def _load(name: str, database: str, directory: Path) -> None:
    plan = _plan(database)
    for block, prefix in (("one", "10.0.0.0/8"), ("hundred", "2001:db8::/32")):
        _block(plan, block, prefix)
    plan.store.close()
    with _server(database, directory) as (port, token):
        one = _request("/api/spaces/S/blocks/one/reservations", {"size": 28}, token)
        answers = asyncio.run(_storm(port, one))
        _row(f"reservations a second, one a request, {CLIENTS} clients, {name}", answers, "/s", ">= 1,500")
        body = {"blocks": ["hundred"], "size": 64, "count": 100}
        hundred = _request("/api/v1/spaces/S/reservations", body, token)
        answers = asyncio.run(_storm(port, hundred))
        _row(f"prefixes a second, 100 a request, {CLIENTS} clients, {name}", answers * 100, "/s", ">= 15,000")


def _plan(database: str) -> Plan:
    plan = Plan(open_store(database))
    plan.write(lambda tx, by: plan_blocks.create_space(tx, by, "S", "bench"), BY)
    return plan


def _block(plan: Plan, name: str, prefix: str) -> None:
    new = plan_blocks.NewBlock(name, parse_prefix(prefix))
    plan.write(lambda tx, by: plan_blocks.create_block(tx, by, "S", new), BY)


@contextlib.contextmanager
def _server(database: str, directory: Path, *more: str) -> Iterator[tuple[int, str]]:
    """Run a register in a process of its own; yield its port and an administrator's token."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = int(listening.getsockname()[1])
    token_file = directory / f"token.{port}"
    command = [sys.executable, "-m", "bench.register", database, str(port), str(token_file), *more]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet) as process:
        try:
            _await(port)
            yield port, token_file.read_text().strip()
        finally:
            process.terminate()


def _await(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _request(path: str, body: object, token: str) -> bytes:
    raw = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
    )
    return head.encode() + raw


async def _storm(port: int, request: bytes) -> float:
    """Let every client send the request again and again; return the answers of status 201 a second."""
    until = time.monotonic() + SECONDS
    counts = await asyncio.gather(*(_client(port, request, until) for _ in range(CLIENTS)))
    return sum(counts) / SECONDS


async def _client(port: int, request: bytes, until: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    done = 0
    while time.monotonic() < until:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = await reader.readexactly(size)
        if not head.startswith(b"HTTP/1.1 201"):
            raise RuntimeError(body.decode())
        done += 1
    writer.close()
    return done


def _search(database: str, directory: Path) -> None:
    """Measure the search for a free /24 in a /8 that holds prefixes of many sizes in random places, as a plan
    of ten years does.
    """
    plan = _plan(database)
    _block(plan, "big", "10.0.0.0/8")
    _scatter(plan)
    block = plan.read(lambda tx: find_block(tx, find_space(tx, "S").id, "big"))
    found = _time(lambda: plan.read(lambda tx: next_free(FreeSpace(tx), block, 24)), 200)
    _row(f"a free /24 in a /8 holding {HELD:,} prefixes, in the engine", found * 1000, "ms", "<= 1")
    held = plan.read(lambda tx: [str(netaddr.IPNetwork(c.text)) for c in tx.claims(block.id)])
    plan.store.close()
    slow = _time(lambda: _by_netaddr(held), 1)
    _row(f"the same with netaddr's sets ({slow / found:,.0f} times as long)", slow * 1000, "ms", "-")
    with _server(database, directory) as (port, token):
        path = "/api/v1/spaces/S/blocks/big"
        one = _time(lambda: _get(port, token, f"{path}/available?size=24"), 30)
        _row("the same through the API, with the reason", one * 1000, "ms", "<= 10")


def _scatter(plan: Plan) -> None:
    dice = random.Random(1)
    block = plan.read(lambda tx: find_block(tx, find_space(tx, "S").id, "big"))
    placed: list[Prefix] = []
    cursor = block.prefix.first
    while len(placed) < HELD:
        length = line_length(dice.choice((24, 25, 26, 26, 27, 28, 28, 28)), 4)
        size = 1 << (128 - length)
        cursor = -(-cursor // size) * size
        if dice.random() < 0.5:
            placed.append(Prefix(cursor, length))
        cursor += size
    facts = External("x", "x")
    drafts = [Draft(block.id, prefix, Owner(f"x{n}"), facts) for n, prefix in enumerate(placed)]
    plan.write(lambda tx, by: create_all(tx, [by] * len(drafts), drafts), BY)


def _by_netaddr(held: list[str]) -> str:
    free = netaddr.IPSet(["10.0.0.0/8"]) - netaddr.IPSet(held)
    return str(next(next(c.subnet(24)) for c in free.iter_cidrs() if c.prefixlen <= 24))


def _time(work: Callable[[], object], times: int) -> float:
    """Return the median of some runs, in seconds."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def _get(port: int, token: str, path: str) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return bytes(answer.read())


def _listing(database: str, directory: Path) -> None:
    """Measure a listing of the whole plan with ten thousand networks and their subnets, expanded and measured."""
    plan = _plan(database)
    for number in range(16):
        _block(plan, f"b{number}", f"10.{number * 16}.0.0/12")
    snapshot = sample_cloud().snapshot()
    blocks = plan.read(lambda tx: {b.prefix: b for b in plan_blocks.blocks(tx, find_space(tx, "S").id)})

    def associate(tx: Tx, by: Author) -> None:
        for network in snapshot.networks.values():
            block = next(b for prefix, b in blocks.items() if prefix.contains(network.prefixes[0]))
            claim_prefixes(tx, by, block, Network(network.id, network.name), network.prefixes)

    plan.write(associate, BY)
    plan.store.close()
    with _server(database, directory, "sample") as (port, token):
        path = "/api/spaces?expand=true&utilization=true"
        taken = _time(lambda: _get(port, token, path), 7)
        _row(f"GET {path} with {NETWORKS:,} networks", taken * 1000, "ms", "<= 300")
        metrics = _get(port, token, "/metrics").decode()
    memory = next(
        float(line.split()[1]) for line in metrics.splitlines() if line.startswith("unipam_register_resident")
    )
    _row("the server's memory with that plan", memory / (1 << 20), "MiB", "<= 200")


def sample_cloud() -> MemoryCloud:
    """Return ten thousand networks of a /24 with two subnets each."""
    cloud = MemoryCloud()
    for number in range(NETWORKS):
        base = f"10.{number >> 8}.{number & 255}"
        cloud.put(f"net{number}", f"{base}.0/24", subnets={"a": f"{base}.0/25", "b": f"{base}.128/26"})
    return cloud


def _serve(database: str, port: str, token_file: str, *what: str) -> None:
    from unipam.plan.cloud.port import Unconnected
    from unipam.server.run import Settings, run

    cloud = sample_cloud() if what else Unconnected()
    run(Settings(database, port=int(port), admin_token_file=token_file, cloud=lambda: cloud))


if __name__ == "__main__":
    _serve(*sys.argv[1:]) if len(sys.argv) > 1 else main()
