"""The build hook: compiles the native CNI launcher into the package; everything else about building is hatchling's.

The launcher needs a C compiler and nothing more, neither headers nor a C library: ``$CC``, or ``cc``.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LAUNCHER = Path("src/unipam/cni/launcher")

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


class LauncherHook(BuildHookInterface):  # type: ignore[type-arg]
    """Puts ``unipam/cni/launcher`` into the wheel, or beside its source for an editable installation."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 (hatchling's signature)
        """Compile, and mark the wheel as one platform's; a source distribution carries the source alone."""
        if self.target_name != "wheel":
            return
        try:
            compile_launcher(Path(self.root))
        except CompileError as error:
            self.app.abort(str(error))
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
        build_data["artifacts"].append(str(LAUNCHER))


class CompileError(Exception):
    """There is no such compiler, or it failed; the message has its name and its output."""


def compile_launcher(root: Path) -> None:
    """Compile the launcher below `root`, by rename, so that a running one is not disturbed."""
    compiler = shlex.split(os.environ.get("CC", "")) or ["cc"]
    target = root / LAUNCHER
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        subprocess.run(
            [*compiler, *FLAGS, "-o", fresh, target.with_suffix(".c")], check=True, text=True, capture_output=True
        )
        fresh.replace(target)
    except FileNotFoundError as error:
        message = (
            f"no C compiler {compiler[0]!r} to build unipam's CNI launcher with: install one, or name another in CC"
        )
        raise CompileError(message) from error
    except subprocess.CalledProcessError as error:
        raise CompileError(f"{shlex.join(compiler)} could not build {target}.c:\n{error.stderr}") from error
    finally:
        fresh.unlink(missing_ok=True)
