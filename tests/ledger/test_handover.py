"""A space on its way back, step by step: marked, written, forgotten; or undone, with what happened meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from tests.clock import Clock
from tests.ledger.test_ledger import ME, ONE, YOU, at, claims, entries, held, verbs
from tests.store.backends import Backend

from unipam.ledger import handover
from unipam.ledger.change import Inheritance
from unipam.ledger.handover import Handover, UnknownLeases
from unipam.ledger.history import verify
from unipam.ledger.ledger import Ledger
from unipam.model.errors import GivenBack, Mismatch, Missing
from unipam.model.pool_notes import pools_note
from unipam.model.records import COOLING, LEASE, Claim, Owner, Request

NEW = Owner("new", "eth0")


@dataclass
class Paper:
    """A record of another system, on paper."""

    says: list[str] | None = None
    cursors: dict[int, int] = field(default_factory=dict)
    changed: Inheritance | None = None
    found: tuple[Claim, ...] = ()
    torn: bool = False

    def compare(self, unknown: UnknownLeases) -> None:
        if strange := unknown(self.found):
            raise Mismatch(" ".join(claim.text for claim in strange))

    def put(self, held: Sequence[Claim], cursors: dict[int, int], unknown: UnknownLeases) -> None:
        self.compare(unknown)
        if self.torn:
            raise PermissionError("read-only")
        self.says, self.cursors = [claim.text for claim in held], cursors

    def take_back(self) -> Inheritance | None:
        self.says = None
        return self.changed


@pytest.fixture
def ledger(backend: Backend, clock: Clock) -> Iterator[Ledger]:
    made = Ledger(backend.open(), clock, boot=3)
    yield made
    assert verify(entries(made)) == []


def add(ledger: Ledger, owner: Owner = ME, *, space: str = "net", cooldown: int = 0) -> None:
    ledger.allocate(space, Request(owner, (ONE,), cooldown=cooldown, details='{"pod":"a/b"}'), pools="[]")


def lease(address: str, owner: Owner, since: float = 5e9) -> Claim:
    return Claim(0, at(address), at(address), LEASE, owner, since=since)


def going(ledger: Ledger, paper: Paper, space: str = "net") -> Handover:
    return Handover(ledger, space, paper, "unipam adopt it --network")


def everything(ledger: Ledger) -> tuple[list[Claim], str]:
    with ledger.store.reading() as tx:
        parent = tx.space("net")
        assert parent is not None
        return list(tx.claims(parent)), f"{tx.cursors(parent)} {tx.note(pools_note(parent))}"


def test_the_record_gets_what_is_held_and_the_ledger_forgets_it(ledger: Ledger) -> None:
    add(ledger)
    add(ledger, YOU, cooldown=60)
    ledger.release("net", YOU, "DEL")
    paper = Paper()
    back = going(ledger, paper)
    assert [c.text for c in back.preview().held] == ["10.0.0.2"]
    assert paper.says is None
    assert [c.text for c in back.begin().held] == ["10.0.0.2"]
    assert (paper.says, paper.cursors) == (["10.0.0.2"], {0: at("10.0.0.3")})
    assert handover.begun(ledger) == handover.spaces(ledger) == ["net"]
    back.end()
    assert (handover.begun(ledger), handover.spaces(ledger)) == ([], [])
    assert verbs(ledger)[-1] == "give-back"
    with pytest.raises(Missing, match="net was given back already"):
        back.begin()


@pytest.mark.parametrize("ended", [False, True])
def test_nobody_is_served_from_the_mark_on(ledger: Ledger, ended: bool) -> None:
    add(ledger)
    back = going(ledger, Paper())
    back.begin()
    if ended:
        back.end()
    for call in (
        lambda: add(ledger, YOU),
        lambda: ledger.release("net", ME, "DEL", asked=1.0),
        lambda: ledger.check("net", ME, None),
        lambda: ledger.collect("net", set(), "GC"),
    ):
        with pytest.raises(GivenBack, match=r"take net over again \(unipam adopt it --network net\)"):
            call()
    add(ledger, YOU, space="another")


def test_taken_over_by_name_it_is_served_again(ledger: Ledger) -> None:
    add(ledger)
    back = going(ledger, Paper())
    back.begin()
    back.end()
    ledger.adopt("net", lambda: Inheritance((lease("10.0.0.2", ME), lease("10.0.0.4", NEW))))
    add(ledger, YOU)
    assert held(ledger) == {"10.0.0.2": "me/eth0", "10.0.0.3": "you/eth0", "10.0.0.4": "new/eth0"}


def test_a_closed_ledger_takes_no_new_space_until_one_is_named(ledger: Ledger) -> None:
    add(ledger)
    handover.close(ledger, "unipam adopt it --network")
    add(ledger, YOU)  # what it has it serves
    with pytest.raises(GivenBack, match="unipam adopt it --network fresh"):
        add(ledger, space="fresh")
    ledger.adopt("fresh", Inheritance)
    add(ledger, space="fresh")
    add(ledger, space="fresher")


def test_undone_all_is_as_it_was(ledger: Ledger) -> None:
    add(ledger)
    add(ledger, YOU, cooldown=60)
    ledger.release("net", YOU, "DEL")
    before = everything(ledger)
    handover.close(ledger, "again")
    back = going(ledger, paper := Paper())
    back.begin()
    back.undo()
    handover.reopen(ledger)
    assert everything(ledger) == before
    assert paper.says is None
    assert {claim.state for claim in before[0]} >= {COOLING}
    add(ledger, NEW, space="fresh")


def test_undone_it_keeps_what_the_other_system_did_meanwhile(ledger: Ledger) -> None:
    add(ledger)
    add(ledger, YOU)
    add(ledger, NEW, cooldown=60)
    ledger.release("net", NEW, "DEL")
    told: list[str] = []
    theirs = (lease("10.0.0.2", ME), lease("10.0.0.4", Owner("other")))
    paper = Paper(changed=Inheritance(theirs, ((0, at("10.0.0.4")),), "paper", lambda: told.append("adopted")))
    back = going(ledger, paper)
    back.begin()
    back.undo()
    assert held(ledger) == {"10.0.0.2": "me/eth0", "10.0.0.4": "other"}
    assert claims(ledger)[0].details == '{"pod":"a/b"}'
    assert told == ["adopted"]
    add(ledger, YOU)
    assert held(ledger)["10.0.0.5"] == "you/eth0"


def test_what_fails_leaves_all_as_it_was(ledger: Ledger) -> None:
    add(ledger)
    before = everything(ledger)
    with pytest.raises(PermissionError):
        going(ledger, Paper(torn=True)).begin()
    assert everything(ledger) == before
    add(ledger, YOU)


def test_what_was_begun_by_one_who_died_is_ended_by_the_next(ledger: Ledger) -> None:
    add(ledger)
    going(ledger, Paper()).begin()
    paper = Paper()
    next_one = going(ledger, paper)
    assert [c.text for c in next_one.preview().held] == ["10.0.0.2"]
    assert [c.text for c in next_one.begin().held] == ["10.0.0.2"]
    assert paper.says is None, "it was written before, and may have been changed since"
    next_one.end()
    assert handover.begun(ledger) == []


def test_leases_that_the_ledger_never_had_are_named(ledger: Ledger) -> None:
    ledger.adopt("net", lambda: Inheritance((lease("10.0.0.5", Owner("legacy")),)))
    add(ledger)
    add(ledger, YOU)
    ledger.release("net", YOU, "DEL")
    ledger.release("net", Owner("legacy", "eth0"), "DEL")
    known = (lease("10.0.0.2", ME), lease("10.0.0.3", YOU), lease("10.0.0.5", Owner("legacy")))
    going(ledger, Paper(found=known)).preview()
    for strange in (lease("10.0.0.3", ME), lease("10.0.0.6", NEW), lease("10.0.0.4", NEW, since=1.0)):
        before = everything(ledger)
        with pytest.raises(Mismatch, match=f"^{strange.text}$"):
            going(ledger, Paper(found=(*known, strange))).begin()
        assert everything(ledger) == before


def test_a_journal_that_has_forgotten_its_beginning_judges_by_age(ledger: Ledger, clock: Clock) -> None:
    add(ledger, NEW)
    ledger.forget(clock() + 1, 0.0)
    clock.now += 100
    add(ledger)
    ledger.forget(clock.now, 0.0)
    root = clock.now - 100
    going(ledger, Paper(found=(lease("10.0.0.6", YOU, since=root - 1),))).preview()
    with pytest.raises(Mismatch):
        going(ledger, Paper(found=(lease("10.0.0.6", YOU, since=root + 1),))).preview()
