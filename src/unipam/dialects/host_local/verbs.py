"""The verbs of host-local over the ledger in its data directory.

A configuration that makes no sense stops every verb but DEL, for which it does not matter at all (defect D13), and
STATUS, which answers for the node and not for a configuration.
"""

from __future__ import annotations

from typing import Any

from unipam.cni import attachment, protocol
from unipam.cni.call import Answer, Call, Undo
from unipam.cni.plugin import Plugin, failure
from unipam.cni.protocol import Config
from unipam.cni.result import Ip, Result, render
from unipam.dialects.host_local import dialect as host_local
from unipam.dialects.host_local import directory
from unipam.dialects.host_local.config import Network
from unipam.ledger.change import Inherit, Inheritance
from unipam.ledger.ledger import Allocation, Ledger, missing
from unipam.ledger.open import Ledgers, started
from unipam.ledger.pools import describe
from unipam.model.errors import BadInput, Exhausted, StoreBusy, UnipamError
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


def _inherit(ledger: Ledger, ledgers: Ledgers, data_dir: str, space: str) -> Inherit:
    def inherit() -> Inheritance:
        path = f"{data_dir}/{space}"
        if not directory.exists(path):
            return Inheritance()
        if not ledgers.patient:  # reading a directory takes its time: not in front of everybody else
            raise StoreBusy(f"first contact with the host-local directory {path}", path=path)
        return directory.inherit(path, ledger.boot, started())

    return inherit


def _add(call: Call, config: Config, ledgers: Ledgers) -> Answer:
    network, wishes = _asked(call, config)
    dns = host_local.dns(network, call.cwd)
    inode = protocol.check_namespace(call)
    data_dir = attachment.directory(call, network.data_dir)
    ledger = ledgers.at(data_dir)
    request = Request(
        _owner(call), network.pools, wishes, network.cooldown, network.again, call.key, call.asked, ledger.boot,
        attachment.details(call, inode), last=call.last,
    )  # fmt: skip
    inherit = _inherit(ledger, ledgers, data_dir, network.name)
    allocation = ledger.allocate(network.name, request, inherit=inherit, pools=config.read(_pools))
    return _granted(config, network, allocation, dns, lambda own: own.at(data_dir).undo(allocation, _UNHEARD))


_UNHEARD = "the caller went away before it had the answer"


def _granted(config: Config, network: Network, allocation: Allocation, dns: dict[str, object], undo: Undo) -> Answer:
    ips = tuple(map(Ip._make, host_local.addresses(network, allocation.claims)))
    facts = {"network": config.name, "addresses": [ip.address for ip in ips], "new": allocation.new}
    stdout = render(Result(ips, network.routes, dns), config.version)
    return Answer(0, stdout, undo=undo if allocation.new else None, facts=facts)


def _ledger(call: Call, config: Config, ledgers: Ledgers) -> tuple[Ledger | None, str]:
    """The ledger that a network's leases are in, if it or anything to inherit exists, and its data directory."""
    data_dir = attachment.directory(call, config.read(_place))
    found = ledgers.find(data_dir)
    if found is None and host_local.has_state(data_dir, config.name):
        return ledgers.at(data_dir), data_dir
    return found, data_dir


def _del(call: Call, config: Config, ledgers: Ledgers) -> Answer:
    ledger, data_dir = _ledger(call, config, ledgers)
    if ledger is None:
        return Answer(0, facts={"network": config.name, "addresses": []})
    inherit = _inherit(ledger, ledgers, data_dir, config.name)
    gone = ledger.release(config.name, _owner(call), "DEL", asked=call.asked, actor=call.key, inherit=inherit)
    return Answer(0, facts={"network": config.name, "addresses": [claim.text for claim in gone]})


def _check(call: Call, config: Config, ledgers: Ledgers) -> Answer:
    _asked(call, config)
    ledger, data_dir = _ledger(call, config, ledgers)
    owner = _owner(call)
    if ledger is None:
        raise missing(owner)
    wanted = protocol.previous_addresses(config.document)
    ledger.check(config.name, owner, wanted, inherit=_inherit(ledger, ledgers, data_dir, config.name))
    return Answer(0, facts={"network": config.name})


def _gc(call: Call, config: Config, ledgers: Ledgers) -> Answer:
    _asked(call, config)  # as host-local does: unlike a DEL nobody waits for it, and another comes
    valid = protocol.valid_attachments(config.document)
    if valid is None and host_local.flag(config.document, "gcWithoutList"):
        valid = set()
    ledger, data_dir = _ledger(call, config, ledgers)
    if ledger is None or valid is None:
        return Answer(0, facts={"network": config.name, "addresses": []})
    inherit = _inherit(ledger, ledgers, data_dir, config.name)
    gone = ledger.collect(config.name, valid, "GC: not among the valid attachments", inherit=inherit)
    return Answer(0, facts={"network": config.name, "addresses": [claim.text for claim in gone]})


def _status(call: Call, config: Config, ledgers: Ledgers) -> Answer:
    try:
        ledger = ledgers.at(attachment.directory(call, config.read(_place)))
        ledger.probe()
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
