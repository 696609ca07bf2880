"""AutoAssign: any addresses (spec §1.7), from the host's own blocks, else a new block, else somebody else's."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from unipam.addr.prefix import Prefix
from unipam.dialects.calico.datastore.api import Item
from unipam.dialects.calico.documents.affinity import Affinity
from unipam.dialects.calico.documents.block import Block, copied
from unipam.dialects.calico.documents.pool import LOAD_BALANCER as FOR_SERVICES
from unipam.dialects.calico.documents.pool import Pool
from unipam.dialects.calico.engine import claiming
from unipam.dialects.calico.engine.claiming import NoFreeBlocks
from unipam.dialects.calico.engine.counting import Full, too_busy
from unipam.dialects.calico.engine.session import LOAD_BALANCER, TRIES, Owner, Session, Stored
from unipam.dialects.calico.engine.writing import Given, Task, hand_out
from unipam.dialects.calico.rules import blocks, limits, pools, releasing
from unipam.dialects.calico.rules.blocks import Holder
from unipam.dialects.calico.rules.pools import PoolRequest, Reserve
from unipam.dialects.calico.rules.selectors import Labels
from unipam.model.errors import (
    BadValue,
    Conflict,
    Exhausted,
    Mismatch,
    Missing,
    NotFound,
    Refused,
    Stale,
    Superseded,
    Unanswered,
    UnipamError,
    Unreadable,
)

if TYPE_CHECKING:
    from unipam.dialects.calico.engine.parts import Gain
    from unipam.dialects.calico.engine.territory import Territory

STRICT = "No more free affine blocks and strict affinity enabled"
FAILED = "Failed to assign IPs in newly allocated block"


class Request(NamedTuple):
    """What is asked for: `number` addresses of a family, for whom, and out of which pools (none: whichever select).

    `most` is how many addresses of the family the handle may have in all, `max_blocks` how many blocks the host may
    have; 0 says nothing.
    """

    number: int
    family: int
    host: str
    handle: str | None = None
    attributes: Mapping[str, str] = MappingProxyType({})
    pools: Sequence[Prefix] = ()
    use: str = ""
    max_blocks: int = 0
    reserve: Reserve | None = None
    most: int = 0
    namespace: Labels = MappingProxyType({})

    @property
    def owner(self) -> Owner:
        """Whose blocks are drawn from: the host's, or for Services those that no host has."""
        return LOAD_BALANCER if self.use == FOR_SERVICES else Owner(self.host)


class Assigned(NamedTuple):
    """What came of a request: addresses with the prefixes of their blocks, what is said of a lack, and why it ended.

    `given` are those of the addresses that were not the handle's before. A shortfall is no error by itself;
    `shortfall` words it.
    """

    request: Request
    addresses: list[tuple[int, Prefix]]
    messages: list[str]
    error: UnipamError | None
    given: Given

    @property
    def shortfall(self) -> str:
        """What is said when fewer were assigned than asked for; empty when there were enough."""
        request = self.request
        if len(self.addresses) >= request.number:
            return ""
        said = [f"Assigned {len(self.addresses)} out of {request.number} requested IPv{request.family} addresses"]
        said += self.messages
        if request.reserve:
            said.append(f"HostReservedAttr: {request.reserve.handle}")
        return "; ".join(said)


def auto_assign(session: Session, request: Request) -> Assigned:
    """Assign what can be assigned.

    What stood in the way of the rest is in `error`, if it was more than a lack of room.
    """
    search = _Search(session, request)
    error = None
    try:
        check(request)
        search.run()
    except UnipamError as raised:
        error = raised
    return Assigned(request, search.addresses, search.messages, error, search.given)


class Outlook:
    """What the known blocks of a host have room for, by and by: requests alike but for their holders. For one thread.

    Raises what `auto_assign` finds wrong with the request.
    """

    def __init__(self, session: Session, request: Request) -> None:
        check(request)
        self._session, self._search = session, _Search(session, request)
        self._rooms = self._search.rooms()
        self._prefix, self._room = Prefix(0, 0), 0

    def part(self, session: Session, handle: str, attributes: Mapping[str, str]) -> tuple[Prefix, Gain] | None:
        """Return how a holder is given an address by a part in the write of a block; None where more must be asked.

        The session is of the call that asks for it.
        """
        while self._room <= 0:
            found = next(self._rooms, None)
            if found is None:
                return None
            self._prefix, self._room = found
        self._room -= 1
        known = self._session.combiner.handle(handle) if self._session.combiner else None
        return self._prefix, self._search.part(session, self._prefix, handle, attributes, known)


def check(request: Request) -> None:
    """Raise BadValue for a request that does not say what for, or that asks for pools of the other family."""
    if not request.use:
        raise BadValue("must specify the intended use when assigning an IP", field="use")
    if any(prefix.family != request.family for prefix in request.pools):
        problem = f"provided IPv{request.family} IPPools list contains one or more IPv{10 - request.family} IPPools"
        raise BadValue(problem, field="pools")


class _Search:
    """One request on its way through the blocks."""

    def __init__(self, session: Session, request: Request) -> None:
        self.session, self.request, self.owner = session, request, request.owner
        self.holder = Holder(str(self.owner), request.handle, dict(request.attributes))
        self.addresses: list[tuple[int, Prefix]] = []
        self.messages: list[str] = []
        self.given: Given = {}
        self._full = False
        self._read_anew: set[Prefix] = set()

    @property
    def _missing(self) -> int:
        return 0 if self._full else self.request.number - len(self.addresses)

    def rooms(self) -> Iterator[tuple[Prefix, int]]:
        """Yield the host's blocks with how much room they have, in order and as far as that is known."""
        _, affine = self._prepare()
        for prefix, affinity in affine.items():
            known = self._known(prefix) if affinity.value.confirmed else None
            if known is None:
                return
            yield prefix, self._free(known[0].value) - known[1]

    def part(
        self, session: Session, prefix: Prefix, handle: str, attributes: Mapping[str, str], known: Item | None
    ) -> Gain:
        """Return the part in a block's write that gives a holder one address."""
        from unipam.dialects.calico.engine.parts import Gain

        holder = Holder(str(self.owner), handle, dict(attributes))
        reserved, strict = self.reserved, self.settings.strict
        return Gain(
            session, prefix, holder, lambda block: blocks.draw(block, 1, holder, reserved, strict=strict), known
        )

    @functools.cached_property
    def territory(self) -> Territory:
        """The blocks of the cluster, for a host whose own do not do."""
        from unipam.dialects.calico.engine.territory import Territory

        return Territory(self.session, self.settings, self.owner, self.reserved)

    def run(self) -> None:
        """Search; what was found stays when something ends it. Raises what does."""
        usable, affine = self._prepare()
        try:
            for block in self._own_blocks(usable, affine):
                if not self._draw(block, strict=self.settings.strict):
                    self._say(FAILED)
        except NoFreeBlocks:
            if self.settings.strict:
                self._say(STRICT)
        if self._missing > 0 and not self.settings.strict:
            self._borrow(usable)

    def _say(self, message: str) -> None:
        if message not in self.messages:
            self.messages.append(message)

    def _prepare(self) -> tuple[Sequence[Pool], dict[Prefix, Stored[Affinity]]]:
        """Return the pools to draw from, and the host's claims in them.

        Empty blocks in pools that are not for it are given up.
        """
        self.settings, self.reserved = self.session.configuration(), self.session.reserved()
        labels: Labels = {} if self.owner is LOAD_BALANCER else self.session.node_labels(self.request.host)
        known = self.session.pools()
        request = self.request
        wanted = PoolRequest(request.family, request.pools, request.use, request.namespace, request.reserve)
        try:
            chosen = pools.choose(known, wanted, request.host, labels)
        except (Exhausted, Missing) as error:
            error.facts["details"] = self.session.complaints()
            raise
        claims = self.session.affinities(self.owner, request.family)
        affine = {prefix: claim for prefix, claim in claims.items() if pools.find(chosen.usable, prefix.first)}
        for prefix in claims:
            if prefix not in affine and not pools.find(chosen.selecting, prefix.first):
                pool = pools.find([pool for pool in known if pool.enabled], prefix.first)
                if pool is not None and not pools.selects_node(pool, labels):
                    self._leave(prefix)
        return chosen.usable, affine

    def _leave(self, prefix: Prefix) -> None:
        for _ in range(TRIES):
            try:
                claiming.give_up(self.session, self.owner, prefix, must_be_empty=True)
            except Conflict:
                continue
            except Refused:
                pass
            return

    def _own_blocks(self, usable: Sequence[Pool], affine: Mapping[Prefix, Stored[Affinity]]) -> Iterator[Stored[Block]]:
        """Yield the host's blocks that have room, then new ones, as long as addresses are missing."""
        combiner = self.session.combiner
        for prefix, affinity in affine.items():
            if self._missing <= 0:
                return
            if combiner and combiner.is_full(prefix):
                continue
            if block := self._open(prefix, affinity):
                yield block
        owned, seen = len(affine), set(affine)
        while self._missing > 0:
            with self.session.claiming():
                block = self._another(usable, seen)
                if block is None:
                    block = self._new(usable, owned)
                    seen.add(block.value.prefix)
                    owned += 1
            yield block

    def _new(self, usable: Sequence[Pool], owned: int) -> Stored[Block]:
        """Claim a new block, if the host may have one more. Raises Exhausted, NoFreeBlocks."""
        limit = limits.effective(self.settings.max_blocks, self.request.max_blocks)
        if owned >= limit:
            self._say(limits.reached(limit))
            raise Exhausted("cannot allocate new block due to per host block limit", limit=limit)
        if not self.settings.auto_allocate:
            raise Exhausted("failed to find or claim a block")
        block = self._claim(usable)
        if self.session.combiner:
            self.session.combiner.learn(block)
        return block

    def _another(self, usable: Sequence[Pool], seen: set[Prefix]) -> Stored[Block] | None:
        """Return a block with room that is the host's by now: a call that came at once has claimed it.

        Or somebody else has released what was in it, which this process does not know.
        """
        if self.session.combiner is None:
            return None
        for prefix, affinity in self.session.affinities(self.owner, self.request.family).items():
            if prefix not in seen and pools.find(usable, prefix.first):
                seen.add(prefix)
                if block := self._open(prefix, affinity):
                    return block
        for block in self.territory.own(usable):
            if block.value.prefix not in self._read_anew:
                self._read_anew.add(block.value.prefix)
                self.session.combiner.forget(block.value.prefix)
                return block
        return None

    def _open(self, prefix: Prefix, affinity: Stored[Affinity]) -> Stored[Block] | None:
        """Open a block of the host's, if it is that still and has room."""
        if self.reserved.gap(prefix.first, prefix.last) is None:
            return None
        if affinity.value.confirmed and (known := self._known(prefix)):
            block, waiting = known
            return block if self._free(block.value) > waiting else None
        for _ in range(TRIES):
            try:
                block = claiming.open_block(self.session, self.owner, prefix, affinity, self.request.reserve)
                has_room = self._has_room(block)
                if self.session.combiner:
                    self.session.combiner.learn(block)
                return block if has_room else None
            except (Conflict, Unanswered):
                with suppress(NotFound):
                    affinity = self.session.affinity(self.owner, prefix)
                    continue
                return None
            except (Refused, Unreadable):
                return None
        return None

    def _known(self, prefix: Prefix) -> tuple[Stored[Block], int] | None:
        """Return a block of the host's that this process has at hand, and how many wait for addresses of it."""
        known = self.session.combiner.peek(prefix) if self.session.combiner else None
        return known if known and known[0].value.affinity == str(self.owner) else None

    def _free(self, block: Block) -> int:
        """Count what is free in a block that others use as well, and so is not to be changed."""
        if not block.unallocated and block.cooling:
            block = copied(block)
            releasing.tidy(block, self.session.clock(), self.settings.cooldown)
        return blocks.free(block, self.reserved)

    def _has_room(self, block: Stored[Block]) -> bool:
        releasing.tidy(block.value, self.session.clock(), self.settings.cooldown)
        return blocks.free(block.value, self.reserved) > 0

    def _claim(self, usable: Sequence[Pool]) -> Stored[Block]:
        """Claim a block with room for the host. Raises NoFreeBlocks."""
        for _ in range(TRIES):
            prefix = self.territory.find(usable)
            self.territory.forget()
            try:
                block = claiming.claim(self.session, self.owner, prefix, self.request.reserve)
            except (Mismatch, Stale):
                continue
            except Unreadable:
                self.territory.avoid(prefix)
                continue
            if self._has_room(block):
                return block
        raise too_busy()

    def _draw(self, block: Stored[Block], *, strict: bool) -> bool:
        """Draw from a block what is missing; return False where the block did not do. Raises Superseded."""
        try:
            self._take(block, strict=strict)
        except Superseded:  # no other block does either
            raise
        except (Refused, Unreadable):
            return False
        return True

    def _borrow(self, usable: Sequence[Pool]) -> None:
        """Draw from whoever's blocks have room."""
        exhausted = []
        for pool in usable:
            for block in self.territory.others(pool):
                if self._missing <= 0:
                    return
                self._draw(block, strict=False)
            if self._missing > 0:
                exhausted.append(pool.cidr)
        if exhausted:
            self._say(f"No IPs available in pools: [{' '.join(exhausted)}]")

    def _take(self, block: Stored[Block], *, strict: bool) -> None:
        task = Task(self.session, self.settings, self.holder, self.request.most)
        try:
            found = hand_out(
                task,
                block,
                lambda b: blocks.draw(b, self._missing, self.holder, self.reserved, strict=strict),
                self._missing,
            )
        except Full:
            self._use_held()
            return
        self.given |= found
        self.addresses += [(address, block.value.prefix) for address in found]

    def _use_held(self) -> None:
        """Answer with what the handle has, which may have no more; somebody may be about to give it that."""
        from unipam.dialects.calico.engine.holding import held_by

        request, self._full = self.request, True
        held = held_by(self.session, str(request.handle), request.family)
        self.addresses = held[: request.number]
        if len(held) < request.number:
            self._say(
                f"handle {request.handle} has {len(held)} IPs allocated but requires {request.number}"
                " (concurrent operation in progress)"
            )
