"""Names for the shell to complete: of spaces, blocks and networks of the plan, of pods and networks of the ledger.

The shell asks `unipam` itself (click's protocol); where an argument names one of these, the register or the ledger that
the line so far speaks of is asked. Whatever goes wrong is silence: the line is only half written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

PATIENCE = 2.0
"""Seconds that a register has to answer."""

_LEVELS = ("space", "block", "external", "subnet", "endpoint")


def wanted(context: click.Context, parameter: str) -> Iterable[str]:
    """Return the names that may stand for a parameter of a command."""
    group = context.parent.info_name if context.parent else ""
    if parameter in ("name", "new_name") and group in _LEVELS and context.info_name not in ("add", "list"):
        return _of_plan(context, str(group))
    kind = _KINDS.get(parameter, "")
    if parameter == "what" or (context.info_name == "explain" and parameter == "subject"):
        return _of_ledger(context, lambda lease: lease.pod)
    if kind == "network" and group not in ("lease", "pool", "adopt"):
        return ()
    if kind in _LEVELS:
        return _of_plan(context, kind)
    return _ELSEWHERE[kind](context) if kind else ()


_KINDS = {
    "space": "space",
    "spaces": "space",
    "block": "block",
    "blocks": "block",
    "parent": "block",
    "external": "external",
    "subnet": "subnet",
    "endpoint": "endpoint",
    "resource_id": "associated",
    "network": "network",
    "networks": "network",
    "pod": "pod",
    "namespace": "namespace",
    "context_name": "context",
}


def _of_plan(context: click.Context, kind: str) -> Iterable[str]:
    """Return the names of a kind, under what the line names already."""
    path = ""
    for level in _LEVELS[: _LEVELS.index(kind)]:
        path += f"/{level}s/{_named(context, level)}"
    return _asked(context, f"{path}/{kind}s", "name")


def _named(context: click.Context, level: str) -> str:
    """Return what the line names already. After an option without its value yet, click has left that in `args`."""
    from unipam.cli.register_api import part

    arguments = [each.name for each in context.command.params if isinstance(each, click.Argument)]
    left = dict(zip(arguments, context.args, strict=False))
    return part(context.params.get(level) or left.get(level) or "")


def _asked(context: click.Context, path: str, field: str) -> Iterable[str]:
    from unipam.cli.register_api import Named

    named = Named(*(context.params.get(each) for each in Named._fields))
    api = named.connect(PATIENCE)
    if api is None:
        return []
    try:
        return [row[field] for row in api.all(path)]
    finally:
        api.close()


def _of_ledger(context: click.Context, field: Callable[[Any], str]) -> Iterable[str]:
    from unipam.cli.ledger import find_ledger
    from unipam.ledger import reads

    ledger = find_ledger(context.params.get("data_dir") or "/var/lib/cni/networks")
    return sorted({field(lease) for lease in reads.leases(ledger)}) if ledger else ()


def _contexts(_: click.Context) -> Iterable[str]:
    from unipam.cli import contexts

    return sorted(contexts.load().contexts)


def _associated(context: click.Context) -> Iterable[str]:
    return _asked(context, f"/spaces/{_named(context, 'space')}/blocks/{_named(context, 'block')}/networks", "id")


_ELSEWHERE: dict[str, Callable[[click.Context], Iterable[str]]] = {
    "associated": _associated,
    "context": _contexts,
    "namespace": lambda context: _of_ledger(context, lambda lease: lease.pod.partition("/")[0]),
    "network": lambda context: _of_ledger(context, lambda lease: lease.network),
    "pod": lambda context: _of_ledger(context, lambda lease: lease.pod),
}


def install() -> None:
    """Let the shell's completion, in this process, know names as well as what click knows."""
    known = click.Parameter.shell_complete

    def complete(self: click.Parameter, context: click.Context, incomplete: str) -> list[CompletionItem]:
        try:
            with context.scope(cleanup=False):
                found = [name for name in wanted(context, str(self.name)) if name and name.startswith(incomplete)]
        except Exception:  # noqa: BLE001 (half a line: whatever is wrong with it, it is not the time to say so)
            found = []
        return [CompletionItem(name) for name in sorted(found)] or known(self, context, incomplete)

    click.Parameter.shell_complete = complete  # type: ignore[method-assign, assignment]
