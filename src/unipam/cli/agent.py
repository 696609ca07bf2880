"""`unipam agent`."""

from __future__ import annotations

import click

from unipam.cli.output import log_format_option
from unipam.cni.call import SOCKET


@click.command("agent")
@click.option("--socket", default=SOCKET, show_default=True, help="Where the launcher finds us.")
@click.option(
    "--data-dir",
    "data_dirs",
    multiple=True,
    default=("/var/lib/cni/networks",),
    show_default=True,
    help="A data directory whose leases to watch from the start; others are watched from their first call on.",
)
@click.option("--flush", is_flag=True, help="Flush every commit to the disk before answering (about 0.1 ms more).")
@click.option("--metrics", default="127.0.0.1:9517", show_default=True, help="HOST:PORT for Prometheus; '' for none.")
@click.option("--sweep", default=15.0, show_default=True, help="Seconds between two looks for leaked leases; 0: never.")
@click.option("--cri", default="", help="The container runtime's socket, to ask which sandboxes live.")
@click.option("--journal-days", default=90, show_default=True, help="How long the past is kept.")
@log_format_option
def command(**options: object) -> None:
    """Answer the launcher's calls on this node, warm, and free what containers left behind.

    \b
    Examples:
      unipam agent
      unipam agent --socket /run/unipam/agent.sock --cri /run/containerd/containerd.sock
      unipam agent --log-format text
    """
    from unipam.agent.run import Settings, run

    data_dirs = options.pop("data_dirs")
    run(Settings(data_dirs=tuple(data_dirs), **options))  # type: ignore[arg-type]  # click made them what they are
