"""`unipam lease`: the leases of a ledger, and their past."""

from __future__ import annotations

import click

from unipam.cli import user
from unipam.cli.calico_cluster import calico_option, config_option
from unipam.cli.ledger import LEASE_COLUMNS, PAST_COLUMNS, lease_row, open_ledger, past_row
from unipam.cli.output import data_dir_option, format_option, show
from unipam.ledger import reads
from unipam.model.records import HELD, Claim


@click.group("lease")
def command() -> None:
    """List, show and release leases, and read their history."""


@command.command("list")
@click.option("--network", default="", help="Of this network only.")
@calico_option
@config_option
@data_dir_option
@format_option
def list_(network: str, data_dir: str, output: str, calico: bool, config: str) -> None:
    """List every lease: of this node's ledger, or with --calico of a cluster.

    \b
    Examples:
      unipam lease list
      unipam lease list --network kubenet -o json
      unipam lease list --calico --network k8s-pod-network
    """
    if calico:
        from unipam.cli.calico_lease import show_leases

        show_leases(config, network, output)
        return
    rows = [lease_row(lease) for lease in reads.leases(open_ledger(data_dir), network)]
    show(rows, output, LEASE_COLUMNS, "no leases")


@command.command("show")
@click.argument("what")
@data_dir_option
@format_option
def show_(what: str, data_dir: str, output: str) -> None:
    """Show the leases of an address, a container (the beginning of its id) or a pod.

    \b
    Examples:
      unipam lease show 10.244.2.7
      unipam lease show 32970baf
      unipam lease show kube-system/coredns-597bb9d4db-nkqfz
    """
    found = _found(reads.find(open_ledger(data_dir), what), what, data_dir)
    show([lease_row(reads.lease(network, claim)) for network, claim in found], output, LEASE_COLUMNS)


@command.command("history")
@click.argument("what")
@click.option("--limit", default=100, show_default=True, help="At most so many entries, the newest.")
@data_dir_option
@format_option
def history(what: str, limit: int, data_dir: str, output: str) -> None:
    """Who had an address, or what a container or pod had, newest first.

    This node's ledger tells; Calico's datastore keeps no past.

    \b
    Examples:
      unipam lease history 10.244.2.7
      unipam lease history 32970baf --limit 10 -o json
      unipam lease history kube-system/coredns-597bb9d4db-nkqfz
    """
    rows = [past_row(past) for past in reads.history(open_ledger(data_dir), what, limit)]
    show(rows, output, PAST_COLUMNS, f"nothing is recorded of {what}")


@command.command("release")
@click.argument("what")
@click.option("--dry-run", is_flag=True, help="Only show what would be released.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--no-cooldown", is_flag=True, help="Let the address be handed out again at once.")
@data_dir_option
@format_option
def release(what: str, dry_run: bool, yes: bool, no_cooldown: bool, data_dir: str, output: str) -> None:
    """Release the leases of an address, a container or a pod by hand; the journal keeps who did it.

    Releasing the lease of a container that still runs makes a duplicate address possible.

    \b
    Examples:
      unipam lease release 10.244.2.7 --dry-run
      unipam lease release 32970baf --yes
    """
    ledger = open_ledger(data_dir)
    held = [(n, c) for n, c in _found(reads.find(ledger, what), what, data_dir) if c.state == HELD]
    rows = [lease_row(reads.lease(network, claim)) for network, claim in held]
    show(rows, output, LEASE_COLUMNS, f"nothing of {what} is held")
    if dry_run or not held:
        return
    if not yes:
        click.confirm(f"Release {len(held)} lease(s)?", abort=True, err=True)
    for _, claim in held:
        ledger.release_claim(claim, "released by hand", f"cli {user.name()}", force=no_cooldown)
    click.echo(f"released {len(held)} lease(s)", err=True)


def _found(found: list[tuple[str, Claim]], what: str, data_dir: str) -> list[tuple[str, Claim]]:
    if not found:
        raise click.ClickException(
            f"nobody holds {what} in {data_dir}: `unipam lease history {what}` tells who did, `unipam lease list` who"
            " holds anything"
        )
    return found
