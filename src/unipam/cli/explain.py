"""`unipam explain`: of a node's ledger, of the plan, or of both."""

from __future__ import annotations

from typing import Any

import click

from unipam.cli.calico_cluster import calico_option, config_option
from unipam.cli.ledger import LEASES, PAST, find_ledger, lease_row, no_ledger, past_row
from unipam.cli.output import data_dir_option, document_option, is_table, show, show_document
from unipam.cli.plan import RELATED
from unipam.cli.register_api import Api, with_api_if_named

Rows = list[dict[str, Any]]


@click.command("explain")
@click.argument("subject")
@click.option("--space", help="Of the plan only this space.")
@calico_option
@config_option
@data_dir_option
@with_api_if_named
@document_option
def command(  # noqa: PLR0913 (options)
    *, subject: str, space: str | None, data_dir: str, api: Api | None, output: str, calico: bool, config: str
) -> None:
    """Say why: who holds an ADDRESS and who did before; what a CONTAINER or pod has; what fills a network's POOL.

    The ledger of this node is asked where there is one, and the plan where a register is named or in use: then also
    what a PREFIX, or the NAME of a block or network, is there.

    \b
    Examples:
      unipam explain 10.244.2.7
      unipam explain 32970baf
      unipam explain kubenet
      unipam explain 192.168.166.128 --calico
      unipam explain 10.1.0.0/16 --space prod --database register.db
    """
    if calico:
        from unipam.cli.calico_lease import explain_address

        explain_address(config, subject, output)
        return
    node = _of_node(subject, data_dir)
    plan = None if api is None else _of_plan(api, subject, space)
    if node is None and plan is None:
        raise no_ledger(data_dir)
    document = {"subject": subject, **(node or _UNKNOWN), "plan": plan or []}
    if is_table(output):
        _print(document, output, told=plan is not None)
    else:
        show_document(document, output, "explanation")


_UNKNOWN: dict[str, Any] = {"kind": "", "sentences": (), "leases": [], "history": []}


def _of_node(subject: str, data_dir: str) -> dict[str, Any] | None:
    """Return what the ledger says; None where there is none."""
    from unipam.ledger import reconcile
    from unipam.ledger.explanation import explain

    ledger = find_ledger(data_dir)
    if ledger is None:
        return None
    told = explain(ledger, subject, reconcile.observe(ledger.boot))
    leases, history = list(map(lease_row, told.leases)), list(map(past_row, told.history))
    return {"kind": told.kind, "sentences": told.sentences, "leases": leases, "history": history}


def _of_plan(api: Api, subject: str, space: str | None) -> Rows:
    """Return what of the plan has to do with an address or prefix, or has this name."""
    from unipam.model.errors import BadValue
    from unipam.model.objects import parse_place

    try:
        parse_place(subject)
    except BadValue:
        return list(_named(api.ask("GET", "/plan", query={"at": 4e9}), subject, space, ()))
    return list(api.ask("GET", "/explain", query={"cidr": subject, "space": space}))


def _named(items: Rows, name: str, space: str | None, path: tuple[str, ...]) -> Rows:
    """Return the objects of a name, as those that have to do with a prefix are."""
    found: Rows = []
    for item in items:
        here = (*path, item["name"])
        if name in (item["name"], "/".join(here)) and space in (None, here[0]):
            row = {field: item[field] for field in ("kind", "name", "cidr", "since")}
            found.append({**row, "path": list(here), "relation": "is", "state": item["status"] or "held"})
        found += _named(item["items"], name, space, here)
    return found


def _print(document: dict[str, Any], output: str, *, told: bool) -> None:
    for sentence in document["sentences"]:
        click.echo(sentence)
    for rows, view in ((document["leases"], LEASES), (document["history"], PAST)):
        if rows:
            click.echo()
            show(rows, output, view)
    if told:
        if document["sentences"]:
            click.echo()
        show(document["plan"], output, RELATED, f"nothing in the plan has to do with {document['subject']}")
