"""`unipam adopt azure-vnet-ipam`: its state file into the ledger, and back."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from unipam.cli.ledger import command_ledgers
from unipam.cli.output import format_option, show
from unipam.cli.table import View, column, number
from unipam.cni import originals
from unipam.dialects.azure_vnet import state
from unipam.dialects.azure_vnet.config import NAMES, data_dir
from unipam.ledger.change import Inheritance
from unipam.ledger.learned import LearnedPool, snapshot
from unipam.ledger.open import FILE, started
from unipam.model.errors import Missing, StoreBroken

_POOLS = View(
    "adopted-pool",
    (column("pool"), column("interface"), column("action"), number("addresses"), number("leases")),
    name="pool",
)


@click.command("azure-vnet-ipam")
@click.option("--state-file", default="", help="The original's state file.  [default: /var/run/PLUGIN.json]")
@click.option("--data-dir", "directory", default="", help="The ledger's directory.  [default: /var/lib/unipam/PLUGIN]")
@click.option(
    "--plugin", type=click.Choice(NAMES), default=NAMES[0], show_default=True, help="Under which name it runs."
)
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@click.option("--rollback", is_flag=True, help="Write the state file back, so that the original carries on.")
@format_option
def azure_vnet_ipam(state_file: str, directory: str, plugin: str, dry_run: bool, rollback: bool, output: str) -> None:
    """Take over azure-vnet-ipam's state file: its pools, and which container has which address.

    Adopting leaves the file as it was. Going back writes it anew, as the original writes it, removes the leases from
    the ledger, and marks that there; from then on calls are answered `try again later` until `unipam cni uninstall`
    has put the original back, or until this command adopts the file again. Both steps in one:
    `unipam cni uninstall --give-back`.

    \b
    Examples:
      unipam adopt azure-vnet-ipam --dry-run
      unipam adopt azure-vnet-ipam --state-file /var/run/azure-vnet-ipam.json
      unipam adopt azure-vnet-ipam --rollback
    """
    path = os.path.abspath(state_file or f"/var/run/{plugin}.json")
    place = os.path.abspath(directory or data_dir(plugin))
    rows = (_roll_back if rollback else _adopt)(path, place, plugin, dry_run)
    show(rows, output, _POOLS, f"{path} has no pools: nothing to adopt")


def _adopt(path: str, place: str, plugin: str, dry_run: bool) -> list[dict[str, object]]:
    from unipam.cli.give_back import of_azure_vnet
    from unipam.ledger import handover

    try:
        found = state.read(path)
    except OSError as error:
        raise click.ClickException(f"cannot read {path}: {error.strerror}: name another with --state-file") from None
    except StoreBroken as error:
        raise click.ClickException(f"{error.message} {error.facts['details']}") from None
    action = "would adopt" if dry_run else "adopted"
    if not dry_run:
        ledger = command_ledgers().at(place)

        def take_over() -> Inheritance:
            originals.wait(plugin)
            return state.inherit(path, ledger.boot, started())

        if plugin in handover.begun(ledger):  # somebody was killed while giving them back: they are all still there
            originals.wait(plugin)
            of_azure_vnet(ledger, plugin, place, path).to(plugin).undo()
        elif not ledger.adopt(plugin, take_over):
            action = "kept: the ledger has its pools already"
    return _rows(found.pools, dict(found.holders), action)


def _roll_back(path: str, place: str, plugin: str, dry_run: bool) -> list[dict[str, object]]:
    from unipam.cli import give_back
    from unipam.ledger import handover

    ledger = command_ledgers().find(place)
    if ledger is None:
        raise click.ClickException(f"there is no ledger at {place}/{FILE}: nothing to give back")
    way = give_back.of_azure_vnet(ledger, plugin, place, path)
    if plugin not in handover.spaces(ledger):
        raise Missing(f"there is no network named {plugin} in this ledger, or it was given back already")
    pools = snapshot(ledger, plugin)[0].pools
    given = give_back.preview([way]) if dry_run else give_back.give_back([way], lambda: None)[0]
    holders = {claim.first: claim.owner.holder for claim in given[0].held}
    return _rows(pools, holders, "would give back" if dry_run else "gave back")


def _rows(pools: Sequence[LearnedPool], holders: dict[int, str], action: str) -> list[dict[str, object]]:
    return [
        {
            "pool": pool.name,
            "interface": pool.interface,
            "action": action,
            "addresses": pool.capacity,
            "leases": sum(pool.network.first <= a <= pool.network.last for a in holders),
        }
        for pool in pools
    ]
