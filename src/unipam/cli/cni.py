"""`unipam cni`: the launcher in a runtime's plugin directory, and the way back."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from unipam.cli.output import document_option, is_table, show_document
from unipam.cli.progress import working
from unipam.cni.call import SOCKET
from unipam.dialects import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unipam.cni.install import Change

_bin_dir = click.option(
    "--bin-dir",
    default="/opt/cni/bin",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The runtime's plugin directory.",
)
_dry_run = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")


@click.group("cni")
def command() -> None:
    """Install the CNI plugins of this node, or give back what was there."""


@command.command()
@_bin_dir
@click.option(
    "--socket",
    default=SOCKET,
    show_default=True,
    type=click.Path(path_type=Path),
    help="The agent's socket.",
)
@click.option(
    "--name", "names", multiple=True, default=registry.placed(), show_default=True, help="A plugin's name; repeatable."
)
@click.option(
    "--copy-to",
    "root",
    type=click.Path(path_type=Path),
    help="Copy this unipam with its interpreter there first, and let the plugins fall back on that: for a container "
    "whose node has no Python. The directory must be the node's, under the same path.",
)
@_dry_run
@document_option
def install(bin_dir: Path, socket: Path, names: tuple[str, ...], root: Path | None, dry_run: bool, output: str) -> None:
    """Put unipam in the place of the named plugins; what was there is kept beside it.

    Each plugin asks the agent at the socket, and works without one as well. Running plugins are not disturbed.
    calico-ipam, which writes into a whole cluster's datastore, is replaced only when it is named.

    \b
    Examples:
      unipam cni install
      unipam cni install --name calico-ipam
      unipam cni install --bin-dir /usr/lib/cni --dry-run
      unipam cni install --name host-local --copy-to /opt/unipam
    """
    from unipam.cni import install as installation
    from unipam.cni import standalone

    if root:
        with working(f"copying unipam to {root}"):
            _report(lambda: standalone.install(bin_dir, socket, names, root, dry_run=dry_run), output)
    else:
        _report(lambda: installation.install(bin_dir, socket, names, dry_run=dry_run), output)
    left = bin_dir / registry.CALICO
    if left.exists() and registry.CALICO not in names and not installation.launchers(bin_dir, [registry.CALICO]):
        click.echo(f"{left} stays as it is: --name {registry.CALICO} puts unipam in its place", err=True)


@command.command()
@_bin_dir
@_dry_run
@document_option
def renew(bin_dir: Path, dry_run: bool, output: str) -> None:
    """Write the launchers of this installation anew, after an upgrade of unipam: the same names, the same sockets.

    Running plugins are not disturbed. The Debian package does it by itself.

    \b
    Examples:
      unipam cni renew
      unipam cni renew --bin-dir /usr/lib/cni --dry-run
    """
    from unipam.cni import install as installation

    _report(lambda: installation.renew(bin_dir, dry_run=dry_run), output)


@command.command()
@_bin_dir
@click.option("--name", "names", multiple=True, help="A plugin's name; repeatable. [default: every one of unipam's]")
@click.option("--give-back", is_flag=True, help="Before that, give the leases back to the plugins that come back.")
@click.option(
    "--data-dir",
    "data_dirs",
    multiple=True,
    default=["/var/lib/cni/networks"],
    show_default=True,
    help="With --give-back: a data directory of host-local's networks; repeatable.",
)
@_dry_run
@document_option
def uninstall(
    bin_dir: Path, names: tuple[str, ...], give_back: bool, data_dirs: tuple[str, ...], dry_run: bool, output: str
) -> None:
    """Put back what was there before unipam, or nothing where nothing was.

    With --give-back every lease goes first into the records of the plugins that come back, host-local's directories
    and azure-vnet-ipam's state file, and the networks are marked: until their plugin is back, calls are answered `try
    again later`, which runtimes do. Whatever fails, all that was done before it is undone. A command that was killed
    may be given again, and completes what it began. A network that was given back is served by unipam again when
    `unipam adopt` names it.

    Without --give-back the plugins come back to whatever they find; that is only right after `unipam adopt ...
    --rollback`, or where there is no container.

    \b
    Examples:
      unipam cni uninstall --give-back --dry-run
      unipam cni uninstall --give-back
      unipam cni uninstall --give-back --data-dir /var/lib/cni/networks --data-dir /run/cni/networks
      unipam cni uninstall --bin-dir /usr/lib/cni --name host-local
    """
    from unipam.cni import install as installation

    def remove() -> list[Change]:
        return installation.uninstall(bin_dir, names, dry_run=dry_run)

    if not give_back:
        _report(remove, output)
        return
    with _one_line():
        given, changes = _give_back(bin_dir, names, data_dirs, dry_run=dry_run)
    rows = [_row(each) for each in changes]
    if is_table(output):
        click.echo("\n".join([*map(_given_line, given), *_lines(rows)]))
    else:
        show_document({"given_back": given, "items": rows}, output, "plugin")


def _give_back(
    bin_dir: Path, names: tuple[str, ...], data_dirs: tuple[str, ...], *, dry_run: bool
) -> tuple[list[dict[str, object]], list[Change]]:
    """Do both steps; return what each network gave back, and what became of each plugin."""
    from unipam.cli import give_back as way
    from unipam.cni import install as installation

    changes = installation.uninstall(bin_dir, names, dry_run=True)
    ours = installation.launchers(bin_dir, [change.plugin for change in changes])
    returns = way.of_plugins(ours or registry.names(), data_dirs, dry_run=dry_run)
    if not ours:
        returns = way.begun(returns, bin_dir)
    if dry_run:
        return [each.row("would give back") for each in way.preview(returns)], changes
    given, changes = way.give_back(
        returns,
        lambda: installation.uninstall(bin_dir, names),
        undone=lambda: installation.launchers(bin_dir, ours) == ours,
    )
    return [each.row("gave back") for each in given], changes


def _given_line(row: dict[str, object]) -> str:
    return "{action:<9}  {plugin} {network}: {leases} leases".format_map(row)


@command.command("remove-copy")
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--wait", default=30.0, show_default=True, metavar="SECONDS", help="How long calls may take to end.")
def remove_copy(root: Path, wait: float) -> None:
    """Remove the copies of unipam that `install --copy-to` left in ROOT, once no call runs from them.

    Uninstall first: a launcher that is told of a copy has nothing to fall back on without it.

    \b
    Example:
      unipam cni remove-copy /opt/unipam
    """
    from unipam.cni import standalone
    from unipam.model.errors import InstallError

    try:
        standalone.remove(root, wait)
    except InstallError as error:
        raise click.ClickException(str(error)) from error


def _report(change: Callable[[], list[Change]], output: str) -> None:
    with _one_line():
        changes = change()
    rows = [_row(each) for each in changes]
    if is_table(output):
        click.echo("\n".join(_lines(rows)))
    else:
        show_document({"items": rows}, output, "plugin")


@contextmanager
def _one_line() -> Iterator[None]:
    from unipam.model.errors import InstallError

    try:
        yield
    except InstallError as error:
        raise click.ClickException(str(error)) from error


def _row(change: Change) -> dict[str, str | None]:
    kept = str(change.kept) if change.kept else None
    return {"plugin": change.plugin, "action": change.action, "path": str(change.path), "kept": kept}


def _lines(rows: list[dict[str, str | None]]) -> list[str]:
    return list(map(_line, rows)) or ["nothing of unipam's there"]


def _line(row: dict[str, str | None]) -> str:
    kept = f"  ({row['kept']})" if row["kept"] else ""
    return f"{row['action']:<9}  {row['path']}{kept}"
