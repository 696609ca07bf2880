"""Calico's addresses as `unipam lease` and `unipam explain` show them."""

from __future__ import annotations

import click

from unipam.cli.calico_cluster import world_of
from unipam.cli.output import show, show_document, when

COLUMNS = ("network", "address", "container", "pod", "node", "state", "since")
"""What a table of leases shows."""


def show_leases(config: str, network: str, output: str) -> None:
    """Print every address that a cluster's Calico has handed out, of one network if it is named."""
    from unipam.dialects.calico.calicoctl.explaining import leases
    from unipam.dialects.calico.calicoctl.observing import read_blocks

    world = world_of(config)
    blocks, broken = read_blocks(world)
    found = leases((stored.value for stored in blocks), world.configuration().cooldown)
    rows = [
        {**each._asdict(), "since": when(each.since), "until": when(each.until)}
        for each in found
        if network in {"", each.network}
    ]
    show(rows, output, COLUMNS, "no leases")
    for name, why in broken:
        click.echo(f"not listed: {name}: {why}", err=True)


def explain_address(config: str, subject: str, output: str) -> None:
    """Print who has an address, what it lies in, or why nobody has it."""
    from unipam.addr.prefix import parse_address
    from unipam.dialects.calico.calicoctl import explaining, showing

    try:
        address = parse_address(subject)
    except ValueError as error:
        raise click.ClickException(f"--calico explains addresses: {error}") from error
    world = world_of(config)
    told = explaining.sentences(world, address)
    if output == "table":
        click.echo("\n".join(told))
        return
    found = showing.address_record(address, showing.holder(world, address))
    show_document({"subject": subject, "kind": "address", "sentences": told, "lease": found}, output)
