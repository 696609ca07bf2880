"""`unipam status`: one look at the node."""

from __future__ import annotations

import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator

import click

from unipam.cli.ledger import command_ledgers
from unipam.cli.numbers import Number
from unipam.cli.output import document_option, show_document, when
from unipam.cni.call import SOCKET
from unipam.ledger import reads, reconcile
from unipam.ledger.ledger import Ledger
from unipam.ledger.open import FILE
from unipam.model import facts
from unipam.model.errors import UnipamError

_EXAMPLES = 10
"""How many leases that leaked, or are in doubt, are named each by each."""


@click.command("status")
@click.option("--socket", "path", default=SOCKET, show_default=True, help="The agent's socket.")
@click.option(
    "--data-dir",
    "data_dirs",
    multiple=True,
    default=("/var/lib/cni/networks",),
    show_default=True,
    help="Ledgers to look at.",
)
@click.option("--wait", type=Number(0, 3600), default=0.0, metavar="SECONDS",
              help="Give an agent that is only starting so long to answer.")  # fmt: skip
@click.option("--all", "whole", is_flag=True, help="Name every lease that leaked or is in doubt, not the first ten.")
@document_option
@click.pass_context
def command(
    context: click.Context, path: str, data_dirs: tuple[str, ...], wait: float, *, whole: bool, output: str
) -> None:
    """One look at the node: does the agent answer, are the ledgers sound, how full are the pools, what leaked.

    Exit code 1 when the agent does not answer or a ledger cannot be used.

    \b
    Examples:
      unipam status
      unipam status --data-dir /run/cni/networks -o json
      unipam status --all | grep doubtful
    """
    agent = _agent(path, time.monotonic() + wait)
    ledgers = [_ledger(directory) for directory in data_dirs]
    if output == "table":
        _print(path, agent, ledgers, sys.maxsize if whole else _EXAMPLES)
    else:
        show_document({"socket": path, "agent": agent, "ledgers": ledgers}, output, "node-status")
    if agent["state"] != "answers" or any(ledger["state"] not in {"sound", "none yet"} for ledger in ledgers):
        context.exit(1)


def _agent(path: str, deadline: float) -> dict[str, object]:
    """Return what the agent says, asked again until it answers or the deadline (monotonic) has passed."""
    while (found := _ask(path))["state"] != "answers" and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def _ask(path: str) -> dict[str, object]:
    from unipam.cni.call import Call, encode_call, frame_size

    call = encode_call(Call("host-local", {"CNI_COMMAND": "VERSION"}, b""))
    begun = time.perf_counter()
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2.0)
            connection.connect(path)
            connection.sendall(call)
            answered = frame_size(connection.recv(4096)) > 0
    except OSError as error:
        return {"state": "does not answer", "reason": error.strerror or str(error)}
    return {"state": "answers" if answered else "does not answer", "ms": round((time.perf_counter() - begun) * 1000, 2)}


def _ledger(directory: str) -> dict[str, object]:
    try:
        ledger = command_ledgers().find(directory)
        if ledger is None:
            return {"directory": directory, "state": "none yet"}
        observed = reconcile.observe(ledger.boot)
        gone, doubt = (reconcile.suspects(ledger, observed, state) for state in ("gone", "doubt"))
        pools = [_pool(ledger, pool) for pool in reads.pools(ledger)]
        wrong = ledger.store.check()
    except UnipamError as error:
        return {"directory": directory, "state": error.name, "reason": error.message}
    return {
        "directory": directory,
        "state": "damaged" if wrong else "sound",
        "wrong": wrong,
        "runtime": reconcile.complaint_of(ledger),
        "pools": pools,
        "leaked": [_suspect(s) for s in gone],
        "doubtful": [_suspect(s) for s in doubt],
    }


def _pool(ledger: Ledger, pool: reads.PoolUse) -> dict[str, object]:
    full = pool.free == pool.cooling == 0
    return {**pool._asdict(), "full": full, "refused": reads.refused(ledger, pool.network)}


def _suspect(suspect: reconcile.Suspect) -> dict[str, object]:
    claim, netns = suspect.claim, facts.read(suspect.claim.details).get("netns")
    return {
        "address": claim.text,
        "container": str(claim.owner),
        "since": when(claim.since),
        "reason": suspect.reason,
        "because": suspect.reason.replace(f" {netns}", "") if netns else suspect.reason,
    }


def _print(path: str, agent: dict[str, object], ledgers: list[dict[str, object]], most: int) -> None:
    extra = agent.get("reason") or f"{agent.get('ms')} ms"
    click.echo(f"agent   {path}  {agent['state']} ({extra})")
    for ledger in ledgers:
        click.echo(f"ledger  {ledger['directory']}/{FILE}  {ledger['state']}  {ledger.get('reason', '')}".rstrip())
        if ledger.get("runtime"):
            click.echo(f"  runtime not asked: {ledger['runtime']}")
        for pool in _rows(ledger, "pools"):
            click.echo(
                f"  {pool['network']} pool {pool['number']}: {pool['used']} used, {pool['free']} free,"
                f" {pool['cooling']} cooling of {pool['size']}; next {pool['next'] or '-'}{_want(pool)}"
            )
        for word in ("leaked", "doubtful"):
            for line in _suspects(word, _rows(ledger, word), most):
                click.echo(line)


def _suspects(word: str, leases: list[dict[str, object]], most: int) -> Iterator[str]:
    """Every lease in a line; of more than `most`, how many there are for which reason, and the first ones."""
    if len(leases) > most:
        for reason, count in Counter(lease["because"] for lease in leases).most_common():
            yield f"  {word}: {count} leases: {reason}"
    for lease in leases[:most]:
        yield f"  {word}: {lease['address']} of {lease['container']} ({lease['reason']})"
    if len(leases) > most:
        yield f"  {word}: {len(leases) - most} more (--all names them)"


def _want(pool: dict[str, object]) -> str:
    refused = pool["refused"]
    names = ", ".join(refused) if isinstance(refused, list) else ""
    return ("; FULL" if pool["full"] else "") + (f", refused within the last minute: {names}" if names else "")


def _rows(ledger: dict[str, object], key: str) -> list[dict[str, object]]:
    found = ledger.get(key)
    return found if isinstance(found, list) else []
