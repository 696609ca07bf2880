"""Calls of one network that come at once: whatever they want of one block is written in one write, by one thread.

A call can be answered so where all that it needs is known and nothing stands in its way: one address out of a block of
the node's, or the release of one. Any other call is answered by itself (`verbs`), where also refusals are found.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from unipam.addr.prefix import Prefix
from unipam.cni.call import Call
from unipam.cni.context import Context
from unipam.cni.plugin import Joint, Reply
from unipam.dialects.calico import adding, attending
from unipam.dialects.calico import config as calico
from unipam.dialects.calico.adding import Assigned
from unipam.dialects.calico.config import Network
from unipam.dialects.calico.engine import releasing, writing
from unipam.dialects.calico.engine.auto import Outlook
from unipam.dialects.calico.engine.combining import Combiner
from unipam.dialects.calico.engine.parts import Gain, Part
from unipam.dialects.calico.engine.session import Session
from unipam.dialects.calico.logged import tell
from unipam.model.errors import BadInput, Refused, SourceFailed, Unanswered, UnipamError


class _Share(NamedTuple):
    """A call with its part in the write of a block, and how it is answered once that is made."""

    call: Call
    part: Part
    reply: Callable[[], Reply]


class _Batch:
    """What the calls have in common; `began` is in seconds since the epoch."""

    def __init__(self, network: Network, session: Session, combiner: Combiner, began: float) -> None:
        self.network, self.session, self.combiner, self.began = network, session, combiner, began

    @functools.cached_property
    def outlook(self) -> Outlook | None:
        """What the node's known blocks have room for. Raises what an ADD would."""
        return adding.outlook(self.network, self.session)


def together(calls: Sequence[Call], heard: Sequence[Callable[[], bool]], context: Context) -> list[Joint]:
    """Return what answers calls of one configuration that came at once: those of one block together."""
    batch = _batch(calls, context)
    if batch is None:
        return []
    shares: dict[Prefix, dict[int, _Share]] = {}
    for number, call in enumerate(calls):
        if found := _share(call, heard[number], batch):
            shares.setdefault(found[0], {})[number] = found[1]
    return [
        Joint(tuple(several), partial(_answer, batch, prefix, tuple(several.values())))
        for prefix, several in shares.items()
    ]


def _batch(calls: Sequence[Call], context: Context) -> _Batch | None:
    """Return what the calls go by, if all of it is known and one write is enough for block and handles."""
    began, network = time.time(), calico.remembered(calls[0].config)
    session = attending.open_session(network, context, min(map(attending.time_of, calls)))
    known = attending.known_session(network, context, session) if session.datastore.transactional else None
    return _Batch(network, known, known.combiner, began) if known and known.combiner else None


def _share(call: Call, heard: Callable[[], bool], batch: _Batch) -> tuple[Prefix, _Share] | None:
    """Return a call's part and in which block; None where it is to be answered by itself."""
    if call.verb not in {"ADD", "DEL"} or attending.is_of_vm(call):
        return None
    try:
        session = batch.session._replace(heard=heard)
        return _del(call, session, batch) if call.verb == "DEL" else _add(call, session, batch)
    except UnipamError:  # perhaps what is known is old: the call by itself finds out
        return None


def _add(call: Call, session: Session, batch: _Batch) -> tuple[Prefix, _Share] | None:
    task, _ = adding.prepare(batch.network, call.env["CNI_CONTAINERID"], call.arguments, session)
    found = adding.part_of(task, session, batch.outlook)
    if found is None:
        return None
    prefix, part = found

    def reply() -> Reply:
        writing.undo_doubtful(session, part)
        addresses = [(address, prefix) for address in part.addresses]
        return attending.added(call, batch.network, Assigned(addresses, writing.wishes(part.given, part.handle)))

    return prefix, _Share(call, part, reply)


def _del(call: Call, session: Session, batch: _Batch) -> tuple[Prefix, _Share] | None:
    handle = batch.network.handle(call.env["CNI_CONTAINERID"])
    found = releasing.part_of(session, handle)
    if found is None:
        return None
    prefix, part = found
    return prefix, _Share(call, part, lambda: attending.released(call, part.addresses))


def _answer(
    batch: _Batch, prefix: Prefix, shares: Sequence[_Share], context: Context
) -> list[Reply | UnipamError | None]:
    """Write a block for several calls; what each of them is answered."""
    batch.combiner.write_all(batch.session, prefix, [share.part for share in shares])
    if any(not share.part.gains for share in shares):
        releasing.leave_known(batch.session, batch.combiner, prefix)
    return [_outcome(share, batch, context) for share in shares]


def _outcome(share: _Share, batch: _Batch, context: Context) -> Reply | UnipamError | None:
    part, call, session = share.part, share.call, batch.session
    if isinstance(part.error, Unanswered | Refused | BadInput) or not (part.error or part.addresses):
        return None  # it is found out by asking again
    try:
        with attending.in_time(session):
            if part.error:
                raise _error(part, part.error)
            reply = share.reply()
    except UnipamError as error:
        tell(call, batch.began, {}, error)
        return attending.undoable(batch.network, error)
    tell(call, batch.began, reply.facts)
    return attending.noted(call, batch.network, context, session, reply)


def _error(part: Part, error: UnipamError) -> UnipamError:
    """Return why a part was not written, or nobody knows whether it was."""
    if isinstance(part, Gain) and part.doubt and isinstance(error, SourceFailed):
        return writing.with_left(error, part)
    return error
