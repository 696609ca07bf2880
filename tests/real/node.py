"""A node as a runtime sees it: the launcher in a plugin directory, a ledger, and the agent as a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from unipam.addr.prefix import format_address
from unipam.cni.install import install
from unipam.model.records import HELD, Claim, Entry
from unipam.store.sqlite import SqliteStore

UNIPAM = str(Path(sys.executable).with_name("unipam"))
PLUGINS = Path("/usr/lib/cni")
PATIENCE = 30  # seconds; only something broken takes so long


class Said(NamedTuple):
    """What a plugin answered."""

    code: int
    stdout: bytes

    @property
    def document(self) -> dict[str, Any]:
        """Its result or error."""
        found = json.loads(self.stdout)
        assert isinstance(found, dict)
        return found

    @property
    def addresses(self) -> list[str]:
        """The addresses of its result, without their lengths."""
        assert self.code == 0, self.stdout
        return [ip["address"].partition("/")[0] for ip in self.document["ips"]]


class Keeps:
    """What a test reads in the ledger of a data directory, opened anew each time."""

    data_dir: Path

    def claims(self) -> list[Claim]:
        """Every claim in the ledger, of all networks."""
        with self._store() as store, store.reading() as tx:
            return [claim for space, _ in tx.spaces() for claim in tx.claims(space)]

    def held(self) -> dict[str, str]:
        """Which addresses are held, and by which container."""
        return {format_address(c.first): c.owner.holder for c in self.claims() if c.state == HELD}

    def journal(self) -> list[Entry]:
        """Everything that happened, oldest first."""
        with self._store() as store, store.reading() as tx:
            return tx.journal(limit=1_000_000)[::-1]

    @contextmanager
    def _store(self) -> Iterator[SqliteStore]:
        store = SqliteStore(str(self.data_dir / "unipam.db"))
        try:
            yield store
        finally:
            store.close()


@dataclass
class Node(Keeps):
    """Everything lies below `root`. Use `installed`, then run plugins of `bin_dir`."""

    root: Path
    logs: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bin_dir = self.root / "bin"
        self.socket = self.root / "agent.sock"
        self.data_dir = self.root / "networks"

    def install(self, others: Iterable[str] = (), name: str = "host-local") -> None:
        """Put the launcher there under a plugin's name, and links to other plugins of the machine."""
        self.bin_dir.mkdir()
        install(self.bin_dir, self.socket, [name])
        for other in others:
            (self.bin_dir / other).symlink_to(PLUGINS / other)

    def start_agent(self, *options: str, by: Iterable[str] = ()) -> subprocess.Popen[bytes]:
        """An agent that listens already, and watches this node's ledger; started `by` a program that becomes it.

        Its log is a file below `root`.
        """
        log = self.root / f"agent-{len(self.logs)}.log"
        self.logs.append(str(log))
        where = ["--socket", str(self.socket), "--data-dir", str(self.data_dir)]
        command = [*by, UNIPAM, "agent", *where, "--metrics", "", *options]
        with log.open("wb") as file:
            agent = subprocess.Popen(command, stderr=file)
        wait_until(lambda: b'"listening"' in log.read_bytes() or agent.poll() is not None)
        assert agent.poll() is None, log.read_text()
        return agent

    @contextmanager
    def agent(self, *options: str, by: Iterable[str] = ()) -> Iterator[subprocess.Popen[bytes]]:
        """An agent for as long as the block lasts; it must end in good order."""
        agent = self.start_agent(*options, by=by)
        with agent:
            try:
                yield agent
                agent.send_signal(signal.SIGTERM)
                code = agent.wait(PATIENCE)
            finally:
                agent.kill()  # else a failure here would leave it running, and fail others
        assert code == 0, self.log()

    def log(self) -> str:
        """What all agents wrote."""
        return "".join(Path(log).read_text() for log in self.logs)

    def ipam(self, *ranges: str, **more: Any) -> dict[str, Any]:
        """The `ipam` part of a configuration: one range set per subnet."""
        sets = [[{"subnet": subnet}] for subnet in ranges]
        return {"type": "host-local", "dataDir": str(self.data_dir), "ranges": sets, **more}

    def call(self, verb: str, conf: Mapping[str, Any], container: str, *, plugin: str = "host-local", netns: str = "/n",
             args: str = "", inside: str = "") -> Said:  # fmt: skip
        """Run a plugin as a runtime does; `inside` a network namespace."""
        env = {
            "CNI_COMMAND": verb, "CNI_CONTAINERID": container, "CNI_NETNS": netns, "CNI_IFNAME": "eth0",
            "CNI_ARGS": args, "CNI_PATH": f"{self.bin_dir}:{PLUGINS}", "PATH": os.environ["PATH"],
        }  # fmt: skip
        command = [str(self.bin_dir / plugin)]
        if inside:
            command = ["nsenter", f"--net=/run/netns/{inside}", *command]
        done = subprocess.run(
            command, env=env, input=json.dumps(conf).encode(), stdout=subprocess.PIPE, timeout=PATIENCE, check=False
        )
        return Said(done.returncode, done.stdout)


def wait_until(holds: Any, seconds: float = PATIENCE) -> None:
    """Wait for something that another process brings about; fail when it does not."""
    import time

    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def missing(packages: Mapping[str, str]) -> str:
    """Which Debian packages are missing, given what each of them must bring; "" when none is."""
    absent = [name for name, file in packages.items() if not shutil.which(file) and not Path(file).exists()]
    return f"missing Debian packages: {' '.join(absent)}" if absent else ""
