"""The disk forgets what it may, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path, PurePath

import pytest
from tests.faults.disk import SECTOR, Directory, Disk, Everything, File, Luck

ROOT = Path("/root")
LEDGER = ROOT / "d" / "f"


class Story:
    """What happens to a disk, a nanosecond an act; `found` tells what may be there afterwards."""

    def __init__(self, place: Path) -> None:
        self.disk = Disk(ROOT)
        self.now = 0
        self._place = place
        self.made = 0

    def __call__(self, act: Callable[[int], None]) -> None:
        self.now += 1
        act(self.now)

    def sync(self, path: PurePath) -> None:
        found = self.disk.find(path)
        assert found
        self(found.sync)

    def write(self, offset: int, data: bytes) -> None:
        self(lambda now: self.disk.file(LEDGER).write(now, offset, data))

    def image(self, luck: Luck) -> bytes | None:
        """The file's content in one image; None if it is not there."""
        self.made += 1
        image = self._place / str(self.made)
        self.disk.put(luck, image)
        path = image / LEDGER.relative_to(ROOT)
        return path.read_bytes() if path.exists() else None

    def found(self, count: int = 300) -> set[bytes | None]:
        """What there was in so many images."""
        dice = random.Random(1)
        return {self.image(Luck(dice, self.now)) for _ in range(count)}


@pytest.fixture
def story(tmp_path: Path) -> Story:
    """A file in a directory, both made and not synced."""
    made = Story(tmp_path)
    made(lambda now: made.disk.make(now, LEDGER.parent, Directory()))
    made(lambda now: made.disk.make(now, LEDGER, File()))
    return made


@pytest.fixture
def known(story: Story) -> Story:
    """The same, with names that are on the disk."""
    story.sync(LEDGER.parent)
    story.sync(ROOT)
    return story


def test_a_synced_file_without_a_synced_name_may_be_gone(story: Story) -> None:
    story.write(0, b"a")
    story.sync(LEDGER)
    assert story.found() == {None, b"a"}
    story.sync(LEDGER.parent)
    assert story.found() == {None, b"a"}, "its directory has no name yet"
    story.sync(ROOT)
    assert story.found() == {b"a"}


def test_what_was_synced_is_there_and_of_the_rest_anything(known: Story) -> None:
    known.write(0, b"a")
    known.sync(LEDGER)
    known.write(0, b"b")
    known.write(0, b"c")
    assert known.found() == {b"a", b"b", b"c"}
    known.sync(LEDGER)
    assert known.found() == {b"c"}
    assert known.image(Everything()) == b"c"


def test_writes_are_torn_at_sectors_and_put_in_another_order(known: Story) -> None:
    known.write(0, b"a" * 2 * SECTOR)
    known.sync(LEDGER)
    known.write(SECTOR - 1, b"bb")
    old, new = b"a" * SECTOR, (b"a" * (SECTOR - 1) + b"b", b"b" + b"a" * (SECTOR - 1))
    assert known.found() == {old + old, new[0] + old, old + new[1], new[0] + new[1]}


def test_a_file_may_have_grown_without_its_data(known: Story) -> None:
    known.write(2, b"a")
    assert known.found() == {b"", b"\0\0\0", b"\0\0a"}


def test_what_was_cut_off_may_be_back_and_reads_as_zeros_when_the_file_grows_again(known: Story) -> None:
    known.write(0, b"abc")
    known.sync(LEDGER)
    known(lambda now: known.disk.file(LEDGER).truncate(now, 1))
    assert known.found() == {b"a", b"abc", b"a\0\0"}
    known.sync(LEDGER)
    known.write(2, b"d")
    assert known.found() == {b"a", b"a\0\0", b"a\0d"}


def test_a_removed_file_may_be_back_and_a_new_one_of_its_name_is_another(known: Story) -> None:
    known.write(0, b"a")
    known.sync(LEDGER)
    known(lambda now: known.disk.remove(now, LEDGER))
    assert known.found() == {b"a", None}
    known(lambda now: known.disk.make(now, LEDGER, File()))
    known.write(0, b"b")
    known.sync(LEDGER)
    assert known.found() == {b"a", b"b", None}


def test_a_sync_covers_what_was_complete_when_it_began(known: Story) -> None:
    file = known.disk.file(LEDGER)
    file.write(10, 0, b"a")
    file.write(30, 0, b"b")
    file.sync(20)
    known.now = 40
    assert known.found() == {b"a", b"b"}


def test_some_disks_keep_to_the_order(known: Story) -> None:
    for number in range(40):
        known.now += 1_000_000
        known.write(number * SECTOR, b"x" * SECTOR)
    dice = random.Random(1)
    lucks = [luck for luck in (Luck(dice, known.now) for _ in range(400)) if luck.in_order]
    found = {known.image(luck) for luck in lucks}
    assert found <= {b"x" * SECTOR * number for number in range(41)}
    assert len(found) > 10


def test_what_is_made_twice_is_the_first(known: Story) -> None:
    known.write(0, b"a")
    known(lambda now: known.disk.make(now, LEDGER, File()))
    assert known.image(Everything()) == b"a"
