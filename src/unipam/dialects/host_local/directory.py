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
_CURSOR = "last_reserved_ip."
_PATIENCE = 3.0


class Found(NamedTuple):
    """What a directory holds: leases and cursors to take over, and the names of files that could not be read as such.

    An empty lease file (host-local was killed between creating and writing it, defect D2) names no owner; its
    address is free.
    """

    inheritance: Inheritance
    empty: tuple[str, ...]
    odd: tuple[str, ...]


def exists(path: str) -> bool:
    """Whether there is a directory that has not been taken over yet."""
    return os.path.isdir(path) and not os.path.exists(f"{path}/{NOTE}")


def inherit(path: str, boot: int, booted: float) -> Inheritance:
    """What the directory holds, and the note in it that says so; nothing when there is none to take over.

    Raises StoreBusy while host-local holds its lock, StoreBroken when it cannot be read.
    """
    if not exists(path):
        return Inheritance()
    try:
        with _locked(path):
            found = scan(path, boot, booted)
            return found.inheritance._replace(adopted=lambda: leave_note(path))
    except OSError as error:
        raise StoreBroken(f"cannot read the host-local directory {path}: {error.strerror}", path=path) from error


def leave_note(path: str) -> None:
    """Say in the directory that its leases live elsewhere now; host-local itself skips the file."""
    text = (
        "The leases of this directory were taken over by unipam and are kept in ../unipam.db now.\n"
        "What stands here is how it was at that moment. To go back: unipam adopt host-local --rollback\n"
    )
    # A note: a directory that takes none is no reason to refuse a pod. It says what it says by being there, so a
    # death in the middle of it does no harm, and no draft is needed that could be left behind.
    with contextlib.suppress(OSError), open(f"{path}/{NOTE}", "w", encoding="utf-8") as file:
        file.write(text)


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    """host-local's own lock, waited for briefly, so that no original is in the middle of a lease."""
    descriptor = os.open(f"{path}/lock", os.O_RDONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o750)
    try:
        _take(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: str) -> None:
    deadline = time.monotonic() + _PATIENCE
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
            odd += [name] * (name not in {"lock", NOTE})
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
    """The text of a regular file; None for anything else."""
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


def write(path: str, claims: Sequence[Claim], cursors: dict[int, int]) -> None:
    """Make the directory say what the claims say, so that the original binary carries on, and remove our note.

    Leases that are no longer held disappear; every file is complete when it appears under its name.
    """
    os.makedirs(path, mode=0o755, exist_ok=True)
    with _locked(path):
        held = {format_address(c.first): c.owner for c in claims if c.state == HELD}
        for name in os.listdir(path):
            if _address(name) is not None and name not in held and not os.path.isdir(f"{path}/{name}"):
                os.unlink(f"{path}/{name}")
        for name, owner in held.items():
            _write(path, name, f"{owner.holder}\r\n{owner.interface}" if owner.interface else owner.holder, 0o600)
        for number, address in cursors.items():
            _write(path, f"{_CURSOR}{number}", format_address(address), 0o600)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}/{NOTE}")


def _write(path: str, name: str, text: str, mode: int) -> None:
    draft = f"{path}/.{name}.new"
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", newline="", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(draft, f"{path}/{name}")
