"""Where ledgers are: one per data directory, opened when first needed, opened anew when the file was replaced."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import cast

from unipam.ledger.ledger import Ledger
from unipam.model.errors import StoreBroken, UnipamError
from unipam.store.reserve import where_full
from unipam.store.sqlite import SqliteStore

FILE = "unipam.db"
MOST_OPEN = 64
"""Ledgers kept open at once; a node has a handful, and whoever names more pays for opening them again."""
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


def uptime() -> float:
    """Seconds since boot on the clock that never stops or jumps (CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def began(pid: int | str) -> float:
    """When a process began, on the same clock (`self` is this one). Raises OSError when there is none."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def started() -> float:
    """When the machine was started, in seconds since the epoch."""
    return time.time() - uptime()


def boot_id() -> str:
    """The kernel's name for this boot of the machine."""
    with open(_BOOT_ID, encoding="ascii") as file:
        return file.read().strip()


class Ledgers:
    """The ledgers this process has open. `patience` and `flush` are the store's.

    `attended` ones are looked after by an agent: what they learn from outside is kept fresh without a call's doing.
    """

    def __init__(self, *, patience: float = 4.0, flush: bool = False, attended: bool = False) -> None:
        self.attended = attended
        self._patience = patience
        self._flush = flush
        self._open: dict[str, tuple[tuple[int, int], Ledger]] = {}
        self._together: contextlib.ExitStack | None = None
        self._joined: set[str] = set()
        self.directories: dict[str, None] = {}
        """Every data directory that was ever opened, in order."""

    @property
    def patient(self) -> bool:
        """Whether a busy ledger is waited for."""
        return self._patience > 0

    def at(self, directory: str) -> Ledger:
        """The ledger of a data directory, made if need be. Raises StoreBroken, StoreBusy or StoreFull."""
        path = f"{directory}/{FILE}"
        return self._current(path) or self._keep(path, self._make(directory, path))

    def find(self, directory: str) -> Ledger | None:
        """The ledger of a data directory, if there is one."""
        path = f"{directory}/{FILE}"
        return self._current(path) or (self.at(directory) if os.path.lexists(path) else None)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Commit what is done within at once, in each ledger (`SqliteStore.together`).

        Raises the store's errors; then no answer that was found within may be given. The same may be asked again.
        """
        try:
            with contextlib.ExitStack() as stack:
                self._together = stack
                try:
                    yield
                finally:
                    self._together = None
                    self._joined.clear()
        except UnipamError:
            self.close_all()  # a ledger knows things that did not happen
            raise

    def _joining(self, path: str, ledger: Ledger) -> Ledger:
        if self._together is not None and path not in self._joined:
            self._together.enter_context(cast("SqliteStore", ledger.store).together())
            self._joined.add(path)
        return ledger

    def _current(self, path: str) -> Ledger | None:
        known = self._open.get(path)
        if known is None:
            return None
        if known[0] == _identity(path):
            return self._joining(path, known[1])
        self._let_go(path)  # deleted or replaced beneath us: what we hold is nobody's ledger any more
        return None

    def _keep(self, path: str, ledger: Ledger) -> Ledger:
        if len(self._open) >= MOST_OPEN:
            self._let_go(next(iter(self._open)))
        self._open[path] = (_identity(path), ledger)
        self.directories[os.path.dirname(path)] = None
        return self._joining(path, ledger)

    def _make(self, directory: str, path: str) -> Ledger:
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
        except OSError as error:
            raise StoreBroken(f"mkdir {directory}: {(error.strerror or '').lower()}", path=path) from error
        store = SqliteStore(path, patience=self._patience, flush=self._flush)
        try:
            boot = where_full(lambda: _number_boot(store), store.make_room)  # releases must know it too
            return Ledger(store, time.time, boot)
        except BaseException:
            store.close()
            raise

    def close_all(self) -> None:
        """Let go of every ledger."""
        for path in list(self._open):
            self._let_go(path)

    def _let_go(self, path: str) -> None:
        _, ledger = self._open.pop(path)
        ledger.store.close()


def _identity(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return (0, 0)
    return (status.st_dev, status.st_ino)


def _number_boot(store: SqliteStore) -> int:
    """This boot's number in the ledger: 1 for the first that used it, one more for each after it."""
    now = boot_id()
    with store.reading() as tx:
        number, _, known = tx.note("boot").partition(" ")
    if known == now:
        return int(number)
    with store.transaction() as tx:
        number, _, known = tx.note("boot").partition(" ")
        if known != now:
            number = str(int(number or 0) + 1)
            tx.set_note("boot", f"{number} {now}")
        return int(number)
