"""The cluster that commands for Calico work on."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import click

from unipam.dialects.calico.where import CALICOCTL_CONFIG, KUBERNETES, Where, find

if TYPE_CHECKING:
    from unipam.dialects.calico.engine.session import Session

TIMEOUT = 600.0
"""Seconds that a command has for all that it asks of the datastore."""
PROBE = 15.0
"""Seconds that the datastore has for its first answer: whoever typed something wrong is told soon."""

config_option = click.option(
    "-c",
    "--config",
    default=CALICOCTL_CONFIG,
    show_default=True,
    help="The datastore's settings, as calicoctl reads them (a CalicoAPIConfig). Where the usual file is not there, the"
    " environment says: DATASTORE_TYPE, ETCD_ENDPOINTS, KUBECONFIG, …",
)
calico_option = click.option(
    "--calico", is_flag=True, help="Ask the cluster's Calico datastore instead of this node's ledger."
)
mismatch_option = click.option(
    "--allow-version-mismatch",
    is_flag=True,
    expose_value=False,
    help="Taken as calicoctl takes it; unipam works with any version.",
)


def open_session(where: Where) -> Session:
    """Return the datastore that commands work on. Raises BadConfig, BadValue; SourceFailed where none answers."""
    from contextlib import suppress

    from unipam.dialects.calico import connection, printing
    from unipam.dialects.calico.datastore.keys import ClusterKey
    from unipam.dialects.calico.engine.session import Session
    from unipam.model.errors import NotFound, Unreadable

    datastore = connection.datastore(where)
    with suppress(NotFound, Unreadable):
        datastore.get(ClusterKey(), time.monotonic() + PROBE)
    return Session(datastore, time.monotonic() + TIMEOUT, unknown=printing.unknown_node(where.kind))


def session_of(config: str) -> Session:
    """Return the datastore that the settings name. Raises BadConfig, BadValue, UnreadableInput."""
    return open_session(find(config))


def services(where: Where, kubeconfig: str, session: Session) -> list[dict[str, Any]]:
    """Return every Service; on etcd by a kubeconfig of its own. Raises Missing, SourceFailed."""
    from unipam.dialects.calico import connection

    asked = where if where.kind == KUBERNETES else Where(KUBERNETES, kubeconfig=kubeconfig)
    return list(connection.kubernetes(asked, "/api/v1/services", session.deadline)["items"])


def kubeconfig_of(where: Where, given: str) -> str:
    """Return the kubeconfig to read Services by. Raises UsageError, in calicoctl's words, where etcd is without one."""
    found = given or where.kubeconfig or os.environ.get("KUBECONFIG", "")
    if where.kind != KUBERNETES and not found:
        raise click.ClickException("KUBECONFIG environment variable or --kubeconfig parameter not set")
    return found


def report_version() -> str:
    """Return what reports are made by: those of another program, calicoctl's too, are not released without --force."""
    from importlib.metadata import version as installed

    return f"unipam {installed('unipam')}"
