"""The verbs of calico-ipam over the cluster's datastore.

Nothing is locked on the node: every write is at a revision. CHECK, GC and STATUS are answered for real, which the
original does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from unipam.addr.prefix import format_address
from unipam.cni import protocol
from unipam.cni.call import Call
from unipam.cni.context import Context
from unipam.cni.plugin import Joint, Plugin, Reply, not_serving
from unipam.dialects.calico import adding, arguments, printing
from unipam.dialects.calico import config as calico
from unipam.dialects.calico.attending import (
    added,
    answered,
    attended,
    in_time,
    open_session,
    released,
    time_of,
    undoable,
)
from unipam.dialects.calico.config import Network
from unipam.dialects.calico.documents.pool import WORKLOAD
from unipam.dialects.calico.engine import releasing
from unipam.dialects.calico.engine.session import Session
from unipam.dialects.calico.logged import logged
from unipam.dialects.calico.rules import pools
from unipam.dialects.calico.rules.pools import PoolRequest
from unipam.model.errors import Mismatch, Missing, NotFound, UnipamError


def _add(call: Call, network: Network, session: Session) -> Reply:
    task, held = adding.prepare(network, call.env["CNI_CONTAINERID"], call.arguments, session)
    if held:
        return answered(call, printing.kept(held, routed=not task.moving), new=False)
    try:
        return added(call, network, adding.assign(task, session))
    except UnipamError as error:
        raise undoable(network, error)  # noqa: B904 (it is the same one)


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
    freed: list[int] = []
    for handle in (network.handle(container), given.workload or container):
        with suppress(NotFound):
            freed += releasing.by_handle(session, handle)
        if freed:  # its ADD was answered by one version of Calico, and that version has one name for it
            break
    return released(call, freed)


def _check(call: Call, network: Network, session: Session) -> Reply:
    """Check that the container holds what prevResult says of Calico's pools; where it says nothing, anything at all."""
    from unipam.dialects.calico.engine.holding import held_by

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
    from unipam.dialects.calico.engine import collecting

    valid = protocol.valid_attachments(call.config.document)
    gone: list[int] = []
    if valid is not None:
        first, kept = network.handle(""), {network.handle(each.holder) for each in valid}

        def is_gone(handle: str) -> bool:
            return handle.startswith(first) and handle not in kept and not handle.startswith(f"{first}vmi.")

        gone = collecting.collect(session, network.node, is_gone)
    return released(call, gone)


def _status(call: Call, context: Context) -> Reply:
    """Check that an ADD could be served: the datastore answers, and there are pools for the node."""
    context.require_waiting("the datastore is asked")
    try:
        network = calico.remembered(call.config)
        session = open_session(network, context, time_of(call))
        with in_time(session):
            labels, known = session.node_labels(network.node), session.pools()
            for family in network.families:
                requested = adding.resolve(session, network.pools[family], family)
                pools.choose(known, PoolRequest(family, requested, WORKLOAD, {}), network.node, labels)
    except UnipamError as error:
        raise not_serving(error) from error
    return Reply({"network": call.config.name})


def _together(calls: Sequence[Call], heard: Sequence[Callable[[], bool]], context: Context) -> Sequence[Joint]:
    from unipam.dialects.calico.together import together

    return together(calls, heard, context)


PLUGIN = Plugin(
    printing.NAME,
    printing.CODES,
    printing.word,
    {
        "ADD": logged(attended(_add, known=True)),
        "DEL": logged(attended(_del, known=True)),
        "CHECK": attended(_check),
        "GC": attended(_gc),
        "STATUS": _status,
    },
    versions=printing.VERSIONS,
    dated=False,
    render=printing.shown,
    together=_together,
    remote=True,
)
