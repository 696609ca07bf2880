"""What a ledger should hold, in one dict: the rules of cni-and-host-local §2 told once more, slowly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tests import oracle

from unipam.model.errors import Duplicate, Exhausted, IsGateway, Refused, Superseded, Taken, Unmet
from unipam.model.records import Claim, Owner, Pool, Request

SLACK = 60.0


@dataclass(frozen=True)
class Lease:
    """What is known of one address; `until` is None while it is held."""

    owner: Owner
    since: float
    generation: int
    cooldown: int = 0
    call: str = ""
    until: float | None = None

    def over(self, now: float) -> bool:
        """Whether its cooldown has ended."""
        return self.until is not None and (now >= self.until or self.since > now + SLACK)


@dataclass(frozen=True)
class Expected:
    """What an allocation must answer: an error, what it was told before, or one of `choices` for each pool."""

    error: type[Refused] | None = None
    told: tuple[int, ...] = ()
    choices: tuple[frozenset[int], ...] = ()


@dataclass
class Model:
    """The leases, the cursors and the fences of one network."""

    leases: dict[int, Lease] = field(default_factory=dict)
    cursors: dict[int, int] = field(default_factory=dict)
    fences: dict[Owner, float] = field(default_factory=dict)

    def held_by(self, owner: Owner) -> list[int]:
        """Its addresses; if there are none, those in the name of the holder alone."""
        held = {a: lease.owner for a, lease in sorted(self.leases.items()) if lease.until is None}
        exact = [a for a, of in held.items() if of == owner]
        return exact or [a for a, of in held.items() if of == Owner(owner.holder)]

    def thaw(self, now: float) -> None:
        self.leases = {a: lease for a, lease in self.leases.items() if not lease.over(now)}

    def expect(self, request: Request, now: float) -> Expected:
        """What `request` must get at this moment."""
        after = Model({a: lease for a, lease in self.leases.items() if not lease.over(now)}, self.cursors, self.fences)
        mine = after.held_by(request.owner)
        told = mine if request.again else [a for a in mine if request.call and self.leases[a].call == request.call]
        if told:
            return Expected(told=tuple(told))
        if self.fences.get(request.owner, 0.0) > request.asked:
            return Expected(Superseded)
        return after._served(request, mine)

    def _served(self, request: Request, mine: Sequence[int]) -> Expected:
        wishes, choices = list(request.wishes), []
        for pool in request.pools:
            wish = next((w for w in wishes if pool.find(w)), None)
            if wish is not None:
                wishes.remove(wish)
                if error := self._refuses(pool, wish, request.owner):
                    return Expected(error)
            if any(pool.find(a) for a in mine):
                return Expected(Duplicate)
            choices.append(frozenset({wish}) if wish is not None else self._turn(pool))
            if not choices[-1]:
                return Expected(Exhausted)
        return Expected(Unmet) if wishes else Expected(choices=tuple(choices))

    def _refuses(self, pool: Pool, wish: int, owner: Owner) -> type[Refused] | None:
        span, there = pool.find(wish), self.leases.get(wish)
        if span is not None and wish == span.gateway:
            return IsGateway
        free = there is None or (there.owner == owner and there.until is not None)
        return None if free else Taken

    def _turn(self, pool: Pool) -> frozenset[int]:
        found = oracle.next_address(pool, self.cursors.get(pool.cursor), set(self.leases))
        if found is not None:
            return frozenset({found})
        usable = [a for _, a in oracle.walk(pool.ranges, None)]
        resting = [a for a in usable if a in self.leases and self.leases[a].until is not None]
        oldest = min((self.leases[a].since for a in resting), default=None)
        return frozenset(a for a in resting if self.leases[a].since == oldest)

    def allocated(self, request: Request, claims: Sequence[Claim], now: float) -> None:
        """`request` was given these, one of each pool."""
        self.thaw(now)
        for pool, claim in zip(request.pools, claims, strict=True):
            self.leases[claim.first] = Lease(request.owner, now, claim.generation, request.cooldown, request.call)
            self.cursors[pool.cursor] = claim.first

    def told(self, claims: Sequence[Claim], now: float) -> None:
        """The owner was told again what it has."""
        self.thaw(now)
        for claim in claims:
            self.leases[claim.first] = replace(self.leases[claim.first], generation=claim.generation)

    def let_go(self, addresses: Sequence[int], now: float, *, at_once: bool = False) -> None:
        """These are released: they cool, or are free."""
        for address in addresses:
            lease = self.leases.pop(address)
            if lease.cooldown and not at_once:
                self.leases[address] = replace(lease, since=now, until=now + lease.cooldown)

    def holds(self, claim: Claim) -> bool:
        """Whether the claim is still held as it was seen."""
        lease = self.leases.get(claim.first)
        return lease is not None and lease.until is None and lease.generation == claim.generation
