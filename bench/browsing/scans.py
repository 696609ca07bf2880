"""Which tables the pages read whole: SQLite is asked how it went about each statement, PostgreSQL logs how it did."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import psycopg

LARGE = ("claim", "journal", "past")
"""The tables that grow with the plan; the others are small."""


@contextlib.contextmanager
def statements() -> Iterator[list[str]]:
    """Let every connection to SQLite that this process makes write down what it is asked, values included."""
    asked: list[str] = []
    connect = sqlite3.connect

    def watched(*args: Any, **more: Any) -> sqlite3.Connection:
        made: sqlite3.Connection = connect(*args, **more)
        made.set_trace_callback(asked.append)
        return made

    with mock.patch.object(sqlite3, "connect", watched):
        yield asked


class Looked(NamedTuple):
    """How many statements there were, and those that read a large table whole."""

    statements: int
    whole: set[str]


def scans(database: str, asked: list[str]) -> Looked:
    """Return for which statements SQLite reads a large table whole."""
    questions = {each for each in asked if each.lstrip().upper().startswith(("SELECT", "WITH"))}
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return Looked(len(questions), {each for each in questions if _scans(connection, each)})


def _scans(connection: sqlite3.Connection, statement: str) -> bool:
    readable = re.sub(r"\bInf\b", "9e999", statement)  # as SQLite writes what it does not read
    steps = [(row[1], row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {readable}")]
    sorting = {part for part, step in steps if "TEMP B-TREE" in step}
    return any(
        re.match(rf"SCAN ({'|'.join(LARGE)})\b", step) and not _ends(step, "LIMIT" in statement and part not in sorting)
        for part, step in steps
    )


def _ends(step: str, in_order: bool) -> bool:
    """Return whether a scan is of the few spaces, or along an index in the order that is wanted, up to a limit."""
    return "USING INDEX claim_space" in step or (in_order and "USING" in step)


class Explained:
    """What PostgreSQL logs of the statements of new connections to one database: how each was really done."""

    def __init__(self, url: str) -> None:
        self._url = url
        with psycopg.connect(url, autocommit=True) as connection:
            name = connection.info.dbname
            for option, value in {
                "session_preload_libraries": "auto_explain", "auto_explain.log_min_duration": "0",
                "auto_explain.log_format": "json",
            }.items():  # fmt: skip
                connection.execute(f"ALTER DATABASE {name} SET {option} = '{value}'".encode())
            row = connection.execute("SHOW data_directory").fetchone()
        assert row is not None
        self._log = Path(row[0]).parent / "log"
        self._read = self._log.stat().st_size

    def scans(self) -> Looked:
        """Return the statements since the last time, and which of them read a large table whole."""
        time.sleep(0.05)  # a backend logs a statement before it answers, but the file may lag behind
        with self._log.open("rb") as log:
            log.seek(self._read)
            text = log.read().decode(errors="replace")
        self._read += len(text.encode())
        plans = [json.loads(each) for each in re.findall(r"plan:\n(\t\{\n.*?\n\t\})", text, re.DOTALL)]
        return Looked(len(plans), {plan["Query Text"] for plan in plans if _reads_whole(plan["Plan"])})


def _reads_whole(node: dict[str, Any]) -> bool:
    if node["Node Type"] == "Seq Scan" and node["Relation Name"] in LARGE:
        return True
    return any(map(_reads_whole, node.get("Plans", ())))
