"""The history checker finds every planted violation, and nothing in a history that keeps the rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipam.addr.prefix import V4_FIRST
from unipam.ledger.history import Holding, Replay, verify
from unipam.model.records import Entry, Owner

HERE = V4_FIRST + (10 << 24) + 2
A, B = Owner("a", "eth0"), Owner("b", "eth0")


class Journal:
    """A journal written by hand: numbers and generations as a ledger would give them, unless told otherwise."""

    def __init__(self, begin: int = 1) -> None:
        self.entries: list[Entry] = []
        self._next = begin

    def add(self, verb: str, at: float, owner: Owner, generation: int = 0, **rest: object) -> int:
        first = int(str(rest.pop("first", HERE)))
        entry = Entry(at, verb, 1, first, first, owner, generation, id=self._next)
        self.entries.append(entry._replace(**rest))  # type: ignore[arg-type]
        self._next += 1
        return self.entries[-1].id


def cooling(until: float) -> str:
    return f'{{"until":{until}}}'


def fine() -> Journal:
    """One of everything that may happen to an address."""
    journal = Journal()
    one = journal.add("adopt", 1.0, A)
    two = journal.add("repeat", 2.0, A, one)
    journal.add("release", 3.0, A, two)
    three = journal.add("allocate", 4.0, B)
    journal.add("undo", 5.0, B, three)
    four = journal.add("allocate", 6.0, A)
    journal.add("release", 7.0, A, four, details=cooling(17.0))
    journal.add("thaw", 17.0, A, four)
    five = journal.add("allocate", 18.0, B)
    journal.add("release", 19.0, B, five, details=cooling(99.0))
    journal.add("break-glass", 20.0, B, five)
    six = journal.add("allocate", 20.0, A)
    journal.add("give-back", 30.0, A, six)
    journal.add("create", 31.0, Owner("a team"), first=0)
    return journal


def test_a_history_that_keeps_the_rules_is_clean() -> None:
    assert verify(fine().entries) == []
    assert verify([]) == []


@given(st.integers(0, 20))
def test_a_journal_whose_beginning_was_forgotten_is_clean(cut: int) -> None:
    assert verify(fine().entries[cut:]) == []


@pytest.mark.parametrize("missing", range(12))
def test_a_history_with_an_entry_torn_out_is_not(missing: int) -> None:
    entries = fine().entries
    assert verify(entries[:missing] + entries[missing + 1 :]) or missing == 0


def only(journal: Journal) -> str:
    found = verify(journal.entries)
    assert len(found) == 1, found
    return found[0]


def test_two_owners_at_once() -> None:
    journal = Journal()
    journal.add("allocate", 1.0, A)
    journal.add("allocate", 2.0, B)
    assert only(journal) == (
        "entry 2 (allocate at 2.000): 10.0.0.2 is handed out to b/eth0, but there is 10.0.0.2 (held by a/eth0,"
        " generation 1)"
    )


def test_the_same_owner_twice() -> None:
    journal = Journal()
    journal.add("allocate", 1.0, A)
    journal.add("allocate", 2.0, A)
    assert "is handed out to a/eth0, but" in only(journal)


@pytest.mark.parametrize(("first", "last"), [(HERE, HERE + 7), (HERE - 7, HERE), (HERE - 3, HERE + 3)])
def test_a_prefix_over_a_lease(first: int, last: int) -> None:
    journal = Journal()
    journal.add("allocate", 1.0, A)
    journal.add("allocate", 2.0, B, first=first, last=last)
    assert "but there is 10.0.0.2 (held by a/eth0" in only(journal)


def test_the_same_address_elsewhere_or_another_one_here_is_no_violation() -> None:
    journal = Journal()
    journal.add("allocate", 1.0, A)
    journal.add("allocate", 2.0, B, parent=2)
    journal.add("allocate", 3.0, B, first=HERE + 1)
    assert verify(journal.entries) == []


def test_handed_out_within_its_cooldown() -> None:
    journal = Journal()
    one = journal.add("allocate", 1.0, A)
    journal.add("release", 2.0, A, one, details=cooling(100.0))
    journal.add("allocate", 50.0, B)
    assert "handed out to b/eth0, but there is 10.0.0.2 (cooling after a/eth0" in only(journal)


@pytest.mark.parametrize(("at", "fine"), [(99.0, False), (100.0, True), (2.0 - 60.0, False), (2.0 - 61.0, True)])
def test_thawed_too_early_unless_the_clock_was_set_back(at: float, fine: bool) -> None:
    journal = Journal()
    one = journal.add("allocate", 1.0, A)
    journal.add("release", 2.0, A, one, details=cooling(100.0))
    journal.add("thaw", at, A, one)
    found = verify(journal.entries)
    assert found == [] if fine else "is thawed, but" in found[0]


@pytest.mark.parametrize("verb", ["thaw", "break-glass"])
def test_what_is_held_cannot_thaw(verb: str) -> None:
    journal = Journal()
    one = journal.add("allocate", 1.0, A)
    journal.add(verb, 2.0, A, one)
    assert "but there is 10.0.0.2 (held by a/eth0" in verify(journal.entries)[0]


@pytest.mark.parametrize("verb", ["release", "undo", "repeat", "give-back"])
def test_letting_go_of_what_is_cooling_or_gone(verb: str) -> None:
    for details in ("", cooling(100.0)):
        journal = Journal()
        one = journal.add("allocate", 1.0, A)
        journal.add("release", 2.0, A, one, details=details)
        journal.add(verb, 3.0, A, one)
        assert verify(journal.entries)


@pytest.mark.parametrize("verb", ["release", "undo", "repeat"])
def test_letting_go_of_another_s_lease(verb: str) -> None:
    journal = Journal()
    one = journal.add("allocate", 1.0, A)
    journal.add(verb, 2.0, B, one)
    assert "speaks of b/eth0 as held, but there is 10.0.0.2 (held by a/eth0" in only(journal)


@pytest.mark.parametrize("verb", ["release", "undo", "repeat"])
def test_a_late_release_of_an_earlier_generation(verb: str) -> None:
    journal = Journal()
    one = journal.add("allocate", 1.0, A)
    journal.add("release", 2.0, A, one)
    journal.add("allocate", 3.0, A)
    journal.add(verb, 4.0, A, one)
    assert "speaks of generation 1, but there is 10.0.0.2 (held by a/eth0, generation 3)" in only(journal)


def test_an_earlier_generation_from_before_the_journal_does_not_end_a_later_one() -> None:
    journal = Journal(begin=50)
    journal.add("allocate", 1.0, A)
    journal.add("release", 2.0, A, 7)
    assert "from before the journal" in only(journal)


@pytest.mark.parametrize("number", [1, 2])
def test_numbers_that_do_not_rise(number: int) -> None:
    journal = Journal(begin=2)
    journal.add("allocate", 1.0, A)
    journal.add("allocate", 2.0, B, first=HERE + 1, id=number)
    assert "does not rise above 2" in only(journal)


def test_a_replay_knows_what_is_held_and_what_cools() -> None:
    journal = Journal()
    one = journal.add("allocate", 1.0, A)
    two = journal.add("allocate", 2.0, B, first=HERE + 1)
    journal.add("release", 3.0, A, one, details=cooling(13.5))
    replay = Replay()
    for entry in journal.entries:
        replay.step(entry)
    assert replay.present == {
        (1, HERE): Holding(1, HERE, HERE, A, one, 3.0, 13.5),
        (1, HERE + 1): Holding(1, HERE + 1, HERE + 1, B, two, 2.0),
    }


@pytest.mark.parametrize("details", ["not json", "[1]", '{"pod":"a/b"}', '{"until":"soon"}'])
def test_details_that_say_nothing_of_a_cooldown(details: str) -> None:
    journal = Journal()
    one = journal.add("allocate", 1.0, A)
    journal.add("release", 2.0, A, one, details=details)
    journal.add("allocate", 3.0, B)
    assert verify(journal.entries) == []
