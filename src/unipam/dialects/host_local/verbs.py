"""The verbs of host-local over the ledger in its data directory.

A configuration that makes no sense stops every verb but DEL, for which it does not matter at all (defect D13), and
STATUS, which answers for the node and not for a configuration.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from unipam.cni import attachment, originals, protocol
from unipam.cni.call import Answer, Call, Undo
from unipam.cni.context import Context
from unipam.cni.plugin import Plugin, failure
from unipam.cni.protocol import Config
from unipam.cni.result import Ip, Result, render
from unipam.dialects.host_local import dialect as host_local
from unipam.dialects.host_local import directory
from unipam.dialects.host_local.config import Network
from unipam.ledger.change import Inherit, Inheritance
from unipam.ledger.given_back import refusal
from unipam.ledger.ledger import Allocation, Ledger, missing
from unipam.ledger.open import started
from unipam.model.errors import BadInput, Exhausted, StoreBusy, UnipamError
from unipam.model.pool_notes import describe
from unipam.model.records import Owner, Request


def _typed(config: Config) -> dict[str, Any]:
    return host_local.typed(config.document)


def _network(config: Config) -> Network:
    return host_local.load(config.read(_typed))


def _pools(config: Config) -> str:
    return describe(config.read(_network).pools)


def _place(config: Config) -> str:
    return host_local.place(config.document)


def _asked(call: Call, config: Config) -> tuple[Network, tuple[int, ...]]:
    """The configuration, and the addresses asked for: what is wrong with these host-local says before the ranges."""
    wishes = host_local.wishes(config.read(_typed), protocol.parse_args(call.env.get("CNI_ARGS", "")))
    return config.read(_network), wishes


def _owner(call: Call) -> Owner:
    return Owner(call.env["CNI_CONTAINERID"], call.env["CNI_IFNAME"])


def _inherit(ledger: Ledger, context: Context, data_dir: str, space: str) -> Inherit:
    def inherit() -> Inheritance:
        path = f"{data_dir}/{space}"
        if directory.is_given_back(path):
            raise refusal(space, directory.again(data_dir))
        context.require_waiting(f"first contact with the network {space}")
        return take_over(ledger, path)

    return inherit


def take_over(ledger: Ledger, path: str) -> Inheritance:
    """What host-local left in a directory, once no host-local is at work any more. Raises StoreBusy or StoreBroken."""
    originals.wait(host_local.NAME)
    return directory.inherit(path, ledger.boot, started())


def _add(call: Call, config: Config, context: Context) -> Answer:
    network, wishes = _asked(call, config)
    dns = host_local.dns(network, call.cwd)
    inode = protocol.check_namespace(call)
    data_dir = attachment.directory(call, network.data_dir)
    ledger = context.ledger(data_dir)
    request = Request(
        _owner(call), network.pools, wishes, network.cooldown, network.again, call.key, call.asked, ledger.boot,
        attachment.details(call, inode), last=call.last,
    )  # fmt: skip
    allocation = _allocate(ledger, context, data_dir, network, request, config.read(_pools))
    return _granted(config, network, allocation, dns, lambda own: own.ledger(data_dir).undo(allocation, _UNHEARD))


def _allocate(
    ledger: Ledger, context: Context, data_dir: str, network: Network, request: Request, pools: str
) -> Allocation:
    """One address of each pool. From a full one what is gone is freed first; a refusal is journalled."""
    space, inherit = network.name, _inherit(ledger, context, data_dir, network.name)
    attempt = partial(ledger.allocate, space, request, inherit=inherit, pools=pools)
    try:
        return attempt()
    except Exhausted:
        context.require_waiting(f"the pool of {space} is full: what is gone is looked for")
        from unipam.ledger import shortage  # more to import than an ADD that is served needs
    try:
        return shortage.relieve(ledger, space, attempt, inherit)
    except Exhausted as error:
        filling = shortage.filling(ledger, space, request.pools[int(str(error.facts["pool"]))])
        place = "" if data_dir == host_local.DATA_DIR else f" --data-dir {data_dir}"
        error.facts["details"] = f"{filling}: unipam explain {space}{place}"
        shortage.record(ledger, space, request, error, pools)
        raise


_UNHEARD = "the caller went away before it had the answer"


def _granted(config: Config, network: Network, allocation: Allocation, dns: dict[str, object], undo: Undo) -> Answer:
    ips = tuple(map(Ip._make, host_local.addresses(network, allocation.claims)))
    facts = {"network": config.name, "addresses": [ip.address for ip in ips], "new": allocation.new}
    stdout = render(Result(ips, network.routes, dns), config.version)
    return Answer(0, stdout, undo=undo if allocation.new else None, facts=facts)


def _ledger(call: Call, config: Config, context: Context) -> tuple[Ledger | None, str]:
    """The ledger that a network's leases are in, if it or anything to inherit exists, and its data directory."""
    data_dir = attachment.directory(call, config.read(_place))
    found = context.find_ledger(data_dir)
    if found is None and host_local.has_state(data_dir, config.name):
        return context.ledger(data_dir), data_dir
    return found, data_dir


def _del(call: Call, config: Config, context: Context) -> Answer:
    ledger, data_dir = _ledger(call, config, context)
    if ledger is None:
        return Answer(0, facts={"network": config.name, "addresses": []})
    inherit = _inherit(ledger, context, data_dir, config.name)
    gone = ledger.release(config.name, _owner(call), "DEL", asked=call.asked, actor=call.key, inherit=inherit)
    return Answer(0, facts={"network": config.name, "addresses": [claim.text for claim in gone]})


def _check(call: Call, config: Config, context: Context) -> Answer:
    _asked(call, config)
    ledger, data_dir = _ledger(call, config, context)
    owner = _owner(call)
    if ledger is None:
        raise missing(owner)
    wanted = protocol.previous_addresses(config.document)
    ledger.check(config.name, owner, wanted, inherit=_inherit(ledger, context, data_dir, config.name))
    return Answer(0, facts={"network": config.name})


def _gc(call: Call, config: Config, context: Context) -> Answer:
    _asked(call, config)  # as host-local does: unlike a DEL nobody waits for it, and another comes
    valid = protocol.valid_attachments(config.document)
    if valid is None and host_local.flag(config.document, "gcWithoutList"):
        valid = set()
    ledger, data_dir = _ledger(call, config, context)
    if ledger is None or valid is None:
        return Answer(0, facts={"network": config.name, "addresses": []})
    inherit = _inherit(ledger, context, data_dir, config.name)
    gone = ledger.collect(config.name, valid, "GC: not among the valid attachments", inherit=inherit)
    return Answer(0, facts={"network": config.name, "addresses": [claim.text for claim in gone]})


def _status(call: Call, config: Config, context: Context) -> Answer:
    try:
        ledger = context.ledger(attachment.directory(call, config.read(_place)))
        ledger.probe(config.name)
        if host_local.flag(config.document, "statusOnExhaustion"):
            ledger.check_room(config.name, config.read(_network).pools)
    except StoreBusy:
        pass  # somebody is writing: it works
    except (Exhausted, BadInput) as error:
        return failure(error, 50, host_local.word(error), config)
    except UnipamError as error:
        return failure(error, 50, f"no address can be served: {error.message}", config)
    return Answer(0, facts={"network": config.name})


PLUGIN = Plugin(
    host_local.NAME,
    host_local.CODES,
    host_local.word,
    {"ADD": _add, "DEL": _del, "CHECK": _check, "GC": _gc, "STATUS": _status},
)
