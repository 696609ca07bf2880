"""Makes a self-contained tree of unipam: an interpreter, its libraries and packages, in a directory that can be moved.

    pip install --target TREE/packages 'unipam[cri]'
    python deploy/standalone.py TREE

A node has no Python or another one, and another C library, so the tree brings both, down to the loader. The agent's
image is made of it, and the node gets a copy (`src/unipam/cni/standalone.py`, where the layout is told).
"""

from __future__ import annotations

import compileall
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from py_compile import PycInvalidationMode

LEFT_OUT = (
    "__pycache__", "config-*", "dist-packages", "distutils", "ensurepip", "idlelib", "lib2to3", "pydoc_data",
    "site-packages", "test", "tests", "tkinter", "turtledemo", "_tkinter*", "_test*", "_curses*", "readline.*",
    "_dbm.*", "nis.*", "*.a",
)  # fmt: skip
"""Of the standard library: what develops, teaches or tests."""

COMMAND = """\
#!/bin/sh
# unipam of this tree, whatever the machine has.
tree=$(dirname "$(dirname "$(readlink -f "$0")")")
exec "$tree/lib/ld.so" --inhibit-cache --library-path "$tree/lib" "$tree/bin/python3" -I -S -c "import sys
sys.path.append('$tree/packages')
from unipam.cli.main import main
main()" "$@"
"""


def make(tree: Path) -> None:
    """Complete `tree`, whose packages are there already. Raises SystemExit when a library is missing."""
    (tree / "bin").mkdir()
    interpreter = shutil.copy2(Path(sys.executable).resolve(), tree / "bin" / "python3")
    standard = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(standard, tree / "lib" / standard.name, ignore=shutil.ignore_patterns(*LEFT_OUT))
    shutil.rmtree(tree / "packages" / "bin", ignore_errors=True)  # scripts that name this machine's interpreter
    (tree / "bin" / "unipam").write_text(COMMAND)
    (tree / "bin" / "unipam").chmod(0o755)
    for binary in [interpreter, *tree.rglob("*.so"), *tree.rglob("*.so.*")]:
        for name, path in libraries(binary):
            if not (tree / "lib" / name).exists():
                shutil.copy2(path, tree / "lib" / name)
    # What was compiled is taken as it is: no time of a file is kept on every way to a node.
    compileall.compile_dir(tree, quiet=1, force=True, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    (tree / "NAME").write_text(f"{version(tree)}-{digest(tree)[:12]}\n")


def libraries(binary: Path) -> Iterator[tuple[str, str]]:
    """Yield what `binary` is linked with, as (name, path); the loader is called ld.so."""
    command = ["ldd", binary]  # it fails for what is linked with nothing
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    if missing := re.findall(r"(\S+) => not found", said):
        sys.exit(f"{binary} needs {', '.join(missing)}, which this machine has not")
    yield from re.findall(r"(\S+) => (/\S+)", said)
    yield from (("ld.so", path) for path in re.findall(r"^\s*(/\S+/ld-\S+)", said, re.MULTILINE))


def version(tree: Path) -> str:
    """Return the version of unipam among the tree's packages."""
    return next(each.version for each in distributions(name="unipam", path=[str(tree / "packages")]))


def digest(tree: Path) -> str:
    """Return one number for all files, so that two trees of one version are told apart."""
    whole = hashlib.sha256()
    for path in sorted(path for path in tree.rglob("*") if path.is_file()):
        whole.update(os.fsencode(path.relative_to(tree)) + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


if __name__ == "__main__":
    make(Path(sys.argv[1]))
