"""The two host-locals side by side, each in a directory of its own, and what makes their answers comparable."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from tests.conftest import Plugin, Reply
from tests.dialects.host_local.differences import RULES, Difference, Outcome
from tests.dialects.host_local.generate import RESOLV_CONF, Life, Op

from unipam.addr.prefix import format_address
from unipam.store.sqlite import SqliteStore

Files = dict[str, bytes]


class Peer(NamedTuple):
    """The real host-local. `old` is true of plugins 1.1.1, which speaks no 1.1.0, and so is asked no GC and STATUS."""

    plugin: Plugin
    cwd: Path
    old: bool

    def network(self, name: str) -> Path:
        return self.cwd / "state" / name

    def ask(self, op: Op) -> Outcome:
        stdin = op.stdin
        if self.old:
            stdin = re.sub(rb'(?i)("cniVersion": )"1\.1\.0"', rb'\1"1.0.0"', stdin)
        return outcome(self.plugin.run(stdin, op.env, cwd=self.cwd))

    def snapshot(self, name: str) -> Files:
        path = self.network(name)
        return {file.name: file.read_bytes() for file in path.iterdir()} if path.is_dir() else {}

    def restore(self, name: str, files: Files) -> None:
        for file in self.network(name).iterdir() if self.network(name).is_dir() else ():
            if file.name not in files:
                file.unlink()
        for file_name, content in files.items():
            (self.network(name) / file_name).write_bytes(content)

    def release(self, name: str, owner: tuple[str, str]) -> None:
        """What its DEL would have done, had it looked."""
        for file, content in self.snapshot(name).items():
            if content.decode() == "\r\n".join(owner) and not file.startswith("last_"):
                (self.network(name) / file).unlink()

    def state(self, name: str) -> tuple[dict[str, str], dict[int, str]]:
        files = {file: content.decode() for file, content in self.snapshot(name).items()}
        cursors = {int(f.removeprefix(_CURSOR)): text for f, text in files.items() if f.startswith(_CURSOR)}
        return {f: text for f, text in files.items() if _is_lease(f)}, cursors


_CURSOR = "last_reserved_ip."


def _is_lease(file: str) -> bool:
    return file != "lock" and not file.startswith(_CURSOR)


def outcome(reply: Reply) -> Outcome:
    """A reply without what no runtime reads."""
    try:
        document = json.loads(reply.stdout) if reply.stdout else None
    except ValueError:
        document = reply.stdout.decode("utf-8", "replace")
    if isinstance(document, dict):
        document = _comparable(document, failed=reply.code != 0)
    return Outcome(reply.code, document)


def _comparable(document: dict[str, Any], *, failed: bool) -> dict[str, Any]:
    kept = {k: v for k, v in document.items() if not (k == "dns" and v == {})}
    if failed:
        kept.pop("cniVersion", None)
        kept["details"] = re.sub(r"plugin supports .*|[0-9]+ of [0-9]+ held.*", "", kept.get("details", ""))
    return kept


class Comparison:
    """Runs lives on both and counts; `differences` holds what no rule allows."""

    def __init__(self, peer: Peer, ours: Plugin, cwd: Path) -> None:
        self._peer, self._ours, self._cwd = peer, ours, cwd
        self._seed = 0
        self.counts: Counter[str] = Counter()
        self.differences: list[str] = []
        for each in (peer.cwd, cwd):
            each.mkdir(exist_ok=True)
            (each / "resolv.conf").write_text(RESOLV_CONF)

    def live(self, seed: int) -> None:
        """One sequence from its first call to its last, or to the first answer after which the two part."""
        self._seed = seed
        life = Life(seed, newer=not self._peer.old)
        names: set[str] = set()
        for _ in range(life.length):
            op = life.next()
            name = _name(op.document)
            names.add(name)
            if not self._step(life, op, name):
                return
        for name in names:
            self._compare_state(name)

    def _step(self, life: Life, op: Op, name: str) -> bool:
        before = self._peer.snapshot(name) if _is_name(name) else {}
        theirs = self._peer.ask(op)
        ours = outcome(self._ours.run(op.stdin, op.env, cwd=self._cwd))
        self.counts["calls"] += 1
        self.counts[f"{op.verb} {'ok' if ours.exit == 0 else ours.code}"] += 1
        theirs, ours = self._level(theirs, ours)
        if theirs != ours and not self._allowed(Difference(op, theirs, ours, self._peer.old)):
            return False
        if op.verb == "ADD" and ours.exit == 0 == theirs.exit:
            life.learn(op, ours.document)
        return self._keep_together(op, name, before, theirs, ours)

    def _level(self, theirs: Outcome, ours: Outcome) -> tuple[Outcome, Outcome]:
        if not self._peer.old or ours.exit or not isinstance(ours.document, dict):
            return theirs, ours
        document = {**ours.document}
        if "supportedVersions" in document:
            return Outcome(0, None), Outcome(0, None)
        if document.get("cniVersion") == "1.1.0":
            document["cniVersion"] = "1.0.0"
        if "routes" in document:
            document["routes"] = [{k: r[k] for k in ("dst", "gw") if k in r} for r in document["routes"]]
        return theirs, Outcome(0, document)

    def _allowed(self, difference: Difference) -> bool:
        for rule in RULES:
            if rule.concerns(difference.old) and rule.allows(difference):
                self.counts[f"rule {rule.name}"] += 1
                return True
        d = difference
        self.differences.append(
            f"life {self._seed}: {d.op.env} {d.op.stdin.decode('utf-8', 'replace')}\n"
            f"  theirs {d.theirs}\n  ours   {d.ours}"
        )
        return False

    def _keep_together(self, op: Op, name: str, before: Files, theirs: Outcome, ours: Outcome) -> bool:
        """Give the peer the state that it would have without its defects; False when that cannot be done."""
        if op.verb == "ADD" and ours.exit:
            if self._peer.snapshot(name) != before if _is_name(name) else False:
                self.counts["rule failed-add"] += theirs.exit != 0
                self._peer.restore(name, before)
            return True
        if op.verb == "ADD":
            return theirs.exit == 0
        if op.verb == "GC" and _is_name(name):
            return self._compare_collected(op, name, before, alike=theirs == ours)
        if op.verb == "DEL" and ours.exit == 0 and _is_name(name):
            if theirs.exit and _says_where(op.document):
                self._peer.release(name, op.owner)
            self._restore_cursors(name, before)
        return True

    def _compare_collected(self, op: Op, name: str, before: Files, *, alike: bool) -> bool:
        """Whether both have freed the same, which neither says; where that is meant, the peer gets what we kept.

        Answers that were not `alike` have been judged already.
        """
        theirs, ours = self._peer.state(name)[0], self._state(name)[0]
        if theirs == ours:
            return True
        kept = {f: content for f, content in before.items() if f in ours or not _is_lease(f)}
        self._peer.restore(name, kept)
        left = [Outcome(0, {"left": sorted(leases)}) for leases in (theirs, ours)]
        return not alike or self._allowed(Difference(op, *left, self._peer.old))

    def _state(self, name: str) -> tuple[dict[str, str], dict[int, str]]:
        return state(self._cwd / "state" / "unipam.db", name)

    def _restore_cursors(self, name: str, before: Files) -> None:
        with contextlib.suppress(FileNotFoundError):
            for file, content in before.items():
                if file.startswith(_CURSOR) and not (self._peer.network(name) / file).exists():
                    self.counts["rule D10"] += 1
                    (self._peer.network(name) / file).write_bytes(content)

    def _compare_state(self, name: str) -> None:
        if not _is_name(name):
            return
        theirs, ours = self._peer.state(name), self._state(name)
        if any(address.startswith("?") for address in theirs[0]):
            self.counts["rule bottom-of-space"] += 1
        elif theirs != ours:
            self.differences.append(f"life {self._seed}: state of {name}\n  theirs {theirs}\n  ours   {ours}")


def _says_where(document: Any) -> bool:
    """Whether a configuration, however broken, names its data directory; a DEL looks in the default one without."""
    ipams = [v for k, v in document.items() if k.lower() == "ipam" and isinstance(v, dict)]
    return any(isinstance(ipam.get("dataDir"), str) for ipam in ipams)


def _name(document: Any) -> str:
    names = [v for k, v in document.items() if k.lower() == "name"] if isinstance(document, dict) else []
    return str(names[-1]) if names else ""


def _is_name(name: str) -> bool:
    return re.fullmatch(r"n\d+-\d", name) is not None


def state(ledger: Path, name: str) -> tuple[dict[str, str], dict[int, str]]:
    """Leases and cursors of one network as host-local's directory would have them."""
    if not ledger.exists():
        return {}, {}
    store = SqliteStore(str(ledger))
    try:
        with store.reading() as tx:
            number = tx.space(name)
            if number is None:
                return {}, {}
            leases = {c.text: f"{c.owner.holder}\r\n{c.owner.interface}" for c in tx.claims(number)}
            return leases, {pool: format_address(at) for pool, at in tx.cursors(number).items()}
    finally:
        store.close()
