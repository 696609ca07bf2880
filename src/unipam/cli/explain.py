"""`unipam explain`."""

from __future__ import annotations

import click

from unipam.cli.calico_cluster import calico_option, config_option
from unipam.cli.ledger import LEASES, PAST, lease_row, open_ledger, past_row
from unipam.cli.output import data_dir_option, document_option, show, show_document
from unipam.ledger import reconcile
from unipam.ledger.explanation import explain


@click.command("explain")
@click.argument("subject")
@calico_option
@config_option
@data_dir_option
@document_option
def command(subject: str, data_dir: str, output: str, calico: bool, config: str) -> None:
    """Say why: who holds an ADDRESS and who did before; what a CONTAINER or pod has; what fills a network's POOL.

    \b
    Examples:
      unipam explain 10.244.2.7
      unipam explain 32970baf
      unipam explain kubenet
      unipam explain 192.168.166.128 --calico
    """
    if calico:
        from unipam.cli.calico_lease import explain_address

        explain_address(config, subject, output)
        return
    ledger = open_ledger(data_dir)
    told = explain(ledger, subject, reconcile.observe(ledger.boot))
    leases = [lease_row(lease) for lease in told.leases]
    history = [past_row(past) for past in told.history]
    if output != "table":
        document = {"subject": subject, "kind": told.kind, "sentences": told.sentences}
        show_document({**document, "leases": leases, "history": history}, output, "explanation")
        return
    for sentence in told.sentences:
        click.echo(sentence)
    for rows, view in ((leases, LEASES), (history, PAST)):
        if rows:
            click.echo()
            show(rows, output, view)
