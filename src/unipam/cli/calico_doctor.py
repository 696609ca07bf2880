"""`unipam calico doctor`."""

from __future__ import annotations

import click

from unipam.cli.calico_cluster import config_option, open_session
from unipam.cli.output import format_option, show
from unipam.cli.table import View, column
from unipam.dialects.calico.where import find

FINDINGS = View("calico-examination", (column("verdict"), column("about"), column("what")), "about")


@click.command("doctor")
@config_option
@format_option
def command(config: str, output: str) -> None:
    """Say whether a cluster is fit for unipam, what to put right first, and what else would change.

    `unfit` is what unipam must not work with, and the exit code is 1; `mend` works, and should be put right; `note` is
    good to know. Nothing is changed.

    \b
    Examples:
      unipam calico doctor
      unipam calico doctor -c /etc/calico/calicoctl.cfg -o json
    """
    from unipam.dialects.calico.calicoctl import doctoring

    where = find(config)
    found = doctoring.examine(open_session(where), where)
    show(doctoring.rows(found), output, FINDINGS)
    if not doctoring.is_fit(found):
        raise click.ClickException("this cluster is not fit for unipam as it is: see what is `unfit`")
