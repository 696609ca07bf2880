"""Where ledgers are: one per data directory, opened when first needed, opened anew when the file was replaced."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from unipam.model.errors import BadConfig, StoreBroken, UnipamError

if TYPE_CHECKING:
    from unipam.ledger.ledger import Ledger
    from unipam.store.api import Tx
    from unipam.store.sqlite import SqliteStore

FILE = "unipam.db"
MOST_OPEN = 64
"""Ledgers kept open at once; a node has a handful, and whoever names more pays for opening them again."""
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


def uptime() -> float:
    """Return the seconds since boot on the clock that never stops or jumps (CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def began(pid: int | str) -> float:
    """Return when a process began, on the same clock (`self` is this one). Raises OSError when there is none."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def locate(data_dir: str, cwd: str) -> str:
    """Return a data directory as a caller in `cwd` means it. Raises BadConfig when that cannot be told."""
    if "\0" in data_dir:
        raise BadConfig("dataDir holds a NUL character, which no path can: give another")
    if data_dir.startswith("/"):
        return data_dir
    if not cwd.startswith("/"):
        raise BadConfig(f"dataDir {data_dir} is relative, and the caller's directory is gone: give an absolute path")
    return os.path.normpath(os.path.join(cwd, data_dir))


def started() -> float:
    """Return when the machine was started, in seconds since the epoch."""
    return time.time() - uptime()


def boot_id() -> str:
    """Return the kernel's name for this boot of the machine."""
    with open(_BOOT_ID, encoding="ascii") as file:
        return file.read().strip()


class WouldBlock(Exception):
    """Answering would keep others waiting: to be asked again of ledgers that are `patient`. Users never see it."""


class Ledgers:
    """The ledgers this process has open. `timeout` and `flush` are the store's."""

    def __init__(self, *, timeout: float = 4.0, flush: bool = False) -> None:
        self._timeout = timeout
        self._flush = flush
        self._open: dict[str, tuple[tuple[int, int, bool], Ledger]] = {}
        self._together: contextlib.ExitStack | None = None
        self._joined: set[str] = set()
        self.directories: dict[str, None] = {}
        """Every data directory that was ever opened, in order."""

    @property
    def patient(self) -> bool:
        """Whether a busy ledger is waited for."""
        return self._timeout > 0

    def at(self, directory: str) -> Ledger:
        """Return the ledger of a data directory, made if need be. Raises StoreBroken, StoreBusy or StoreFull."""
        path = f"{directory}/{FILE}"
        return self._current(path) or self._keep(path, self._make(directory, path))

    def find(self, directory: str) -> Ledger | None:
        """Return the ledger of a data directory, if there is one."""
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
        there = _identity(path)
        if known[0] == there:
            return self._joining(path, known[1])
        if known[0][:2] == there[:2]:  # not let go of: with the last connection the log would go too
            from unipam.store.sqlite import EMPTIED, damaged

            raise damaged(path, EMPTIED)
        self._let_go(path)  # deleted or replaced beneath us: what we hold is nobody's ledger any more
        return None

    def _keep(self, path: str, ledger: Ledger) -> Ledger:
        if len(self._open) >= MOST_OPEN:
            self._let_go(next(iter(self._open)))
        self._open[path] = (_identity(path), ledger)
        self.directories[os.path.dirname(path)] = None
        return self._joining(path, ledger)

    def _make(self, directory: str, path: str) -> Ledger:
        from unipam.ledger.ledger import Ledger  # a call without a ledger need not pay for the store
        from unipam.store.reserve import where_full
        from unipam.store.sqlite import SqliteStore

        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
        except OSError as error:
            raise StoreBroken(f"mkdir {directory}: {(error.strerror or '').lower()}", path=path) from error
        _refuse_shared(directory, path)
        store = SqliteStore(path, timeout=self._timeout, flush=self._flush)
        try:
            boot = where_full(lambda: _introduce(store), store.make_room)  # releases must know it too
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


def _identity(path: str) -> tuple[int, int, bool]:
    """Return which file it is, and whether there is anything in it."""
    try:
        status = os.stat(path)
    except OSError:
        return (0, 0, False)
    return (status.st_dev, status.st_ino, status.st_size > 0)


def _refuse_shared(directory: str, path: str) -> None:
    """Raise StoreBroken when somebody else could put another ledger in the place of ours, or has.

    The directory and the ledger must be root's or our own, and nobody else's to write: not even in a sticky directory
    such as /tmp, where others could be there first. Of the directories above, one that everybody may write must be
    sticky: then nobody moves what is another's. A group that is our own, or root's, may write.
    """
    for place in (directory, path):
        status = _status(place)
        if status is not None and status.st_uid not in {0, os.geteuid()}:
            way_out = f"give it to the user that unipam runs as (chown {os.geteuid()} {place})"
            raise _shared(place, f"belongs to user {status.st_uid}", way_out)
        group = 0 if status is None or status.st_gid in {0, os.getegid()} else stat.S_IWGRP
        if status is not None and status.st_mode & (stat.S_IWOTH | group):
            raise _open_to_others(place, status.st_mode)
    for place in _above(directory):
        status = _status(place)
        if status is not None and status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            raise _open_to_others(place, status.st_mode)


def _status(path: str) -> os.stat_result | None:
    """Return the status; None when it is not there yet, or whoever opens it will say what is wrong."""
    try:
        return os.stat(path)
    except OSError:
        return None


def _open_to_others(place: str, mode: int) -> StoreBroken:
    return _shared(place, f"may be written by others (mode {stat.S_IMODE(mode):04o})", f"chmod go-w {place}")


def _shared(place: str, why: str, way_out: str) -> StoreBroken:
    return StoreBroken(
        f"{place} {why}, who could change the ledger: {way_out}, or name another data directory", path=place
    )


def _above(directory: str) -> Iterator[str]:
    """Return the directories above, from the nearest."""
    place = os.path.realpath(directory)
    while place != "/":
        place = os.path.dirname(place)
        yield place


def _introduce(store: SqliteStore) -> int:
    """Let the ledger know the node's name and this boot; return the boot's number. Nearly always it knows both."""
    from unipam.ledger import nodes

    now = boot_id()
    with store.reading() as tx:
        number, known = _boot(tx)
        if known == now and nodes.is_known(tx):
            return number
    with store.transaction() as tx:
        nodes.remember(tx)
        return _number_boot(tx, now)


def _boot(tx: Tx) -> tuple[int, str]:
    """Return the number of the latest boot that the ledger knows, and the kernel's name for it."""
    number, _, known = tx.note("boot").partition(" ")
    return int(number or 1), known


def _number_boot(tx: Tx, now: str) -> int:
    """Return this boot's number in the ledger: 2 for the first that used it, one more for each after it.

    So there is a number, 1, for the boots before the first, of which leases may stem that are adopted.
    """
    number, known = _boot(tx)
    if known == now:
        return number
    tx.set_note("boot", f"{number + 1} {now}")
    return number + 1
