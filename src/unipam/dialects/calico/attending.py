"""A call is attended to: the datastore that it asks, its time, and what is noted of what it has done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial, wraps

from unipam.addr.prefix import format_address, parse_address
from unipam.cni.call import AT_IT_FOR, PATIENCE, Call
from unipam.cni.context import Context
from unipam.cni.plugin import Reply, Verb
from unipam.cni.result import Result
from unipam.dialects.calico import adding, arguments, connection, printing
from unipam.dialects.calico import config as calico
from unipam.dialects.calico.adding import Assigned
from unipam.dialects.calico.config import Network
from unipam.dialects.calico.engine import releasing
from unipam.dialects.calico.engine.session import Session
from unipam.dialects.calico.rules.releasing import Wish
from unipam.ledger.open import uptime
from unipam.model import facts
from unipam.model.errors import BadInput, Refused, SourceFailed, UnipamError
from unipam.model.records import Owner

TIMEOUT = 90.0
"""Seconds that a call has (spec §5.3)."""

AGENT_TIMEOUT = AT_IT_FOR + PATIENCE + 0.5
"""Seconds that it has in the agent: the launcher asks cold by then, and nobody hears it."""

Act = Callable[[Call, Network, Session], Reply]


def time_of(call: Call) -> float:
    """Return how many seconds a call has from when somebody attends to it, however long it waited before.

    A cold call counts what its launcher has waited for an agent: a kubelet gives a sandbox two minutes to end, and an
    error in time says more than none. `asked` is when the launcher began, whose process it is.
    """
    if not call.last:
        return AGENT_TIMEOUT
    return TIMEOUT - min(uptime() - call.asked, AGENT_TIMEOUT) if call.asked else TIMEOUT


def open_session(network: Network, context: Context, timeout: float) -> Session:
    """Return the cluster's datastore, for as long as a call may take. Raises BadConfig."""
    deadline = time.monotonic() + timeout
    datastore = connection.once(network.where, network.node)
    unknown = printing.unknown_node(network.where.kind)
    clock = lambda: int(context.clock() * 1e9)  # noqa: E731
    return Session(datastore, deadline, clock, unknown, patience=timeout, heard=context.heard)


def watched_session(call: Call, network: Network, context: Context, session: Session) -> Session | None:
    """Return the session of which the node's part is known without asking, where somebody keeps it fresh.

    Not for a VM's pods: what a VM holds other nodes change, and it is answered without being written.
    """
    if not context.attended or is_of_vm(call):
        return None
    return _by_what_is_kept(network, session)


def known_session(network: Network, context: Context, session: Session) -> Session | None:
    """Return the session of which the node's part is known, where it is: nothing of it is asked then."""
    if not context.attended or not connection.watched(network.where, network.node).datastore.known():
        return None
    return _by_what_is_kept(network, session)


def _by_what_is_kept(network: Network, session: Session) -> Session:
    kept = connection.watched(network.where, network.node)
    return session._replace(datastore=kept.datastore, combiner=kept.combiner, namespaces=kept.namespaces)


def is_of_vm(call: Call) -> bool:
    """Return whether a call is for the pod that runs a VM of KubeVirt's."""
    return arguments.pod_of(call.arguments).pod.startswith(adding.LAUNCHER)


def attended(act: Act, *, known: bool = False) -> Verb:
    """Return a verb that asks the datastore, and so may keep nobody else waiting.

    One that goes by what is `known`, where an agent keeps it, writes whatever it does at a revision. It refuses nothing
    on the strength of what may be old: then it is done again by what the datastore says.
    """

    @wraps(act)
    def verb(call: Call, context: Context) -> Reply:
        context.require_waiting("the datastore is asked")
        network = calico.remembered(call.config)
        session = open_session(network, context, time_of(call))
        with in_time(session):
            watched = watched_session(call, network, context, session) if known else None
            if watched:
                with suppress(Refused, BadInput):
                    return noted(call, network, context, watched, act(call, network, watched))
                session.require_heard()
            reply = act(call, network, session)
            if watched:
                connection.watched(network.where, network.node).doubt()  # it was wrong
            return noted(call, network, context, watched or session, reply)

    return verb


def noted(call: Call, network: Network, context: Context, session: Session, reply: Reply) -> Reply:
    """Note in the node's ledger, where there is one, what a call has done."""
    told = reply.facts.get("addresses")
    if not context.home or not isinstance(told, list) or not told:
        return reply
    from unipam.dialects.calico.journal import journal
    from unipam.ledger.noted import Gained, Lost

    written, lost = journal(context.home), Lost(_numbers(told), call.verb)
    if reply.result is None:
        written.note(network.name, lost)
        return reply
    owner = Owner(call.env["CNI_CONTAINERID"], call.env.get("CNI_IFNAME", ""))
    written.note(network.name, Gained(owner, lost.addresses, _cooldown(session), facts.write(call.facts)))
    return reply


def _cooldown(session: Session) -> int:
    """Return for how many seconds addresses cool, as far as that is known: what was done is done."""
    try:
        return session.configuration().cooldown
    except UnipamError:
        return 0


def _numbers(addresses: list[str]) -> tuple[int, ...]:
    return tuple(parse_address(each.partition("/")[0]) for each in addresses)


@contextmanager
def in_time(session: Session) -> Iterator[None]:
    """Say of a call that was too slow what the original says; what was slow goes into the details."""
    try:
        yield
    except SourceFailed as error:
        if not session.late():
            raise
        raise type(error)("context deadline exceeded", **{**error.facts, "details": error.message}) from error


def added(call: Call, network: Network, assigned: Assigned) -> Reply:
    """Return what an ADD answers that was given these addresses."""
    given = answered(call, printing.result(assigned.addresses), new=True)
    return given._replace(undo=partial(_take_back, network, assigned.wishes)) if assigned.wishes else given


def undoable(network: Network, error: UnipamError) -> UnipamError:
    """Return the error of an ADD, which takes back what may be `left` of it."""
    if isinstance(left := error.facts.get("left"), list):
        error.facts["undo"] = partial(_take_back, network, left)
    return error


def _take_back(network: Network, wishes: list[Wish], own: Context) -> None:
    """Take back, in the context of whoever does it, what nobody heard of. Raises SourceFailed."""
    lost = releasing.take_back(open_session(network, own, TIMEOUT), wishes)
    if own.home and lost:
        from unipam.dialects.calico.journal import journal
        from unipam.ledger.noted import Lost

        journal(own.home).note(network.name, Lost(tuple(lost), "nobody heard the answer"))


def answered(call: Call, found: Result, *, new: bool) -> Reply:
    """Return what an ADD answers."""
    return Reply({"network": call.config.name, "addresses": [ip.address for ip in found.ips], "new": new}, found)


def released(call: Call, addresses: Iterable[int]) -> Reply:
    """Return what a call answers that released these addresses."""
    return Reply({"network": call.config.name, "addresses": list(map(format_address, addresses))})
