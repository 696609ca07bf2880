"""The register beside the agent of `unipam run`: a process of its own, and a sample plan for whoever wants to look."""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from unipam.cli.register_api import Api, Remote
from unipam.model.errors import Unavailable

_PATIENCE = 30.0
_SAMPLE_SPACE = "sample"


def is_installed() -> bool:
    """Return whether this unipam was installed with its server."""
    return importlib.util.find_spec("fastapi") is not None


@contextlib.contextmanager
def serving(state: Path, port: int) -> Iterator[str]:
    """Serve a register on a database in the state directory; yield its address. Ends with the block.

    The first administrator's token lies in `admin-token` there. Raises ClickException when the server does not start.
    """
    address = f"http://127.0.0.1:{port}"
    words = ["server", "--database", str(state / "register.db"), "--port", str(port)]
    words += ["--admin-token-file", str(state / "admin-token")]
    with subprocess.Popen([sys.executable, "-m", "unipam", *words]) as process:
        try:
            _wait(process, address)
            yield address
        finally:
            process.terminate()


def _wait(process: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise click.ClickException(f"the register did not start at {address} (it says why above): see --register")
        with contextlib.suppress(Unavailable):
            if Remote(address, "").send("GET", "/api/status", None, {}).status == 200:
                return
        time.sleep(0.05)
    raise click.ClickException(f"the register did not answer at {address} within {_PATIENCE:.0f} s")


def make_sample(state: Path, address: str) -> str:
    """Make a small plan to look at, unless it is there; return what was made, in words."""
    api = Api(Remote(address, (state / "admin-token").read_text(encoding="ascii").strip()))
    if any(space["name"] == _SAMPLE_SPACE for space in api.all("/spaces")):
        return f"the plan of space {_SAMPLE_SPACE} is there"
    api.ask("POST", "/spaces", {"name": _SAMPLE_SPACE, "desc": "a plan to look at"})
    blocks = f"/spaces/{_SAMPLE_SPACE}/blocks"
    for name, cidr in (("westeurope", "10.0.0.0/12"), ("northeurope", "10.16.0.0/12"), ("v6", "fd00:10::/32")):
        api.ask("POST", blocks, {"name": name, "cidr": cidr, "desc": "a region"})
    for name, size in (("westeurope", 16), ("westeurope", 22), ("northeurope", 20), ("v6", 56)):
        wish = {"blocks": [name], "size": size, "desc": "a cluster to be"}
        api.ask("POST", f"/spaces/{_SAMPLE_SPACE}/reservations", wish)
    return f"a plan of 3 blocks and 4 reservations is in space {_SAMPLE_SPACE}"
