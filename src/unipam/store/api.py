"""What every store promises. One contract suite (tests/store/test_contract.py) holds them all to it.

- A transaction is all or nothing: it is durable when `transaction()` is left, and without trace when it raised.
- One writer at a time. A reader inside a transaction sees its own writes.
- Claims under one parent never overlap: `insert` raises Overlap, whoever else wrote meanwhile.
- The free space is kept as data (runs of claimed addresses), so `gap` costs the same whatever the number of claims.
- The journal only grows, except by `forget`. Its numbers rise and are never used twice; they serve as generations.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from unipam.addr.prefix import Range
from unipam.model.records import Claim, Entry, Extent, Owner, Selection, Standing
from unipam.store.journal import JournalFilter, Place
from unipam.store.turnover import Turnover, Verbs

EVERY = (1 << 63) - 1
"""As a limit: all of them."""


class Past(Protocol):
    """The claims of a register as they were after the last line that its journal had at a moment.

    Where a clock was set back, that is the line with the latest time that is not behind the moment. Claims are named by
    the numbers of the entries that say what they were: none was created, changed or replaced without one.
    """

    def spaces(self) -> list[int]:
        """Return the spaces, in no order."""

    def stood(
        self, parents: Collection[int], first: int = 0, limit: int = EVERY, kinds: Collection[str] = ()
    ) -> list[int]:
        """Return what was directly under these parents, by parent and address, from one address on: of these kinds, or
        all there are."""

    def extents(self, parents: Collection[int]) -> dict[tuple[int, str], Extent]:
        """Return how many claims of each kind were directly under each parent, and their addresses."""

    def gaps(self, parent: int, first: int, last: int) -> Iterator[Range]:
        """Yield what was unclaimed under a parent from `first` to `last`, lowest first."""


class Tx(Protocol):
    """One transaction."""

    def space(self, name: str) -> int | None:
        """Return the number of the space of this name: the parent of its claims."""

    def standing(self, space: str, owner: Owner) -> Standing | None:
        """Return how the owner stands in the space of this name, in one look; None: there is no such space."""

    def spaces(self) -> list[tuple[int, str]]:
        """Return every space, by name."""

    def create_space(self, name: str, now: float) -> int:
        """Create a space, the root of a tree of claims; return its number. Raises Overlap when the name is taken."""

    def drop_space(self, number: int) -> None:
        """Remove a space with its claims and cursors. Its journal stays."""

    def hide_space(self, number: int) -> None:
        """Let nobody find a space by its name or among all spaces; what is under its number stays."""

    def show_space(self, number: int) -> None:
        """Undo `hide_space`; there must be no other space of this name meanwhile."""

    def claims_of(self, parent: int, holder: str) -> list[Claim]:
        """Return every claim of the holder under the parent, whatever its interface and state, in address order."""

    def claims_by_holder(self, holder: str) -> list[Claim]:
        """Return every claim whose owner's holder is this one or begins with it, in any space."""

    def claims_named(self, holders: Collection[str]) -> list[Claim]:
        """Return every claim whose owner's holder is exactly one of these, under any parent, in address order."""

    def claim_at(self, parent: int, first: int) -> Claim | None:
        """Return the claim that begins at this address."""

    def claim_before(self, parent: int, address: int) -> Claim | None:
        """Return the claim that begins at this address, or else the last one that begins before it."""

    def claims(self, parent: int, first: int = 0, last: int = (1 << 128) - 1) -> Iterator[Claim]:
        """Yield the claims under the parent that begin from `first` to `last`, in address order."""

    def select(self, wanted: Selection) -> list[Claim]:
        """Return one part of a listing of claims, in the order that is wanted. The order never leaves two unordered."""

    def tally(self, wanted: Selection) -> int:
        """Return how many claims the whole listing has."""

    def extents(self, parents: Collection[int], kind: str) -> dict[int, Extent]:
        """Return how many claims of a kind are directly under each parent, and their addresses; nothing for none."""

    def claimed(self, parents: Collection[int]) -> dict[int, int]:
        """Return how many addresses under each parent are claimed; nothing for none."""

    def last_entry(self) -> int:
        """Return the number of the journal's last entry, 0 for none: while it stays, so does the plan."""

    def count(self, parent: int, first: int, last: int, state: str) -> int:
        """Return how many claims in a state begin from `first` to `last`."""

    def gap(self, parent: int, first: int, last: int) -> int | None:
        """Return the lowest unclaimed address from `first` to `last`."""

    def gaps(self, parent: int, first: int, last: int) -> Iterator[Range]:
        """Yield the unclaimed ranges from `first` to `last`, lowest first."""

    def claim(self, number: int) -> Claim | None:
        """Return the claim of this number, a space's included."""

    def insert(self, claim: Claim) -> int:
        """Write a claim down and return its number: the one it brings, or the next when its `id` is 0.

        Raises Overlap when any of its addresses is claimed under the parent. Roots (parent 0) may overlap.
        """

    def insert_all(self, claims: Sequence[Claim]) -> None:
        """Write down claims that bring their numbers. Raises Overlap; then the transaction must be given up."""

    def update(self, claim: Claim) -> None:
        """Write down the state, owner, times, generation, call and details of a claim that is there (by `id`)."""

    def remove(self, claim: Claim) -> None:
        """Take a claim away; its addresses are free."""

    def expired(self, parent: int, now: float, slack: float, limit: int) -> Sequence[Claim]:
        """Return claims whose cooldown ended by `now`, or began more than `slack` later: the clock was set back."""

    def cooling(self, parent: int, first: int, last: int) -> Claim | None:
        """Return the claim from `first` to `last` that has been cooling longest."""

    def cursor(self, parent: int, number: int) -> int | None:
        """Return the address that pool `number` handed out last."""

    def cursors(self, parent: int) -> dict[int, int]:
        """Return all cursors under the parent."""

    def set_cursor(self, parent: int, number: int, address: int) -> None:
        """Move a cursor."""

    def fence(self, parent: int, owner: Owner) -> float:
        """Return when the owner last gave up a request that had not been served; 0 for never."""

    def set_fence(self, parent: int, owner: Owner, at: float) -> None:
        """Remember that the owner gave up at this time (seconds, CLOCK_BOOTTIME)."""

    def drop_fences(self, before: float) -> None:
        """Forget what was given up before this time."""

    def record(self, entry: Entry) -> int:
        """Append to the journal and return the entry's number."""

    def record_all(self, entries: Sequence[Entry]) -> list[int]:
        """Append to the journal in this order and return the entries' numbers."""

    def journal(
        self,
        *,
        parent: int = 0,
        address: int | None = None,
        holder: str = "",
        holders: Collection[str] | None = None,
        limit: int = 1000,
    ) -> list[Entry]:
        """Return entries about one space, address, holder or the beginning of one, or these holders; newest first.

        Only what is given counts, and all of it.
        """

    def search_journal(self, wanted: JournalFilter, after: Place | None, limit: int) -> list[Entry]:
        """Return up to `limit` entries by their time, the latest first, from behind a place on (None: from the end)."""

    def entries_numbered(self, numbers: Collection[int]) -> list[Entry]:
        """Return the entries of these numbers, as far as they are there."""

    def details(self, *, holders: Collection[str] | None = None, text: str = "") -> Iterator[tuple[str, str]]:
        """Yield holders with the details that claims, then entries (newest first), keep of them, if any.

        Of these holders only, if they are given, and only such details as have the text in them.
        """

    def entries(self, until: float, after: int = 0) -> Iterator[Entry]:
        """Yield every entry made not later than `until` and numbered above `after`, oldest first."""

    def past(self, moment: float) -> Past:
        """Return what can be asked about a register's plan as it was at a moment (epoch seconds)."""

    def beginnings(self, numbers: Collection[int]) -> dict[int, int]:
        """Return, for each of these entries, the first one that it goes back to: an entry replaces its generation."""

    def turnover(self, parents: Collection[int], day: int, verbs: Verbs) -> list[Turnover]:
        """Return what came to be claimed and was freed directly under each parent, by days (of UTC) from one on.

        A day on which nothing did is not among them.
        """

    def forget(self, before: float) -> int:
        """Drop the journal's beginning, up to the first entry that is not older than this; return how many went.

        What is left has no holes, whatever clocks did. The last entry of all stays in any case.
        """

    def lacking(self) -> list[str]:
        """Return what the store has to do without, in words, with what helps; empty when nothing."""

    def note(self, key: str) -> str:
        """Return a remark about the ledger itself ("" when there is none)."""

    def set_note(self, key: str, value: str) -> None:
        """Write a remark down."""

    def notes(self, prefix: str) -> list[tuple[str, str]]:
        """Return the remarks whose keys begin with this, with their keys, in the order of the keys."""

    def drop_note(self, key: str) -> None:
        """Forget a remark; one that is not there is no error."""


class Store(Protocol):
    """Durable facts, reached through transactions."""

    def transaction(self) -> AbstractContextManager[Tx]:
        """Begin to write. Raises StoreBusy, StoreBroken or StoreFull."""

    def reading(self) -> AbstractContextManager[Tx]:
        """Begin to read one consistent state; it never waits for a writer."""

    def settle(self) -> None:
        """Do what puts itself off until nobody waits; takes as long as it takes."""

    def make_room(self) -> Iterable[None]:
        """Make room on a full disk, a step at each turn, for work that frees something (`store.reserve.where_full`)."""

    def check(self) -> list[str]:
        """Return what is wrong with the store, in words; empty when it is sound. Reads everything."""

    def close(self) -> None:
        """Let go of the store."""
