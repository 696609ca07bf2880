"""Calls of one network that come at once: whatever they want of one block is written in one write, by one thread.

A call can be answered so where all that it needs is known and nothing stands in its way: one address out of a block of
the node's, or the release of one. Any other call is answered by itself (`verbs`), where also refusals are found.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from unipam.addr.prefix import Prefix
from unipam.cni.call import Call
from unipam.cni.context import Context
from unipam.cni.plugin import Reply
from unipam.dialects.calico import adding, attending
from unipam.dialects.calico import config as calico
from unipam.dialects.calico.config import Network
from unipam.dialects.calico.engine import releasing, writing
from unipam.dialects.calico.engine.parts import Part
from unipam.dialects.calico.engine.session import Session
from unipam.dialects.calico.logged import tell
from unipam.model.errors import BadInput, Refused, Unanswered, UnipamError


class _Share(NamedTuple):
    """A call with its part in the write of a block, and how it is answered once that is made."""

    call: Call
    prefix: Prefix
    part: Part
    reply: Callable[[], Reply]


def together(calls: Sequence[Call], context: Context) -> list[Reply | UnipamError | None]:
    """Answer calls of one configuration that came at once, or say what went wrong; None for who is to ask by itself."""
    began, network = time.time(), calico.remembered(calls[0].config)
    session = _session(calls, network, context)
    if session is None or session.combiner is None:
        return [None] * len(calls)
    shares = list(_shares(calls, network, session))
    taken = [share for share in shares if share]
    if taken:
        session.combiner.write_all(session, taken[0].prefix, [share.part for share in taken])
    return [share and _outcome(share, network, context, session, began) for share in shares]


def _session(calls: Sequence[Call], network: Network, context: Context) -> Session | None:
    """Return what the calls go by, if all of it is known and one write is enough for block and handles."""
    session = attending.open_session(network, context, min(map(attending.time_of, calls)))
    if not session.datastore.transactional:
        return None
    return attending.known_session(network, context, session)


def _shares(calls: Sequence[Call], network: Network, session: Session) -> Iterator[_Share | None]:
    """Yield each call's part, all of them in one block."""
    prefix, gains = None, 0
    for call in calls:
        try:
            share = _SHARES[call.verb](call, network, session, prefix, gains) if _is_plain(call) else None
        except UnipamError:  # perhaps what is known is old
            share = None
        if share:
            prefix, gains = share.prefix, gains + share.part.gains
        yield share


def _is_plain(call: Call) -> bool:
    return call.verb in _SHARES and not attending.is_of_vm(call)


def _add(call: Call, network: Network, session: Session, prefix: Prefix | None, ahead: int) -> _Share | None:
    task, _ = adding.prepare(network, call.env["CNI_CONTAINERID"], call.arguments, session)
    found = adding.part_of(task, session, prefix, ahead)
    if found is None:
        return None
    block, part = found
    return _Share(
        call,
        block,
        part,
        lambda: attending.added(call, network, task.handle, [(address, block) for address in part.addresses]),
    )


def _del(call: Call, network: Network, session: Session, prefix: Prefix | None, _: int) -> _Share | None:
    found = releasing.part_of(session, network.handle(call.env["CNI_CONTAINERID"]))
    if found is None or prefix not in {None, found[0]}:
        return None
    block, part = found
    return _Share(call, block, part, lambda: attending.released(call, part.addresses))


_SHARES = {"ADD": _add, "DEL": _del}


def _outcome(
    share: _Share, network: Network, context: Context, session: Session, began: float
) -> Reply | UnipamError | None:
    try:
        with attending.in_time(session):
            reply = _reply(share, session)
    except UnipamError as error:
        tell(share.call, began, {}, error)
        return error
    if reply is None:
        return None
    tell(share.call, began, reply.facts)
    return attending.noted(share.call, network, context, session, reply)


def _reply(share: _Share, session: Session) -> Reply | None:
    """Return what a call is answered; None where that is found out by asking again. Raises SourceFailed, Unanswered."""
    part = share.part
    if isinstance(part.error, Unanswered | Refused | BadInput) or not part.addresses:
        return None
    if part.error:
        raise part.error
    writing.undo_doubtful(session, session.configuration(), share.prefix, part)
    if not part.gains and session.combiner:
        releasing.leave_known(session, session.combiner, share.prefix)
    return share.reply()
