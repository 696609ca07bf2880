"""`unipam calico ipam check`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from unipam.cli.calico_cluster import (
    config_option,
    kubeconfig_of,
    mismatch_option,
    open_session,
    report_version,
    services,
)
from unipam.cli.output import show_document
from unipam.dialects.calico.where import find

if TYPE_CHECKING:
    from unipam.dialects.calico.calicoctl.checking import Checked
    from unipam.dialects.calico.engine.session import Session


@click.command("check")
@click.option(
    "-o", "--output", default="table", metavar="table|json|yaml|FILE",
    help="How to print what was found; the path of a file is where to write the report that `release` reads.",
)  # fmt: skip
@click.option("--show-all-ips", is_flag=True, help="Print all addresses that are checked.")
@click.option("--show-problem-ips", is_flag=True, help="Print all addresses that leaked or are not allocated properly.")
@click.option("--kubeconfig", default="", help="Where Services are read from when the datastore is etcd.")
@click.option("--fix", is_flag=True, help="Put right what can be proven wrong.")
@click.option("--dry-run", is_flag=True, help="With --fix: say what would be done, and do nothing.")
@config_option
@mismatch_option
def command(output: str, kubeconfig: str, fix: bool, dry_run: bool, config: str, **shown: bool) -> None:
    """Check blocks, handles and the addresses in use against one another; --fix repairs what can be proven.

    A leak is released by handle and sequence number, after its pod was asked for once more, and no earlier than five
    minutes after it was assigned.

    \b
    Examples:
      unipam calico ipam check --show-problem-ips
      unipam calico ipam check -o report.json
      unipam calico ipam check --fix --dry-run
    """
    if dry_run and not fix:
        raise click.UsageError("--dry-run says what --fix would do: give both")
    where = find(config)
    kubeconfig = kubeconfig_of(where, kubeconfig)
    session = open_session(where)
    checked = _checked(session, lambda: services(where, kubeconfig, session))
    _tell(checked, output, everything=shown["show_all_ips"], problems=shown["show_problem_ips"])
    if fix:
        _fix(session, checked, output, dry_run=dry_run)


def _checked(session: Session, read: Any) -> Checked:
    from unipam.dialects.calico.calicoctl.checking import check
    from unipam.dialects.calico.calicoctl.observing import observe

    return check(observe(session, read), session.clock())


def _tell(checked: Checked, output: str, *, everything: bool, problems: bool) -> None:
    from unipam.dialects.calico.calicoctl import checking

    if output in {"json", "yaml"}:
        report = checking.report(checked, report_version()) | {"problems": checked.problems}
        made_by = report.pop("version")  # the document has its schema's there
        show_document({**report, "made_by": made_by}, output, "calico-report")
        return
    click.echo("\n".join(checking.lines(checked, everything=everything, problems=problems)))
    if output != "table":
        text = json.dumps(checking.report(checked, report_version()), indent=2)
        try:
            Path(output).write_text(text, "utf-8")
        except OSError as error:
            raise click.ClickException(f"cannot write the report {output}: {error.strerror}") from error


def _fix(session: Session, checked: Checked, output: str, *, dry_run: bool) -> None:
    from unipam.dialects.calico.calicoctl import locking, repairing

    to_stderr = output in {"json", "yaml"}
    repairs = repairing.plan(session, checked)
    if not repairs:
        click.echo("Nothing to repair.", err=to_stderr)
        return
    if dry_run:
        for each in repairs:
            click.echo(f"would repair {each.what}: {each.wrong}: {each.action}", err=to_stderr)
        return
    locking.require_unlocked(session, "a repair")
    failed = 0
    for each, outcome in repairing.carry_out(session, repairs):
        failed += outcome.startswith("failed")
        click.echo(f"{each.what}: {each.wrong}: {outcome}", err=to_stderr)
    if failed:
        raise click.ClickException(f"{failed} of {len(repairs)} repairs failed")
