"""The native launcher as bytes: the one that was built, what it is told, and how one is known again.

Here belongs the layout that `launcher.c` declares; where launchers are put is in `install.py`.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from unipam.model.errors import InstallError

if TYPE_CHECKING:
    from collections.abc import Sequence

_BUILT = Path(__file__).with_name("launcher")
_LARGEST = 1 << 20  # bytes; foreign plugins are larger, and need not be read


class Settings(NamedTuple):
    """What a launcher was told: the agent's socket, and the command to become when no agent answers."""

    socket: str
    fallback: tuple[str, ...]


class _Slot(NamedTuple):
    """A value of fixed size inside the launcher, behind a marker that occurs once; `launcher.c` declares both."""

    marker: bytes
    size: int

    def write(self, binary: bytes, value: bytes) -> bytes:
        start = binary.index(self.marker) + len(self.marker)
        return binary[:start] + value.ljust(self.size, b"\0") + binary[start + self.size :]

    def read(self, binary: bytes) -> bytes:
        start = binary.index(self.marker) + len(self.marker)
        return binary[start : start + self.size]


_SOCKET = _Slot(b"<unipam:socket:108>\0", 108)
_FALLBACK = _Slot(b"<unipam:fallback:4096>\0", 4096)


def configured(socket: Path, fallback: Sequence[str]) -> bytes:
    """Return a launcher that asks the agent at `socket` and becomes `fallback` (see `cold`) when none answers.

    Raises InstallError when one of the two is unusable, or this unipam was built without its launcher.
    """
    binary = _read_launcher(_BUILT)
    if binary is None:
        message = f"{_BUILT} is missing: unipam was built without its launcher; install it again with a C compiler"
        raise InstallError(message)
    binary = _fill(_SOCKET, binary, [str(socket)], end=b"")
    binary = _fill(_FALLBACK, binary, fallback, end=b"\0")
    if not socket.is_absolute():
        message = f"{str(socket)!r} is relative, and plugins run in any directory: give the socket's absolute path"
        raise InstallError(message)
    if not Path(fallback[0]).is_absolute() or not os.access(fallback[0], os.X_OK):
        message = f"{fallback[0]!r} cannot be run: give the absolute path of the interpreter that has unipam"
        raise InstallError(message)
    return binary


def cold(interpreter: Sequence[str] = (sys.executable,), packages: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the command of the cold path: this interpreter, or another one that has unipam in `packages`.

    -I, because PYTHONPATH and the like are the runtime's and not ours; -S and the few paths that are needed, because
    looking through site-packages would be a quarter of the whole call. Looking for garbage would be a tenth: nearly all
    that a call makes are modules, and it ends soon.
    """
    path = f"import gc, sys; gc.disable(); sys.path += {list(packages) or _own_packages()};"
    code = f"{path} from unipam.cold.__main__ import main; main()"
    return *interpreter, "-I", "-S", "-c", code


def _own_packages() -> list[str]:
    import msgspec

    import unipam

    return list(dict.fromkeys(str(Path(module.__path__[0]).parent) for module in (unipam, msgspec)))


def _fill(slot: _Slot, binary: bytes, words: Sequence[str], end: bytes) -> bytes:
    value = b"".join(os.fsencode(word) + b"\0" for word in words) + end
    if len(value) > slot.size or value.count(b"\0") > len(words) + len(end):
        room = slot.size - len(value) + len(os.fsencode(words[0]))
        message = f"{words[0]!r} is not a path of at most {room} bytes: use another"
        raise InstallError(message)
    return slot.write(binary, value)


def _read_launcher(path: Path, *, follow: bool = False) -> bytes | None:
    try:
        status = path.stat() if follow else path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            return None
        binary = path.read_bytes()
    except FileNotFoundError:
        return None
    ours = binary.startswith(b"\x7fELF") and binary.count(_SOCKET.marker) == binary.count(_FALLBACK.marker) == 1
    return binary if ours else None


def is_launcher(path: Path) -> bool:
    """Return whether `path` is a file that unipam installed; false for anything else, also for nothing."""
    return _read_launcher(path) is not None


def runs(exe: str) -> bool:
    """Return whether a process runs a launcher, given its `/proc/PID/exe`. Raises OSError when that cannot be read."""
    return _read_launcher(Path(exe), follow=True) is not None


def settings(path: Path) -> Settings:
    """Return what the launcher at `path` was told.

    Raises InstallError when it is none.
    """
    binary = _read_launcher(path)
    if binary is None:
        message = f"{path}: not a launcher of unipam"
        raise InstallError(message)
    socket, fallback = _SOCKET.read(binary), _FALLBACK.read(binary)
    words = fallback.rstrip(b"\0").split(b"\0")
    return Settings(os.fsdecode(socket.rstrip(b"\0")), tuple(map(os.fsdecode, words)))
