"""What nobody heard of is taken back, by an agent and by a cold call alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from unipam.cni.call import Undo
from unipam.cni.context import Context

SHORT = (0.5, 2.0, 8.0)
"""Seconds after each failure: the datastore may be slow or away, which is why nobody heard. Then it stays for a DEL."""
LONG = (*SHORT, 30.0, 120.0)
"""The same for a process that is there anyway."""


def take_back(
    undo: Undo,
    context: Callable[[], Context],
    pauses: Sequence[float],
    pause: Callable[[float], object],
    say: Callable[[str, float], None],
) -> None:
    """Undo, again after each of the `pauses` where it fails.

    `say` is told why it failed, and after how many seconds it is tried again (0: never). A `pause` that says true was
    cut short, since the process is to end: then it is tried once more.
    """
    ending = False
    for seconds in (*pauses, 0.0):
        try:
            undo(context())
        except Exception as error:  # noqa: BLE001 (nobody else would hear of it)
            say(str(error), 0.0 if ending else seconds)
            if ending:
                return
            ending = bool(pause(seconds))
        else:
            return
