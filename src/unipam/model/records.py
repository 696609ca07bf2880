"""The records of the claim tree. Values only; what may happen to them is in `rules`."""

from __future__ import annotations

from typing import NamedTuple

from unipam.addr.prefix import Range, format_address, is_v4

HELD = "held"
COOLING = "cooling"

SPACE = "space"
RETIRED = "retired"
"""A space that is no more; its number is not given to another."""
LEASE = "lease"


class Owner(NamedTuple):
    """Who may release a claim: a container's interface, a handle, a NIC, a resource id."""

    holder: str
    interface: str = ""

    def __str__(self) -> str:
        return f"{self.holder}/{self.interface}" if self.interface else self.holder


class Claim(NamedTuple):
    """A prefix (or one address) held by an owner under a parent.

    `generation` is new each time the prefix is handed out: it is the number of the journal entry that did so.
    `since` is when the present state began, `until` when a cooldown ends; both in seconds since the epoch.
    `boot` numbers the boot of the machine during which it was handed out, 0 where that says nothing.
    `cooldown` is how many seconds the address is kept back after release. `call` is the key of the request that made
    it, so that a repeated request is known as such. `details` are facts about the owner as JSON.
    """

    parent: int
    first: int
    last: int
    kind: str
    owner: Owner
    state: str = HELD
    since: float = 0.0
    until: float | None = None
    generation: int = 0
    boot: int = 0
    cooldown: int = 0
    call: str = ""
    details: str = ""
    id: int = 0

    @property
    def text(self) -> str:
        """Return the address or prefix as people write it."""
        return prefix_text(self.first, self.last)


def prefix_text(first: int, last: int) -> str:
    """Write one address, or a prefix with its length, as people do."""
    if first == last:
        return format_address(first)
    length = 128 - (last - first + 1).bit_length() + 1
    return f"{format_address(first)}/{length - 96 if length >= 96 and is_v4(first) else length}"


class Entry(NamedTuple):
    """One line of the journal: what happened to a prefix, when, to whom, by whom and why."""

    at: float
    verb: str
    parent: int
    first: int
    last: int
    owner: Owner
    generation: int
    actor: str = ""
    reason: str = ""
    details: str = ""
    id: int = 0


class Standing(NamedTuple):
    """What a store can say at a glance of a space and one who asks there.

    `cooling`: whether anything in the space cools; `holding`: whether the asker's holder has any claim there; `fence`:
    when the asker last gave up a request that had not been served (CLOCK_BOOTTIME seconds; 0: never).
    """

    space: int
    cooling: bool
    holding: bool
    fence: float


class PoolRange(NamedTuple):
    """Addresses that may be handed out, with the network they are part of.

    `length` is the network's prefix length on the line; `gateway` is never handed out (None: there is none).
    """

    first: int
    last: int
    length: int
    gateway: int | None = None

    @property
    def span(self) -> Range:
        """Return the addresses, without the network around them."""
        return Range(self.first, self.last)


class Pool(NamedTuple):
    """Ranges from which one address is taken; `cursor` names the place where round robin stands."""

    cursor: int
    ranges: tuple[PoolRange, ...]

    def find(self, address: int) -> PoolRange | None:
        """Return the range that `address` is in; IPv4 lies between IPv6 addresses, and in none of their ranges."""
        for span in self.ranges:  # no generator: this stands in the path of every call
            if span.first <= address <= span.last and is_v4(address) == is_v4(span.first):
                return span
        return None

    def __str__(self) -> str:
        return ",".join(str(r.span) for r in self.ranges)


class Request(NamedTuple):
    """One owner asks for one address of each pool, all or none.

    `wishes` are addresses asked for by name. `call` is the request's own key, `asked` when it was made (seconds on the
    clock that never stops, CLOCK_BOOTTIME). `again` answers a second request of the same owner with what it holds.
    `within` are the addresses among which what the owner holds counts at all; none means all. `last` says that the
    caller asks nobody else when it does not hear this answer.
    """

    owner: Owner
    pools: tuple[Pool, ...]
    wishes: tuple[int, ...] = ()
    cooldown: int = 0
    again: bool = False
    call: str = ""
    asked: float = 0.0
    boot: int = 0
    details: str = ""
    within: tuple[Range, ...] = ()
    last: bool = True


class Selection(NamedTuple):
    """Which claims of a plan are listed, and in which order; only what is given counts.

    `kind` is theirs, `parents` are what they lie under, `overlaps` is a range that they share addresses with, `text`
    stands somewhere in what people read of their details, letter case aside, or begins their holder
    (`store.listing.TEXTS`), and `status` is that member of their details.
    `order` is PLACE (parent, then address), AGE, UNTIL, or the name of a member of their details; `after` are the
    values by which the last claim of the part before stands in it (`position`).
    """

    kind: str = ""
    parents: tuple[int, ...] | None = None
    overlaps: Range | None = None
    text: str = ""
    status: str = ""
    order: str = "place"
    descending: bool = False
    after: tuple[str | float, int] | None = None
    limit: int = 100


PLACE, AGE, UNTIL = "place", "age", "until"
FOREVER = 9e15
"""Where a claim without an end stands among those that end."""


class Extent(NamedTuple):
    """How many claims there are, and how many addresses they have together."""

    claims: int
    addresses: int
