"""`unipam calico migrate`: a node's host-local leases become Calico's, while its pods run."""

from __future__ import annotations

import click

from unipam.cli.calico_cluster import config_option, session_of
from unipam.cli.output import data_dir_option, format_option, is_table, show, show_document
from unipam.cli.table import View, column

STEPS = View("calico-move", (column("address"), column("action"), column("handle"), column("why")), "address")


@click.command("migrate")
@click.argument("network")
@click.option("--node", default="", help="What this machine is called in Kubernetes; default: its own name.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--rollback", is_flag=True, help="Undo it: release the addresses, put host-local's directory back.")
@click.option("--force", is_flag=True, help="Leave out leases that cannot be moved.")
@data_dir_option
@config_option
@format_option
def command(network: str, data_dir: str, config: str, output: str, node: str, **flags: bool) -> None:
    """Move what host-local handed out on this node for NETWORK into Calico's pools; no pod is restarted.

    Every address of a pod of this node is assigned to its container in Calico's datastore, and so is that of the node's
    tunnel; the ranges of all nodes are claimed, so that nobody is given an address that another node's host-local has
    out. Meanwhile the datastore is locked. Then host-local's directory is put aside, and the CNI configuration can
    name calico-ipam. Addresses without a pod are dropped. NETWORK is the configuration's name, of which the handles are
    made.

    \b
    Examples:
      unipam calico migrate k8s-pod-network --node aks-nodepool1-0 --dry-run
      unipam calico migrate k8s-pod-network --node aks-nodepool1-0
      unipam calico migrate k8s-pod-network --rollback
    """
    from unipam.dialects import upgrading
    from unipam.dialects.calico.config import hostname

    session, place = session_of(config), upgrading.Place(data_dir, network)
    if flags["rollback"]:
        _tell_undone(upgrading.undo(session, place, dry_run=flags["dry_run"]), output, dry_run=flags["dry_run"])
        return
    node = node or hostname()
    if flags["dry_run"]:
        plan = upgrading.preview(session, node, place)
    else:
        plan = upgrading.move(session, node, place, force=flags["force"])
    rows = [step.row() for step in plan.steps]
    show(rows, output, STEPS, "host-local has nothing out: nothing to move")
    if is_table(output):
        for other, prefix in plan.claims:
            click.echo(f"{'would claim' if flags['dry_run'] else 'claimed'} {prefix} for {other}", err=True)


def _tell_undone(done: object, output: str, *, dry_run: bool) -> None:
    found = done._asdict()  # type: ignore[attr-defined]
    if not is_table(output):
        show_document(found | {"dry_run": dry_run}, output, "calico-moved-back")
        return
    click.echo(f"{'would release' if dry_run else 'released'} {len(found['released'])} addresses")
    for text in found["gone"]:
        click.echo(f"{text}: its container is gone, and so is its lease")
    for text in found["strangers"]:
        click.echo(f"{text} has its address from Calico since: delete the pod, so that it is made anew", err=True)
