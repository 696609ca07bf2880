"""`python -m unipam`: the command line."""

from __future__ import annotations

from unipam.cli.main import main

if __name__ == "__main__":
    main()
