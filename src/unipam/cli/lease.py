"""`unipam lease`: the leases of a ledger, and their past."""

from __future__ import annotations

from collections.abc import Callable

import click

from unipam.cli import user
from unipam.cli.calico_cluster import calico_option, config_option
from unipam.cli.ledger import LEASES, PAST, lease_row, open_ledger, past_row
from unipam.cli.output import data_dir_option, format_option, list_options, order_options, show, show_changed, show_list
from unipam.cli.progress import remark
from unipam.cli.table import Row, View
from unipam.ledger import reads
from unipam.model.records import COOLING, HELD, Claim


@click.group("lease")
def command() -> None:
    """List, show and release leases, and read their history."""


@command.command("list")
@click.option("--network", help="Of this network only.")
@click.option("--pod", help="Of this pod only, with or without its namespace.")
@click.option("--namespace", help="Of this namespace's pods only.")
@click.option("--state", type=click.Choice([HELD, COOLING]), help="Of this state only.")
@calico_option
@config_option
@data_dir_option
@list_options
def list_(*, data_dir: str, output: str, calico: bool, config: str, **whose: str | None) -> None:
    """List every lease: of this node's ledger, or with --calico of a cluster.

    \b
    Examples:
      unipam lease list
      unipam lease list --namespace shop --sort-by age
      unipam lease list --pod shop/web-0 -o jsonpath='{.items[*].address}'
      unipam lease list --network kubenet --state cooling --limit 10 -o json
      unipam lease list --no-headers -o wide | sort
      unipam lease list -w
      unipam lease list --calico --network k8s-pod-network
    """
    named = {name: value or "" for name, value in whose.items()}
    rows, view = _of_cluster(config) if calico else _of_node(data_dir)
    show_list(lambda: [row for row in rows() if reads.is_of(row, **named)], output, view, "no leases")


def _of_cluster(config: str) -> tuple[Callable[[], list[Row]], View]:
    from unipam.cli import calico_lease

    return calico_lease.reader(config), calico_lease.LEASES


def _of_node(data_dir: str) -> tuple[Callable[[], list[Row]], View]:
    ledger = open_ledger(data_dir)
    return lambda: [lease_row(each) for each in reads.leases(ledger)], LEASES


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
    show([lease_row(reads.lease(network, claim)) for network, claim in found], output, LEASES)


@command.command("history")
@click.argument("what")
@click.option("--limit", default=100, show_default=True, help="At most so many entries, the newest.")
@click.option("--node", help="Only what happened while the node had this name.")
@data_dir_option
@order_options
def history(what: str, limit: int, node: str | None, data_dir: str, output: str) -> None:
    """Who had an address, or what a container or pod had, newest first.

    This node's ledger tells; Calico's datastore keeps no past.

    \b
    Examples:
      unipam lease history 10.244.2.7
      unipam lease history 10.244.2.7 --node aks-np-1 --sort-by verb
      unipam lease history 32970baf --limit 10 -o json
      unipam lease history kube-system/coredns-597bb9d4db-nkqfz
    """
    ledger = open_ledger(data_dir)

    def read() -> list[dict[str, object]]:
        return [past_row(past) for past in reads.history(ledger, what, limit) if node in (None, past.node)]

    show_list(read, output, PAST, f"nothing is recorded of {what}")


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
    show_changed(rows, output, LEASES, f"nothing of {what} is held")
    if dry_run or not held:
        return
    if not yes:
        click.confirm(f"Release {len(held)} lease(s)?", abort=True, err=True)
    for _, claim in held:
        ledger.release_claim(claim, "released by hand", f"cli {user.name()}", force=no_cooldown)
    remark(f"released {len(held)} lease(s)")


def _found(found: list[tuple[str, Claim]], what: str, data_dir: str) -> list[tuple[str, Claim]]:
    if not found:
        raise click.ClickException(
            f"nobody holds {what} in {data_dir}: `unipam lease history {what}` tells who did, `unipam lease list` who"
            " holds anything"
        )
    return found
