"""Run every measurement, or those that are named: `python -m bench host_local register`.

What a machine lacks is said before anything is measured, and everything else is measured all the same.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

TOOLS = {"__init__", "__main__", "needs", "spawn", "table"}


def main(names: list[str]) -> None:
    """Measure one after the other; a name that is none says which there are."""
    here = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in TOOLS)
    for name in names:
        if name not in here:
            sys.exit(f"no measurement is called {name}; there are: {', '.join(here)}")
    chosen = [module(name) for name in names or here]
    for line in left_out(chosen):
        print(line, flush=True)
    for each in chosen:
        each.main()


def module(name: str) -> ModuleType:
    """Import a measurement: it has `NEEDS`, and `main` to run it."""
    return importlib.import_module(f"bench.{name}")


def left_out(modules: list[ModuleType]) -> list[str]:
    """Return what will not be measured here, and for want of what."""
    return [
        f"{each.__name__.removeprefix('bench.')}: left out {need}"
        for each in modules
        for need in each.NEEDS
        if not need.met()
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
