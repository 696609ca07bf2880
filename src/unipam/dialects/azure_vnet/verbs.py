"""The verbs of azure-vnet-ipam over the ledger in its data directory.

An ADD is served from the pools that the ledger knows. It asks the source itself only when nobody else does (cold) and
it is time to, or when it cannot be served otherwise; a DEL never does, but for a `strict` one that knows no such pool.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable

from unipam.cni import originals, protocol
from unipam.cni.call import Call
from unipam.cni.context import Context
from unipam.cni.plugin import Plugin, Reply, Verb, not_serving
from unipam.cni.result import Result
from unipam.dialects.azure_vnet import config as azure
from unipam.dialects.azure_vnet import dialect, pools, textlog, warm
from unipam.dialects.azure_vnet.config import Network
from unipam.dialects.azure_vnet.site import Refreshed, Site
from unipam.dialects.azure_vnet.textlog import Story
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


def _logged(act: Callable[[Call, Context, Story], Reply]) -> Verb:
    """Make a verb leave a trace in the original's log, where that is wanted."""

    def verb(call: Call, context: Context) -> Reply:
        story = Story(call.env, call.stdin, call.config.document, call.pid or os.getpid(), context.clock())
        try:
            reply = act(call, context, story)
        except UnipamError as error:
            if not isinstance(error, StoreBusy) or context.may_wait:  # the call begins anew in a moment otherwise
                story.error = error.message
                textlog.write(story)
            raise
        textlog.write(story)
        return reply

    return verb


def _add(call: Call, context: Context, story: Story) -> Reply:
    network = _network(call)
    directory = locate(network.data_dir, call.cwd)
    warm.remember(directory, network.origin)
    site = Site(network.origin, context, context.ledgers.at(directory), directory, originals.wait)
    _take_time(site, network)
    story.begin(network, site)
    try:
        allocation, pool = _serve_fresh(call, site, network, story)
    except Exhausted as error:
        relief.refuse(site.ledger, site.space, _request(call, site, network), error)
        raise
    story.address, story.pool = allocation.claims[0].first, pool
    return _granted(network, site, allocation, pool)


def _serve_fresh(call: Call, site: Site, network: Network, story: Story) -> tuple[Allocation, LearnedPool]:
    """Hand out an address, of what the source says now where that is wanted. Raises Refused in the original's words."""
    if not site.context.attended and site.is_due():
        story.refreshed = site.freshen()
    try:
        return _serve(call, site, network, story)
    except _CURABLE as error:
        if site.is_due(needed=True):
            story.refreshed = _ask(site)
        elif not isinstance(error, Missing):  # what was missing may just have been learned: another call asked for it
            raise
        return _serve(call, site, network, story)


def _ask(site: Site) -> Refreshed:
    """Ask the source although a call waits for it. Raises WouldBlock where that keeps others waiting."""
    site.context.require_waiting("the source must be asked first")
    return site.freshen(needed=True)


def _take_time(site: Site, network: Network) -> None:
    """Raise WouldBlock where files are written besides the ledger: not in front of everybody else."""
    if network.origin.write_state or network.log:
        site.context.require_waiting("the state file or the log is written too")


def _serve(call: Call, site: Site, network: Network, story: Story) -> tuple[Allocation, LearnedPool]:
    """Hand out an address. Raises Refused in the original's words."""
    try:
        if network.strict and not network.subnet:
            return _serve_whole_pool(call, site, network, story)
        return _allocate(call, site, network)
    except Refused as error:
        step = dialect.ALLOCATE_ADDRESS if network.subnet or not isinstance(error, Missing) else dialect.ALLOCATE_POOL
        raise dialect.during(step, error) from None


def _request(call: Call, site: Site, network: Network) -> Request:
    """Return what a call asks, but for the pools."""
    return Request(
        _owner(call), (), again=True, call=call.key, asked=call.asked, boot=site.ledger.boot,
        details=facts.write({"network": network.name, **call.facts}), last=call.last,
    )  # fmt: skip


def _allocate(call: Call, site: Site, network: Network) -> tuple[Allocation, LearnedPool]:
    if network.space != azure.SPACE:
        raise Missing("Invalid address space")
    dice = int.from_bytes(os.urandom(4), "big")
    attempt = functools.partial(_attempt, site, network, _request(call, site, network), dice)
    try:
        if network.strict:  # the original looks for nothing that is gone
            return attempt()
        return relief.relieve(site.ledger, site.space, attempt, site.inherit, site.context.require_waiting)
    except Exhausted as error:
        if not error.facts["ranges"]:
            error.facts["details"] = "the pool has no addresses: its network interface was given none but its own"
        raise


def _attempt(site: Site, network: Network, request: Request, dice: int) -> tuple[Allocation, LearnedPool]:
    """Hand out an address of what the space has learned by then. Raises Missing, Unmet, and what `serve` raises."""
    with Change(site.ledger, site.space, site.inherit, request.owner) as (tx, standing, now):
        learned = learning.settle(tx, standing.space, request.boot, now)
        if not learned.pools:
            raise Missing("Invalid address space", details=refresh.recall(tx, standing.space).error)
        wanted = pools.wanted(learned, network)
        allocation = serve(tx, standing, wanted.of(request), now, wanted.policy(dice))
    pool = learned.holding(allocation.claims[0].first)
    assert pool is not None  # a pool is known as long as any of its addresses is held
    return allocation, pool


def _serve_whole_pool(call: Call, site: Site, network: Network, story: Story) -> tuple[Allocation, LearnedPool]:
    """Reserve a pool for who comes without one, as the original does: nobody else without one gets it meanwhile."""
    if network.space != azure.SPACE or not learning.snapshot(site.ledger, site.space)[0].pools:
        raise Missing("Invalid address space", details=refresh.latest(site.ledger, site.space).error)
    taken = learning.reserve(
        site.ledger, site.space, lambda known: pools.ordered(known.pools, network), inherit=site.inherit
    )
    if taken is None:
        raise Missing("no available address pools")
    story.pool = taken
    try:
        return _allocate(call, site, network._replace(subnet=taken.name))
    except Refused:
        learning.unreserve(site.ledger, site.space, taken.network, inherit=site.inherit)
        raise


def _granted(network: Network, site: Site, allocation: Allocation, pool: LearnedPool) -> Reply:
    def undo(own: Context) -> None:
        there = site._replace(context=own, ledger=own.ledgers.at(site.directory))
        there.ledger.undo(allocation, "the caller went away before it had the answer")
        there.save()

    try:
        site.save()
    except StoreBroken:
        site.ledger.undo(allocation, "the state file could not be written")
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


def _site(call: Call, network: Network, context: Context, *, make: bool = False) -> Site | None:
    """Return a configuration's ledger; None when there is none, nor state of the original, nor one to `make`."""
    directory = locate(network.data_dir, call.cwd)
    ledger = context.ledgers.find(directory)
    if ledger is None and (make or os.path.exists(network.origin.state_file)):
        ledger = context.ledgers.at(directory)
    return None if ledger is None else Site(network.origin, context, ledger, directory, originals.wait)


def _del(call: Call, context: Context, story: Story) -> Reply:
    network = _leniently(call)
    site = _site(call, network, context, make=network.strict)
    if site is not None:
        _take_time(site, network)
    story.begin(network, site)
    if network.strict and site is not None:
        _check_pool(site, network, story)
    gone = _release(call, site, network) if site else []
    story.released = tuple(claim.text for claim in gone)
    return Reply({"network": call.config.name, "addresses": [claim.text for claim in gone]})


def _check_pool(site: Site, network: Network, story: Story) -> None:
    """Check that the pool is named, and known at least to the source, as the original does. Raises Missing."""
    known = learning.snapshot(site.ledger, site.space)[0]
    if known.find(network.subnet) is None and site.is_due(needed=True):
        story.refreshed = _ask(site)
        known = learning.snapshot(site.ledger, site.space)[0]
    if network.space != azure.SPACE or not known.pools:
        why = refresh.latest(site.ledger, site.space).error
        raise dialect.during(dialect.RELEASE_ADDRESS, Missing("Invalid address space", details=why))
    if known.find(network.subnet) is None:
        raise dialect.during(dialect.RELEASE_ADDRESS, pools.unknown_pool(network.subnet, known.pools))


def _release(call: Call, site: Site, network: Network) -> list[Claim]:
    within = pools.released(network)
    if within is None:
        return []
    try:
        gone = site.ledger.release(
            site.space, _owner(call), "DEL", asked=call.asked, actor=call.key, inherit=site.inherit, within=within
        )
        site.save()
    except StoreBroken as error:
        if error.facts.get("path") != site.origin.state_file:
            raise
        return []  # a state file that cannot be read or written is no reason to keep a container from ending
    return gone


def _check(call: Call, context: Context) -> Reply:
    """Check that the container holds what prevResult says, of what lies in our pools; the original never looks."""
    network = _network(call)
    site = _site(call, network, context)
    wanted = protocol.previous_addresses(call.config.document) or []
    if not network.strict and site is not None:
        known, _ = learning.snapshot(site.ledger, site.space)
        ours = [address for address in wanted if known.holding(address)]
        if ours:
            site.ledger.check(site.space, _owner(call), ours, inherit=site.inherit)
    return Reply({"network": call.config.name})


def _gc(call: Call, context: Context) -> Reply:
    """Let go of what this network's containers hold that are not valid any more. Other networks share the pools."""
    network = _leniently(call)
    site = _site(call, network, context)
    name = call.config.name
    valid = protocol.valid_attachments(call.config.document)
    if site is None or valid is None:
        return Reply({"network": name, "addresses": []})
    gone = site.ledger.collect(
        site.space,
        {Owner(owner.holder) for owner in valid},
        "GC: not among the valid attachments",
        inherit=site.inherit,
        among=lambda claim: facts.read(claim.details).get("network") == name,
    )
    site.save()
    return Reply({"network": name, "addresses": [claim.text for claim in gone]})


def _status(call: Call, context: Context) -> Reply:
    try:
        network = _network(call)
        directory = locate(network.data_dir, call.cwd)
        site = Site(network.origin, context, context.ledgers.at(directory), directory, originals.wait)
        site.ledger.probe(site.space)
        if not learning.snapshot(site.ledger, site.space)[0].pools:
            _learn_first(site)
    except StoreBusy:
        if not context.may_wait:
            raise
    except UnipamError as error:
        raise not_serving(error) from error
    return Reply({"network": call.config.name})


def _learn_first(site: Site) -> Refreshed:
    """Ask the source although no pod waits for it. Raises Missing when nothing is known after it."""
    story = _ask(site)
    if not learning.snapshot(site.ledger, site.space)[0].pools:
        raise Missing("Invalid address space", details=story.outcome.attempt.error)
    return story


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
