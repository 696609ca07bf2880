"""The command tree. Each command lives in a module of its own, imported when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, cast

import click

COMMANDS = {
    "adopt": ("unipam.cli.adopt", "take over the state of another system, or give it back"),
    "agent": ("unipam.cli.agent", "answer the launcher's calls on this node"),
    "block": ("unipam.cli.block", "the prefixes of a plan, to be shared out"),
    "calico": ("unipam.cli.calico", "look at a cluster of Calico's, and put it right"),
    "cluster": ("unipam.cli.cluster", "what nodes have of Cilium's Azure IPAM or kubenet, and what is wrong"),
    "cni": ("unipam.cli.cni", "install the launcher as a CNI plugin, or take it out"),
    "completion": ("unipam.cli.completion", "complete commands and names in bash, zsh or fish"),
    "context": ("unipam.cli.context", "registers by name"),
    "controller": ("unipam.cli.controller", "keep a cluster's addresses in order: Calico's, Cilium's, kubenet's"),
    "diagnose": ("unipam.cli.diagnose", "read logs and state files and say what is wrong"),
    "explain": ("unipam.cli.explain", "say why: who holds an address, what fills a pool"),
    "external": ("unipam.cli.external", "networks that no cloud tells of, their subnets and endpoints"),
    "lease": ("unipam.cli.lease", "list, show and release leases, and their history"),
    "login": ("unipam.cli.login", "sign in to a register with Entra ID"),
    "network": ("unipam.cli.network", "networks of the cloud as parts of a plan"),
    "plan": ("unipam.cli.plan", "a plan's tree, past, holders and findings"),
    "pool": ("unipam.cli.pool", "how full the pools are, and what comes next"),
    "register": ("unipam.cli.register", "move plans, keep copies, let people in"),
    "reservation": ("unipam.cli.reservation", "prefixes kept for networks to come"),
    "run": ("unipam.cli.run", "start agent and register on stores of your own, and prove that they work"),
    "schema": ("unipam.cli.schema", "what the JSON documents of the commands look like"),
    "server": ("unipam.cli.server", "serve an address plan"),
    "sizing": ("unipam.cli.sizing", "plan the subnets of an AKS cluster"),
    "space": ("unipam.cli.space", "the routing domains of a plan"),
    "status": ("unipam.cli.status", "one look at the node: agent, ledgers, leaks"),
}
"""Module and summary of every command; the summary stands here so that `unipam --help` imports none of them."""


COMPLETE = "_UNIPAM_COMPLETE"
"""The variable in which a shell says that it wants a line completed (click)."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, _: click.Context) -> list[str]:
        """Return the names, in order."""
        return sorted(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        """Import and return a command."""
        if name not in COMMANDS:
            return None
        return cast("click.Command", importlib.import_module(COMMANDS[name][0]).command)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Return the commands that begin so, without importing them; options as click finds them."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        from click.shell_completion import CompletionItem

        return [
            CompletionItem(n, help=summary) for n, (_, summary) in sorted(COMMANDS.items()) if n.startswith(incomplete)
        ]

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """List the summaries without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in sorted(COMMANDS.items())])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="unipam")
@click.option("-q", "--quiet", is_flag=True, help="Print answers and errors only, no remarks and no progress.")
@click.option("-v", "--verbose", is_flag=True, help="Say on standard error what is asked, and how long it takes.")
def unipam(*, quiet: bool, verbose: bool) -> None:
    """One register for every address, from the enterprise plan down to the pod.

    \b
    Examples:
      unipam status
      unipam --quiet register import plan.json
      unipam --verbose space list

    \b
    Exit codes: 0 done; 1 it failed, and says why; 2 the command line makes no sense; 3 nothing could be compared.
    Shell completion: eval "$(unipam completion bash)" (or zsh, fish)
    """


def main(argv: list[str] | None = None) -> Any:
    """Run the command line. Our own errors, and an extra that was not installed, are one line, never a traceback."""
    from unipam.model.errors import UnipamError

    if COMPLETE in os.environ:
        from unipam.cli import names

        names.install()
    try:
        return unipam.main(argv, prog_name="unipam")
    except UnipamError as error:
        complaint = error.message
    except ModuleNotFoundError as error:
        from unipam.cli.extras import way_out

        complaint = way_out(error)
        if not complaint:
            raise
    print(f"Error: {complaint}", file=sys.stderr)
    return sys.exit(1)
