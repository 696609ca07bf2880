"""`unipam calico ipam`: calicoctl's commands of the same names, with its options, texts and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from unipam.cli import calico_check
from unipam.cli.calico_cluster import config_option, mismatch_option, report_version, session_of
from unipam.cli.output import document_option, show_document

if TYPE_CHECKING:
    from unipam.dialects.calico.engine.session import Session


@click.group("ipam")
def command() -> None:
    """Show, check and change what Calico's IPAM has written down, as calicoctl does."""


@command.command("show")
@click.option("--ip", help="Who has this address.")
@click.option("--show-blocks", is_flag=True, help="Also each block.")
@click.option("--show-borrowed", is_flag=True, help="Addresses that are used elsewhere than on their block's node.")
@click.option("--show-configuration", is_flag=True, help="The IPAM configuration.")
@config_option
@mismatch_option
@document_option
def show(
    ip: str | None, show_blocks: bool, show_borrowed: bool, show_configuration: bool, config: str, output: str
) -> None:
    """Show how full the pools are, who has an address, what is borrowed, or the configuration.

    \b
    Examples:
      unipam calico ipam show --show-blocks
      unipam calico ipam show --ip=10.65.79.0
      unipam calico ipam show --show-borrowed -o json
    """
    session = session_of(config)
    if ip is not None:
        _show_address(session, ip, output)
    elif show_borrowed:
        _show_borrowed(session, output)
    elif show_configuration:
        _show_configuration(session, output)
    else:
        _show_usage(session, output, blocks=show_blocks)


def _show_usage(session: Session, output: str, *, blocks: bool) -> None:
    from unipam.dialects.calico.calicoctl import showing
    from unipam.dialects.calico.calicoctl.observing import read_blocks
    from unipam.dialects.calico.rules.utilization import utilization

    found, broken = read_blocks(session)
    usage = utilization(session.pools(), [stored.value for stored in found], session.reserved())
    if output == "table":
        click.echo(showing.usage_table(usage, blocks=blocks), nl=False)
    else:
        show_document({"items": showing.usage_rows(usage, blocks=blocks)}, output, "calico-use")
    for name, why in broken:
        click.echo(f"not counted: {name}: {why}", err=True)


def _show_address(session: Session, ip: str, output: str) -> None:
    from unipam.dialects.calico.calicoctl import showing

    address = _address(ip)
    found = showing.holder(session, address)
    if output == "table":
        click.echo("\n".join(showing.address_lines(address, found)))
    else:
        show_document(showing.address_record(address, found), output, "calico-address")


def _address(text: str) -> int:
    from unipam.addr.prefix import parse_address

    try:
        return parse_address(text)
    except ValueError:
        raise click.ClickException(f"invalid IP address specified: {text}") from None


def _show_borrowed(session: Session, output: str) -> None:
    from unipam.dialects.calico.calicoctl import showing
    from unipam.dialects.calico.calicoctl.observing import read_blocks

    found = showing.borrowed(stored.value for stored in read_blocks(session)[0])
    if output == "table":
        click.echo(showing.borrowed_table(found), nl=False)
    else:
        show_document({"items": showing.borrowed_rows(found)}, output, "calico-borrowed")


def _show_configuration(session: Session, output: str) -> None:
    from unipam.dialects.calico.calicoctl import showing

    found = session.configuration()
    if output == "table":
        click.echo(showing.configuration_table(found), nl=False)
    else:
        show_document({"items": showing.configuration_rows(found)}, output, "calico-configuration")


@command.command("release")
@click.option("--ip", help="Release this address.")
@click.option(
    "--from-report", "reports", multiple=True, help="Release what a report of `check` says leaked; repeatable."
)
@click.option("--force", is_flag=True, help="Also if the datastore is not locked, or a report is of another version.")
@click.option("--dry-run", is_flag=True, help="Say what would be released, and do nothing.")
@config_option
@mismatch_option
@document_option
def release(ip: str | None, reports: tuple[str, ...], force: bool, dry_run: bool, config: str, output: str) -> None:
    """Release an address by hand, or what leaked according to all of the given reports.

    Releasing an address that is in use makes a duplicate possible.

    \b
    Examples:
      unipam calico ipam release --ip=10.65.79.0
      unipam calico ipam release --from-report=report.json
      unipam calico ipam release --from-report=first.json --from-report=second.json --force
    """
    session = session_of(config)
    if reports:
        _release_reported(session, reports, output, force=force, dry_run=dry_run)
    elif ip is not None:
        _release_address(session, ip, output, dry_run=dry_run)


def _release_address(session: Session, ip: str, output: str, *, dry_run: bool) -> None:
    from unipam.dialects.calico.calicoctl import releasing, showing

    address = _address(ip)
    if dry_run:
        found = showing.holder(session, address)
        click.echo(f"would release {ip}" if found else f"IP address {ip} is not assigned")
        return
    releasing.release_address(session, address)
    if output == "table":
        click.echo(f"Successfully released IP address {ip}")
    else:
        show_document(releasing.Released(1, 0, None, 0, 0, 0, []).record(), output, "calico-released")


def _release_reported(session: Session, paths: tuple[str, ...], output: str, *, force: bool, dry_run: bool) -> None:
    from unipam.dialects.calico.calicoctl import releasing

    found = {path: releasing.read(path) for path in paths}
    for warning in releasing.guard(session, found, report_version(), force=force):
        click.echo(warning, err=output != "table")
    leaks = releasing.common(list(found.values()))
    if dry_run:
        for text in (*leaks.wishes, *(f"handle {handle}" for handle in leaks.handles)):
            click.echo(f"would release {text}")
        return
    done = releasing.release(session, leaks)
    if output == "table":
        click.echo("\n".join(releasing.lines(done)))
    else:
        show_document(done.record(), output, "calico-released")


@command.command("configure")
@click.option("--strictaffinity", default="", metavar="true|false", help="Whether nodes may not borrow addresses.")
@click.option(
    "--max-blocks-per-host", default="", metavar="N", help="How many blocks a node may have; 0: the usual 20."
)
@click.option(
    "--kubevirt-ip-persistence", default="", metavar="Enabled|Disabled", help="Whether a VM keeps its addresses."
)
@click.option("--ip-cooldown-seconds", type=int, help="How long a released address is not handed out again.")
@click.option("--dry-run", is_flag=True, help="Say what would be set, and do nothing.")
@config_option
@mismatch_option
@document_option
def configure(ip_cooldown_seconds: int | None, dry_run: bool, config: str, output: str, **given: str) -> None:
    """Change the IPAM configuration of the cluster.

    \b
    Examples:
      unipam calico ipam configure --strictaffinity=true
      unipam calico ipam configure --strictaffinity=true --max-blocks-per-host=4 --dry-run
      unipam calico ipam configure --ip-cooldown-seconds=30
    """
    from unipam.dialects.calico.calicoctl import configuring, showing

    strict, blocks = given["strictaffinity"], given["max_blocks_per_host"]
    changes = configuring.parse(strict, blocks, given["kubevirt_ip_persistence"], ip_cooldown_seconds)
    after = configuring.configure(session_of(config), changes, dry_run=dry_run)
    if output != "table":
        show_document({"items": showing.configuration_rows(after)}, output, "calico-configuration")
        return
    told = "Would set" if dry_run else "Successfully set"
    for field, name in configuring.NAMES.items():
        if field in changes:
            value = changes[field]
            click.echo(f"{told} {name} to: {str(value).lower() if isinstance(value, bool) else value}")


@command.command("split")
@click.argument("number", type=int)
@click.option("--cidr", default="", help="The pool's CIDR.")
@click.option("--name", default="", help="The pool's name.")
@click.option("--dry-run", is_flag=True, help="Say what would be made, and do nothing.")
@config_option
@mismatch_option
@document_option
def split(number: int, cidr: str, name: str, dry_run: bool, config: str, output: str) -> None:
    """Split a pool into NUMBER smaller ones of equal size, a power of two. Blocks and addresses stay as they are.

    The datastore must be locked: `unipam calico datastore lock`.

    \b
    Examples:
      unipam calico ipam split 4 --name=default-ipv4-ippool --dry-run
      unipam calico ipam split 2 --cidr=192.168.0.0/16
    """
    from unipam.dialects.calico.calicoctl import pooling

    made = pooling.split(session_of(config), number, name, cidr, dry_run=dry_run)
    if output != "table":
        action = "would be created" if dry_run else "created"
        items = [{"name": part, "cidr": prefix, "action": action} for part, prefix in made]
        show_document({"items": items}, output, "calico-pool")
        return
    if not dry_run:
        click.echo(f"IP Pool {name or cidr} was successfully split into {number} smaller pools.")
    for part, prefix in made:
        click.echo(f"{'Would create' if dry_run else 'Created'} {part} with CIDR {prefix}.")
    click.echo("Please refer to the documentation for final steps.")


command.add_command(calico_check.command)
