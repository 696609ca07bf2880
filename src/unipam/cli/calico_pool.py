"""`unipam calico pool` and `unipam calico datastore`: IP pools are made, changed and deleted; the datastore's lock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from unipam.cli.calico_cluster import config_option, session_of
from unipam.cli.output import document_option, format_option, show, show_document
from unipam.cli.table import View, column

POOLS = View("calico-pool", (column("name"), column("cidr"), column("action")), "name")
_dry_run = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")


@click.group("pool")
def command() -> None:
    """Make, change and delete Calico's IP pools, by Calico's rules."""


@command.command("apply")
@click.option("-f", "--filename", required=True, type=click.Path(exists=True, dir_okay=False), help="IPPools, as YAML.")
@_dry_run
@config_option
@format_option
def apply(filename: str, dry_run: bool, config: str, output: str) -> None:
    """Make pools, or change them, as a file says; a file in which one is refused changes nothing.

    What calicoctl refuses is refused: overlaps, host bits, a changed CIDR or block size, and blocks of another size
    that lie where the pool would be.

    \b
    Examples:
      unipam calico pool apply -f pools.yaml --dry-run
      unipam calico pool apply -f pools.yaml
    """
    from unipam.dialects.calico.calicoctl import pooling

    session, documents = session_of(config), _documents(filename)
    for each in documents:
        pooling.apply(session, each, dry_run=True)
    done = [
        (each["metadata"]["name"], str(each["spec"]["cidr"]), pooling.apply(session, each, dry_run=dry_run))
        for each in documents
    ]
    rows = [
        {"name": name, "cidr": cidr, "action": f"would be {what}" if dry_run else what} for name, cidr, what in done
    ]
    show(rows, output, POOLS, "no pools in it")


def _documents(filename: str) -> list[Any]:
    import yaml

    try:
        found = [each for each in yaml.safe_load_all(Path(filename).read_text("utf-8")) if each]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise click.ClickException(f"{filename} cannot be read: {' '.join(str(error).split())}") from error
    several = [
        each["items"] if isinstance(each, dict) and isinstance(each.get("items"), list) else [each] for each in found
    ]
    return [each for items in several for each in items]


@command.command("delete")
@click.argument("name")
@_dry_run
@config_option
@document_option
def delete(name: str, dry_run: bool, config: str, output: str) -> None:
    """Delete a pool: it is disabled, its blocks are given up, and it is removed.

    Addresses in use stay; a block goes with its last address.

    \b
    Examples:
      unipam calico pool delete old-pool --dry-run
      unipam calico pool delete old-pool
    """
    from unipam.dialects.calico.calicoctl import pooling

    left = pooling.delete(session_of(config), name, dry_run=dry_run)
    if output != "table":
        held = [{"block": block, "used": used} for block, used in left]
        show_document({"pool": name, "dry_run": dry_run, "held": held}, output, "calico-deleted-pool")
        return
    click.echo(f"{'Would delete' if dry_run else 'Deleted'} the IP pool {name}.")
    for block, used in left:
        click.echo(f"{used} addresses of {block} are in use: the block goes with the last of them.")


@click.group("datastore")
def datastore() -> None:
    """Lock and unlock the cluster's datastore, as `calicoctl datastore migrate` does."""


@datastore.command("lock")
@config_option
def lock(config: str) -> None:
    """Lock the datastore: calico/node and kube-controllers leave it alone. Pods still get addresses.

    \b
    Example:
      unipam calico datastore lock
    """
    _set_locked(config, locked=True)


@datastore.command("unlock")
@config_option
def unlock(config: str) -> None:
    """Unlock the datastore.

    \b
    Example:
      unipam calico datastore unlock
    """
    _set_locked(config, locked=False)


def _set_locked(config: str, *, locked: bool) -> None:
    from unipam.dialects.calico.calicoctl import locking

    changed = locking.set_locked(session_of(config), locked=locked)
    state = "locked" if locked else "unlocked"
    click.echo(f"Datastore {state}." if changed else f"Datastore is {state} already.")
