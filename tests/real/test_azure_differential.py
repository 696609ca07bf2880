"""unipam and the real azure-vnet-ipam, side by side: the same random calls, with `strict` the same answers.

`UNIPAM_AZURE_VNET_IPAM` names the original's executable, of version 1.4.59; `UNIPAM_AZURE_LIVES` is how many sequences
are run, `UNIPAM_SEED` the first one's number. Which of several free addresses is handed out is chance with both: when
it was not the same one, ours is exchanged, so that the two go on alike.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.dialects.azure_vnet.azure import AzureNode, azure_node
from tests.real.azure_lives import Life, Op
from tests.real.azure_original import brought, conf, original
from tests.seed import FIRST_SEED

pytestmark = brought

LIVES = int(os.environ.get("UNIPAM_AZURE_LIVES", "20"))
Answer = tuple[int, str]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[AzureNode]:
    with azure_node(tmp_path, f"unipam-azdiff-{os.getpid()}") as made, made.wireserver():
        yield made


class Pair:
    """Both plugins on one node, each with a state of its own."""

    def __init__(self, node: AzureNode) -> None:
        self._node = node
        self.counts: Counter[str] = Counter()

    def begin(self) -> None:
        """Nothing is known, nothing is held."""
        for name in ("run", "log"):
            shutil.rmtree(self._node.root / name, ignore_errors=True)
            (self._node.root / name).mkdir()
        shutil.rmtree(self._node.data_dir, ignore_errors=True)

    def theirs(self, op: Op) -> Answer:
        return original(self._node, op.verb, op.container, conf(**op.ipam))

    def ours(self, op: Op) -> Answer:
        """Asked as if a long time had passed: the original asks the wireserver at every call."""
        self._rewind()
        said = self._node.call(op.verb, op.container, self._node.conf(strict=True, **op.ipam))
        return said.code, said.stdout.decode()

    def _rewind(self) -> None:
        path = self._node.data_dir / "unipam.db"
        if path.exists():
            with sqlite3.connect(path) as ledger:
                ledger.execute("UPDATE note SET value = json_set(value, '$.at', -1e6) WHERE key LIKE 'refresh/%'")
            ledger.close()

    def held_there(self) -> dict[str, str]:
        path = self._node.root / "run" / "azure-vnet-ipam.json"
        if not path.exists() or not path.read_bytes():
            return {}
        spaces = json.loads(path.read_text())["IPAM"]["AddressSpaces"]
        pools = spaces["local"]["Pools"].values() if "local" in spaces else ()
        return {at: record["ID"] for pool in pools for at, record in pool["Addresses"].items() if record["InUse"]}

    def held_here(self) -> dict[str, str]:
        return self._node.held() if (self._node.data_dir / "unipam.db").exists() else {}

    def level(self, op: Op, theirs: Answer, ours: Answer) -> Answer:
        """Our answer, once ours holds the address that theirs gave."""
        if op.verb != "ADD" or theirs[0] or ours[0] or theirs == ours:
            return ours
        wanted, got = (_address(answer) for answer in (theirs, ours))
        subnet = next(network for network in ("10.224.0.0/16", "10.225.0.0/24", "fd00:1::/64") if _in(wanted, network))
        if not _in(got, subnet):
            return ours
        self.counts["exchanged"] += 1
        self.ours(Op("DEL", op.container, {"subnet": subnet, "ipAddress": got}))
        return self.ours(Op("ADD", op.container, {**op.ipam, "subnet": subnet, "ipAddress": wanted}))


def _address(answer: Answer) -> str:
    return str(json.loads(answer[1])["ips"][0]["address"]).partition("/")[0]


def _in(address: str, network: str) -> bool:
    return address.startswith({"10.224.0.0/16": "10.224.", "10.225.0.0/24": "10.225.0."}.get(network, "fd00:1::"))


def comparable(answer: Answer) -> Answer:
    """An answer without the details of an error, which ours adds."""
    return answer[0], re.sub(r',\n    "details": ".*"', "", answer[1])


def live(pair: Pair, node: AzureNode, seed: int) -> list[str]:
    """One sequence, to its end or to the first difference; what differed."""
    life = Life(seed)
    pair.begin()
    node.answer(*(life.answer() or ("<Interfaces></Interfaces>", 200)))
    told: list[Any] = []
    for _ in range(life.length):
        if answer := life.answer():
            node.answer(*answer)
            told.append(answer)
        op = life.next(pair.held_there())
        theirs = pair.theirs(op)
        ours = pair.level(op, theirs, pair.ours(op))
        told.append(op)
        pair.counts[f"{op.verb} {'ok' if theirs[0] == 0 else 'failed'}"] += 1
        answers, states = (comparable(theirs), comparable(ours)), (pair.held_there(), pair.held_here())
        if answers[0] != answers[1] or states[0] != states[1]:
            return [f"life {seed}: {told[-6:]}\n  theirs {answers[0]} {states[0]}\n  ours   {answers[1]} {states[1]}"]
    return []


def test_random_lives_are_answered_as_the_original_answers_them(
    node: AzureNode, record_property: Callable[[str, object], None]
) -> None:
    pair = Pair(node)
    differences = [text for seed in range(FIRST_SEED, FIRST_SEED + LIVES) for text in live(pair, node, seed)]
    record_property("calls", f"{LIVES} lives from {FIRST_SEED}: {dict(sorted(pair.counts.items()))}")
    assert not differences, f"{len(differences)} differences; the first:\n" + "\n".join(differences[:5])
    assert pair.counts["ADD ok"] > LIVES
    assert pair.counts["DEL ok"] > LIVES
