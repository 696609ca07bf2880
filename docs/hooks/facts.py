"""Pages of small facts, read off the code: environment variables, metrics, errors."""

from __future__ import annotations

from collections.abc import Iterator

import click
import commands
from prometheus_client import CollectorRegistry

from unipam.agent.watch import Watch
from unipam.cli.main import unipam
from unipam.dialects.host_local.dialect import CODES as HOST_LOCAL
from unipam.ledger.open import Ledgers
from unipam.model.errors import UnipamError
from unipam.server.metrics import Metrics
from unipam.server.statuses import status_of

_SETTINGS = """\
# Settings

unipam has no configuration file of its own. A node's plugins read the network configuration of their runtime, with the
keys of the plugin whose place they take: [host-local](../host-local.md#configuration),
[azure-vnet-ipam](../azure-vnet-ipam.md#network-configuration), [calico-ipam](../calico.md#network-configuration).
Agent, register and commands take options ([Commands](commands.md)); some can be given by the environment:

| variable | option | of | default |
|---|---|---|---|
"""
_MORE = """
Azure's own variables (`AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, …) are told in [Azure as a source](../azure.md#signing-in).
`NODE_NAME` is the node's name in the agent's journal; without it, the host's name is.
"""
_METRICS = """\
# Metrics

The agent serves them at `127.0.0.1:9517/metrics` (`--metrics`), the register at `/metrics` of its own port; neither
asks for a token. `unipam controller` serves its own at `127.0.0.1:9518/metrics` (`--listen`).
[Set alerts](../how-to/alerts.md) says which are worth one.
"""
_ERRORS = """\
# Errors and their codes

Every error has one name, whatever reports it. This page is made from the error tree. [Errors and what to
do](../errors.md) says how to get out of each that a node meets.

| name | kind of | means | temporary | HTTP | host-local's code |
|---|---|---|---|---|---|
"""


def settings() -> str:
    """Return the page of environment variables."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for words, command in commands.tree(unipam, "unipam"):
        for each in command.params:
            if isinstance(each, click.Option) and isinstance(each.envvar, str):
                default = each.default if isinstance(each.default, str) else ""
                rows.setdefault((each.envvar, each.opts[0], default), []).append(" ".join(words))
    lines = [
        f"| `{name}` | `{option}` | {used(of)} | {code(value)} |" for (name, option, value), of in sorted(rows.items())
    ]
    return _SETTINGS + "\n".join(lines) + "\n" + _MORE


def used(commands_: list[str]) -> str:
    """Return by which commands; a long list by its groups."""
    groups = sorted({" ".join(each.split()[:2]) for each in commands_})
    return ", ".join(f"`{each}`" for each in (groups if len(commands_) > 3 else commands_))


def code(text: str) -> str:
    """Return a text as code; nothing for none."""
    return f"`{text}`" if text else ""


def metrics() -> str:
    """Return the page of what agent and register tell Prometheus."""
    agent = Watch().measure(Ledgers, tuple)
    parts = [_METRICS, "## Of the agent\n", *table(agent), "\n## Of the register\n", *table(Metrics().registry)]
    return "\n".join(parts) + "\n"


def table(registry: CollectorRegistry) -> Iterator[str]:
    """Yield the table of a registry's metrics."""
    yield "| metric | type | labels | meaning |\n|---|---|---|---|"
    for collector in dict.fromkeys(registry._collector_to_names):  # noqa: SLF001 (collect() tells no labels of the unused)
        for family in collector.collect():
            labels = getattr(collector, "_labelnames", ()) or getattr(family, "_labelnames", ())
            name = family.name + ("_total" if family.type == "counter" else "")
            yield f"| `{name}` | {family.type} | {', '.join(f'`{each}`' for each in labels)} | {family.documentation} |"


def errors() -> str:
    """Return the page of the error tree."""
    return _ERRORS + "\n".join(map(error_row, tree(UnipamError))) + "\n"


def tree(kind: type[UnipamError]) -> Iterator[type[UnipamError]]:
    """Yield an error and every kind of it."""
    for each in sorted(kind.__subclasses__(), key=lambda found: found.__name__):
        if each.__module__ == UnipamError.__module__:
            yield each
            yield from tree(each)


def error_row(kind: type[UnipamError]) -> str:
    """Return an error's line of the table."""
    status = status_of(kind(""))
    code = next(HOST_LOCAL[each] for each in kind.__mro__ if each in HOST_LOCAL)
    parent = kind.__mro__[1].__name__
    means = commands.cell((kind.__doc__ or "").strip().splitlines()[0])
    return f"| {kind.name} | {parent} | {means} | {'yes' if kind.temporary else ''} | {status} | {code} |"
