"""The verbs of azure-vnet-ipam over the ledger in its data directory.

An ADD is served from the pools that the ledger knows. It asks the source itself only when nobody else does (cold) and
it is time to, or when it cannot be served otherwise; a DEL never does, but for a `strict` one that knows no such pool.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable

from unipam.cni import protocol
from unipam.cni.call import Call
from unipam.cni.context import Context
from unipam.cni.plugin import Plugin, Reply, Verb, not_serving
from unipam.cni.result import Result
from unipam.dialects.azure_vnet import config as azure
from unipam.dialects.azure_vnet import dialect, pools, textlog, warm
from unipam.dialects.azure_vnet.config import Network
from unipam.dialects.azure_vnet.space import LearnedSpace, Refreshed
from unipam.dialects.azure_vnet.textlog import LoggedCall
from unipam.ledger import learned as learning
from unipam.ledger import refresh, relief
from unipam.ledger.change import Allocation, Change, serve
from unipam.ledger.learned import LearnedPool
from unipam.ledger.open import locate
from unipam.model import facts
from unipam.model.errors import (
    BadConfig,
    Exhausted,
    Missing,
    Refused,
    StoreBroken,
    StoreBusy,
    UnipamError,
    Unmet,
)
from unipam.model.records import Claim, Owner, Request

_CURABLE = (Exhausted, Missing, Unmet)
"""Refusals that a source's newer answer may overcome."""


def _network(call: Call) -> Network:
    """Return the configuration. Raises BadConfig."""
    return call.config.read(azure.load, _plugin(call))


def _plugin(call: Call) -> str:
    return call.plugin if call.plugin in azure.NAMES else azure.NAMES[0]


def _owner(call: Call) -> Owner:
    return Owner(call.env["CNI_CONTAINERID"])


def _logged(act: Callable[[Call, Context, LoggedCall], Reply]) -> Verb:
    """Make a verb leave a trace in the original's log, where that is wanted."""

    def verb(call: Call, context: Context) -> Reply:
        logged = LoggedCall(call.env, call.stdin, call.config.document, call.pid or os.getpid(), context.clock())
        try:
            reply = act(call, context, logged)
        except UnipamError as error:
            if not isinstance(error, StoreBusy) or context.may_wait:  # the call begins anew in a moment otherwise
                logged.error = error.message
                textlog.write(logged)
            raise
        textlog.write(logged)
        return reply

    return verb


def _add(call: Call, context: Context, logged: LoggedCall) -> Reply:
    network = _network(call)
    space = _open(call, network, context)
    warm.remember(space.directory, network.origin)
    _require_waiting_for_files(space, network)
    logged.begin(network, space)
    try:
        allocation, pool = _serve_fresh(call, space, network, logged)
    except Exhausted as error:
        relief.refuse(space.ledger, space.name, _request(call, space, network), error)
        raise
    logged.address, logged.pool = allocation.claims[0].first, pool
    return _reply(network, space, allocation, pool)


def _serve_fresh(
    call: Call, space: LearnedSpace, network: Network, logged: LoggedCall
) -> tuple[Allocation, LearnedPool]:
    """Hand out an address, of what the source says now where that is wanted. Raises Refused in the original's words."""
    if not space.context.attended and space.is_due():
        logged.refreshed = space.ask_source()
    try:
        return _serve(call, space, network, logged)
    except _CURABLE as error:
        if space.is_due(needed=True):
            logged.refreshed = _ask(space)
        elif not isinstance(error, Missing):  # what was missing may just have been learned: another call asked for it
            raise
        return _serve(call, space, network, logged)


def _ask(space: LearnedSpace) -> Refreshed:
    """Ask the source although a call waits for it. Raises WouldBlock where that keeps others waiting."""
    space.context.require_waiting("the source must be asked first")
    return space.ask_source(needed=True)


def _require_waiting_for_files(space: LearnedSpace, network: Network) -> None:
    """Raise WouldBlock where files are written besides the ledger: not in front of everybody else."""
    if network.origin.write_state or network.log:
        space.context.require_waiting("the state file or the log is written too")


def _serve(call: Call, space: LearnedSpace, network: Network, logged: LoggedCall) -> tuple[Allocation, LearnedPool]:
    """Hand out an address. Raises Refused in the original's words."""
    try:
        if network.strict and not network.subnet:
            return _serve_whole_pool(call, space, network, logged)
        return _allocate(call, space, network)
    except Refused as error:
        step = dialect.ALLOCATE_ADDRESS if network.subnet or not isinstance(error, Missing) else dialect.ALLOCATE_POOL
        raise dialect.during(step, error) from None


def _request(call: Call, space: LearnedSpace, network: Network) -> Request:
    """Return what a call asks, but for the pools."""
    return Request(
        _owner(call), (), again=True, call=call.key, asked=call.asked, boot=space.ledger.boot,
        details=facts.write({"network": network.name, **call.facts}), last=call.last,
    )  # fmt: skip


def _allocate(call: Call, space: LearnedSpace, network: Network) -> tuple[Allocation, LearnedPool]:
    if network.space != azure.SPACE:
        raise Missing("Invalid address space")
    dice = int.from_bytes(os.urandom(4), "big")
    attempt = functools.partial(_attempt, space, network, _request(call, space, network), dice)
    try:
        if network.strict:  # the original looks for nothing that is gone
            return attempt()
        return relief.attempt(space.ledger, space.name, attempt, space.inherit, space.context.require_waiting)
    except Exhausted as error:
        if not error.facts["ranges"]:
            error.facts["details"] = "the pool has no addresses: its network interface was given none but its own"
        raise


def _attempt(space: LearnedSpace, network: Network, request: Request, dice: int) -> tuple[Allocation, LearnedPool]:
    """Hand out an address of what the space has learned by then. Raises Missing, Unmet, and what `serve` raises."""
    with Change(space.ledger, space.name, space.inherit, request.owner) as (tx, standing, now):
        learned = learning.settle(tx, standing.space, request.boot, now)
        if not learned.pools:
            raise Missing("Invalid address space", details=refresh.recall(tx, standing.space).error)
        wanted = pools.request_of(learned, network)
        allocation = serve(tx, standing, wanted.of(request), now, wanted.policy(dice))
    pool = learned.holding(allocation.claims[0].first)
    assert pool is not None  # a pool is known as long as any of its addresses is held
    return allocation, pool


def _serve_whole_pool(
    call: Call, space: LearnedSpace, network: Network, logged: LoggedCall
) -> tuple[Allocation, LearnedPool]:
    """Reserve a pool for who comes without one, as the original does: nobody else without one gets it meanwhile."""
    if network.space != azure.SPACE or not learning.snapshot(space.ledger, space.name)[0].pools:
        raise Missing("Invalid address space", details=refresh.latest(space.ledger, space.name).error)
    taken = learning.reserve(
        space.ledger, space.name, lambda known: pools.ordered(known.pools, network), inherit=space.inherit
    )
    if taken is None:
        raise Missing("no available address pools")
    logged.pool = taken
    try:
        return _allocate(call, space, network._replace(subnet=taken.name))
    except Refused:
        learning.unreserve(space.ledger, space.name, taken.network, inherit=space.inherit)
        raise


def _reply(network: Network, space: LearnedSpace, allocation: Allocation, pool: LearnedPool) -> Reply:
    def undo(own: Context) -> None:
        there = space._replace(context=own, ledger=own.ledgers.at(space.directory))
        there.ledger.undo(allocation, "the caller went away before it had the answer")
        there.save()

    try:
        space.save()
    except StoreBroken:
        space.ledger.undo(allocation, "the state file could not be written")
        raise
    ip = dialect.shown(allocation.claims[0].first, pool)
    shown = {"network": network.name, "pool": pool.name, "addresses": [ip.address], "new": allocation.new}
    result = Result((ip,), dialect.routes(network, pool), dialect.DNS, network.version)
    return Reply(shown, None if network.kind == "internal" else result, undo if allocation.new else None)


def _leniently(call: Call) -> Network:
    """Return the configuration, or as much of it as makes sense. Raises BadConfig only where it says `strict`."""
    try:
        return _network(call)
    except BadConfig:
        network = azure.load_leniently(call.config.document, _plugin(call))
        if network.strict:
            raise
        return network


def _open(call: Call, network: Network, context: Context) -> LearnedSpace:
    directory = locate(network.data_dir, call.cwd)
    return LearnedSpace(network.origin, context, context.ledgers.at(directory), directory)


def _find(call: Call, network: Network, context: Context, *, make: bool = False) -> LearnedSpace | None:
    """Return a configuration's space; None when there is no ledger, nor state of the original, nor one to `make`."""
    directory = locate(network.data_dir, call.cwd)
    ledger = context.ledgers.find(directory)
    if ledger is None and (make or os.path.exists(network.origin.state_file)):
        ledger = context.ledgers.at(directory)
    return None if ledger is None else LearnedSpace(network.origin, context, ledger, directory)


def _del(call: Call, context: Context, logged: LoggedCall) -> Reply:
    network = _leniently(call)
    space = _find(call, network, context, make=network.strict)
    if space is not None:
        _require_waiting_for_files(space, network)
    logged.begin(network, space)
    if network.strict and space is not None:
        _check_pool(space, network, logged)
    gone = _release(call, space, network) if space else []
    logged.released = tuple(claim.text for claim in gone)
    return Reply({"network": call.config.name, "addresses": [claim.text for claim in gone]})


def _check_pool(space: LearnedSpace, network: Network, logged: LoggedCall) -> None:
    """Check that the pool is named, and known at least to the source, as the original does. Raises Missing."""
    known = learning.snapshot(space.ledger, space.name)[0]
    if known.find(network.subnet) is None and space.is_due(needed=True):
        logged.refreshed = _ask(space)
        known = learning.snapshot(space.ledger, space.name)[0]
    if network.space != azure.SPACE or not known.pools:
        why = refresh.latest(space.ledger, space.name).error
        raise dialect.during(dialect.RELEASE_ADDRESS, Missing("Invalid address space", details=why))
    if known.find(network.subnet) is None:
        raise dialect.during(dialect.RELEASE_ADDRESS, pools.unknown_pool(network.subnet, known.pools))


def _release(call: Call, space: LearnedSpace, network: Network) -> list[Claim]:
    within = pools.released(network)
    if within is None:
        return []
    try:
        gone = space.ledger.release(
            space.name, _owner(call), "DEL", asked=call.asked, actor=call.key, inherit=space.inherit, within=within
        )
        space.save()
    except StoreBroken as error:
        if error.facts.get("path") != space.origin.state_file:
            raise
        return []  # a state file that cannot be read or written is no reason to keep a container from ending
    return gone


def _check(call: Call, context: Context) -> Reply:
    """Check that the container holds what prevResult says, of what lies in our pools; the original never looks."""
    network = _network(call)
    space = _find(call, network, context)
    wanted = protocol.previous_addresses(call.config.document) or []
    if not network.strict and space is not None:
        known, _ = learning.snapshot(space.ledger, space.name)
        ours = [address for address in wanted if known.holding(address)]
        if ours:
            space.ledger.check(space.name, _owner(call), ours, inherit=space.inherit)
    return Reply({"network": call.config.name})


def _gc(call: Call, context: Context) -> Reply:
    """Let go of what this network's containers hold that are not valid any more. Other networks share the pools."""
    network = _leniently(call)
    space = _find(call, network, context)
    name = call.config.name
    valid = protocol.valid_attachments(call.config.document)
    if space is None or valid is None:
        return Reply({"network": name, "addresses": []})
    gone = space.ledger.collect(
        space.name,
        {Owner(owner.holder) for owner in valid},
        "GC: not among the valid attachments",
        inherit=space.inherit,
        among=lambda claim: facts.read(claim.details).get("network") == name,
    )
    space.save()
    return Reply({"network": name, "addresses": [claim.text for claim in gone]})


def _status(call: Call, context: Context) -> Reply:
    try:
        network = _network(call)
        space = _open(call, network, context)
        space.ledger.probe(space.name)
        if not learning.snapshot(space.ledger, space.name)[0].pools:
            _learn_first(space)
    except StoreBusy:
        if not context.may_wait:
            raise
    except UnipamError as error:
        raise not_serving(error) from error
    return Reply({"network": call.config.name})


def _learn_first(space: LearnedSpace) -> Refreshed:
    """Ask the source although no pod waits for it. Raises Missing when nothing is known after it."""
    refreshed = _ask(space)
    if not learning.snapshot(space.ledger, space.name)[0].pools:
        raise Missing("Invalid address space", details=refreshed.outcome.attempt.error)
    return refreshed


PLUGIN = Plugin(
    azure.NAMES[0],
    dialect.CODES,
    dialect.word,
    {"ADD": _logged(_add), "DEL": _logged(_del), "CHECK": _check, "GC": _gc, "STATUS": _status},
    dialect.VERSIONS,
    dated=False,
    warm=warm.keep_warm,
    places=tuple(map(azure.data_dir, azure.NAMES)),
)
