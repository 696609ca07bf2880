"""The verbs of calico-ipam over the cluster's datastore.

Each call has ninety seconds from when somebody attends to it, however long it waited before. Nothing is locked on the
node: every write is at a revision. CHECK, GC and STATUS are answered for real, which the original does not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps

from unipam.addr.prefix import Prefix, format_address, parse_interface
from unipam.cni import protocol
from unipam.cni.call import Answer, Call
from unipam.cni.context import Context
from unipam.cni.plugin import Plugin, Verb, failure
from unipam.cni.protocol import Config
from unipam.dialects.calico import arguments, connection, printing
from unipam.dialects.calico import config as calico
from unipam.dialects.calico.arguments import Arguments
from unipam.dialects.calico.config import Network
from unipam.dialects.calico.documents.pool import WORKLOAD
from unipam.dialects.calico.documents.times import go_text
from unipam.dialects.calico.engine import collecting, explicit, releasing
from unipam.dialects.calico.engine.auto import Assigned, Request, auto_assign
from unipam.dialects.calico.engine.holding import held_by
from unipam.dialects.calico.engine.world import World
from unipam.dialects.calico.rules import pools
from unipam.dialects.calico.rules.pools import Wanted
from unipam.dialects.calico.rules.releasing import Wish
from unipam.model.errors import (
    BadConfig,
    Exhausted,
    Mismatch,
    Missing,
    NotFound,
    SourceFailed,
    UnipamError,
)

PATIENCE = 90.0
"""Seconds that a call has (spec §5.3)."""

Addresses = list[tuple[int, Prefix]]
Act = Callable[[Call, Config, Network, World], Answer]


def _network(config: Config) -> Network:
    return calico.load(config.document)


def _world(network: Network, context: Context) -> World:
    """The cluster's datastore, for as long as a call may take. Raises BadConfig."""
    deadline = time.monotonic() + PATIENCE
    datastore = connection.datastore(network.where)
    return World(datastore, deadline, lambda: int(context.clock() * 1e9), printing.unknown_node(network.where.kind))


def _attended(act: Act) -> Verb:
    """A verb that asks the datastore, and so may keep nobody else waiting."""

    @wraps(act)
    def verb(call: Call, config: Config, context: Context) -> Answer:
        network = _network(config)  # not remembered: whether the node's file says another name is asked each time
        context.require_waiting("the datastore is asked")
        world = _world(network, context)
        with _in_time(world):
            return act(call, config, network, world)

    return verb


@contextmanager
def _in_time(world: World) -> Iterator[None]:
    """Say of a call that was too slow what the original says; what was slow goes into the details."""
    try:
        yield
    except SourceFailed as error:
        if not world.late():
            raise
        raise type(error)("context deadline exceeded", **{**error.facts, "details": error.message}) from error


def _add(call: Call, config: Config, network: Network, world: World) -> Answer:
    given = arguments.load(call.env.get("CNI_ARGS", ""))
    handle = network.handle(call.env["CNI_CONTAINERID"])
    if given.address is not None:
        wanted = explicit.Wanted(given.address, network.node, handle, _attributes(network, given, world), WORKLOAD)
        explicit.assign(world, wanted)
        addresses = [(given.address, printing.alone(given.address))]
    else:
        addresses = _any(network, given, handle, world)
    return _granted(config, network, handle, addresses)


def _attributes(network: Network, given: Arguments, world: World) -> dict[str, str]:
    found = {"node": network.node, "timestamp": go_text(world.clock())}
    return {**found, "pod": given.pod, "namespace": given.namespace} if given.pod else found


def _any(network: Network, given: Arguments, handle: str, world: World) -> Addresses:
    """One address of each family, or none at all: raises what stands in the way, and then all is given back."""
    attributes = _attributes(network, given, world)
    requested = {family: _resolve(world, network.pools[family], family) for family in (4, 6)}
    namespace = _namespace(network, given, world)
    addresses: Addresses = []
    for family in network.families:
        request = Request(
            1, family, network.node, handle, attributes, requested[family], WORKLOAD, network.max_blocks,
            namespace=namespace,
        )  # fmt: skip
        assigned = auto_assign(world, request)
        addresses += assigned.addresses
        if error := _shortfall(assigned):
            _give_back(world, handle, addresses)
            raise error
    return addresses


def _shortfall(assigned: Assigned) -> UnipamError | None:
    if assigned.error:
        return assigned.error
    problem = f"failed to request IPv{assigned.request.family} addresses: {assigned.shortfall}"
    return Exhausted(problem) if assigned.shortfall else None


def _give_back(world: World, handle: str, addresses: Addresses) -> None:
    if addresses:
        releasing.release(world.for_cleanup(), [Wish(address, handle) for address, _ in addresses])


def _resolve(world: World, names: tuple[str, ...], family: int) -> list[Prefix]:
    """The CIDRs of pools that are named or given as CIDRs. Raises BadConfig in the original's words."""
    known = {pool.name: pool.prefix for pool in world.pools()} if names else {}
    found = []
    for name in names:
        try:
            prefix = parse_interface(name)[1]
        except ValueError as error:
            if name not in known:
                raise BadConfig(f'error parsing pool "{name}": {error}') from None
            prefix = known[name]
        if prefix.family != family:
            raise BadConfig(f'"{format_address(prefix.first)}" isn\'t a IPv{family} address')
        found.append(prefix)
    return found


def _namespace(network: Network, given: Arguments, world: World) -> dict[str, str]:
    """The labels of the pod's namespace, where the configuration says how to ask. Raises Missing, BadConfig."""
    namespace = given.namespace or "default"
    if not network.asks_for_namespace:
        return {}
    return connection.namespace_labels(network.where, namespace, world.deadline)


def _granted(config: Config, network: Network, handle: str, addresses: Addresses) -> Answer:
    def undo(own: Context) -> None:
        _give_back(_world(network, own), handle, addresses)

    found = printing.result(addresses)
    facts = {"network": config.name, "addresses": [ip.address for ip in found.ips], "new": True}
    return Answer(0, printing.shown(found, config.version), undo=undo if addresses else None, facts=facts)


def _del(call: Call, config: Config, network: Network, world: World) -> Answer:
    """Release what the container holds, also under the name that Calico 2 gave to its handle."""
    container = call.env["CNI_CONTAINERID"]
    workload = arguments.pod_of(call.env.get("CNI_ARGS", "")).workload or container
    released: list[int] = []
    for handle in (network.handle(container), workload):
        with suppress(NotFound):
            released += releasing.by_handle(world, handle)
    return Answer(0, facts={"network": config.name, "addresses": list(map(format_address, released))})


def _check(call: Call, config: Config, network: Network, world: World) -> Answer:
    """Whether the container holds what prevResult says of Calico's pools; where it says nothing, anything at all."""
    handle = network.handle(call.env["CNI_CONTAINERID"])
    wanted = protocol.previous_addresses(config.document)
    try:
        held = {address for address, _ in held_by(world, handle)}
    except NotFound:
        held = set()
    if not held:
        raise Missing(f"{handle} holds no address", handle=handle)
    if wanted is not None:
        known = world.pools()
        for address in wanted:
            if address not in held and pools.find(known, address):
                text = format_address(address)
                raise Mismatch(f"{text} is not assigned to {handle}", address=text, handle=handle)
    return Answer(0, facts={"network": config.name})


def _gc(call: Call, config: Config, network: Network, world: World) -> Answer:  # noqa: ARG001 (the shape of a verb)
    """Release what this network's containers on this node hold that are not valid any more."""
    valid = protocol.valid_attachments(config.document)
    gone: list[int] = []
    if valid is not None:
        first, kept = network.handle(""), {network.handle(each.holder) for each in valid}

        def is_gone(handle: str) -> bool:
            return handle.startswith(first) and handle not in kept and not handle.startswith(f"{first}vmi.")

        gone = collecting.collect(world, network.node, is_gone)
    return Answer(0, facts={"network": config.name, "addresses": list(map(format_address, gone))})


def _status(call: Call, config: Config, context: Context) -> Answer:  # noqa: ARG001 (the shape of a verb)
    """Whether an ADD could be served: the datastore answers, and there are pools for the node."""
    context.require_waiting("the datastore is asked")
    try:
        network = _network(config)
        world = _world(network, context)
        with _in_time(world):
            labels, known = world.node_labels(network.node), world.pools()
            for family in network.families:
                requested = _resolve(world, network.pools[family], family)
                pools.choose(known, Wanted(family, requested, WORKLOAD, {}), network.node, labels)
    except UnipamError as error:
        return failure(error, 50, f"no address can be served: {error.message}", config, dated=False)
    return Answer(0, facts={"network": config.name})


PLUGIN = Plugin(
    printing.NAME,
    printing.CODES,
    printing.word,
    {
        "ADD": _attended(_add),
        "DEL": _attended(_del),
        "CHECK": _attended(_check),
        "GC": _attended(_gc),
        "STATUS": _status,
    },
    versions=printing.VERSIONS,
    dated=False,
)
