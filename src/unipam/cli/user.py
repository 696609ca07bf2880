"""Who types the commands."""

from __future__ import annotations

import os


def name() -> str:
    """Return the name of who runs this process, or the user id where nothing has its name, as in an image of ours."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
