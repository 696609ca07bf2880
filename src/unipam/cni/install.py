"""Putting the native launcher into a runtime's plugin directory, and giving the directory back as it was.

Here belongs what happens to that directory: which file stands under a plugin's name and what was kept. What stands in
the file is in `launcher.py`; which plugin names there are is the caller's to say.

Every change of a name is one rename(2) or link(2), so that at each moment either plugin, the former or ours, can be
run under it; libcni retries a "text file busy" but nothing else (spec cni-and-host-local §5.1).
"""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from unipam.cni import launcher
from unipam.cni.originals import KEPT
from unipam.model.errors import InstallError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


_HELD, _FRESH = ".{}.unipam-held", ".{}.unipam-new"
"""Beside a plugin while it changes: a second name of what is undone to, and the file that will have its name."""


class Change(NamedTuple):
    """What was done, or would be, to one plugin name.

    `action`: `install` (nothing was there), `replace` (the former plugin is kept), `update` (of an older launcher),
    `unchanged`; `restore` (the former plugin is back), `remove` (nothing was there before), `absent`.
    """

    plugin: str
    action: Literal["install", "replace", "update", "unchanged", "restore", "remove", "absent"]
    path: Path
    kept: Path | None
    """Where the former plugin is, or was until it was restored; None if there was none."""


def install(
    bin_dir: Path, socket: Path, names: Iterable[str], *, fallback: Sequence[str] = (), dry_run: bool = False
) -> list[Change]:
    """Put launchers that ask the agent at `socket` into `bin_dir` under the plugin `names`; all of them or none.

    A plugin that was there is kept beside it, once: an original that was kept earlier is never overwritten. Doing it
    again changes nothing. `fallback` is the command for calls without an agent, by default this interpreter's.

    Raises InstallError when a name, path or the directory is unusable, or the plugin differs from the one kept earlier.
    """
    content = launcher.configured(socket, fallback or launcher.cold())
    with _locked(bin_dir):
        changes = [_plan_install(_plugin(bin_dir, name), content) for name in dict.fromkeys(names)]
        if not dry_run:
            with _all_or_nothing(bin_dir) as hold:
                for change in changes:
                    _carry_out_install(change, content, hold)
    return changes


def renew(bin_dir: Path, *, dry_run: bool = False) -> list[Change]:
    """Write each launcher of this interpreter's anew, for the socket that it has.

    After an upgrade they are those of the version that answers without an agent. A launcher that falls back on another
    interpreter, such as a copy of unipam on the node, is left to whoever brought that one.

    Raises InstallError when the directory is unusable.
    """
    ours = launcher.cold()[0]
    with _locked(bin_dir):
        told = {name: launcher.settings(bin_dir / name) for name in launchers(bin_dir, _names(bin_dir))}
    sockets = {name: Path(each.socket) for name, each in told.items() if each.fallback[0] == ours}
    return [change for name, socket in sockets.items() for change in install(bin_dir, socket, [name], dry_run=dry_run)]


def uninstall(bin_dir: Path, names: Iterable[str] = (), *, dry_run: bool = False) -> list[Change]:
    """Put back what stood under `names` (if none is given: wherever there is a launcher); all of them or none.

    The former file itself comes back: content, mode, owner and times. Where there was none, the launcher is removed.

    Raises InstallError when the directory is unusable, or what stands there now is not a launcher.
    """
    with _locked(bin_dir):
        changes = [_plan_uninstall(_plugin(bin_dir, name)) for name in dict.fromkeys(names) or _installed(bin_dir)]
        if not dry_run:
            with _all_or_nothing(bin_dir) as hold:
                for change in changes:
                    _carry_out_uninstall(change, hold)
                for change in changes:
                    _verify_uninstalled(change)
    return changes


def launchers(bin_dir: Path, names: Iterable[str]) -> list[str]:
    """Return those of the names under which a launcher stands."""
    return [name for name in names if launcher.is_launcher(bin_dir / name)]


# ---- what is to be done


def _plugin(bin_dir: Path, name: str) -> Path:
    if not name.isprintable() or name in {"", ".", ".."} or "/" in name or name.endswith(KEPT):
        message = f"{name!r} cannot be a plugin's name: a name is that of a file in {bin_dir}"
        raise InstallError(message)
    return bin_dir / name


def _kept(path: Path) -> Path:
    return path.with_name(path.name + KEPT)


def _installed(bin_dir: Path) -> list[str]:
    """Return the names to give back: of launchers, and of former plugins that were kept and not replaced since."""
    names = _names(bin_dir)
    originals = {bin_dir / name.removesuffix(KEPT): bin_dir / name for name in names if name.endswith(KEPT)}
    left = {path.name for path, kept in originals.items() if not _exists(path) or _same(path, kept)}
    return sorted({*launchers(bin_dir, names), *left})


def _names(bin_dir: Path) -> list[str]:
    return sorted(path.name for path in bin_dir.iterdir() if not path.name.startswith("."))


def _exists(path: Path) -> bool:
    return os.path.lexists(path)


def _plan_install(path: Path, content: bytes) -> Change:
    kept = _kept(path)
    if launcher.is_launcher(path):
        current = path.read_bytes() == content and stat.S_IMODE(path.stat().st_mode) == 0o755
        return Change(path.name, "unchanged" if current else "update", path, kept if _exists(kept) else None)
    if path.is_dir():
        message = f"{path} is a directory: move it away first"
        raise InstallError(message)
    if not _exists(path):
        return Change(path.name, "install", path, kept if _exists(kept) else None)
    if _exists(kept) and not _same(path, kept):
        message = f"{path} is a new plugin, and {kept} still holds the former one: move one of them away first"
        raise InstallError(message)
    return Change(path.name, "replace", path, kept)


def _same(path: Path, kept: Path) -> bool:
    """Return whether nothing is lost when only `kept` remains, as after an image brought the same plugin again."""
    if path.is_symlink() or kept.is_symlink():
        return path.is_symlink() and kept.is_symlink() and path.readlink() == kept.readlink()
    return path.samefile(kept) or path.read_bytes() == kept.read_bytes()


def _plan_uninstall(path: Path) -> Change:
    kept = _kept(path)
    ours, former = launcher.is_launcher(path), _exists(kept)
    if _exists(path) and not ours and not (former and _same(path, kept)):
        message = f"{path} is not a launcher of unipam: it is left as it is" + (f", and so is {kept}" if former else "")
        raise InstallError(message)
    if former:
        return Change(path.name, "restore", path, kept)
    return Change(path.name, "remove" if ours else "absent", path, None)


# ---- doing it


def _carry_out_install(change: Change, content: bytes, hold: Callable[[Path], None]) -> None:
    if change.action == "unchanged":
        return
    hold(change.path)
    if change.action == "replace" and not _exists(_kept(change.path)):
        hold(_kept(change.path))
        os.link(change.path, _kept(change.path), follow_symlinks=False)
    _put(change.path, content)


def _carry_out_uninstall(change: Change, hold: Callable[[Path], None]) -> None:
    if change.action == "absent":
        return
    if change.kept:
        hold(change.kept)  # before the other, so that an undo keeps the original safe before it takes the name back
    hold(change.path)
    if change.kept:
        change.kept.replace(change.path)
        change.kept.unlink(missing_ok=True)  # rename(2) leaves both names if they are one file
    else:
        change.path.unlink()


def _verify_uninstalled(change: Change) -> None:
    """Check that a name is as it was before unipam. Raises InstallError."""
    path = change.path
    if launcher.is_launcher(path) or _exists(_kept(path)) or _exists(path) != bool(change.kept):
        message = f"{path} is not what it was before unipam: the launcher was put back"
        raise InstallError(message)


def _put(path: Path, content: bytes) -> None:
    """Write a whole executable beside `path`, then rename it: what runs under the name now is not disturbed."""
    fresh = path.with_name(_FRESH.format(path.name))
    # Neither a link nor a file that somebody put there is written to: what stands there stops us.
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o700)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), 0o755)
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def _all_or_nothing(bin_dir: Path) -> Iterator[Callable[[Path], None]]:
    """Yield `hold`, to be called with each path before it changes; on a failure put back all that were held, in order.

    What is held is a second link to the file itself, so that putting it back is a rename.
    """
    held: list[tuple[Path, Path | None]] = []
    for pattern in (_HELD, _FRESH):  # of an installation that was killed; whatever it held still has its name
        for left in bin_dir.glob(pattern.format("*")):
            if left.is_symlink() or left.is_file():
                left.unlink()

    def hold(path: Path) -> None:
        link = path.with_name(_HELD.format(path.name))
        if _exists(path):
            os.link(path, link, follow_symlinks=False)
        held.append((path, link if _exists(path) else None))

    try:
        yield hold
        _sync(bin_dir)
    except BaseException:
        for path, link in held:
            link.replace(path) if link else path.unlink(missing_ok=True)
        raise
    finally:
        for _, link in held:
            if link:
                with suppress(OSError):  # what is left over goes next time; what was asked for is done
                    link.unlink()


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(bin_dir: Path) -> Iterator[None]:
    """Let one installer at a time work, and report the failures of the file system in one line."""
    try:
        descriptor = os.open(bin_dir, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
    except OSError as error:
        way_out = "become root" if isinstance(error, PermissionError) else "give the runtime's own plugin directory"
        message = f"{error.filename or bin_dir}: {error.strerror}; nothing was changed: {way_out}"
        raise InstallError(message) from error
