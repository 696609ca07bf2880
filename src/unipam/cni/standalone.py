"""A self-contained tree of unipam on a node, so that the cold path works when the container it came with is gone.

A tree is made with the image (`deploy/standalone.py`) and can lie anywhere:

    NAME                 version and digest: what the tree is called on a node
    bin/python3          the interpreter;  bin/unipam  the command, for people
    lib/ld.so, lib/*.so  the loader and every library;  lib/python3.x  the standard library
    packages/            unipam and what it needs

On the node trees lie side by side, `<root>/<name>`. Launchers name theirs, so that a call never meets two versions;
`<root>/current` is for people.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from unipam.cni import install as launchers
from unipam.cni import launcher
from unipam.cni.install import Change
from unipam.model.errors import InstallError

_NAME = "NAME"
_CURRENT = "current"
_DRAFT = ".draft-"
_TIMEOUT = 30.0
"""Seconds that calls of a tree that is to go have to end; a runtime waits no longer for most of them."""


def cold(tree: Path) -> tuple[str, ...]:
    """Return the command of the cold path with the interpreter, the libraries and the packages of `tree` alone."""
    lib = tree / "lib"
    loader = (f"{lib}/ld.so", "--inhibit-cache", "--library-path", str(lib), f"{tree}/bin/python3")
    return launcher.cold(loader, [str(tree / "packages")])


def install(bin_dir: Path, socket: Path, names: Sequence[str], root: Path, *, dry_run: bool = False) -> list[Change]:
    """Install launchers (see `install.install`) that fall back on a copy, in `root`, of the tree this runs from.

    Raises InstallError when this unipam does not run from a tree, or one of the directories cannot be changed as asked.
    """
    tree = root / name()
    changes = launchers.install(bin_dir, socket, names, fallback=cold(tree) if tree.exists() else (), dry_run=True)
    if not dry_run:  # a refusal has been raised by now, and no copy is left of it
        copy(root)
        changes = launchers.install(bin_dir, socket, names, fallback=cold(tree))
        settle(tree)
    return changes


def name(source: Path = Path(sys.prefix)) -> str:
    """Return what the tree that this process runs from is called on a node.

    Raises InstallError when this unipam does not run from such a tree.
    """
    try:
        return (source / _NAME).read_text("ascii").strip()
    except OSError:
        message = (
            f"{source} is not a self-contained tree of unipam: use the agent's image, "
            "or leave the copy out where unipam is installed on the node itself"
        )
        raise InstallError(message) from None


def copy(root: Path, source: Path = Path(sys.prefix)) -> Path:
    """Copy the tree that this process runs from into `root`, whole or not at all; return where it lies.

    Raises InstallError when this unipam does not run from such a tree, or `root` cannot be written.
    """
    tree = root / name(source)
    with _reported(root):
        root.mkdir(parents=True, exist_ok=True)
        if not tree.exists():
            draft = tree.with_name(_DRAFT + tree.name)
            shutil.rmtree(draft, ignore_errors=True)  # of a copy that was killed
            shutil.copytree(source, draft, symlinks=True)
            os.sync()
            draft.rename(tree)
    return tree


def settle(tree: Path) -> None:
    """Make `tree` the current one, now that the launchers name it. Raises InstallError.

    The former tree stays, since calls may run from it; older ones are removed.
    """
    root, current = tree.parent, tree.parent / _CURRENT
    with _reported(root):
        former = os.readlink(current) if current.is_symlink() else ""
        fresh = root / f"{_DRAFT}{_CURRENT}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(tree.name)
        fresh.replace(current)
        if former != tree.name:
            _prune(root, keep={tree.name, former})


def remove(root: Path, timeout: float = _TIMEOUT) -> None:
    """Remove every tree in `root`, and `root` itself if nothing else is in it, once no process runs from them.

    Raises InstallError when after `timeout` seconds a process still does, or `root` cannot be written.
    """
    with _reported(root):
        _wait_for(root, timeout)
        if root.is_dir():
            (root / _CURRENT).unlink(missing_ok=True)
            _prune(root, keep=set())
            if not any(root.iterdir()):
                root.rmdir()


def _prune(root: Path, keep: set[str]) -> None:
    for path in root.iterdir():
        ours = path.name.startswith(_DRAFT) or (path / _NAME).is_file()
        if ours and path.name not in keep and not path.is_symlink():
            shutil.rmtree(path)


def _wait_for(root: Path, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while users := sorted(_users(root)):
        if time.monotonic() > deadline:
            raise InstallError(f"{root} is in use by process {', '.join(map(str, users))}: end it, then do this again")
        time.sleep(0.2)


def _users(root: Path) -> Iterator[int]:
    """Return the processes that were started by a loader below `root`; the command line is what everybody may read."""
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
                if (process / "cmdline").read_bytes().startswith(os.fsencode(f"{root}/")):
                    yield int(process.name)


@contextmanager
def _reported(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InstallError(f"{error.filename or root}: {error.strerror or error}: give another directory") from error
