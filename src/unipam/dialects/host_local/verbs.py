"""The verbs of host-local over the ledger in its data directory.

A configuration that makes no sense stops every verb but DEL, for which it does not matter at all (defect D13), and
STATUS, which answers for the node and not for a configuration.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

from unipam.cni import originals, protocol
from unipam.cni.call import Call
from unipam.cni.context import Context
from unipam.cni.plugin import NOT_SERVING, Plugin, Reply, not_serving
from unipam.cni.result import Result
from unipam.dialects.host_local import dialect, directory, resolv_conf
from unipam.dialects.host_local.config import DATA_DIR, Network, flag, load, place, typed
from unipam.dialects.host_local.pod_cidr import Node, replaced, wanted
from unipam.ledger import relief
from unipam.ledger.change import Allocation, Inheritance
from unipam.ledger.given_back import refusal
from unipam.ledger.ledger import Ledger, missing
from unipam.ledger.open import locate, started
from unipam.model import facts
from unipam.model.errors import BadInput, Exhausted, StoreBusy, UnipamError
from unipam.model.pool_notes import describe
from unipam.model.records import Owner, Request


class _Reading:
    """What host-local reads out of a configuration: its types, and only after a call's own wishes its meaning."""

    def __init__(self, document: dict[str, Any], said: Sequence[str] = ()) -> None:
        self.typed = typed(document)
        self.said = {"messages": said} if said else {}

    @cached_property
    def network(self) -> Network:
        """Return the configuration as a whole. Raises BadConfig."""
        return load(self.typed)

    @cached_property
    def pools(self) -> str:
        """Return its pools as the ledger notes them."""
        return describe(self.network.pools)


class _ByNode:
    """A configuration that wants its node's ranges: what is read out of it depends on these."""

    def __init__(self, document: dict[str, Any], node: Node) -> None:
        self.node = node
        self._document = document
        self._readings: dict[tuple[str, ...], _Reading] = {}

    def reading(self, ranges: tuple[str, ...]) -> _Reading:
        """Return what is read with these ranges in it. Raises BadConfig."""
        if ranges not in self._readings:
            self._readings = {ranges: _Reading(*replaced(self._document, self.node.name, lambda: ranges))}
        return self._readings[ranges]


def _prepare(document: dict[str, Any]) -> _Reading | _ByNode:
    node = wanted(document)
    return _ByNode(document, node) if node else _Reading(document)


def _read(call: Call, context: Context) -> _Reading:
    """Return what is read out of a call's configuration. Raises BadConfig, WouldBlock, SourceFailed."""
    prepared = call.config.read(_prepare)
    if isinstance(prepared, _Reading):
        return prepared
    from unipam.dialects.host_local import node_ranges

    directory = locate(call.config.read(place), call.cwd)
    ranges = node_ranges.at_hand(prepared.node, directory)
    if ranges is None:
        context.require_waiting(f"the ranges of node {prepared.node.name}")
        ranges = node_ranges.ask(prepared.node, context, directory)
    return prepared.reading(ranges)


def _asked(call: Call, context: Context) -> tuple[tuple[int, ...], Network, _Reading]:
    """Return the addresses asked for, the configuration, and how it was read. Raises BadConfig.

    With what is wrong with the addresses host-local finds fault first.
    """
    reading = _read(call, context)
    wishes = dialect.wishes(reading.typed, call.arguments)
    return wishes, reading.network, reading


def _owner(call: Call) -> Owner:
    return Owner(call.env["CNI_CONTAINERID"], call.env["CNI_IFNAME"])


def _inherit(ledger: Ledger, context: Context, data_dir: str, space: str) -> Inheritance:
    """Take a network over at first contact. Raises GivenBack, WouldBlock, StoreBusy or StoreBroken."""
    path = f"{data_dir}/{space}"
    if directory.is_given_back(path):
        raise refusal(space, directory.again(data_dir))
    context.require_waiting(f"first contact with the network {space}")
    return take_over(ledger, path)


def take_over(ledger: Ledger, path: str) -> Inheritance:
    """Return what host-local left in a directory, once none of it runs any more. Raises StoreBusy or StoreBroken."""
    originals.wait(dialect.NAME)
    return directory.inherit(path, ledger.boot, started())


def _add(call: Call, context: Context) -> Reply:
    wishes, network, reading = _asked(call, context)
    dns = resolv_conf.read(network.resolv_conf, call.cwd) if network.resolv_conf else {}
    if call.own:
        raise protocol.own_namespace(call)
    allocation, data_dir = _allocate(call, context, wishes, network, reading.pools)
    ips = dialect.addresses(network, allocation.claims)
    return Reply(
        {"network": network.name, "addresses": [ip.address for ip in ips], "new": allocation.new, **reading.said},
        Result(ips, network.routes, dns),
        (lambda own: own.ledgers.at(data_dir).undo(allocation, _UNHEARD)) if allocation.new else None,
    )


_UNHEARD = "the caller went away before it had the answer"


def _allocate(
    call: Call, context: Context, wishes: tuple[int, ...], network: Network, pools: str
) -> tuple[Allocation, str]:
    """Hand out one address of each pool, in the ledger of the data directory that is returned too.

    From a full pool what is gone is freed first; a refusal is journalled.
    """
    owner, details = _owner(call), facts.write(call.facts)
    data_dir, space = locate(network.data_dir, call.cwd), network.name
    ledger = context.ledgers.at(data_dir)
    request = Request(
        owner, network.pools, wishes, network.cooldown, network.again, call.key, call.asked, ledger.boot, details,
        last=call.last,
    )  # fmt: skip
    inherit = partial(_inherit, ledger, context, data_dir, space)
    attempt = partial(ledger.allocate, space, request, inherit=inherit, pools=pools)
    try:
        return relief.attempt(ledger, space, attempt, inherit, context.require_waiting), data_dir
    except Exhausted as error:
        where = "" if data_dir == DATA_DIR else f" --data-dir {data_dir}"
        relief.refuse(ledger, space, request, error, pools=pools, explain=f"unipam explain {space}{where}")
        raise


def _ledger(call: Call, context: Context) -> tuple[Ledger | None, str]:
    """Find the ledger that a network's leases are in, if it or anything to inherit exists, and its data directory."""
    data_dir = locate(call.config.read(place), call.cwd)
    found = context.ledgers.find(data_dir)
    if found is None and directory.exists(f"{data_dir}/{call.config.name}"):
        return context.ledgers.at(data_dir), data_dir
    return found, data_dir


def _del(call: Call, context: Context) -> Reply:
    ledger, data_dir = _ledger(call, context)
    space = call.config.name
    if ledger is None:
        return Reply({"network": space, "addresses": []})
    inherit = partial(_inherit, ledger, context, data_dir, space)
    gone = ledger.release(space, _owner(call), "DEL", asked=call.asked, actor=call.key, inherit=inherit)
    return Reply({"network": space, "addresses": [claim.text for claim in gone]})


def _check(call: Call, context: Context) -> Reply:
    _asked(call, context)
    ledger, data_dir = _ledger(call, context)
    owner, space = _owner(call), call.config.name
    if ledger is None:
        raise missing(owner)
    wanted = protocol.previous_addresses(call.config.document)
    ledger.check(space, owner, wanted, inherit=partial(_inherit, ledger, context, data_dir, space))
    return Reply({"network": space})


def _gc(call: Call, context: Context) -> Reply:
    _asked(call, context)  # as host-local does: unlike a DEL nobody waits for it, and another comes
    document, space = call.config.document, call.config.name
    valid = protocol.valid_attachments(document)
    if valid is None and flag(document, "gcWithoutList"):
        valid = set()
    ledger, data_dir = _ledger(call, context)
    if ledger is None or valid is None:
        return Reply({"network": space, "addresses": []})
    inherit = partial(_inherit, ledger, context, data_dir, space)
    gone = ledger.collect(space, valid, "GC: not among the valid attachments", inherit=inherit)
    return Reply({"network": space, "addresses": [claim.text for claim in gone]})


def _status(call: Call, context: Context) -> Reply:
    config = call.config
    try:
        ledger = context.ledgers.at(locate(config.read(place), call.cwd))
        ledger.probe(config.name)
        if flag(config.document, "statusOnExhaustion"):
            ledger.check_room(config.name, _read(call, context).network.pools)
    except StoreBusy:
        pass  # somebody is writing: it works
    except (Exhausted, BadInput) as error:
        error.facts["code"] = NOT_SERVING
        raise
    except UnipamError as error:
        raise not_serving(error) from error
    return Reply({"network": config.name})


PLUGIN = Plugin(
    dialect.NAME,
    dialect.CODES,
    dialect.word,
    {"ADD": _add, "DEL": _del, "CHECK": _check, "GC": _gc, "STATUS": _status},
    apart=True,
)
