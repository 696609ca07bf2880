"""`calico-ipam` with arguments, as an init container starts it: `-v` and `-upgrade` (spec §1.13, §1.14)."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

from unipam.dialects import upgrading
from unipam.dialects.calico import connection, printing
from unipam.dialects.calico.engine.session import Session
from unipam.dialects.calico.where import KUBERNETES, from_environment, made
from unipam.model.errors import UnipamError

_ATTEMPT = 600.0
"""Seconds that one attempt to upgrade has."""
_USAGE = "Usage of calico-ipam:\n  -upgrade\n    \tUpgrade from host-local\n  -v\tDisplay version\n"


def main(words: Sequence[str]) -> int:
    """Do what the arguments ask for; the exit code. Flags are Go's: one dash or two, and `=true` or `=false`."""
    flags: dict[str, bool] = {}
    for word in words:
        if not word.startswith("-") or word in {"-", "--"}:
            break
        name, _, value = word.lstrip("-").partition("=")
        if name not in {"v", "upgrade"}:
            known = name in {"h", "help"}
            sys.stderr.write(("" if known else f"flag provided but not defined: -{name}\n") + _USAGE)
            return 0 if known else 2
        flags[name] = value not in {"0", "f", "F", "false", "FALSE", "False"}
    if flags.get("v"):
        from importlib.metadata import version

        sys.stdout.write(f"unipam {version('unipam')}\n")
        return 0
    return _upgrade() if flags.get("upgrade") else _nothing()


def _nothing() -> int:
    sys.stderr.write(_USAGE)
    return 2


def _upgrade() -> int:
    """Move this node's leases from host-local, trying every second until it is done. The datastore is Kubernetes."""
    _tell("migrating from host-local to calico-ipam...")
    node = os.environ.get("KUBERNETES_NODE_NAME", "")
    if not node:
        _tell("KUBERNETES_NODE_NAME not specified, refusing to migrate...")
        return 1
    try:
        where = made({**from_environment(os.environ), "DATASTORE_TYPE": KUBERNETES})
        datastore = connection.datastore(where)
    except UnipamError as error:
        _tell(f"failed to initialize api client: {error.message}")
        return 1
    while True:
        session = Session(datastore, time.monotonic() + _ATTEMPT, unknown=printing.unknown_node(KUBERNETES))
        if upgrading.attempt(session, node, _tell, time.sleep):
            _tell("migration from host-local to calico-ipam complete")
            return 0
        time.sleep(1)


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
