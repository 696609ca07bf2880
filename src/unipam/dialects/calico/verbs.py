"""The verbs of calico-ipam over the cluster's datastore.

Each call has ninety seconds from when somebody attends to it, however long it waited before. Nothing is locked on the
node: every write is at a revision. CHECK, GC and STATUS are answered for real, which the original does not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps

from unipam.addr.prefix import format_address, parse_address
from unipam.cni import protocol
from unipam.cni.call import Call
from unipam.cni.context import Context
from unipam.cni.plugin import Plugin, Reply, Verb, not_serving
from unipam.cni.result import Result
from unipam.dialects.calico import adding, arguments, connection, printing
from unipam.dialects.calico import config as calico
from unipam.dialects.calico.config import Network
from unipam.dialects.calico.documents.pool import WORKLOAD
from unipam.dialects.calico.engine import collecting, releasing
from unipam.dialects.calico.engine.holding import held_by
from unipam.dialects.calico.engine.session import Session
from unipam.dialects.calico.logged import logged
from unipam.dialects.calico.rules import pools
from unipam.dialects.calico.rules.pools import PoolRequest
from unipam.ledger.noted import Gained, Lost
from unipam.model import facts
from unipam.model.errors import (
    BadInput,
    Mismatch,
    Missing,
    NotFound,
    Refused,
    SourceFailed,
    UnipamError,
)
from unipam.model.records import Owner

TIMEOUT = 90.0
"""Seconds that a call has (spec §5.3)."""

AGENT_TIMEOUT = 4.5
"""Seconds that it has in the agent: the launcher, which waits for four, asks cold by then, and nobody hears it."""

Act = Callable[[Call, Network, Session], Reply]


def _session(network: Network, context: Context, timeout: float) -> Session:
    """Return the cluster's datastore, for as long as a call may take. Raises BadConfig."""
    deadline = time.monotonic() + timeout
    datastore = connection.once(network.where, network.node)
    unknown = printing.unknown_node(network.where.kind)
    return Session(datastore, deadline, lambda: int(context.clock() * 1e9), unknown, patience=timeout)


def _watched(call: Call, network: Network, context: Context, session: Session) -> Session | None:
    """Return the session of which the node's part is known without asking, where somebody keeps it fresh.

    Not for a VM's pods: what a VM holds other nodes change, and it is answered without being written.
    """
    if not context.attended or arguments.pod_of(call.arguments).pod.startswith(adding.LAUNCHER):
        return None
    known = connection.watched(network.where, network.node)
    return session._replace(datastore=known.datastore, combiner=known.combiner, namespaces=known.namespaces)


def _attended(act: Act, *, known: bool = False) -> Verb:
    """Return a verb that asks the datastore, and so may keep nobody else waiting.

    One that goes by what is `known`, where an agent keeps it, writes whatever it does at a revision. It refuses nothing
    on the strength of what may be old: then it is done again by what the datastore says.
    """

    @wraps(act)
    def verb(call: Call, context: Context) -> Reply:
        context.require_waiting("the datastore is asked")
        network = calico.remembered(call.config)
        session = _session(network, context, TIMEOUT if call.last else AGENT_TIMEOUT)
        with _in_time(session):
            watched = _watched(call, network, context, session) if known else None
            if watched:
                with suppress(Refused, BadInput):
                    return _noted(call, network, context, watched, act(call, network, watched))
            reply = act(call, network, session)
            if watched:
                connection.watched(network.where, network.node).doubt()  # it was wrong
            return _noted(call, network, context, watched or session, reply)

    return verb


def _noted(call: Call, network: Network, context: Context, session: Session, reply: Reply) -> Reply:
    """Note in the node's ledger, where there is one, what a call has done, and what taking it back does."""
    told = reply.facts.get("addresses")
    if not context.home or not isinstance(told, list) or not told:
        return reply
    from unipam.dialects.calico.journal import journal

    noted, lost = journal(context.home), Lost(_numbers(told), call.verb)
    if reply.result is None:
        noted.note(network.name, lost)
        return reply
    owner = Owner(call.env["CNI_CONTAINERID"], call.env.get("CNI_IFNAME", ""))
    details = facts.write({"pod": call.arguments.pod}) if call.arguments.pod else ""
    noted.note(network.name, Gained(owner, lost.addresses, _cooldown(session), details))
    undo = reply.undo
    if undo is None:
        return reply

    def undo_and_note(own: Context) -> None:
        undo(own)
        noted.note(network.name, lost._replace(reason="nobody heard the answer"))

    return reply._replace(undo=undo_and_note)


def _cooldown(session: Session) -> int:
    """Return for how many seconds addresses cool, as far as that is known: what was done is done."""
    try:
        return session.configuration().cooldown
    except UnipamError:
        return 0


def _numbers(addresses: list[str]) -> tuple[int, ...]:
    return tuple(parse_address(each.partition("/")[0]) for each in addresses)


@contextmanager
def _in_time(session: Session) -> Iterator[None]:
    """Say of a call that was too slow what the original says; what was slow goes into the details."""
    try:
        yield
    except SourceFailed as error:
        if not session.late():
            raise
        raise type(error)("context deadline exceeded", **{**error.facts, "details": error.message}) from error


def _add(call: Call, network: Network, session: Session) -> Reply:
    task, held = adding.prepare(network, call.env["CNI_CONTAINERID"], call.arguments, session)
    if held:
        return _answered(call, printing.kept(held, routed=not task.moving), new=False)
    addresses = adding.assign(task, session)

    def undo(own: Context) -> None:
        adding.give_back(_session(network, own, TIMEOUT), task.handle, addresses)

    given = _answered(call, printing.result(addresses), new=True)
    return given._replace(undo=undo) if addresses else given


def _answered(call: Call, found: Result, *, new: bool) -> Reply:
    facts = {"network": call.config.name, "addresses": [ip.address for ip in found.ips], "new": new}
    return Reply(facts, found)


def _del(call: Call, network: Network, session: Session) -> Reply:
    """Release what the container holds, also under the name that Calico 2 gave to its handle."""
    container = call.env["CNI_CONTAINERID"]
    given = arguments.pod_of(call.arguments)
    try:
        vm = adding.vm_of(network, given, session)
    except NotFound:  # the pod is gone: whatever its VM has is not this call's
        return Reply({"network": call.config.name, "addresses": []})
    if vm is not None and session.configuration().keeps_vm_addresses:
        from unipam.dialects.calico import vms
        from unipam.dialects.calico.rules.owners import Pod

        gone = vms.leave(session, vm, vm.handle(network.name), Pod(given.namespace, given.pod))
        return Reply({"network": call.config.name, "addresses": gone})
    released: list[int] = []
    for handle in (network.handle(container), given.workload or container):
        with suppress(NotFound):
            released += releasing.by_handle(session, handle)
        if released:  # its ADD was answered by one version of Calico, and that version has one name for it
            break
    return Reply({"network": call.config.name, "addresses": list(map(format_address, released))})


def _check(call: Call, network: Network, session: Session) -> Reply:
    """Check that the container holds what prevResult says of Calico's pools; where it says nothing, anything at all."""
    handle = network.handle(call.env["CNI_CONTAINERID"])
    wanted = protocol.previous_addresses(call.config.document)
    try:
        held = {address for address, _ in held_by(session, handle)}
    except NotFound:
        held = set()
    if not held:
        raise Missing(f"{handle} holds no address", handle=handle)
    if wanted is not None:
        known = session.pools()
        for address in wanted:
            if address not in held and pools.find(known, address):
                text = format_address(address)
                raise Mismatch(f"{text} is not assigned to {handle}", address=text, handle=handle)
    return Reply({"network": call.config.name})


def _gc(call: Call, network: Network, session: Session) -> Reply:
    """Release what this network's containers on this node hold that are not valid any more."""
    valid = protocol.valid_attachments(call.config.document)
    gone: list[int] = []
    if valid is not None:
        first, kept = network.handle(""), {network.handle(each.holder) for each in valid}

        def is_gone(handle: str) -> bool:
            return handle.startswith(first) and handle not in kept and not handle.startswith(f"{first}vmi.")

        gone = collecting.collect(session, network.node, is_gone)
    return Reply({"network": call.config.name, "addresses": list(map(format_address, gone))})


def _status(call: Call, context: Context) -> Reply:
    """Check that an ADD could be served: the datastore answers, and there are pools for the node."""
    context.require_waiting("the datastore is asked")
    try:
        network = calico.remembered(call.config)
        session = _session(network, context, TIMEOUT if call.last else AGENT_TIMEOUT)
        with _in_time(session):
            labels, known = session.node_labels(network.node), session.pools()
            for family in network.families:
                requested = adding.resolve(session, network.pools[family], family)
                pools.choose(known, PoolRequest(family, requested, WORKLOAD, {}), network.node, labels)
    except UnipamError as error:
        raise not_serving(error) from error
    return Reply({"network": call.config.name})


PLUGIN = Plugin(
    printing.NAME,
    printing.CODES,
    printing.word,
    {
        "ADD": logged(_attended(_add, known=True)),
        "DEL": logged(_attended(_del, known=True)),
        "CHECK": _attended(_check),
        "GC": _attended(_gc),
        "STATUS": _status,
    },
    versions=printing.VERSIONS,
    dated=False,
    render=printing.shown,
)
