"""The register beside the agent of `unipam run`: a process of its own."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from unipam.cli.register_api import Api, Remote
from unipam.clients import systemd

_PATIENCE = 30.0


def is_installed() -> bool:
    """Return whether this unipam was installed with its server."""
    return importlib.util.find_spec("fastapi") is not None


@contextlib.contextmanager
def serving(
    state: Path, port: int, log_format: str = "auto", *, ledger: str = "", sample: bool = False
) -> Iterator[str]:
    """Serve a register on a database in the state directory; yield its address. Ends with the block.

    Its pages show the leases of the ledger in the data directory `ledger`. With `sample` an empty database gets a plan
    to look at.
    The first administrator's token lies in `admin-token` there. Raises ClickException when the server does not start.
    """
    address = f"http://127.0.0.1:{port}"
    words = ["server", "--database", str(state / "register.db"), "--port", str(port)]
    words += ["--admin-token-file", str(state / "admin-token"), *(["--sample"] if sample else [])]
    words += ["--log-format", log_format, *(["--ledger", ledger] if ledger else [])]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind("")  # an address of the kernel's choice, that no other process has
        environment = {**os.environ, "NOTIFY_SOCKET": "@" + ready.getsockname()[1:].decode()}
        with subprocess.Popen([sys.executable, "-m", "unipam", *words], env=environment) as process:
            try:
                _wait(process, ready, address)
                yield address
            finally:
                process.terminate()


def _wait(process: subprocess.Popen[bytes], ready: socket.socket, address: str) -> None:
    """Wait for this process to say that it serves, whoever else may listen at the address."""
    deadline = time.monotonic() + _PATIENCE
    ready.settimeout(0.05)
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise click.ClickException(f"the register did not start at {address} (it says why above): see --register")
        with contextlib.suppress(TimeoutError):
            if systemd.READY in ready.recv(4096):
                return
    raise click.ClickException(f"the register did not answer at {address} within {_PATIENCE:.0f} s")


def free_port(wanted: int) -> int:
    """Return the first port from `wanted` on that nobody listens at; `wanted` when all of the next twenty are taken."""
    return next((port for port in range(wanted, wanted + 20) if _is_free(port)), wanted)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True


def sign_in_link(state: Path, address: str) -> str:
    """Return the address that shows the pages to whoever opens it first, within a minute from now."""
    api = Api(Remote(address, (state / "admin-token").read_text(encoding="ascii").strip()))
    return address + str(api.ask("POST", "/me/sign-in-link")["path"])
