"""How fast `unipam diagnose` reads, and how much memory it takes: logs as nodes have them, each read by a process.

`UNIPAM_BENCH_MB` sets the size of each log (100 unless set). A process reads its log three times and the least CPU
time counts, for what else runs on a machine can only add to it. Its memory counts when the log was read once, as a user
reads it: later on it holds an older report as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from bench import table
from bench.logs import azure, calico, cilium, node

NEEDS = ()
MEGABYTES = int(os.environ.get("UNIPAM_BENCH_MB", "100"))
TEXT, JSON = 60.0, 100.0
"""What is to be reached: megabytes in a second of one core."""

MEMORY = 48.0
"""Megabytes (MiB) that a process may take, whatever the size of what it reads."""

_READ = """
import json, re, sys, time
from unipam.diagnose import diagnose
times = []
for _ in range(3):
    start = time.process_time()
    report = diagnose([sys.argv[1]])
    times.append(time.process_time() - start)
    if len(times) == 1:
        peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 1024
source = report.sources[0]
print(json.dumps([source.bytes / 1e6 / min(times), peak, source.lines, source.unknown]))
"""


class Log(NamedTuple):
    """A kind of log, its lines without end, and the speed to reach."""

    name: str
    file: str
    lines: Callable[[], Iterator[str]]
    reach: float = TEXT


LOGS = (
    Log("azure-vnet-ipam, text", "azure-vnet-ipam.log", azure.text),
    Log("azure-vnet, JSON", "azure-vnet.log", azure.json_lines, JSON),
    Log("syslog of a node", "syslog", node.syslog),
    Log("journal of kubelet and containerd", "journal.txt", node.journal),
    Log("Calico's cni.log", "cni.log", calico.lines),
    Log("Cilium's agent", "cilium.log", cilium.lines),
)


def write(path: Path, lines: Iterator[str], size: int) -> None:
    """Write lines until the file has *size* bytes."""
    with path.open("wb") as file:
        for text in lines:
            file.write(text.encode())
            if file.tell() >= size:
                return


def _rows() -> Iterator[table.Row]:
    with tempfile.TemporaryDirectory() as directory:
        for log in LOGS:
            path = Path(directory, log.file)
            write(path, log.lines(), MEGABYTES * 1_000_000)
            yield from _measured(log, path)
            path.unlink()
        path = Path(directory, "one-line.log")
        path.write_bytes(b'{"msg":"' + b"x" * (MEGABYTES * 1_000_000) + b'"}\n')
        yield _memory("one line without an end", _read(path)[1])


def _measured(log: Log, path: Path) -> Iterator[table.Row]:
    speed, peak, lines, unknown = _read(path)
    about = f"{log.name}: {lines:,.0f} lines, {unknown:,.0f} unknown"
    yield table.Row(about, f"{speed:.1f} MB/s", "", speed, log.reach, low=False)
    yield _memory(log.name, peak)


def _memory(name: str, peak: float) -> table.Row:
    return table.Row(f"  memory: {name}", f"{peak:.0f} MB", "", peak, MEMORY)


def _read(path: Path) -> list[float]:
    done = subprocess.run([sys.executable, "-c", _READ, str(path)], capture_output=True, text=True, check=True)
    found: list[float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Make, read and print: speed and memory of each kind of log."""
    table.show(f"unipam diagnose, {MEGABYTES} MB of each log, per second of one core", _rows())


if __name__ == "__main__":
    main()
