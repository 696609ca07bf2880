"""`unipam adopt`: take over the state of another system, or give it back."""

from __future__ import annotations

import os

import click

from unipam.agent.runtime import ask
from unipam.cli.adopt_azure import azure_vnet_ipam
from unipam.cli.ledger import command_ledgers
from unipam.cli.output import data_dir_option, format_option, show
from unipam.cli.progress import working
from unipam.cli.table import View, column, number
from unipam.dialects.host_local import directory
from unipam.ledger.adopted import identify
from unipam.ledger.open import FILE, started

_NETWORKS = View(
    "adopted-network",
    (column("network"), column("action"), *map(number, ("leases", "cursors", "empty", "odd"))),
    name="network",
)


@click.group("adopt")
def command() -> None:
    """Take over the state of another system, or give it back.

    It happens by itself at the first call for a network; this is for doing it now, seeing it before, or going back. A
    network that was given back is taken over again only by this, and by name.
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

    Adopting leaves the directories as they were, with a note inside. It comes after `unipam cni install`: what the
    original does later is not seen. Going back writes every lease and cursor into the directory, removes the network
    from the ledger, and marks it in both; from then on its calls are answered `try again later` until
    `unipam cni uninstall` has put the original back, or until it is adopted again with --network. Both steps in one:
    `unipam cni uninstall --give-back`.
    `empty` counts lease files without an owner, which host-local leaves behind when it is killed; `odd` counts files
    that are neither lease nor cursor.

    \b
    Examples:
      unipam adopt host-local --dry-run
      unipam adopt host-local --network kubenet --cri /run/containerd/containerd.sock
      unipam adopt host-local --rollback
    """
    data_dir = os.path.abspath(data_dir)
    runtime = ask(cri) if cri and not dry_run and not rollback else None
    with working(f"giving back {data_dir}" if rollback else f"adopting {data_dir}"):
        if rollback:
            rows = _roll_back(data_dir, networks, dry_run)
        else:
            rows = [_adopt(data_dir, name, dry_run, named=bool(networks)) for name in networks or _networks(data_dir)]
    if runtime:
        identify(command_ledgers().at(data_dir), runtime, started())
    show(rows, output, _NETWORKS, f"nothing to {'give back' if rollback else 'adopt'} in {data_dir}")


def _networks(data_dir: str) -> list[str]:
    if not os.path.isdir(data_dir):
        raise click.ClickException(f"there is no directory {data_dir}: name another with --data-dir")
    return sorted(name for name in os.listdir(data_dir) if directory.exists(os.path.join(data_dir, name)))


def _adopt(data_dir: str, network: str, dry_run: bool, *, named: bool) -> dict[str, object]:
    from unipam.cli.give_back import of_host_local
    from unipam.cni import originals
    from unipam.dialects.host_local.verbs import take_over
    from unipam.ledger import handover

    path = os.path.join(data_dir, network)
    if not os.path.isdir(path):
        raise click.ClickException(f"there is no host-local directory {path}")
    found = directory.scan(path, 1, started())
    action = "would adopt" if dry_run else "adopted"
    if directory.is_given_back(path) and not named:
        action = f"given back: --network {network} takes it over again"
    elif not dry_run:
        ledger = command_ledgers().at(data_dir)
        if network in handover.begun(ledger):  # somebody was killed while giving it back: it is all still there
            originals.wait("host-local")
            of_host_local(ledger, data_dir).to(network).undo()
        elif not ledger.adopt(network, lambda: take_over(ledger, path)):
            action = "kept: the ledger has this network already"
            directory.leave_note(path)  # missing when the process died just before it would have left it
    return _row(network, action, len(found.inheritance.claims), len(found.inheritance.cursors), found)


def _roll_back(data_dir: str, networks: tuple[str, ...], dry_run: bool) -> list[dict[str, object]]:
    from unipam.cli import give_back

    ledger = command_ledgers().find(data_dir)
    if ledger is None:
        raise click.ClickException(f"there is no ledger at {data_dir}/{FILE}: nothing to give back")
    way = give_back.of_host_local(ledger, data_dir, networks)
    given = give_back.preview([way]) if dry_run else give_back.give_back([way], lambda: None)[0]
    action = "would give back" if dry_run else "gave back"
    return [_row(each.space, action, len(each.held), len(each.cursors)) for each in given]


def _row(
    network: str, action: str, leases: int, cursors: int, found: directory.Found | None = None
) -> dict[str, object]:
    empty, odd = (found.empty, found.odd) if found else ((), ())
    row: dict[str, object] = {"network": network, "action": action, "leases": leases, "cursors": cursors}
    return {**row, "empty": len(empty), "odd": len(odd)}
