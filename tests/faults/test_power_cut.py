"""The power fails at every write: what is on the disk then is sound, is a state that was, and keeps every promise.

A real agent, cold calls and a real register are recorded while they work (`recorder`). What they wrote, and when it was
synced, tells what a disk may hold had the power failed at any moment (`disk`). Each such image is opened as unipam does
after the boot.

UNIPAM_POWER_CUTS=n records n times as much work and makes n images of each moment. UNIPAM_POWER_SEED repeats the dice,
though not the processes, of a run before.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import UNIPAM, Agent, Plugin, environment, host_local
from tests.faults.aftermath import sound
from tests.faults.blackout import IMAGES, Promise, State, Trial
from tests.faults.recorder import Conversation, await_end, conversations, events, recording
from tests.real.node import missing
from tests.server.live import Client
from tests.server.process import Process

from unipam.cni.call import decode_call
from unipam.ledger.open import FILE
from unipam.model.errors import StoreBroken
from unipam.model.records import Claim
from unipam.store.api import Tx

_MISSING = missing({"strace": "strace"})
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(_MISSING), reason=_MISSING)]

_log = logging.getLogger(__name__)

CALLS = 12 * IMAGES
"""How many one caller makes of one agent."""


# ---- a node


def leases(tx: Tx) -> frozenset[str]:
    """Which containers have an address; journal, claims and free space must agree."""
    return frozenset(owner.partition("/")[0] for _, _, owner in sound(tx))


def listed(path: Path, found: State) -> None:
    """An operator sees the same."""
    command = [UNIPAM, "lease", "list", "--data-dir", str(path.parent), "-o", "json"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert {row["container"] for row in json.loads(done.stdout)["items"] if row["state"] == "held"} == found.holders


NETWORKS: list[dict[str, Any]] = [
    {"name": "dual", "ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]]},
    {"name": "resting", "ranges": [[{"subnet": "10.2.0.0/24"}]], "cooldown": 1},
]


@dataclass
class Caller:
    """A runtime whose containers come and go; every call must succeed."""

    name: str
    data_dir: Path
    dice: random.Random
    living: dict[str, dict[str, Any]] = field(default_factory=dict)
    born: int = 0

    def call(self, plugin: Path, within: Sequence[str] = ()) -> Promise:
        """One call of a plugin, which is started by the command `within`; nobody is told anything yet."""
        asked = time.time_ns()
        if self.living and self.dice.random() < 0.4:
            container = self.dice.choice(list(self.living))
            verb, network = "DEL", self.living.pop(container)
        else:
            container, verb, network = f"{self.name}-{self.born}", "ADD", self.dice.choice(NETWORKS)
            self.living[container] = network
            self.born += 1
        conf = json.dumps(host_local(self.data_dir, **network)).encode()
        env = environment(verb, container, netns="/never/seen")
        subprocess.run([*within, str(plugin)], input=conf, env=env, capture_output=True, timeout=60, check=True)
        return Promise(container, verb == "ADD", asked)


@dataclass
class Scene:
    """A node whose ledger is made, used and left, by agents and without, and recorded all the while."""

    root: Path
    start_agent: Callable[..., Agent]
    installed: Callable[[Path], Plugin]
    options: Sequence[str]
    seed: int
    logs: list[Path] = field(default_factory=list)
    cold: list[Promise] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.root.mkdir()
        self.data_dir = self.root / "cni" / "networks"
        *self.callers, self.stranger = (
            Caller(name, self.data_dir, random.Random(f"{self.seed} {name}")) for name in "abc"
        )

    def play(self) -> None:
        """An agent that is killed, one that ends; calls without any before, between and after."""
        self.work(signal.SIGKILL)
        self.call_cold()
        self.work(signal.SIGTERM)
        self.call_cold()

    def work(self, end: signal.Signals) -> None:
        """Two callers at once, and an agent until it gets this signal; a third one calls past it."""
        agent = self.start_agent(*self.options, "--data-dir", str(self.data_dir), within=self.log(apart=True))
        log, plugin = self.logs[-1], self.installed(agent.socket).path
        with ThreadPoolExecutor() as pool:
            past = pool.submit(self.call_cold)
            list(pool.map(lambda caller: [caller.call(plugin) for _ in range(CALLS)], self.callers))
            past.result()
        time.sleep(0.3)  # the sweep moves the write-ahead log
        agent.process.send_signal(end)
        agent.process.wait(60)
        await_end(log)

    def call_cold(self) -> None:
        """A few calls where no agent is."""
        plugin = self.installed(self.root.with_name("nobody.sock")).path
        self.cold += [self.stranger.call(plugin, self.log()) for _ in range(3)]

    def log(self, *, apart: bool = False) -> list[str]:
        self.logs.append(self.root.with_name(f"log.{len(self.logs)}"))
        return recording(self.logs[-1], apart=apart)

    def trial(self) -> Trial:
        """All of it for the judge."""
        logs = [events(log, self.root) for log in self.logs]
        promises = [promised(talk) for log in logs for talk in conversations(log) if b"CNI_COMMAND" in talk.heard]
        assert len(promises) == 2 * CALLS * len(self.callers)
        dice, recorded = random.Random(self.seed), list(itertools.chain(*logs))
        return Trial(self.root, self.data_dir / FILE, leases, recorded, promises + self.cold, dice, listed)


def promised(talk: Conversation) -> Promise:
    """What an agent told a launcher."""
    call = decode_call(talk.heard)
    return Promise(call.env["CNI_CONTAINERID"], call.verb == "ADD", talk.heard_at, talk.told_at)


@pytest.fixture
def seed() -> int:
    """Of everything that is left to chance."""
    seed = int(os.environ.get("UNIPAM_POWER_SEED") or random.randrange(1 << 32))
    _log.warning("UNIPAM_POWER_SEED=%d", seed)
    return seed


Play = Callable[..., Trial]


@pytest.fixture
def play(tmp_path: Path, start_agent: Callable[..., Agent], installed: Callable[[Path], Plugin], seed: int) -> Play:
    """A scene with an agent of these options, played."""

    def play(*options: str) -> Trial:
        scene = Scene(tmp_path / "root", start_agent, installed, ("--sweep", "0.05", *options), seed)
        scene.play()
        return scene.trial()

    return play


def test_with_flush_every_answer_outlives_the_power(play: Play) -> None:
    trial = play("--flush")
    trial.run()
    assert trial.broken == []


def test_without_flush_the_last_transactions_are_lost_and_no_others(play: Play) -> None:
    trial = play()
    trial.run()
    assert trial.lost > 0
    assert trial.broken, "a power failure that takes nothing is none"


# ---- a register


def reserved(tx: Tx) -> frozenset[str]:
    """What is held in a register, by its id."""
    return frozenset(claim.owner.holder for space, _ in tx.spaces() for claim in below(tx, space))


def below(tx: Tx, parent: int) -> Iterator[Claim]:
    """Every claim under a parent, at any depth."""
    for claim in tx.claims(parent):
        yield claim
        yield from below(tx, claim.id)


def told(talk: Conversation) -> list[Promise]:
    """What a register told a planner of reservations."""
    head, _, body = talk.told.partition(b"\r\n\r\n")
    if b"/reservations" not in talk.heard.split(b"\r\n")[0]:
        return []
    made = talk.heard.startswith(b"POST")
    ids = [json.loads(body)["id"]] if made else json.loads(talk.heard.partition(b"\r\n\r\n")[2])
    assert head.startswith(b"HTTP/1.1 201" if made else b"HTTP/1.1 204"), head
    return [Promise(each, made, talk.heard_at, talk.told_at) for each in ids]


def plan(client: Client, dice: random.Random) -> None:
    """One planner's work: reservations are made, and some are given up."""
    path, mine = "/spaces/S/blocks/B/reservations", []
    for _ in range(CALLS):
        if mine and dice.random() < 0.3:
            assert client.delete(path, [mine.pop(dice.randrange(len(mine)))]).status == 204
        else:
            made = client.post(path, {"size": 28})
            assert made.status == 201, made.body
            mine.append(made.json["id"])


def test_an_acknowledged_reservation_outlives_the_power(tmp_path: Path, seed: int) -> None:
    root, log = tmp_path / "root", tmp_path / "log"
    root.mkdir()
    database = root / "unipam" / FILE
    register = Process(str(database), tmp_path, within=recording(log, apart=True))
    try:
        assert register.client.post("/spaces", {"name": "S", "desc": "a space"}).status == 201
        assert register.client.post("/spaces/S/blocks", {"name": "B", "cidr": "10.0.0.0/16"}).status == 201
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda name: plan(register.client, random.Random(f"{seed} {name}")), "ab"))
    finally:
        register.end()
    await_end(log)
    recorded = events(log, root)
    promises = [promise for talk in conversations(recorded) for promise in told(talk)]
    assert len(promises) == 2 * CALLS
    trial = Trial(root, database, reserved, recorded, promises, random.Random(seed))
    trial.run()
    assert trial.broken == []


# ---- the judge


CARELESS = """
import sys
from unipam.ledger.open import Ledgers
ledger = Ledgers().at(sys.argv[1])
ledger.store._connection.execute("PRAGMA synchronous = OFF")
for number in range(40):
    with ledger.store.transaction() as tx:
        tx.create_space(f"space {number}", 0.0)
    if number % 5 == 4:
        ledger.store.settle()
"""


def test_a_ledger_that_is_never_synced_is_found_out(tmp_path: Path, seed: int) -> None:
    """What the tests above cannot fail by proves nothing."""
    root, log = tmp_path / "root", tmp_path / "log"
    root.mkdir()
    subprocess.run([*recording(log), sys.executable, "-c", CARELESS, str(root)], timeout=60, check=True)
    trial = Trial(root, root / FILE, leases, events(log, root), [], random.Random(seed))
    with pytest.raises((AssertionError, StoreBroken)):
        trial.run()
    assert trial.images > 0
