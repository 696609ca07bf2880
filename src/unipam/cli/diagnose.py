"""`unipam diagnose`: the command line of the diagnosis. What is said is made in `unipam.diagnose`; here is how."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from unipam.cli.output import document_option, is_table, show_document
from unipam.cli.progress import working

if TYPE_CHECKING:
    from unipam.diagnose.report import Report

_EPILOG = """\b
Examples:
  unipam diagnose /var/log/azure-vnet-ipam.log /var/run/azure-vnet-ipam.json
  unipam diagnose --node                        the usual places of this node, and its journal
  unipam diagnose --node --root /host           the same in a container that has the node's files there
  kubectl unipam diagnose node/aks-np-1         the same from afar, through a debug pod
  kubectl describe pod web-0 | unipam diagnose -
  unipam diagnose logs/ -o json | jq '.findings[].title'
  unipam diagnose bundle/ --html report.html    one page, with the timeline drawn

\b
Exit codes:
  0  healthy: what was read was understood, and nothing is wrong
  1  findings: faults or warnings
  2  wrong usage, or an input that cannot be read
  3  not understood: something failed and the cause is not known, or too little was understood to say
"""


_EXIT_CODES = {"healthy": 0, "findings": 1, "not understood": 3}


@click.command(name="diagnose", epilog=_EPILOG)
@click.argument("paths", nargs=-1, metavar="[PATH]... | -")
@click.option("--node", is_flag=True, help="Read the usual places of this node, and its journal.")
@click.option("--root", default="/", show_default=True, help="Where the node's files are, for --node.")
@click.option("--image", help="The image of the debug pod, for node/NAME.")
@document_option
@click.option(
    "--html", "page", type=click.Path(dir_okay=False), help="Also write one self-contained page to this file."
)
@click.option("-v", "--verbose", is_flag=True, help="Say all there is to say, not only the first screen.")
@click.pass_context
def command(
    context: click.Context, /, paths: tuple[str, ...], output: str, page: str | None, verbose: bool, **where: Any
) -> None:
    """Say what is wrong with the addresses of a node, from its logs, states and dumps.

    Reads conflists, logs of azure-vnet-ipam, azure-vnet, Calico, Cilium, Azure CNS, kubelet and containerd, Kubernetes
    events, state files, IPAMBlock, CiliumNode and NodeNetworkConfig dumps, command output, host-local directories and
    unipam's own ledger, in any mix: rotated, compressed, cut, or pasted together. Nothing is changed.
    """
    with contextlib.ExitStack() as stack:
        report = _read([_near(path, where["image"], stack) for path in paths], where["node"], where["root"])
    if page is not None:
        _write_page(report, page)
    _print(report, output, verbose=verbose)
    context.exit(_EXIT_CODES[report.outcome])


def _near(path: str, image: str | None, stack: contextlib.ExitStack) -> str:
    """Return the path itself; for `node/NAME` a directory with what that node keeps, fetched now."""
    kind, slash, name = path.partition("/")
    if kind != "node" or not slash or "/" in name or Path(path).exists():
        return path
    from unipam.cli import collect

    directory = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{name}-"))
    try:
        with working(f"collecting from {path}"):
            collect.collect(name, Path(directory), image or collect.IMAGE)
    except collect.CollectionFailed as error:
        _refuse(f"cannot collect from {path}: {error}")
    return directory


def _read(paths: list[str], node: bool, root: str) -> Report:
    from unipam.diagnose import UnreadableInput, diagnose, journal_command, node_paths

    files: list[str | Path] = [path for path in paths if path != "-"]
    journal = journal_command(root) if node else None
    if node:
        files += node_paths(root)
    if not files and "-" not in paths and journal is None:
        _refuse(
            "none of the usual places of a node exists here" if node else "name a path, --node, or - for standard input"
        )
    progress = _Progress()
    try:
        return diagnose(files, stdin="-" in paths, command=journal, progress=progress)
    except UnreadableInput as error:
        _refuse(f"cannot read {error}")
    finally:
        progress.clear()


def _refuse(message: str) -> NoReturn:
    click.echo(f"unipam diagnose: {message} (see unipam diagnose --help)", err=True)
    raise SystemExit(2)


def _print(report: Report, output: str, *, verbose: bool) -> None:
    if is_table(output):
        from unipam.diagnose.render.screen import Screen
        from unipam.diagnose.render.text import Writer

        terminal = sys.stdout.isatty()
        colour = terminal and not os.environ.get("NO_COLOR")
        width = shutil.get_terminal_size((110, 40)).columns if terminal else 110 if verbose else 80
        writer = Writer(colour=colour, width=width) if verbose else Screen(colour=colour, width=width)
        click.echo("\n".join(writer.lines(report)))
    else:
        show_document(report, output, "diagnosis")


def _write_page(report: Report, page: str) -> None:
    from unipam.diagnose.render.html import page_of

    try:
        Path(page).write_text(page_of(report), encoding="utf-8")
    except OSError as error:
        _refuse(f"cannot write {page}: {error.strerror}")


class _Progress:
    """One line on stderr, rewritten, when a person looks at it."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._next = 0.0
        self._dirty = False

    def __call__(self, name: str, done: int, size: int) -> None:
        now = time.monotonic()
        if not self._shown or now < self._next:
            return
        self._next = now + 0.2
        self._dirty = True
        part = f"{100 * done // size} %" if size else f"{done / 1e6:.0f} MB"
        sys.stderr.write(f"\r\x1b[Kreading {name}: {part}")
        sys.stderr.flush()

    def clear(self) -> None:
        if self._dirty:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
