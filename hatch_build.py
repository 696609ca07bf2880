"""The build hook: compiles the native CNI launcher into the package, and puts htmx, which the pages use, beside them.

The launcher needs a C compiler for Linux on x86_64 or aarch64 and nothing more, neither headers nor a C library:
`$CC`, or `cc`. A wheel is for the processor that this compiler makes code for, whatever the building machine has.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shlex
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LAUNCHER = "unipam/cni/launcher"
"""Within the package; its source stands beside it, with the suffix .c."""

HTMX = "unipam/server/pages/assets/htmx"
"""Within the package, with the suffixes .js and .txt: the script, and what it is and under which licence."""
HTMX_LICENCE = """\
htmx {version}, https://htmx.org, SHA-256 {digest}

BSD Zero Clause License (SPDX: 0BSD)

Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL
IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,
INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF
THIS SOFTWARE.
"""

# One static executable without a C library, stack tables or a build id, in one segment beside its variables: the fewer
# mappings and pages, the sooner it runs.
FLAGS = [
    "-std=c11",
    "-Os",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-ffreestanding",
    "-fno-stack-protector",
    "-fno-pie",
    "-fno-asynchronous-unwind-tables",
    "-fomit-frame-pointer",
    "-nostdlib",
    "-static",
    "-Wl,--build-id=none",
    "-Wl,-z,noexecstack",
    "-Wl,-z,noseparate-code",
    "-Wl,-z,norelro",
    "-Wl,-s",
]


MACHINES = {62: "x86_64", 183: "aarch64"}
"""The processors of ELF(5), `e_machine`, that launcher.c knows."""


class LauncherHook(BuildHookInterface):  # type: ignore[type-arg]
    """Puts `unipam/cni/launcher` and htmx into the wheel, or into the source tree for an editable installation."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and mark the wheel as one processor's; a source distribution carries the source alone."""
        if self.target_name != "wheel":
            return
        source = Path(self.root, "src", f"{LAUNCHER}.c")
        target = source.with_suffix("") if version == "editable" else self._elsewhere() / source.stem
        try:
            compile_launcher(source, target)
            build_data["tag"] = f"py3-none-{platforms(target)}"
            htmx = copy_htmx(target.parent if version != "editable" else Path(self.root, "src", HTMX).parent)
        except BuildError as error:
            self.app.abort(str(error))
        build_data["pure_python"] = False
        if version != "editable":
            build_data["force_include"][str(target)] = LAUNCHER
            build_data["force_include"] |= {str(each): f"{HTMX}{each.suffix}" for each in htmx}

    def _elsewhere(self) -> Path:
        """Return a directory until the build ends: a checkout's own launcher is for its own processor."""
        self._directory = tempfile.TemporaryDirectory(prefix="unipam-launcher-")
        return Path(self._directory.name)


class BuildError(Exception):
    """What is put into the package could not be made."""


class CompileError(BuildError):
    """There is no such compiler, or it failed; the message has its name and its output."""


def copy_htmx(directory: Path) -> list[Path]:
    """Copy htmx into a directory, with a note of what it is; return both files. Raises BuildError.

    It comes from django-htmx, a build requirement, which carries the file as it was published.
    """
    found = importlib.util.find_spec("django_htmx")  # not imported: that would take Django
    if found is None or found.origin is None:
        raise BuildError("django-htmx is not installed: the pages' htmx is taken from it")
    script = Path(found.origin).with_name("static") / "django_htmx" / "htmx-2.min.js"
    try:
        content = script.read_bytes()
    except OSError as error:
        raise BuildError(f"{script}: {error.strerror}: unipam's pages need htmx 2") from error
    version = re.search(rb'version:"(2\.[0-9.]+)"', content)
    if version is None:
        raise BuildError(f"{script} is not htmx 2")
    note = HTMX_LICENCE.format(version=version[1].decode(), digest=hashlib.sha256(content).hexdigest())
    directory.mkdir(parents=True, exist_ok=True)
    copied, described = directory / "htmx.js", directory / "htmx.txt"
    copied.write_bytes(content)
    described.write_text(note)
    return [copied, described]


def compile_launcher(source: Path, target: Path) -> None:
    """Compile the launcher into `target`, by rename, so that a running one is not disturbed. Raises CompileError."""
    compiler = shlex.split(os.environ.get("CC", "")) or ["cc"]
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        subprocess.run([*compiler, *FLAGS, "-o", fresh, source], check=True, text=True, capture_output=True)
        fresh.replace(target)
    except FileNotFoundError as error:
        message = (
            f"no C compiler {compiler[0]!r} to build unipam's CNI launcher with: install one, or name another in CC"
        )
        raise CompileError(message) from error
    except subprocess.CalledProcessError as error:
        raise CompileError(f"{shlex.join(compiler)} could not build {source}:\n{error.stderr}") from error
    finally:
        fresh.unlink(missing_ok=True)


def platforms(launcher: Path) -> str:
    """Return the wheel's platform tags (PEP 600, PEP 656): of every Linux, since the launcher needs no C library.

    The oldest that an index takes are named, whose Python is new enough for us: its manylinux2014 and musl 1.1.
    Raises CompileError for a compiler of another system or processor.
    """
    head = launcher.read_bytes()[:20]
    machine = MACHINES.get(struct.unpack_from("<H", head, 18)[0]) if head.startswith(b"\x7fELF") else None
    if machine is None:
        raise CompileError(
            f"{os.environ.get('CC') or 'cc'} makes no code for Linux on {' or '.join(MACHINES.values())}"
        )
    return f"manylinux_2_17_{machine}.manylinux2014_{machine}.musllinux_1_1_{machine}"
