"""`unipam adopt`: take over the state of another system, or give it back."""

from __future__ import annotations

import os

import click

from unipam.agent.runtime import ask
from unipam.cli.adopt_azure import azure_vnet_ipam
from unipam.cli.output import data_dir_option, format_option, show
from unipam.dialects.host_local import directory
from unipam.ledger.adopted import identify
from unipam.ledger.open import FILE, Ledgers, started
from unipam.ledger.reads import spaces
from unipam.model.records import Claim

_COLUMNS = ("network", "action", "leases", "cursors", "empty", "odd")


@click.group("adopt")
def command() -> None:
    """Take over the state of another system, or give it back.

    It happens by itself at the first call for a network; this is for doing it now, seeing it before, or going back.
    """


command.add_command(azure_vnet_ipam)


@command.command("host-local")
@click.option("--network", "networks", multiple=True, help="This network only; default: all of them.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@click.option("--rollback", is_flag=True, help="Write the directories back, so that the original carries on.")
@click.option("--cri", default="", help="The container runtime's socket, to ask whose the leases are.")
@data_dir_option
@format_option
def host_local(networks: tuple[str, ...], dry_run: bool, rollback: bool, cri: str, data_dir: str, output: str) -> None:
    """Take over host-local's directories (DATA-DIR/NETWORK) into the ledger beside them.

    Adopting leaves the directories as they were, with a note inside. Going back writes every lease and cursor into the
    directory and removes the network from the ledger; afterwards `unipam cni uninstall` puts the original binary back.
    `empty` counts lease files without an owner, which host-local leaves behind when it is killed; `odd` counts files
    that are neither lease nor cursor.

    \b
    Examples:
      unipam adopt host-local --dry-run
      unipam adopt host-local --network kubenet --cri /run/containerd/containerd.sock
      unipam adopt host-local --rollback
    """
    data_dir = os.path.abspath(data_dir)
    act = _roll_back if rollback else _adopt
    runtime = ask(cri) if cri and not dry_run and not rollback else None
    rows = [act(data_dir, name, dry_run) for name in networks or _networks(data_dir, rollback)]
    if runtime:
        identify(Ledgers().at(data_dir), runtime, started())
    show(rows, output, _COLUMNS, f"nothing to {'give back' if rollback else 'adopt'} in {data_dir}")


def _networks(data_dir: str, rollback: bool) -> list[str]:
    if rollback:
        ledger = Ledgers().find(data_dir)
        return sorted(spaces(ledger).values()) if ledger else []
    if not os.path.isdir(data_dir):
        raise click.ClickException(f"there is no directory {data_dir}: name another with --data-dir")
    return sorted(name for name in os.listdir(data_dir) if directory.exists(os.path.join(data_dir, name)))


def _adopt(data_dir: str, network: str, dry_run: bool) -> dict[str, object]:
    path = os.path.join(data_dir, network)
    if not os.path.isdir(path):
        raise click.ClickException(f"there is no host-local directory {path}")
    found = directory.scan(path, 1, started())
    action = "would adopt" if dry_run else "adopted"
    if not dry_run:
        ledger = Ledgers().at(data_dir)
        if not ledger.adopt(network, lambda: directory.inherit(path, ledger.boot, started())):
            action = "kept: the ledger has this network already"
            directory.leave_note(path)  # missing when the process died just before it would have left it
    return _row(network, action, len(found.inheritance.claims), len(found.inheritance.cursors), found)


def _roll_back(data_dir: str, network: str, dry_run: bool) -> dict[str, object]:
    path = os.path.join(data_dir, network)
    ledger = Ledgers().find(data_dir)
    if ledger is None:
        raise click.ClickException(f"there is no ledger at {data_dir}/{FILE}: nothing to give back")
    counted: list[tuple[int, int]] = []

    def write(claims: list[Claim], cursors: dict[int, int]) -> None:
        counted.append((len(claims), len(cursors)))
        if dry_run:
            raise _DryRunError
        directory.write(path, claims, cursors)

    try:
        ledger.give_back(network, write)
    except _DryRunError:
        return _row(network, "would give back", *counted[0])
    return _row(network, "gave back", *counted[0])


class _DryRunError(Exception):
    """Leaves the transaction without a trace."""


def _row(
    network: str, action: str, leases: int, cursors: int, found: directory.Found | None = None
) -> dict[str, object]:
    empty, odd = (found.empty, found.odd) if found else ((), ())
    row: dict[str, object] = {"network": network, "action": action, "leases": leases, "cursors": cursors}
    return {**row, "empty": len(empty), "odd": len(odd)}
