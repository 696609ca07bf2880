"""The ledger: one SQLite file in WAL mode, with one writer at a time. What lies in it is in `sqlite_tx`.

Here belong opening and recognising the file, transactions, and what SQLite's errors mean.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import sqlite3
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from unipam.model.errors import Overlap, StoreBroken, StoreBusy, StoreFull, UnipamError
from unipam.store.reserve import Reserve, allocate, where_full
from unipam.store.sqlite_tx import APPLICATION, SCHEMA, VERSION, SqliteTx

PAGE = 1024
"""Bytes. A commit writes whole pages, and ours changes a little in each of half a dozen."""

RESERVE = 1024
"""Pages kept free on the disk for what frees things: a release takes six of them until the next checkpoint."""

LATEST_CHECKPOINT = 16_000
"""Pages of write-ahead log (16 MB) at which a store that does not wait moves them itself."""

FLUSHED_CHECKPOINT = 1_000
"""The same where every commit is flushed (1 MB): to flush what overwrites old pages of the log takes two thirds of what
it takes to flush what makes the file grow, and that is worth a checkpoint now and then."""


class Transaction:
    """A transaction of one connection, from BEGIN to COMMIT or ROLLBACK; SQLite's errors leave it as ours.

    A class and not a generator, because it stands in the path of every call.
    """

    __slots__ = ("_begin", "_connection", "_do", "_path", "_tx")

    def __init__(self, connection: sqlite3.Connection, path: str, begin: str) -> None:
        self._connection = connection
        self._do = connection.cursor().execute
        self._path = path
        self._begin = begin
        self._tx = SqliteTx(connection)

    def __enter__(self) -> SqliteTx:
        try:
            self._do(self._begin)
        except sqlite3.Error as error:
            raise translate(error, self._path) from error
        self._tx.begin()
        return self._tx

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        try:
            self._do("COMMIT" if kind is None else "ROLLBACK")
        except sqlite3.Error as failed:
            # SQLite may have rolled back by itself (disk full, I/O error); then there is nothing left to undo.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if kind is None:
                raise translate(failed, self._path) from failed
        if isinstance(error, sqlite3.Error):
            raise translate(error, self._path) from error


class _Part(Transaction):
    """One of several transactions that are committed together: all or nothing for itself, durable with the others.

    `begun` counts how often the whole was begun: twice means that SQLite gave a first one up (disk full, I/O error).
    """

    __slots__ = ("begun",)

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        super().__init__(connection, path, "SAVEPOINT part")
        self.begun = 0

    def __enter__(self) -> SqliteTx:
        try:
            if not self._connection.in_transaction:
                self._connection.execute("BEGIN IMMEDIATE")
                self.begun += 1
        except sqlite3.Error as error:
            raise translate(error, self._path) from error
        return super().__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        try:
            if kind is not None and self._connection.in_transaction:
                self._connection.execute("ROLLBACK TO part")
            if self._connection.in_transaction:
                self._connection.execute("RELEASE part")
        except sqlite3.Error as failed:
            if kind is None:
                raise translate(failed, self._path) from failed
        if isinstance(error, sqlite3.Error):
            raise translate(error, self._path) from error


class SqliteStore:
    """A ledger file.

    `timeout` is how many seconds a transaction waits for another writer. With `flush` every commit reaches the disk
    before it is answered; without it a power cut may take the last commits with it, and with them the containers.
    A file that is made gets pages of `page` bytes. `additions` are made where they are not there: what each of these
    indexes and tables is called, and the statements that make it.
    """

    def __init__(
        self,
        path: str,
        *,
        timeout: float = 4.0,
        flush: bool = False,
        page: int = PAGE,
        additions: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        self.path = path
        self._additions = additions
        self._page = page
        self._reserve = Reserve(path, RESERVE * page)
        where_full(lambda: self._open(timeout, flush), self._reserve.pieces)
        self._reserve.keep()

    def _open(self, timeout: float, flush: bool) -> None:
        with self._translated():
            self._connect(timeout, flush)

    def _connect(self, timeout: float, flush: bool) -> None:
        # SQLite creates files with the umask's rights; ours are nobody else's business. Made without being opened:
        # closing a descriptor of a file lets go of all locks that this process's other connections hold on it.
        with contextlib.suppress(FileExistsError):
            os.mknod(self.path, stat.S_IFREG | 0o600)
        refuse_emptied(self.path)
        self._connection = sqlite3.connect(
            self.path, timeout=timeout, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            self._prepare(timeout, flush)
        except BaseException:
            self._connection.close()
            raise
        if flush:
            _keep_names(self.path)
        self._writing = Transaction(self._connection, self.path, "BEGIN IMMEDIATE")
        self._reading = Transaction(self._connection, self.path, "BEGIN")

    def _prepare(self, timeout: float, flush: bool) -> None:
        run = self._connection.execute
        version = recognise(self._connection, self.path)
        run(f"PRAGMA page_size = {self._page}")  # of a file that is there it changes nothing
        self._use_wal(timeout)
        run(f"PRAGMA synchronous = {'FULL' if flush else 'NORMAL'}")
        if flush:
            run(f"PRAGMA wal_autocheckpoint = {FLUSHED_CHECKPOINT}")
        elif not timeout:  # who does not wait leaves the checkpoint to `settle`, as long as that comes in time
            run(f"PRAGMA wal_autocheckpoint = {LATEST_CHECKPOINT}")
        run("PRAGMA cache_size = -4096")
        if version == 0:
            self._create()
        self._add()

    def _add(self) -> None:
        """Make the additions that are missing; to look for them takes no lock."""
        if self._missing():
            with Transaction(self._connection, self.path, "BEGIN IMMEDIATE"):
                for statement in self._missing():  # as somebody else may have been faster
                    self._connection.execute(statement)

    def _missing(self) -> list[str]:
        there = {name for (name,) in self._connection.execute("SELECT name FROM sqlite_master")}
        return [each for name, how in self._additions.items() if name not in there for each in how]

    def _use_wal(self, timeout: float) -> None:
        """Switch to WAL mode; SQLite itself does not wait for other processes that make the ledger at the same time."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                mode = self._connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
                break
            except sqlite3.OperationalError as error:
                if not isinstance(translate(error, self.path), StoreBusy) or time.monotonic() >= deadline:
                    raise
            time.sleep(0.002)
        if mode != "wal":
            raise StoreBroken(f"the ledger {self.path} cannot be kept in WAL mode", path=self.path)

    def _create(self) -> None:
        run = self._connection.execute
        with Transaction(self._connection, self.path, "BEGIN IMMEDIATE"):
            if run("PRAGMA user_version").fetchone()[0] == 0:  # nobody was faster
                if run("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    raise foreign(self.path)
                for statement in SCHEMA:
                    run(statement)

    def transaction(self) -> Transaction:
        """See `store.api.Store`."""
        return self._writing

    def reading(self) -> Transaction:
        """See `store.api.Store`."""
        return self._reading

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Commit what is done within at once, when it is left: one wait for the disk instead of many.

        Each transaction is all or nothing still, but none is durable before. Raises the store's errors on leaving; then
        none of them has happened, whatever they returned.
        """
        # BEGIN IMMEDIATE                     by the first that writes or reads
        #   SAVEPOINT part ... RELEASE        one transaction; when it fails ROLLBACK TO part, and the others stay
        #   SAVEPOINT part ... RELEASE        the next one
        # COMMIT                              one wait for the disk for all of them
        apart = self._writing, self._reading
        part = _Part(self._connection, self.path)
        self._writing = self._reading = part
        try:
            yield
        finally:
            self._writing, self._reading = apart
            with self._translated():
                self._end(part)

    def _end(self, part: _Part) -> None:
        given_up = part.begun != self._connection.in_transaction
        if given_up and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        if given_up:
            raise StoreBroken(f"the ledger {self.path} gave up what was written to it: try again", path=self.path)
        if part.begun:
            self._writing.__exit__(None, None, None)

    def settle(self) -> None:
        """See `store.api.Store`: move what the write-ahead log holds into the ledger, without waiting for anybody."""
        self._move_log()
        self._reserve.keep()

    def _move_log(self) -> None:
        with self._translated():
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def make_room(self) -> Iterator[None]:
        """See `store.api.Store`: in the write-ahead log, which begins anew once it was moved into the ledger.

        What the ledger does not need of a piece of the reserve the log gets, before anybody else takes it.
        """
        for piece in itertools.chain((0,), self._reserve.pieces()):
            with contextlib.suppress(UnipamError):
                self._move_log()
            if piece:
                with contextlib.suppress(UnipamError, OSError):
                    self._lengthen_log(piece)
            yield

    def _lengthen_log(self, most: int) -> None:
        log = f"{self.path}-wal"
        with self.transaction():  # so that nobody else does
            there = os.statvfs(log)
            allocate(log, os.stat(log).st_size, min(most, there.f_bavail * there.f_frsize))

    def check(self) -> list[str]:
        """Return what is wrong with the file, in SQLite's words; empty when it is sound."""
        with self._translated():
            rows = self._connection.execute("PRAGMA integrity_check(20)").fetchall()
        return [row[0] for row in rows if row[0] != "ok"]

    def close(self) -> None:
        """See `store.api.Store`."""
        self._connection.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise translate(error, self.path) from error
        except OSError as error:
            raise StoreBroken(
                f"cannot open the ledger {self.path}: {error.strerror}", path=self.path, errno=error.errno
            ) from error


def recognise(connection: sqlite3.Connection, path: str) -> int:
    """Return the schema version of a file; 0: it is empty. Only looks, so that another's file stays as it is.

    Raises StoreBroken when it is another program's (`foreign`), or of a version that this unipam does not know (fact
    `version`), and what `translate` makes of SQLite's errors.
    """
    run = connection.execute
    with Transaction(connection, path, "BEGIN"):
        application = run("PRAGMA application_id").fetchone()[0]
        version = int(run("PRAGMA user_version").fetchone()[0])
        used = run("SELECT count(*) FROM sqlite_master").fetchone()[0] > 0
    if application != APPLICATION and (application or version or used):
        raise foreign(path, application)
    if version not in (0, VERSION):
        raise StoreBroken(
            f"the ledger {path} has schema version {version}; this unipam knows {VERSION}: use the unipam that"
            " wrote it, or move the file away",
            path=path,
            version=version,
        )
    return version


def _keep_names(path: str) -> None:
    """Let the names of a file and of all directories above it reach the disk, where a sync of the file leaves them out.

    SQLite does so for its own files' names, and like it we can do no more where a directory cannot be synced.
    """
    below, directory = "", os.path.realpath(path)
    while directory != below:
        below, directory = directory, os.path.dirname(directory)
        with contextlib.suppress(OSError):
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


_BUSY = frozenset(
    # The last two: who may not write found the log's index while another process was about to make it.
    ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL", "SQLITE_READONLY_CANTINIT", "SQLITE_READONLY_RECOVERY")
)
_FULL = frozenset(("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"))  # the second: no room for the shared memory file
_DAMAGED = frozenset(("SQLITE_CORRUPT", "SQLITE_NOTADB"))
_HINTS = {
    "SQLITE_CANTOPEN": ": it must be a file, in a directory where files can be made",
    "SQLITE_READONLY": ": make it writable (file system, permissions, attributes)",
}


def damaged(path: str, how: str) -> StoreBroken:
    """Return the error of a ledger that is not what SQLite wrote, with the way out and `how` as fact `damage`."""
    hint = "stop the agent, move the file away (keep it), and adopt or restart the node's pods"
    return StoreBroken(f"the ledger {path} is damaged ({how}): {hint}", path=path, damage=how)


def foreign(path: str, application: int = 0) -> StoreBroken:
    """Return the error of a file of another program, whose id in the file's head is the fact `application`."""
    message = f"{path} is an SQLite file, but not a unipam ledger: move it away"
    return StoreBroken(message, path=path, application=application)


EMPTIED = "the file is empty, and its write-ahead log is not"


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def refuse_emptied(path: str) -> None:
    """Raise StoreBroken for an empty file whose write-ahead log is not: SQLite would throw the log away."""
    if _size(f"{path}-wal") and not _size(path):
        raise damaged(path, EMPTIED)


def translate(error: sqlite3.Error, path: str) -> UnipamError:
    """Return an SQLite error as one of ours, with the way out."""
    name = getattr(error, "sqlite_errorname", "") or ""
    primary = "_".join(name.split("_")[:2])
    if primary in _BUSY or name in _BUSY:
        return StoreBusy(f"the ledger {path} is locked by another process: try again", path=path)
    if primary == "SQLITE_CANTOPEN" and _out_of_files():
        return StoreBusy(f"too many open files to open the ledger {path}: try again, or raise LimitNOFILE", path=path)
    if primary in _FULL or name in _FULL:
        return StoreFull(f"no space left for the ledger {path}: free some space on that file system", path=path)
    if primary in _DAMAGED:
        return damaged(path, str(error))
    if primary == "SQLITE_CONSTRAINT":
        return Overlap(f"the ledger {path} refused a second claim on the same address", path=path)
    return StoreBroken(f"cannot use the ledger {path}: {error}{_HINTS.get(primary, '')}", path=path, sqlite=name)


_FILES = 4
"""Descriptors that opening a ledger takes at once: the file, its log, the log's index, the directory."""


def _out_of_files() -> bool:
    """Return whether too few descriptors are left in this process or on the machine, which SQLite does not say."""
    with contextlib.ExitStack() as opened:
        try:
            for _ in range(_FILES):
                opened.callback(os.close, os.open("/", os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            return error.errno in (errno.EMFILE, errno.ENFILE)
    return False
