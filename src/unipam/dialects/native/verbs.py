"""The verbs of unipam's own plugin: by a CiliumNode's pool here, by podCIDRs as host-local does.

An ADD is served from what the ledger knows of the pool, without asking anybody; only where nobody keeps it fresh
(cold), or nothing is known, the API server is asked first. A DEL needs nothing but the ledger.
"""

from __future__ import annotations

import contextlib
from functools import partial

from unipam.cni import protocol
from unipam.cni.call import Call
from unipam.cni.context import Context
from unipam.cni.plugin import NOT_SERVING, Plugin, Reply, Verb, not_serving
from unipam.dialects.host_local import dialect as host_local
from unipam.dialects.native import config, dialect, space, warm
from unipam.dialects.native.config import DATA_DIR, Network
from unipam.dialects.native.podcidr import VERBS as OF_POD_CIDR
from unipam.dialects.native.space import SPACE
from unipam.ledger import relief
from unipam.ledger.change import Allocation, nothing
from unipam.ledger.learned import Learned
from unipam.ledger.ledger import Ledger, missing
from unipam.ledger.open import locate
from unipam.model import facts
from unipam.model.errors import BadConfig, BadInput, Exhausted, Missing, StoreBusy, UnipamError
from unipam.model.records import Owner, Request

_UNHEARD = "the caller went away before it had the answer"


def _network(call: Call) -> Network:
    """Return the configuration. Raises BadConfig."""
    return call.config.read(config.load)


def _directory(call: Call) -> str:
    return locate(call.config.read(config.place), call.cwd)


def _owner(call: Call) -> Owner:
    return Owner(call.env["CNI_CONTAINERID"], call.env["CNI_IFNAME"])


def _request(call: Call, network: Network, ledger: Ledger) -> Request:
    return Request(
        _owner(call), (), host_local.wishes(network.typed, call.arguments), network.terms.cooldown, network.terms.again,
        call.key, call.asked, ledger.boot, facts.write({"network": call.config.name, **call.facts}), last=call.last,
    )  # fmt: skip


def _add(call: Call, context: Context) -> Reply:
    network, directory = _network(call), _directory(call)
    ledger = context.ledgers.at(directory)
    request = _request(call, network, ledger)
    warm.refresh(network.node, directory, context, network.asked)
    try:
        allocation, learned = _serve(ledger, request, context)
    except (Exhausted, Missing) as error:
        more = f"what fills it: unipam explain {SPACE} --data-dir {directory}"
        error.facts |= {"code": dialect.AGAIN_LATER, "details": more}
        if isinstance(error, Exhausted):
            relief.refuse(ledger, SPACE, request, error)
        warm.touch(urgent=True)
        raise
    warm.touch()
    result = dialect.result(network, learned, allocation.claims)
    return Reply(
        {"network": call.config.name, "addresses": [ip.address for ip in result.ips], "new": allocation.new},
        result,
        (lambda own: own.ledgers.at(directory).undo(allocation, _UNHEARD)) if allocation.new else None,
    )


def _serve(ledger: Ledger, request: Request, context: Context) -> tuple[Allocation, Learned]:
    attempt = partial(space.allocate, ledger, request)
    return relief.attempt(ledger, SPACE, attempt, nothing, context.require_waiting)


def _find(call: Call, context: Context) -> Ledger | None:
    return context.ledgers.find(_directory(call))


def _del(call: Call, context: Context) -> Reply:
    ledger = _find(call, context)
    if ledger is None:
        return Reply({"network": call.config.name, "addresses": []})
    gone = ledger.release(SPACE, _owner(call), "DEL", asked=call.asked, actor=call.key)
    if not gone and call.arguments.pod:  # what was taken over from a CiliumNode is its pod's, whatever container
        gone = ledger.release(SPACE, Owner(call.arguments.pod), "DEL of a container of the pod", actor=call.key)
    warm.touch()
    return Reply({"network": call.config.name, "addresses": [claim.text for claim in gone]})


def _check(call: Call, context: Context) -> Reply:
    _network(call)
    ledger, owner = _find(call, context), _owner(call)
    if ledger is None:
        raise missing(owner)
    ledger.check(SPACE, owner, protocol.previous_addresses(call.config.document))
    return Reply({"network": call.config.name})


def _gc(call: Call, context: Context) -> Reply:
    """Let go of what this network's containers hold that are not valid any more; other networks share the pool."""
    name, ledger = call.config.name, _find(call, context)
    valid = protocol.valid_attachments(call.config.document)
    if ledger is None or valid is None:
        return Reply({"network": name, "addresses": []})
    gone = ledger.collect(
        SPACE, valid, "GC: not among the valid attachments",
        among=lambda claim: facts.read(claim.details).get("network") == name,
    )  # fmt: skip
    warm.touch()
    return Reply({"network": name, "addresses": [claim.text for claim in gone]})


def _status(call: Call, context: Context) -> Reply:
    try:
        network, directory = _network(call), _directory(call)
        ledger = context.ledgers.at(directory)
        ledger.probe(SPACE)
        warm.refresh(network.node, directory, context, network.asked)
        if not space.is_known(ledger, network.node):
            raise Missing(f"nothing is known yet of CiliumNode {network.node.name}")
    except StoreBusy:
        if not context.may_wait:
            raise
    except BadInput as error:
        error.facts["code"] = NOT_SERVING
        raise
    except UnipamError as error:
        raise not_serving(error) from error
    return Reply({"network": call.config.name})


_OF_CILIUM_NODE: dict[str, Verb] = {"ADD": _add, "DEL": _del, "CHECK": _check, "GC": _gc, "STATUS": _status}


def _by_source(verb: str) -> Verb:
    def answer(call: Call, context: Context) -> Reply:
        return _verbs(call, verb)(call, context)

    return answer


def _verbs(call: Call, verb: str) -> Verb:
    """Return what answers a verb by the source. Raises BadConfig, but for DEL, for which it never matters."""
    source = config.CILIUM_NODE
    with contextlib.suppress(BadConfig) if verb == "DEL" else contextlib.nullcontext():
        source = call.config.read(config.source)
    return (OF_POD_CIDR if source == config.POD_CIDR else _OF_CILIUM_NODE)[verb]


PLUGIN = Plugin(
    dialect.NAME,
    dialect.CODES,
    dialect.word,
    {verb: _by_source(verb) for verb in _OF_CILIUM_NODE},
    warm=warm.keep_warm,
    places=(DATA_DIR,),
)
