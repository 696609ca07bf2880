"""host-local's own state: one file per lease in `<dataDir>/<network>/` (spec cni-and-host-local §2.5).

Read on first contact with a network, written when an operator goes back. The directory is otherwise left alone.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from unipam.addr.prefix import format_address, parse_address
from unipam.ledger.change import Inheritance
from unipam.model.errors import StoreBroken, StoreBusy
from unipam.model.records import HELD, LEASE, Claim, Owner

NOTE = "unipam.adopted"
MARK = "unipam.given-back"
_MARKED = (
    "unipam gave the leases of this directory back to host-local, and serves this network no more.\n"
    "To take it over again: {again}\n"
)
_MODE = 0o600
"""That of files in a directory without any: host-local's own since 1.4.0 (0644 before)."""
_CURSOR = "last_reserved_ip."
_TIMEOUT = 3.0


class Found(NamedTuple):
    """What a directory holds: leases and cursors to take over, and the names of files that could not be read as such.

    An empty lease file (host-local was killed between creating and writing it, defect D2) names no owner; its
    address is free.
    """

    inheritance: Inheritance
    empty: tuple[str, ...]
    odd: tuple[str, ...]


def exists(path: str) -> bool:
    """Return whether there is a directory that has not been taken over yet, or was given back."""
    return os.path.isdir(path) and (is_given_back(path) or not os.path.exists(f"{path}/{NOTE}"))


def is_given_back(path: str) -> bool:
    """Return whether the directory says that the network was given back, and must be taken over by name."""
    return os.path.exists(f"{path}/{MARK}")


def inherit(path: str, boot: int, booted: float) -> Inheritance:
    """Return what the directory holds, and the note in it that says so; nothing when there is none to take over.

    Raises StoreBusy while host-local holds its lock, StoreBroken when it cannot be read.
    """
    if not exists(path):
        return Inheritance()
    try:
        with locked(path):
            found = scan(path, boot, booted)
            return found.inheritance._replace(adopted=lambda: leave_note(path))
    except OSError as error:
        raise StoreBroken(f"cannot read the host-local directory {path}: {error.strerror}", path=path) from error


def leave_note(path: str) -> None:
    """Say in the directory that its leases live elsewhere now (again); host-local itself skips the file."""
    text = (
        "The leases of this directory were taken over by unipam and are kept in ../unipam.db now.\n"
        "What stands here is how it was at that moment. To go back: unipam cni uninstall --give-back\n"
    )
    # A note: a directory that takes none is no reason to refuse a pod. It says what it says by being there, so a
    # death in the middle of it does no harm, and no draft is needed that could be left behind.
    with contextlib.suppress(OSError), open(f"{path}/{NOTE}", "w", encoding="utf-8") as file:
        file.write(text)
    with contextlib.suppress(OSError):
        os.unlink(f"{path}/{MARK}")


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
    """Hold host-local's own lock, waited for briefly, so that no original is in the middle of a lease."""
    descriptor = os.open(f"{path}/lock", os.O_RDONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o750)
    try:
        _take(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: str) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EAGAIN, errno.EACCES} or time.monotonic() > deadline:
                raise StoreBusy(
                    f"host-local's lock {path}/lock is held by another process: try again", path=path
                ) from error
        time.sleep(0.02)


def scan(path: str, boot: int, booted: float) -> Found:
    """Read the directory. `booted` is when the machine started (epoch): a lease written before is of an earlier boot.

    Such a lease is given the boot before `boot`, so that reconciliation treats it as it treats our own stale ones.
    """
    claims: dict[int, Claim] = {}
    cursors: list[tuple[int, int]] = []
    empty: list[str] = []
    odd: list[str] = []
    for name in sorted(os.listdir(path)):
        text = _content(f"{path}/{name}")
        if name.startswith(_CURSOR):
            cursor = _cursor(name, text)
            cursors += [cursor] if cursor else []
        elif (address := _address(name)) is None or text is None:
            odd += [name] * (name not in {"lock", NOTE, MARK})
        elif not text.strip():
            empty.append(name)
        else:
            written = os.stat(f"{path}/{name}").st_mtime
            claims[address] = _claim(address, text, written, boot - (written < booted))
    inheritance = Inheritance(tuple(claims[a] for a in sorted(claims)), tuple(cursors), path)
    return Found(inheritance, tuple(empty), tuple(odd))


def _claim(address: int, text: str, written: float, boot: int) -> Claim:
    holder, _, interface = text.strip().partition("\r\n")
    return Claim(0, address, address, LEASE, Owner(holder, interface), HELD, written, boot=boot)


def _content(path: str) -> str | None:
    """Return the text of a regular file; None for anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        return os.read(descriptor, 64 * 1024).decode("utf-8", "replace") if regular else None
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _address(name: str) -> int | None:
    try:
        return parse_address(name)
    except ValueError:
        return None


def _cursor(name: str, text: str | None) -> tuple[int, int] | None:
    number, address = name.removeprefix(_CURSOR), _address((text or "").strip())
    return (int(number), address) if re.fullmatch("[0-9]{1,6}", number) and address is not None else None


def again(data_dir: str) -> str:
    """Return the command that takes a network of a data directory over again, but for the network's name."""
    import shlex  # slow to import, and seldom needed

    return f"unipam adopt host-local --data-dir {shlex.quote(data_dir)} --network"


class Kept(NamedTuple):
    """A file as it was: its content, its mode, and when it was written (nanoseconds since the epoch)."""

    content: bytes
    mode: int
    written: int


def state(path: str) -> dict[str, Kept]:
    """Return the files of the directory that say something: leases, cursors, and what we left there."""
    files: dict[str, Kept] = {}
    for name in sorted(os.listdir(path)):
        full = f"{path}/{name}"
        if (_speaks(name) or name in {NOTE, MARK}) and os.path.isfile(full):
            status = os.stat(full)
            with open(full, "rb") as file:
                files[name] = Kept(file.read(), stat.S_IMODE(status.st_mode), status.st_mtime_ns)
    return files


def _speaks(name: str) -> bool:
    return _address(name) is not None or name.startswith(_CURSOR)


def leases(files: dict[str, Kept]) -> dict[str, bytes]:
    """Return what host-local itself reads of these files."""
    return {name: kept.content for name, kept in files.items() if _speaks(name)}


def write(path: str, claims: Sequence[Claim], cursors: dict[int, int], again: str) -> None:
    """Make the directory say what the claims say, so that the original binary carries on, and mark it as given back.

    Leases that are no longer held disappear; every file is complete when it appears under its name, and as old as what
    it says. `again` is the command that takes the network over again. To be called under the lock.
    """
    before = state(path)
    now = time.time_ns()
    mode = next((kept.mode for name, kept in before.items() if _speaks(name)), _MODE)
    held = [claim for claim in claims if claim.state == HELD]
    after = {format_address(c.first): Kept(_text(c.owner), mode, int(c.since * 1e9) or now) for c in held}
    after |= {f"{_CURSOR}{n}": Kept(format_address(a).encode(), mode, now) for n, a in cursors.items()}
    after[MARK] = Kept(_MARKED.format(again=again).encode(), 0o644, now)
    stay = {name: kept for name, kept in before.items() if name.startswith(_CURSOR)}
    replace(path, before, stay | after)


def replace(path: str, before: dict[str, Kept], after: dict[str, Kept]) -> None:
    """Put the files of `after` in the place of those of `before`, each whole. What takes room on the disk is first."""
    for name in os.listdir(path):  # drafts of one who was killed
        if name.endswith(".new") and _speaks(name[1:].removesuffix(".new")):
            os.unlink(f"{path}/{name}")
    fresh = {name: kept for name, kept in after.items() if before.get(name) != kept}
    drafts = {name: f"{path}/.{name}.new" for name in fresh}
    try:
        for name, kept in fresh.items():
            _draft(drafts[name], kept)
        for name, draft in drafts.items():
            os.rename(draft, f"{path}/{name}")
    finally:
        for draft in drafts.values():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft)
    for name in before.keys() - after.keys():
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}/{name}")


def _text(owner: Owner) -> bytes:
    return (f"{owner.holder}\r\n{owner.interface}" if owner.interface else owner.holder).encode()


def _draft(path: str, kept: Kept) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, kept.mode), "wb") as file:
        file.write(kept.content)
        file.flush()
        os.fchmod(file.fileno(), kept.mode)
        os.utime(file.fileno(), ns=(kept.written, kept.written))
        os.fsync(file.fileno())
