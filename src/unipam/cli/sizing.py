"""`unipam sizing`: plan the subnets and ranges of an AKS cluster.

Here: reading a description, options on top of it, and drawing the plan. Not here: any rule (`unipam.sizing`).
"""

from __future__ import annotations

import sys
from typing import IO, TYPE_CHECKING

import click

from unipam.cli.output import document_option, is_table, show_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.table import Table

    from unipam.sizing.plan import Plan

_PIPE_WIDTH = 160  # columns of a table that no terminal limits

_EPILOG = """\b
Examples:
  unipam sizing cluster.yaml
  unipam sizing --variant overlay --pool system,nodes=3 --pool user,max=50,max_surge=33%
  unipam sizing --variant node-subnet --pool system,nodes=50,max_pods=30 --subnet nodes=10.0.0.0/22
  unipam sizing cluster.yaml --free 10.20.0.0/16 --free-range 100.64.0.0/10 -o json
  unipam sizing cluster.yaml --what-if 50% --what-if 100%
  unipam sizing --limits
  unipam sizing --rules
\b
Exit codes:
  0  the plan works (warnings and notes may be there)
  1  the plan does not work: a finding is an error
  2  the description or an option is wrong; nothing was planned
"""


@click.command("sizing", epilog=_EPILOG)
@click.argument("file", required=False, type=click.File("rb"))
@click.option("--variant", help="kubenet, node-subnet, pod-subnet, pod-subnet-static, overlay, cilium-overlay, byo ...")
@click.option("--pool", "pools", multiple=True, metavar="NAME,KEY=VALUE...", help="A pool; replaces those of FILE.")
@click.option("--growth", metavar="NODES|%", help="More nodes in every pool.")
@click.option("--vnet", "vnet", multiple=True, metavar="PREFIX", help="Address space of the network; repeatable.")
@click.option("--subnet", "subnets", multiple=True, metavar="NAME=PREFIX", help="A subnet that exists; repeatable.")
@click.option("--pod-cidr", metavar="PREFIX", help="The pod range.")
@click.option("--service-cidr", metavar="PREFIX", help="The service range.")
@click.option("--peered", multiple=True, metavar="PREFIX", help="A peered network; repeatable.")
@click.option("--on-premises", multiple=True, metavar="PREFIX", help="A network beyond a gateway; repeatable.")
@click.option(
    "--free", "free", multiple=True, metavar="BLOCK[,USED...]", help="A block to place subnets in; repeatable."
)
@click.option(
    "--free-range", "free_ranges", multiple=True, metavar="BLOCK[,USED...]", help="The same for other ranges."
)
@click.option(
    "--what-if", "what_if", multiple=True, metavar="NODES|%", help="Try more nodes in every pool; repeatable."
)
@click.option("--limits", "show_limits", is_flag=True, help="Print the limits of Azure and AKS with their sources.")
@click.option("--rules", "show_rules", is_flag=True, help="Print every rule with its source (docs/sizing-rules.md).")
@document_option
@click.pass_context
def command(
    ctx: click.Context, /, file: IO[bytes] | None, output: str, show_limits: bool, show_rules: bool, **options: object
) -> None:
    """Plan the addresses of an AKS cluster: what it needs, what may not overlap, which limit comes first.

    FILE describes the cluster in YAML or JSON ("-" is standard input); options come on top of it. The format is in
    docs/sizing.md. Nothing is read but FILE, and nothing is changed.
    """
    from unipam.sizing import report

    if show_rules:
        from unipam.sizing import page

        click.echo("\n".join(page.lines()))
        return
    if show_limits:
        _print(output, "sizing-limit", {"items": report.limits_document()}, _draw_limits)
        return
    plan = _plan(_with_options(_read(file) if file else {}, options))
    _print(output, "sizing", report.as_document(plan), lambda: _draw(plan))
    ctx.exit(0 if plan.works else 1)


def _plan(document: object) -> Plan:
    from unipam.sizing.document import read
    from unipam.sizing.fields import InvalidClusterError
    from unipam.sizing.plan import plan

    try:
        return plan(read(document))
    except InvalidClusterError as error:
        raise BadDescription("\n  ".join(["the cluster cannot be planned as described:", *error.problems])) from error


class BadDescription(click.ClickException):
    """What was given cannot be planned at all."""

    exit_code = 2


def _read(file: IO[bytes]) -> object:
    from unipam.sizing.text import MOST_BYTES, parse

    try:
        content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise BadDescription(f"{_name(file)}: larger than {MOST_BYTES} bytes, which no description of a cluster is")
        return parse(content.decode())
    except UnicodeDecodeError as error:
        raise BadDescription(f"{_name(file)}: not UTF-8 text") from error
    except OSError as error:
        raise BadDescription(f"{_name(file)}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BadDescription(
            f"{_name(file)}: cannot be read as JSON or YAML: {' '.join(str(error).split())}"
        ) from error


def _name(file: IO[bytes]) -> str:
    """Return the name of the file; standard input need not have one."""
    return str(getattr(file, "name", "<stdin>"))


def _with_options(document: object, options: dict[str, object]) -> object:
    """Return the document with the given options put over it; anything but a mapping is left for the door to refuse."""
    given = {key: list(value) if isinstance(value, tuple) else value for key, value in options.items() if value}
    if not isinstance(document, dict) or not given:
        return document
    networks: dict[str, object] = {
        key: given.pop(key) for key in ("vnet", "pod_cidr", "service_cidr", "peered", "on_premises") if key in given
    }
    if subnets := given.pop("subnets", None):
        networks["subnets"] = dict(_pair(text, "--subnet") for text in _texts(subnets))
    if pools := given.pop("pools", None):
        given["pools"] = [_pool(text) for text in _texts(pools)]
    blocks = [*_blocks(given.pop("free", ()), "subnets"), *_blocks(given.pop("free_ranges", ()), "ranges")]
    if blocks:
        given["free"] = blocks
    present = document.get("networks")
    if networks and (present is None or isinstance(present, dict)):
        given["networks"] = {**(present or {}), **networks}
    return {**document, **given}


def _texts(values: object) -> list[str]:
    return [str(value) for value in values] if isinstance(values, (list, tuple)) else []


def _pair(text: str, option: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint=option)
    return key.strip(), value.strip()


def _pool(text: str) -> dict[str, object]:
    """Return `user,nodes=50,max_pods=30,zones=1/2/3` as a pool of the document."""
    name, *pairs = text.split(",")
    fields = (_pair(pair, "--pool") for pair in pairs)
    return {"name": name.strip(), **{key: _value(key, value) for key, value in fields}}


def _value(key: str, text: str) -> object:
    if key == "zones":
        return [_value("", zone) for zone in text.split("/")]
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text


def _blocks(values: object, use: str) -> Iterator[dict[str, object]]:
    for text in _texts(values):
        block, *used = (part.strip() for part in text.split(","))
        yield {"block": block, "used": used, "use": use}


def _print(output: str, schema: str, document: object, draw: Callable[[], Iterator[str | Table]]) -> None:
    if not is_table(output):
        show_document(document, output, schema)
        return
    from rich.console import Console

    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    console = Console(markup=False, highlight=False, emoji=False, width=width)
    for each in draw():
        console.print(each)


def _draw(plan: Plan) -> Iterator[str | Table]:
    from unipam.cli import sizing_tables

    yield sizing_tables.headline(plan)
    yield from sizing_tables.tables(plan)


def _draw_limits() -> Iterator[Table]:
    from unipam.cli import sizing_tables

    yield sizing_tables.limits_table()
