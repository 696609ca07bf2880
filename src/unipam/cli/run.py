"""`unipam run`: an agent on a ledger of the user's own, proven with one real ADD, CHECK and DEL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from unipam.cni import install


@click.command("run")
@click.option("--state-dir", default="", help="Where everything goes; default: unipam in the user's state directory.")
@click.option("--metrics", default="127.0.0.1:9517", show_default=True, help="HOST:PORT for Prometheus; '' for none.")
def command(state_dir: str, metrics: str) -> None:
    """Start a node agent on a ledger of your own, prove that it works with one real ADD, CHECK and DEL, and stay.

    Nothing outside the state directory is touched. Stop it with Ctrl-C.

    \b
    Example:
      unipam run --state-dir ./state
    """
    from unipam.agent.run import Settings, run

    state = Path(state_dir or _default_state()).absolute()
    bin_dir, data_dir, socket = state / "bin", state / "networks", state / "agent.sock"
    for directory in (bin_dir, data_dir):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    install.install(bin_dir, socket, ("host-local",))
    run(Settings(str(socket), (str(data_dir),), metrics=metrics), lambda: _prove(bin_dir, data_dir, metrics))


def _default_state() -> str:
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(base, "unipam")


def _prove(bin_dir: Path, data_dir: Path, metrics: str) -> None:
    config = {
        "cniVersion": "1.0.0",
        "name": "unipam-run",
        "type": "bridge",
        "ipam": {"type": "host-local", "dataDir": str(data_dir), "ranges": [[{"subnet": "10.77.0.0/24"}]]},
    }
    result = json.loads(_call(bin_dir, "ADD", config))
    _call(bin_dir, "CHECK", {**config, "prevResult": result})
    _call(bin_dir, "DEL", {**config, "prevResult": result})
    click.echo(f"ADD gave {result['ips'][0]['address']}, CHECK found it, DEL released it, through {bin_dir}/host-local")
    pages = f"metrics at http://{metrics}/metrics; " if metrics else ""
    click.echo(
        f"unipam is ready. {pages}next, in another terminal:\n"
        f"  {sys.argv[0]} lease history unipam-run --data-dir {data_dir}\n"
        f"  {sys.argv[0]} status --socket {bin_dir.parent}/agent.sock --data-dir {data_dir}\n"
        f"  on a node: unipam agent, then unipam cni install --bin-dir /opt/cni/bin (README)"
    )


def _call(bin_dir: Path, verb: str, config: Mapping[str, object]) -> bytes:
    """One real call of the installed plugin. Raises ClickException when it is refused."""
    env = {"CNI_COMMAND": verb, "CNI_CONTAINERID": "unipam-run", "CNI_NETNS": "/unipam-run", "CNI_IFNAME": "eth0"}
    done = subprocess.run(
        [str(bin_dir / "host-local")],
        env={**env, "CNI_PATH": str(bin_dir)},
        input=json.dumps(config).encode(),
        capture_output=True,
        timeout=20,
        check=False,
    )
    if done.returncode:
        raise click.ClickException(f"the proof failed: {verb} answered {done.stdout.decode(errors='replace')}")
    return done.stdout
