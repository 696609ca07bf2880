"""`unipam adopt azure-vnet-ipam`: its state file into the ledger, and back."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import click

from unipam.cli.output import format_option, show
from unipam.dialects.azure_vnet import site, state
from unipam.dialects.azure_vnet.config import NAMES, data_dir
from unipam.ledger.learned import LearnedPool, snapshot
from unipam.ledger.open import FILE, Ledgers, started
from unipam.model.errors import StoreBroken
from unipam.model.records import Claim

_COLUMNS = ("pool", "interface", "action", "addresses", "leases")


class _DryRunError(Exception):
    """Leaves the transaction without a trace."""


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

    Adopting leaves the file as it was. Going back writes it anew, as the original writes it, and removes the leases
    from the ledger; afterwards `unipam cni uninstall` puts the original binary back.

    \b
    Examples:
      unipam adopt azure-vnet-ipam --dry-run
      unipam adopt azure-vnet-ipam --state-file /var/run/azure-vnet-ipam.json
      unipam adopt azure-vnet-ipam --rollback
    """
    path = os.path.abspath(state_file or f"/var/run/{plugin}.json")
    place = os.path.abspath(directory or data_dir(plugin))
    rows = (_roll_back if rollback else _adopt)(path, place, plugin, dry_run)
    show(rows, output, _COLUMNS, f"{path} has no pools: nothing to adopt")


def _adopt(path: str, place: str, plugin: str, dry_run: bool) -> list[dict[str, object]]:
    try:
        found = state.read(path)
    except OSError as error:
        raise click.ClickException(f"cannot read {path}: {error.strerror}: name another with --state-file") from None
    except StoreBroken as error:
        raise click.ClickException(f"{error.message} {error.facts['details']}") from None
    action = "would adopt" if dry_run else "adopted"
    if not dry_run:
        ledger = Ledgers().at(place)
        if not ledger.adopt(plugin, lambda: state.inherit(path, ledger.boot, started())):
            action = "kept: the ledger has its pools already"
    return _rows(found.pools, dict(found.holders), action)


def _roll_back(path: str, place: str, plugin: str, dry_run: bool) -> list[dict[str, object]]:
    ledger = Ledgers().find(place)
    if ledger is None:
        raise click.ClickException(f"there is no ledger at {place}/{FILE}: nothing to give back")
    pools = snapshot(ledger, plugin)[0].pools
    holders: dict[int, str] = {}

    def write(claims: list[Claim], _: dict[int, int]) -> None:
        holders.update((claim.first, claim.owner.holder) for claim in claims)
        if dry_run:
            raise _DryRunError
        text = state.render(pools, holders, site.version(), state.stamp(time.time_ns()))
        state.hand_over(path, text, f"{place}/state.lock")

    try:
        ledger.give_back(plugin, write)
    except _DryRunError:
        return _rows(pools, holders, "would give back")
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror}; nothing was given back") from None
    return _rows(pools, holders, "gave back")


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
