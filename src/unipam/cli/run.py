"""`unipam run`: an agent and a register on stores of the user's own, proven with one real ADD, CHECK and DEL."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click

from unipam.cli import run_register
from unipam.cli.output import log_format_option
from unipam.cni import install

_PORT = 8080


@click.command("run")
@click.option("--state-dir", default="", help="Where everything goes; default: unipam in the user's state directory.")
@click.option("--metrics", default="127.0.0.1:9517", show_default=True, help="HOST:PORT for Prometheus; '' for none.")
@click.option("--register", "port", type=click.IntRange(0, 65535),
              help="The register's port; 0 for no register. [default: 8080, or the next one that is free]")  # fmt: skip
@click.option("--sample", is_flag=True, help="Put a made-up plan with a cloud into an empty register, to look at.")
@log_format_option
def command(state_dir: str, metrics: str, port: int | None, sample: bool, log_format: str) -> None:
    """Start a node agent and the register on stores of your own, prove them with one real ADD, CHECK and DEL, and stay.

    Nothing outside the state directory is touched. Stop it with Ctrl-C.

    \b
    Examples:
      unipam run --state-dir ./state
      unipam run --sample --register 8090
    """
    from unipam.agent.run import Settings, run

    state = Path(state_dir or _default_state()).absolute()
    bin_dir, data_dir, socket = state / "bin", state / "networks", state / "agent.sock"
    for directory in (bin_dir, data_dir):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(state), _register(state, data_dir, _port(port), sample=sample, log_format=log_format) as pages:
        install.install(bin_dir, socket, ("host-local",))
        settings = Settings(str(socket), (str(data_dir),), metrics=metrics, log_format=log_format)
        run(settings, lambda: _prove(bin_dir, data_dir, lambda: [*pages(), *_metrics(metrics)]))


@contextlib.contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Keep the state directory to this process. Raises ClickException when another one has it."""
    with (state / "run.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise click.ClickException(
                f"process {file.read().strip() or 'unknown'} runs on {state}: end it, or choose another --state-dir"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _port(wanted: int | None) -> int:
    """Return the register's port: the one asked for, or the usual one, or one beside it that is free."""
    if wanted is not None:
        return wanted
    found = run_register.free_port(_PORT)
    if found != _PORT:
        click.echo(f"port {_PORT} is taken by another process, so the register listens at {found}")
    return found


@contextlib.contextmanager
def _register(
    state: Path, data_dir: Path, port: int, *, sample: bool, log_format: str
) -> Iterator[Callable[[], list[str]]]:
    """Run the register, where one is wanted; yield what names its pages, once that is wanted."""
    if not port:
        yield list
        return
    if not run_register.is_installed():
        yield lambda: ["no register: it comes with pip install 'unipam[server]'"]
        return
    with run_register.serving(state, port, log_format, ledger=str(data_dir), sample=sample) as address:

        def pages() -> list[str]:
            link = run_register.sign_in_link(state, address)
            return [
                f"{link} (signs you in: once, and within a minute)",
                f"{address} (afterwards; the token to sign in with is in {state}/admin-token)",
                f"{address}/api/docs (the APIs)",
            ]

        yield pages


def _metrics(address: str) -> list[str]:
    return [f"metrics at http://{address}/metrics"] if address else []


def _default_state() -> str:
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(base, "unipam")


def _prove(bin_dir: Path, data_dir: Path, pages: Callable[[], list[str]]) -> None:
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
    program = Path(sys.executable).with_name("unipam")
    state = bin_dir.parent
    click.echo("unipam is ready. Pages:")
    for page in pages():
        click.echo(f"  {page}")
    click.echo("Next, in another terminal:")
    for words in (
        f"lease history unipam-run --data-dir {data_dir}",
        f"status --socket {state}/agent.sock --data-dir {data_dir}",
        f"space list --database {state}/register.db",
    ):
        click.echo(f"  {program} {words}")


def _call(bin_dir: Path, verb: str, config: Mapping[str, object]) -> bytes:
    """Make one real call of the installed plugin. Raises ClickException when it is refused."""
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
