"""What a command says beside its answer, on standard error: remarks, details with --verbose, that it still works."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

import click

PATIENCE = 2.0
"""Seconds after which somebody at a terminal wants to know that work goes on."""


def _chosen(option: str) -> bool:
    context = click.get_current_context(silent=True)
    return bool(context and context.find_root().params.get(option))


def remark(text: str) -> None:
    """Say something that is no part of the answer; nothing with --quiet."""
    if not _chosen("quiet"):
        click.echo(text, err=True)


def detail(text: str) -> None:
    """Say what is being done, with --verbose."""
    if _chosen("verbose"):
        click.echo(text, err=True)


@contextlib.contextmanager
def working(what: str) -> Iterator[None]:
    """Say on a terminal that this goes on, from the third second of the block until its end."""
    if not sys.stderr.isatty() or _chosen("quiet"):
        yield
        return
    done = threading.Event()
    teller = threading.Thread(target=_tell, args=(what, done, time.monotonic()), daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def _tell(what: str, done: threading.Event, begun: float) -> None:
    if done.wait(PATIENCE):
        return
    while True:
        sys.stderr.write(f"\r\x1b[K{what}: {time.monotonic() - begun:.0f} s")
        sys.stderr.flush()
        if done.wait(1.0):
            break
    sys.stderr.write("\r\x1b[K")
    sys.stderr.flush()
