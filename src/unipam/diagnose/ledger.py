"""unipam's own ledger as one more source: who holds what by its claims, and the timeline by its journal.

The file is opened for reading only, and another program's SQLite file is left alone. The schema is that of
``store.sqlite``; only the columns read here are named.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from pathlib import Path

from unipam.addr.prefix import format_address
from unipam.diagnose.case import Case, evidence
from unipam.diagnose.report import Event, Evidence, Holder, Verb
from unipam.diagnose.stamps import show
from unipam.model import facts

MAGIC = b"SQLite format 3\x00"
_APPLICATION = 0x756E6970
_VERBS: dict[str, Verb] = {
    "allocate": "given",
    "adopt": "given",
    "release": "released",
    "undo": "released",
    "give-back": "released",
    "refuse": "refused",
}


def is_database(path: Path) -> bool:
    """Whether a file is an SQLite database, by its first bytes. A pipe is none: what is read of it is gone."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def read(case: Case, path: Path) -> int:
    """Read a ledger. Gives the number of journal entries. A broken file is a finding, not an error."""
    where = evidence(str(path), 1, "unipam's ledger")
    try:
        with contextlib.closing(_open(path)) as connection:
            if connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
                case.fact(f"{path} is another program's SQLite file.", where)
                return 0
            _claims(case, connection, where)
            return _journal(case, connection, str(path))
    except sqlite3.Error as error:
        case.signal("state-corrupt", str(path), where, values={"reason": str(error)})
        return 0


def _open(path: Path) -> sqlite3.Connection:
    # Without a write-ahead log nobody writes, and the file can be read without leaving anything beside it.
    still = not path.with_name(path.name + "-wal").exists()
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if still else ''}", uri=True)


def _claims(case: Case, connection: sqlite3.Connection, where: Evidence) -> None:
    spaces = dict(connection.execute("SELECT id, holder FROM claim WHERE kind = 'space'").fetchall())
    states: Counter[tuple[str, str]] = Counter()
    rows = connection.execute(
        "SELECT parent, first, holder, interface, state, since, details FROM claim WHERE kind = 'lease'"
    )
    for parent, first, holder, interface, state, since, details in rows:
        space = spaces.get(parent, "unnamed")
        states[(space, state)] += 1
        pool = case.pool(f"unipam {space}", "unipam ledger")
        pool.evidence = [where]
        if state == "held":
            owner = f"{holder}/{interface}" if interface else str(holder)
            case.hold(pool, Holder(_address(first), owner, _pod(case, holder, details), show(since)))
    for (space, state), count in states.items():
        case.fact(f"unipam's ledger, space {space}: {count} lease(s) {state}.", where)
        if state == "held":
            case.pool(f"unipam {space}", "unipam ledger").in_use = count


def _journal(case: Case, connection: sqlite3.Connection, file: str) -> int:
    count = 0
    rows = connection.execute("SELECT id, at, verb, first, holder, details, reason FROM journal ORDER BY id")
    for number, at, verb, first, holder, details, reason in rows:
        count += 1
        if verb in _VERBS:
            pod = _pod(case, holder, details)
            detail = verb if verb in {"undo", "give-back", "adopt"} else ""
            event = Event(
                _VERBS[verb], file, number, at, _address(first), holder, pod, by="unipam", detail=detail or reason
            )
            case.event(event)
    return count


def _pod(case: Case, holder: str, details: str) -> str:
    return facts.tell(details).pod or case.pods.get(holder, "")


def _address(key: bytes) -> str:
    """The address; "" for a refusal, which is about none."""
    return format_address(int.from_bytes(key, "big")) if any(key) else ""
