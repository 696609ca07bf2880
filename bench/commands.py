"""Commands on a local database: what one takes in processor time, started anew, and what each further request takes.

Processor time and not the clock's, since a command waits for the disk and for whoever else the machine serves.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench.needs import Need
from bench.table import Row, show
from unipam.cli.register_api import Api, Local
from unipam.plan.open import open_store

ROUNDS = 15
REQUESTS = 200
TEN = 10
NEEDS: tuple[Need, ...] = ()


def main() -> None:
    """Print the rows."""
    with tempfile.TemporaryDirectory(prefix="unipam-bench-") as directory:
        database = str(Path(directory, "register.db"))
        open_store(database).close()
        api = Api(Local(database))
        api.ask("POST", "/spaces", {"name": "S", "desc": "a space"})
        api.ask("POST", "/spaces/S/blocks", {"name": "B", "cidr": "10.0.0.0/8"})
        show("commands on a local database: processor time, medians", rows(database, api))
        api.close()


def rows(database: str, api: Api) -> Iterator[Row]:
    """Yield every row, as it is measured."""
    yield started(database)
    yield from (measure(api) for measure in (asked, reserved, searched, cancelled))


def started(database: str) -> Row:
    """Measure `unipam space list` against an interpreter that does nothing, in turns."""
    unipam = [str(Path(sys.executable).with_name("unipam")), "space", "list", "--database", database]
    turns = [(spent(unipam), spent([sys.executable, "-c", "pass"])) for _ in range(ROUNDS)]
    ours, nothing = (statistics.median(column) for column in zip(*turns, strict=True))
    return Row("unipam space list (s; beside it: Python that does nothing)", s(ours), s(nothing), ours, 0.25)


def spent(argv: list[str]) -> float:
    """Return the seconds of processor time of one process."""
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(argv)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def asked(api: Api) -> Row:
    """Measure each further listing in the same process."""
    return further("each further listing in one process (s)", lambda _: api.all("/spaces", {"utilisation": True}))


def reserved(api: Api) -> Row:
    """Measure each further reservation in the same process."""
    wish = {"blocks": ["B"], "size": 28}
    return further("each further reservation in one process (s)", lambda _: api.ask("POST", RESERVATIONS, wish))


def searched(api: Api) -> Row:
    """Measure each further request of those that the server's application answers."""
    path = "/spaces/S/blocks/B/available"
    ask = partial(api.ask, "GET", path, query={"size": 24})
    ask()  # the first one loads it
    return further("each further look for what is free, by the application (s)", lambda _: ask())


RESERVATIONS = "/spaces/S/reservations"


def further(what: str, work: Callable[[int], object]) -> Row:
    """Return the median of what one of many requests takes in this process."""
    taken = [timed(work, number) for number in range(REQUESTS)]
    median = statistics.median(taken)
    return Row(what, s(median), "", median, 0.01)


def cancelled(api: Api) -> Row:
    """Measure ten reservations cancelled by one command, against the same one by one."""
    wish = {"blocks": ["B"], "size": 28, "count": TEN}
    where = "/spaces/S/blocks/B/reservations"

    def together(ids: list[str]) -> None:
        api.ask("DELETE", where, query={"id": ids})

    def alone(ids: list[str]) -> None:
        for each in ids:
            api.ask("DELETE", f"{where}/{each}")

    turns = []
    for _ in range(ROUNDS):
        given = [[row["id"] for row in api.ask("POST", RESERVATIONS, wish)] for _ in range(2)]
        turns.append((timed(together, given[0]), timed(alone, given[1])))
    ours, ones = (statistics.median(column) for column in zip(*turns, strict=True))
    return Row("ten reservations cancelled at once / one by one", s(ours), s(ones), ours / ones, 0.8)


def timed(work: Callable[..., object], given: object) -> float:
    """Return the seconds of this process's processor time."""
    begun = time.process_time()
    work(given)
    return time.process_time() - begun


def s(seconds: float) -> str:
    """Show a duration to people."""
    return f"{seconds * 1e3:,.2f} ms"
