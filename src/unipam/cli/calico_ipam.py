"""`unipam calico ipam`: calicoctl's commands of the same names, with its options, texts and tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from unipam.cli.calico_cluster import config_option, kubeconfig_of, mismatch_option, open_world, services, world_of
from unipam.cli.output import format_option, show_document
from unipam.dialects.calico.where import find

if TYPE_CHECKING:
    from unipam.dialects.calico.calicoctl.checking import Checked
    from unipam.dialects.calico.engine.world import World

FORMATS = ("table", "json", "yaml")


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
@format_option
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
    world = world_of(config)
    if ip is not None:
        _show_address(world, ip, output)
    elif show_borrowed:
        _show_borrowed(world, output)
    elif show_configuration:
        _show_configuration(world, output)
    else:
        _show_usage(world, output, blocks=show_blocks)


def _show_usage(world: World, output: str, *, blocks: bool) -> None:
    from unipam.dialects.calico.calicoctl import showing
    from unipam.dialects.calico.calicoctl.observing import read_blocks
    from unipam.dialects.calico.rules.utilization import utilization

    found, broken = read_blocks(world)
    usage = utilization(world.pools(), [stored.value for stored in found], world.reserved())
    if output == "table":
        click.echo(showing.usage_table(usage, blocks=blocks), nl=False)
    else:
        show_document(showing.usage_rows(usage, blocks=blocks), output)
    for name, why in broken:
        click.echo(f"not counted: {name}: {why}", err=True)


def _show_address(world: World, ip: str, output: str) -> None:
    from unipam.dialects.calico.calicoctl import showing

    address = _address(ip)
    found = showing.holder(world, address)
    if output == "table":
        click.echo("\n".join(showing.address_lines(address, found)))
    else:
        show_document(showing.address_record(address, found), output)


def _address(text: str) -> int:
    from unipam.addr.prefix import parse_address

    try:
        return parse_address(text)
    except ValueError:
        raise click.ClickException(f"invalid IP address specified: {text}") from None


def _show_borrowed(world: World, output: str) -> None:
    from unipam.dialects.calico.calicoctl import showing
    from unipam.dialects.calico.calicoctl.observing import read_blocks

    found = showing.borrowed(stored.value for stored in read_blocks(world)[0])
    if output == "table":
        click.echo(showing.borrowed_table(found), nl=False)
    else:
        show_document(showing.borrowed_rows(found), output)


def _show_configuration(world: World, output: str) -> None:
    from unipam.dialects.calico.calicoctl import showing

    found = world.configuration()
    if output == "table":
        click.echo(showing.configuration_table(found), nl=False)
    else:
        show_document(showing.configuration_rows(found), output)


@command.command("check")
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
def check(output: str, kubeconfig: str, fix: bool, dry_run: bool, config: str, **shown: bool) -> None:
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
    world = open_world(where)
    checked = _checked(world, lambda: services(where, kubeconfig, world))
    _tell(checked, output, everything=shown["show_all_ips"], problems=shown["show_problem_ips"])
    if fix:
        _fix(world, checked, output, dry_run=dry_run)


def _checked(world: World, read: Any) -> Checked:
    from unipam.dialects.calico.calicoctl.checking import check
    from unipam.dialects.calico.calicoctl.observing import observe

    return check(observe(world, read), world.clock())


def _tell(checked: Checked, output: str, *, everything: bool, problems: bool) -> None:
    from unipam.dialects.calico.calicoctl import checking

    if output in {"json", "yaml"}:
        show_document(checking.report(checked, version()) | {"problems": checked.problems}, output)
        return
    click.echo("\n".join(checking.lines(checked, everything=everything, problems=problems)))
    if output != "table":
        text = json.dumps(checking.report(checked, version()), indent=2)
        try:
            Path(output).write_text(text, "utf-8")
        except OSError as error:
            raise click.ClickException(f"cannot write the report {output}: {error.strerror}") from error


def version() -> str:
    """Return what reports are made by: those of another program, calicoctl's too, are not released without --force."""
    from importlib.metadata import version as installed

    return f"unipam {installed('unipam')}"


def _fix(world: World, checked: Checked, output: str, *, dry_run: bool) -> None:
    from unipam.dialects.calico.calicoctl import locking, repairing

    to_stderr = output in {"json", "yaml"}
    repairs = repairing.plan(world, checked)
    if not repairs:
        click.echo("Nothing to repair.", err=to_stderr)
        return
    if dry_run:
        for each in repairs:
            click.echo(f"would repair {each.what}: {each.wrong}: {each.action}", err=to_stderr)
        return
    locking.require_unlocked(world, "a repair")
    failed = 0
    for each, outcome in repairing.carry_out(world, repairs):
        failed += outcome.startswith("failed")
        click.echo(f"{each.what}: {each.wrong}: {outcome}", err=to_stderr)
    if failed:
        raise click.ClickException(f"{failed} of {len(repairs)} repairs failed")


@command.command("release")
@click.option("--ip", help="Release this address.")
@click.option(
    "--from-report", "reports", multiple=True, help="Release what a report of `check` says leaked; repeatable."
)
@click.option("--force", is_flag=True, help="Also if the datastore is not locked, or a report is of another version.")
@click.option("--dry-run", is_flag=True, help="Say what would be released, and do nothing.")
@config_option
@mismatch_option
@format_option
def release(ip: str | None, reports: tuple[str, ...], force: bool, dry_run: bool, config: str, output: str) -> None:
    """Release an address by hand, or what leaked according to all of the given reports.

    Releasing an address that is in use makes a duplicate possible.

    \b
    Examples:
      unipam calico ipam release --ip=10.65.79.0
      unipam calico ipam release --from-report=report.json
      unipam calico ipam release --from-report=first.json --from-report=second.json --force
    """
    world = world_of(config)
    if reports:
        _release_reported(world, reports, output, force=force, dry_run=dry_run)
    elif ip is not None:
        _release_address(world, ip, output, dry_run=dry_run)


def _release_address(world: World, ip: str, output: str, *, dry_run: bool) -> None:
    from unipam.dialects.calico.calicoctl import releasing, showing

    address = _address(ip)
    if dry_run:
        found = showing.holder(world, address)
        click.echo(f"would release {ip}" if found else f"IP address {ip} is not assigned")
        return
    releasing.release_address(world, address)
    if output == "table":
        click.echo(f"Successfully released IP address {ip}")
    else:
        show_document({"released": [ip]}, output)


def _release_reported(world: World, paths: tuple[str, ...], output: str, *, force: bool, dry_run: bool) -> None:
    from unipam.dialects.calico.calicoctl import releasing

    found = {path: releasing.read(path) for path in paths}
    for warning in releasing.guard(world, found, version(), force=force):
        click.echo(warning, err=output != "table")
    leaks = releasing.common(list(found.values()))
    if dry_run:
        for text in (*leaks.wishes, *(f"handle {handle}" for handle in leaks.handles)):
            click.echo(f"would release {text}")
        return
    done = releasing.release(world, leaks)
    if output == "table":
        click.echo("\n".join(releasing.lines(done)))
    else:
        show_document(done._replace(error=done.error.message if done.error else None)._asdict(), output)  # type: ignore[arg-type]


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
@format_option
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
    after = configuring.configure(world_of(config), changes, dry_run=dry_run)
    if output != "table":
        show_document(showing.configuration_rows(after), output)
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
@format_option
def split(number: int, cidr: str, name: str, dry_run: bool, config: str, output: str) -> None:
    """Split a pool into NUMBER smaller ones of equal size, a power of two. Blocks and addresses stay as they are.

    The datastore must be locked: `unipam calico datastore lock`.

    \b
    Examples:
      unipam calico ipam split 4 --name=default-ipv4-ippool --dry-run
      unipam calico ipam split 2 --cidr=192.168.0.0/16
    """
    from unipam.dialects.calico.calicoctl import pooling

    made = pooling.split(world_of(config), number, name, cidr, dry_run=dry_run)
    if output != "table":
        show_document([{"name": part, "cidr": prefix} for part, prefix in made], output)
        return
    if not dry_run:
        click.echo(f"IP Pool {name or cidr} was successfully split into {number} smaller pools.")
    for part, prefix in made:
        click.echo(f"{'Would create' if dry_run else 'Created'} {part} with CIDR {prefix}.")
    click.echo("Please refer to the documentation for final steps.")
