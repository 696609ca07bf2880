"""What the tests share: no property is judged by its time; and installed plugins, called as a runtime calls them.

`agent` is one process for a whole module; a test that stops or upsets an agent starts its own with `start_agent`.
`warm` calls host-local through the launcher and that agent, `cold` through a launcher whose agent does not exist.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from tests.clock import Clock
from tests.seed import EXPLORES
from tests.store.backends import BACKENDS, Backend

from unipam.cni.install import install

settings.register_profile(
    "unipam",
    deadline=None,
    max_examples=60,
    print_blob=True,
    derandomize=not EXPLORES,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("unipam")

UNIPAM = Path(sys.executable).with_name("unipam")
QUIET = ("--metrics", "", "--sweep", "0")
ANSWERED_WITHIN = 10
"""Seconds: what is promised whatever is locked. A call that takes longer fails its test."""


def items(text: str) -> list[dict[str, Any]]:
    """The rows of a document that a command printed as JSON."""
    document = json.loads(text)
    assert (document["version"], bool(document["schema"])) == (1, True), document
    return list(document["items"])


class Reply(NamedTuple):
    """What a plugin left behind: its exit code, standard output and standard error."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def result(self) -> dict[str, Any]:
        """The document of a call that succeeded."""
        assert self.code == 0, self
        return dict(json.loads(self.stdout))

    @property
    def addresses(self) -> list[str]:
        """The addresses of a result of 0.3.0 or later."""
        return [ip["address"] for ip in self.result["ips"]]

    @property
    def error(self) -> dict[str, Any]:
        """The document of a call that failed, which is all that it said."""
        assert self.code == 1, self
        document = json.loads(self.stdout)
        assert isinstance(document["code"], int), self
        assert document["msg"], self
        assert set(document) <= {"cniVersion", "code", "msg", "details"}, self
        assert b"Traceback" not in self.stderr, self
        return dict(document)

    @property
    def silent(self) -> bool:
        """Whether the call succeeded without a word, as DEL, CHECK, GC and STATUS do."""
        return self == (0, b"", b"")


class Plugin(NamedTuple):
    """An executable in a plugin directory."""

    path: Path

    def run(
        self, stdin: bytes, env: dict[Any, Any], *, cwd: Path | None = None, within: float = ANSWERED_WITHIN
    ) -> Reply:
        """Execute it in exactly this environment. Raises TimeoutExpired after `within` seconds."""
        done = subprocess.run(
            [self.path], input=stdin, env=env, cwd=cwd, capture_output=True, timeout=within, check=False
        )
        return Reply(done.returncode, done.stdout, done.stderr)

    def __call__(
        self,
        verb: str,
        config: dict[str, Any] | bytes,
        container: str = "dummy",
        ifname: str = "eth0",
        *,
        netns: str = "/some/where",
        args: str = "",
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Reply:
        """Call it as a runtime does."""
        given = environment(verb, container, ifname, netns=netns, args=args)
        stdin = config if isinstance(config, bytes) else json.dumps(config).encode()
        return self.run(stdin, {**given, **(env or {})}, cwd=cwd)


def environment(
    verb: str, container: str = "dummy", ifname: str = "eth0", *, netns: str = "/some/where", args: str = ""
) -> dict[str, str]:
    """The six variables that every runtime sets (spec cni-and-host-local §1.2)."""
    return {
        "CNI_COMMAND": verb,
        "CNI_CONTAINERID": container,
        "CNI_NETNS": netns,
        "CNI_IFNAME": ifname,
        "CNI_ARGS": args,
        "CNI_PATH": "/opt/cni/bin",
    }


def host_local(
    data_dir: Path, version: str = "1.0.0", *sets: list[dict[str, Any]], name: str = "mynet", **ipam: Any
) -> dict[str, Any]:
    """A network configuration whose addresses come from these range sets, or from what `ipam` says otherwise."""
    ranges = {"ranges": list(sets)} if sets else {}
    return {
        "cniVersion": version,
        "name": name,
        "type": "bridge",
        "ipam": {"type": "host-local", "dataDir": str(data_dir), **ranges, **ipam},
    }


class Agent:
    """A real `unipam agent` at a socket of its own, started by the command `within` which it becomes.

    It does not sweep: no test's containers exist.
    """

    def __init__(self, directory: Path, *options: str, within: Sequence[str] = ()) -> None:
        self.socket = directory / "agent.sock"
        self._log = directory / f"agent.{time.monotonic_ns()}.log"
        home = () if "--data-dir" in options else ("--data-dir", str(directory / "home"))
        own = (str(UNIPAM), "agent", "--socket", str(self.socket), *QUIET, *home)
        self.process = self._start([*within, *own, *options])
        try:
            self._await()
        except BaseException:  # whatever ended the wait, an interrupt too: no agent stays behind
            self.stop()
            raise

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self._log.open("wb") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _await(self) -> None:
        deadline = time.monotonic() + 30
        while not self.said("listening"):
            assert self.process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.01)

    def said(self, event: str) -> list[dict[str, Any]]:
        """Its log lines of one event."""
        lines = [json.loads(line) for line in self._log.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
        return [line for line in lines if line["event"] == event]

    def await_lines(self, event: str, count: int) -> list[dict[str, Any]]:
        """The same, once there are that many: a line is written when the answer is already on its way."""
        deadline = time.monotonic() + ANSWERED_WITHIN
        while len(self.said(event)) < count:
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.01)
        return self.said(event)

    def connect(self) -> socket.socket:
        """A connection as the launcher makes one."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(ANSWERED_WITHIN)
        connection.connect(str(self.socket))
        return connection

    def stop(self) -> int:
        """End it in good order, or hard if it hangs; its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(ANSWERED_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@pytest.fixture(autouse=True)
def databases_are_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what a test leaves open: since Python 3.13 a forgotten SQLite connection is a warning, and so a failure.

    What other threads open belongs to a server that may live longer than one test.
    """
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def remembered(*args: Any, **given: Any) -> sqlite3.Connection:
        made: sqlite3.Connection = connect(*args, **given)
        if threading.current_thread() is threading.main_thread():
            opened.append(made)
        return made

    monkeypatch.setattr(sqlite3, "connect", remembered)
    yield
    for connection in opened:
        connection.close()


@pytest.fixture(autouse=True, scope="module")
def servers_are_forgotten() -> Iterator[None]:
    """Let go of every server that a module made: FastAPI remembers thousands of functions, and with each its server."""
    yield
    if models := sys.modules.get("fastapi.dependencies.models"):
        for each in vars(models).values():
            if isinstance(each, functools._lru_cache_wrapper):
                each.cache_clear()


@pytest.fixture(autouse=True, scope="module")
def no_thread_is_left() -> Iterator[None]:
    """See to it that no thread of ours outlives the module that began it: it would work on beside others' tests."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + ANSWERED_WITHIN
    while left := [each for each in set(threading.enumerate()) - before if _is_ours(each)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


def _is_ours(thread: threading.Thread) -> bool:
    target = getattr(thread, "_target", None)  # one that has ended has none
    return str(getattr(target, "__module__", "")).startswith("unipam.")


@pytest.fixture(scope="session")
def short_dir() -> Iterator[Callable[[], Path]]:
    """New directories with short paths: a socket's has 107 bytes at the most."""
    made: list[Path] = []

    def make() -> Path:
        made.append(Path(tempfile.mkdtemp(prefix="u-")))
        return made[-1]

    yield make
    for directory in made:
        shutil.rmtree(directory)


@pytest.fixture(scope="module")
def agent(short_dir: Callable[[], Path]) -> Iterator[Agent]:
    """The agent of a module's tests: it looks at each of their ledgers once a second for as long as it runs."""
    agent = Agent(short_dir())
    yield agent
    assert agent.stop() == 0


@pytest.fixture
def start_agent(short_dir: Callable[[], Path]) -> Iterator[Callable[..., Agent]]:
    """Agents of a test's own: `start_agent(*options, directory=None, within=())`; afterwards they are ended."""
    started: list[Agent] = []

    def start(*options: str, directory: Path | None = None, within: Sequence[str] = ()) -> Agent:
        started.append(Agent(directory or short_dir(), *options, within=within))
        return started[-1]

    yield start
    for agent in started:
        agent.stop()


@pytest.fixture(scope="session")
def installed(short_dir: Callable[[], Path]) -> Callable[[Path], Plugin]:
    """host-local as `unipam cni install` puts it into a plugin directory, for an agent at this socket."""

    def installed(path: Path) -> Plugin:
        (change,) = install(short_dir(), path, ["host-local"])
        return Plugin(change.path)

    return installed


@pytest.fixture(scope="module")
def warm(agent: Agent, installed: Callable[[Path], Plugin]) -> Plugin:
    """host-local, answered by the agent of the module."""
    return installed(agent.socket)


@pytest.fixture(scope="session")
def cold(short_dir: Callable[[], Path], installed: Callable[[Path], Plugin]) -> Plugin:
    """host-local where no agent runs: every call starts the interpreter."""
    return installed(short_dir() / "agent.sock")


@pytest.fixture(params=["warm", "cold"])
def cni(request: pytest.FixtureRequest) -> Plugin:
    """host-local, each way."""
    plugin: Plugin = request.getfixturevalue(request.param)
    return plugin


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything is promised to be there (CI), a test that leaves itself out has failed.

    Except those whose peer somebody must bring: no package has it.
    """
    report = yield
    if report.skipped and os.environ.get("UNIPAM_EVERYTHING") and not item.get_closest_marker("brought"):
        report.outcome = "failed"
        report.longrepr = f"left out, though everything must be met here: {item.nodeid}: {report.longrepr}"
    return report


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """A store of every kind, one after the other."""
    made = BACKENDS[request.param](tmp_path)
    yield made
    made.close()
