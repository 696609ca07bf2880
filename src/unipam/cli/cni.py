"""``unipam cni``: the launcher in a runtime's plugin directory, and the way back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from unipam.cni.call import SOCKET
from unipam.dialects import registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from unipam.cni.install import Change

_bin_dir = click.option(
    "--bin-dir",
    default="/opt/cni/bin",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The runtime's plugin directory.",
)
_dry_run = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
_output = click.option(
    "-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True
)


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
    "--name", "names", multiple=True, default=registry.names(), show_default=True, help="A plugin's name; repeatable."
)
@_dry_run
@_output
def install(bin_dir: Path, socket: Path, names: tuple[str, ...], dry_run: bool, output: str) -> None:
    """Put unipam in the place of the named plugins; what was there is kept beside it.

    Each plugin asks the agent at the socket, and works without one as well. Running plugins are not disturbed.

    \b
    Examples:
      unipam cni install
      unipam cni install --bin-dir /usr/lib/cni --dry-run
    """
    from unipam.cni import install as installation

    _report(lambda: installation.install(bin_dir, socket, names, dry_run=dry_run), output)


@command.command()
@_bin_dir
@click.option("--name", "names", multiple=True, help="A plugin's name; repeatable. [default: every one of unipam's]")
@_dry_run
@_output
def uninstall(bin_dir: Path, names: tuple[str, ...], dry_run: bool, output: str) -> None:
    """Put back what was there before unipam, or nothing where nothing was.

    \b
    Example:
      unipam cni uninstall
    """
    from unipam.cni import install as installation

    _report(lambda: installation.uninstall(bin_dir, names, dry_run=dry_run), output)


def _report(change: Callable[[], list[Change]], output: str) -> None:
    from unipam.cni.launcher import InstallError

    try:
        changes = change()
    except InstallError as error:
        raise click.ClickException(str(error)) from error
    click.echo(_rendered([_row(each) for each in changes], output))


def _row(change: Change) -> dict[str, str | None]:
    kept = str(change.kept) if change.kept else None
    return {"plugin": change.plugin, "action": change.action, "path": str(change.path), "kept": kept}


def _rendered(rows: list[dict[str, str | None]], output: str) -> str:
    if output == "json":
        return json.dumps(rows, indent=2)
    if output == "yaml":
        import yaml

        return str(yaml.safe_dump(rows, sort_keys=False)).rstrip()
    return "\n".join(_line(row) for row in rows) or "nothing of unipam's there"


def _line(row: dict[str, str | None]) -> str:
    kept = f"  ({row['kept']})" if row["kept"] else ""
    return f"{row['action']:<9}  {row['path']}{kept}"
