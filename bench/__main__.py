"""Run every measurement, or those that are named: `python -m bench host_local register`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

_TOOLS = {"__init__", "__main__", "spawn", "table"}


def main(names: list[str]) -> None:
    """Measure one after the other; a name that is none says which there are."""
    here = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in _TOOLS)
    for name in names or here:
        if name not in here:
            sys.exit(f"no measurement is called {name}; there are: {', '.join(here)}")
        importlib.import_module(f"bench.{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
