"""What must be true of a ledger after any death, and the calls by which the survivors carry on."""

from __future__ import annotations

import json
import os
import select
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from unipam.addr.prefix import LINE_LAST, Range
from unipam.cni.call import Answer, Call
from unipam.cni.context import Context
from unipam.dialects.registry import answer
from unipam.ledger.history import Replay
from unipam.ledger.open import FILE, Ledgers, uptime
from unipam.model.records import HELD, Claim
from unipam.store.api import Tx
from unipam.store.sqlite import SqliteStore

Held = frozenset[tuple[str, str, str]]
"""Network, address and owner of every lease."""


def environment(verb: str, container: str) -> dict[str, str]:
    """The CNI variables of a call."""
    return {
        "CNI_COMMAND": verb, "CNI_CONTAINERID": container, "CNI_IFNAME": "eth0", "CNI_NETNS": "/never/seen",
        "CNI_PATH": "/p",
    }  # fmt: skip


def ask(verb: str, conf: Mapping[str, Any], container: str) -> Answer:
    """A call of host-local, answered in this process as a cold one would be; it must succeed."""
    ledgers = Ledgers()
    call = Call("host-local", environment(verb, container), json.dumps(conf).encode(), asked=uptime())
    given = answer(call, Context(ledgers))
    ledgers.close_all()
    assert given.code == 0, given
    return given


def held(data_dir: Path) -> Held:
    """Every lease there is. Opening the ledger repairs what a death left; then it must be sound in every respect."""
    if not (data_dir / FILE).exists():
        return frozenset()
    store = SqliteStore(str(data_dir / FILE))
    try:
        assert store.check() == []
        with store.reading() as tx:
            return sound(tx)
    finally:
        store.close()


def sound(tx: Tx) -> Held:
    """Every lease there is; the journal, the claims and the free space must agree."""
    replay = Replay()
    for entry in reversed(tx.journal(limit=1_000_000)):
        replay.step(entry)
    assert replay.violations == []
    found = {name: list(tx.claims(number)) for number, name in tx.spaces()}
    written = {(h.parent, h.first, h.last, h.owner, h.generation, h.until) for h in replay.present.values()}
    assert written == {(c.parent, c.first, c.last, c.owner, c.generation, c.until) for _, c in _all(found)}
    for number, name in tx.spaces():
        assert list(tx.gaps(number, 0, LINE_LAST)) == _between(found[name]), "what is free is what nobody claims"
    return frozenset((name, claim.text, str(claim.owner)) for name, claim in _all(found) if claim.state == HELD)


def _all(found: dict[str, list[Claim]]) -> list[tuple[str, Claim]]:
    return [(name, claim) for name, claims in found.items() for claim in claims]


def _between(claims: Iterable[Claim]) -> list[Range]:
    """The complement of some claims, without the help of the store."""
    gaps, start = [], 0
    for claim in sorted(claims, key=lambda each: each.first):
        assert claim.first >= start, "no address is claimed twice"
        gaps += [Range(start, claim.first - 1)] if claim.first > start else []
        start = claim.last + 1
    return [*gaps, Range(start, LINE_LAST)] if start <= LINE_LAST else gaps


def copied(template: Path, to: Path) -> Path:
    """A data directory like another; none if there is none."""
    if template.exists():
        shutil.copytree(template, to)
    return to


def nobody() -> int:
    """The writing end of a pipe that nobody reads from: the standard output of a call whose caller is gone."""
    reading, writing = os.pipe()
    os.close(reading)
    gone = select.poll()
    gone.register(writing, 0)  # which tells of errors alone: that nobody reads
    gone.poll()  # a process that another thread starts has a copy until it runs its program
    return writing
