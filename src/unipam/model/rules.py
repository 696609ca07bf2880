"""The rules: who gets which address, and when it may go to another. `decide` looks, and answers what is to be written.

It reads the claims through a View and takes the time as an argument; the service carries the decision out in the same
transaction. The order of the checks is that of host-local, on which runtimes' expectations rest
(spec cni-and-host-local §2.3, §2.4), without its defects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from unipam.addr.fit import nth
from unipam.addr.prefix import Range, format_address
from unipam.model.errors import Duplicate, Exhausted, IsGateway, Superseded, Taken, Unmet
from unipam.model.records import COOLING, Claim, Owner, Pool, PoolRange, Request

CLOCK_SLACK = 60.0
"""Seconds by which a stamp may lie in the future before the clock is taken to have been set back."""


class View(Protocol):
    """What a decision may ask of the claims under one parent, cheaply whatever their number."""

    def claims_of(self, owner: Owner) -> Sequence[Claim]:
        """Return what the owner holds; nothing that cools."""

    def claim_at(self, first: int) -> Claim | None:
        """Return the claim that begins at this address."""

    def gap(self, first: int, last: int) -> int | None:
        """Return the lowest unclaimed address from `first` to `last`."""

    def cursor(self, number: int) -> int | None:
        """Return the address that this pool handed out last."""

    def fence(self, owner: Owner) -> float:
        """Return when the owner last gave up a request that had not been served (CLOCK_BOOTTIME seconds; 0: never)."""

    def cooling(self, first: int, last: int) -> Claim | None:
        """Return the claim from `first` to `last` that has been cooling longest."""


class Grant(NamedTuple):
    """One address for the owner out of `pool`; `broken` is the cooling claim that had to give way, if any."""

    pool: Pool
    range: PoolRange
    address: int
    broken: Claim | None = None


class Decision(NamedTuple):
    """What to write: either new grants, or none because `held` answers the request already."""

    grants: tuple[Grant, ...] = ()
    held: tuple[Claim, ...] = ()


Choose = Callable[[View, Pool], tuple[PoolRange, int] | None]
"""A policy: the next address that a pool would hand out, or None when it has none."""


def decide(view: View, request: Request, choose: Choose | None = None) -> Decision:
    """Return one address of each pool for the owner.

    Raises Superseded, Duplicate, Taken, IsGateway, Exhausted (each with the number of the pool as fact `pool`) or
    Unmet. Nothing has been written either way.
    """
    held = view.claims_of(request.owner)
    if held:
        held = [c for c in held if is_within(c, request.within)]
        told = tuple(c for c in held if request.again or c.call == request.call != "")
        if told:
            return Decision(held=told)
    if view.fence(request.owner) > request.asked:
        raise Superseded(
            f"{request.owner} was released while this request was waiting; ask again", owner=str(request.owner)
        )
    grants: list[Grant] = []
    wishes = list(request.wishes)
    for number, pool in enumerate(request.pools):
        wish = next((w for w in wishes if pool.find(w)), None) if wishes else None
        if wish is None:
            _refuse_duplicate(held, pool, number)
            grants.append(_next(view, pool, number, choose or round_robin))
        else:
            wishes.remove(wish)
            grants.append(_wished(view, request.owner, pool, number, wish))
            _refuse_duplicate(held, pool, number)
    if wishes:
        raise Unmet("failed to allocate all requested IPs: " + " ".join(map(format_address, wishes)), addresses=wishes)
    return Decision(tuple(grants))


def is_within(claim: Claim, within: Sequence[Range]) -> bool:
    """Return whether a claim begins within one of the ranges; where none is given, it does."""
    return not within or any(r.first <= claim.first <= r.last for r in within)


def _refuse_duplicate(held: Sequence[Claim], pool: Pool, number: int) -> None:
    for claim in held:
        if pool.find(claim.first):
            raise Duplicate(
                f"{claim.text} has been allocated to {claim.owner.holder}, duplicate allocation is not allowed",
                pool=number,
                address=claim.text,
                holder=claim.owner.holder,
                interface=claim.owner.interface,
            )


def _wished(view: View, owner: Owner, pool: Pool, number: int, address: int) -> Grant:
    span = pool.find(address)
    assert span is not None
    text = format_address(address)
    if address == span.gateway:
        raise IsGateway(f"requested ip {text} is subnet's gateway", pool=number, address=text)
    claim = view.claim_at(address)
    if claim is None:
        return Grant(pool, span, address)
    if claim.state == COOLING and claim.owner == owner:  # nobody else can be confused by its return
        return Grant(pool, span, address, broken=claim)
    raise Taken(
        f"requested IP address {text} is not available in range set {pool}",
        pool=number,
        address=text,
        ranges=str(pool),
        holder=str(claim.owner),
    )


def _next(view: View, pool: Pool, number: int, choose: Choose) -> Grant:
    found = choose(view, pool)
    if found:
        return Grant(pool, *found)
    # The last resort: an address that is still cooling is better than a pod without one.
    resting = (claim for span in pool.ranges if (claim := cooling_in(view, span)))
    oldest = min(resting, key=lambda claim: claim.since, default=None)
    if oldest is not None:
        span = pool.find(oldest.first)
        assert span is not None
        return Grant(pool, span, oldest.first, broken=oldest)
    raise Exhausted(f"no IP addresses available in range set: {pool}", pool=number, ranges=str(pool))


def round_robin(view: View, pool: Pool) -> tuple[PoolRange, int] | None:
    """Return the first free address after the one handed out last, so that a freed one rests longest."""
    return _first_after(view, pool, view.cursor(pool.cursor))


def from_place(number: int) -> Choose:
    """Return a policy: the first free address behind the pool's address `number`, wrapping round at the end.

    With a random number from a wide range this is a random choice that costs the same however full the pool is.
    """

    def choose(view: View, pool: Pool) -> tuple[PoolRange, int] | None:
        size = sum(r.last - r.first + 1 for r in pool.ranges)
        return _first_after(view, pool, nth((r.span for r in pool.ranges), number % size)) if size else None

    return choose


def preferring(pools: Sequence[Pool], choose: Choose) -> Choose:
    """Return a policy: what `choose` finds in the first of these parts of a pool that has anything left."""
    return lambda view, _: next((found for part in pools if (found := choose(view, part))), None)


def _first_after(view: View, pool: Pool, place: int | None) -> tuple[PoolRange, int] | None:
    for span, first, last in _segments(pool, place):
        address = free_in(view, span, first, last)
        if address is not None:
            return span, address
    return None


def free_in(view: View, span: PoolRange, first: int, last: int) -> int | None:
    """Return the lowest free address from `first` to `last` that is not the gateway of `span`."""
    address = view.gap(first, last)
    if address is not None and address == span.gateway:
        address = view.gap(address + 1, last) if address < last else None
    return address


def cooling_in(view: View, span: PoolRange) -> Claim | None:
    """Return the claim that has been cooling longest on an address of `span`, its gateway left out."""
    found = (claim for first, last in usable(span, span.first, span.last) if (claim := view.cooling(first, last)))
    return min(found, key=lambda claim: claim.since, default=None)


def usable(span: PoolRange, first: int, last: int) -> Iterator[Range]:
    """Yield the addresses from `first` to `last` without the gateway of `span`."""
    if span.gateway is None or not first <= span.gateway <= last:
        yield Range(first, last)
        return
    if first < span.gateway:
        yield Range(first, span.gateway - 1)
    if span.gateway < last:
        yield Range(span.gateway + 1, last)


def _segments(pool: Pool, cursor: int | None) -> Iterator[tuple[PoolRange, int, int]]:
    """Yield the pool's addresses in the order in which they are tried: from behind the cursor round to the cursor."""
    #   first range       second range       c: the cursor. First what lies behind it in its range, then the other
    #   3 3 3 c 1 1       2 2 2 2 2          ranges in their order, round at the end, at last up to the cursor itself.
    here = None if cursor is None else pool.find(cursor)
    if here is None or cursor is None:
        yield from ((r, r.first, r.last) for r in pool.ranges)
        return
    if cursor < here.last:
        yield here, cursor + 1, here.last
    at = pool.ranges.index(here)
    yield from ((r, r.first, r.last) for r in (*pool.ranges[at + 1 :], *pool.ranges[:at]))
    yield here, here.first, cursor


def is_cool(claim: Claim, now: float) -> bool:
    """Return whether a cooldown has ended: its time is over, or the clock was set back and its stamps mean nothing."""
    return claim.until is not None and (claim.until <= now or claim.since > now + CLOCK_SLACK)
