"""Calico's addresses as `unipam lease` and `unipam explain` show them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from unipam.cli.calico_cluster import session_of
from unipam.cli.output import show_document, when
from unipam.cli.table import Row, View, age, column, ident, moment, number

if TYPE_CHECKING:
    from unipam.dialects.calico.calicoctl.explaining import Lease

LEASES = View(
    "calico-lease",
    (
        column("address"),
        column("pod"),
        column("node"),
        column("state"),
        age("since"),
        ident("container"),
        column("network"),
        column("handle", wide=True),
        column("block", wide=True),
        moment("since"),
        moment("until"),
        number("sequence", wide=True),
    ),
    name="address",
)


def reader(config: str) -> Callable[[], list[Row]]:
    """Return what reads every address that a cluster's Calico has handed out; broken blocks are named on stderr."""
    from unipam.dialects.calico.calicoctl.explaining import leases
    from unipam.dialects.calico.calicoctl.observing import read_blocks

    def read() -> list[Row]:
        session = session_of(config)
        blocks, broken = read_blocks(session)
        for name, why in broken:
            click.echo(f"not listed: {name}: {why}", err=True)
        found = leases((stored.value for stored in blocks), session.configuration().cooldown)
        return [_row(each) for each in found]

    return read


def _row(each: Lease) -> Row:
    return {**each._asdict(), "since": when(each.since), "until": when(each.until)}


def explain_address(config: str, subject: str, output: str) -> None:
    """Print who has an address, what it lies in, or why nobody has it."""
    from unipam.addr.prefix import parse_address
    from unipam.dialects.calico.calicoctl import explaining, showing

    try:
        address = parse_address(subject)
    except ValueError as error:
        raise click.ClickException(f"--calico explains addresses: {error}") from error
    session = session_of(config)
    told = explaining.sentences(session, address)
    if output == "table":
        click.echo("\n".join(told))
        return
    found = showing.holder(session, address)
    leases = [_row(explaining.lease(found, session.configuration().cooldown))] if found else []
    document = {"subject": subject, "kind": "address", "sentences": told, "leases": leases}
    show_document(document, output, "calico-explanation")
