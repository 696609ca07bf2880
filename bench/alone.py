"""The node as it is most of the time: calls that come alone. Ours, the peer's and an empty program's take turns.

Between two calls lie 20 ms, in which a processor forgets the agent, and the machine sleeps; the rows of `host_local`
show calls in a row instead.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import host_local, spawn
from bench.host_local import THE_PEER, V4, Node, config, environment, us
from bench.needs import MUSL
from bench.spawn import Work
from bench.table import Row, show

REST = 0.020
"""Seconds between the beginnings of two calls."""
CALLS = 150
REACH = {0: 0.30, 1000: 0.09}
PEER = os.environ.get("UNIPAM_HOST_LOCAL") or host_local.PEER
"""The newest host-local, where `UNIPAM_HOST_LOCAL` names it: it starts in half the time of Debian's."""
NEEDS = (THE_PEER, MUSL)


def rows(node: Node, count: int) -> Iterator[Row]:
    """Measure ADDs and then DELs with so many leases present: median and 99th percentile, against the peer."""
    ours = config(node.fill(f"alone-{count}", count, "10.0.0.2"), V4)
    peer = config(node.fill_peer(f"alone-peer-{count}", count, "10.0.0.2"), V4)
    nothing = Work([str(spawn.floor())], {}, b"")
    for verb in ("ADD", "DEL"):
        env = environment(verb)
        works = [Work(node.ours, env, ours), Work([PEER], env, peer), nothing]
        a, b, floor = spawn.alternately(works, CALLS, REST)
        label = f"alone, every 20 ms: {verb}, {count:,} leases"
        yield compared(label, statistics.median, a, b, REACH[count])
        yield compared(f"{label}, 99th percentile", percentile, a, b, None)
        yield compared(f"{label}, against an empty program", statistics.median, a, floor, None)


def compared(
    label: str, figure: Callable[[list[int]], float], ours: list[int], peer: list[int], reach: float | None
) -> Row:
    """Compare one figure of both."""
    a, b = figure(ours), figure(peer)
    return Row(label, us(a), us(b), a / b, reach)


def percentile(measured: list[int]) -> float:
    """Return the 99th of a hundred."""
    return statistics.quantiles(measured, n=100)[98]


def main() -> None:
    """Print the rows, where there is what they are compared with."""
    if not all(need.met() for need in NEEDS):
        return
    with tempfile.TemporaryDirectory(prefix="unipam-bench-") as root:
        node = Node(Path(root))
        with node.agent():
            found = (row for count in REACH for row in rows(node, count))
            show(f"calls that come alone, one every {REST * 1000:.0f} ms, beside {PEER}", found)
