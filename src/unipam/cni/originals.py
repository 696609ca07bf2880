"""Former plugins that still run although the launcher stands in their place: they began before it came.

Such a process hands out an address a moment after its records were taken over, and nobody would know of that lease. So
whoever takes records over waits until none runs; none begins any more.
"""

from __future__ import annotations

import os
import time

from unipam.model.errors import StoreBusy

KEPT = ".before-unipam"
"""What the former plugin's name ends with while ours stands in its place."""

_TIMEOUT = 3.0
_PAUSE = 0.02


def wait(plugin: str) -> None:
    """Wait until no former `plugin` runs, for a moment: a process shows its program only shortly after it began.

    Raises StoreBusy with the process when one runs on for three seconds. Processes that may not be looked at do not
    count: an agent needs to be root in the host's process namespace to see them.
    """
    deadline = time.monotonic() + _TIMEOUT
    quiet = 0
    while quiet < 2:
        found = running(plugin)
        if found and time.monotonic() > deadline:
            raise StoreBusy(f"the former {plugin} still runs (process {found[0]}): try again", process=found[0])
        quiet = 0 if found else quiet + 1
        if quiet < 2:
            time.sleep(_PAUSE)


def running(plugin: str) -> list[int]:
    """Return the processes whose program has been replaced under the plugin's name, or was kept beside it."""
    names = {f"{plugin} (deleted)", plugin + KEPT}  # as the kernel shows them
    return [int(pid) for pid in os.listdir("/proc") if pid.isdecimal() and _is_former(f"/proc/{pid}/exe", names)]


def _is_former(exe: str, names: set[str]) -> bool:
    try:
        return os.path.basename(os.readlink(exe)) in names and not _is_launcher(exe)
    except OSError:  # it has ended, or is not ours to look at
        return False


def _is_launcher(exe: str) -> bool:
    """Return whether the former program was a launcher itself. Raises OSError."""
    from unipam.cni import launcher  # slow to import, and seldom needed

    return launcher.runs(exe)
