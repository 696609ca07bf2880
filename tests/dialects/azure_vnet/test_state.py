"""The original's state file: read as it wrote it, written as it reads it, byte for byte."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipam.addr.prefix import Prefix, format_address, parse_address
from unipam.dialects.azure_vnet import state
from unipam.ledger.learned import LearnedPool, decode, ranges
from unipam.ledger.ledger import learned_note
from unipam.model.errors import StoreBroken, StoreBusy

CAPTURED = Path(__file__).parent / "captured"


@pytest.mark.parametrize("name", ["state_v1459.json", "state_v1812.json"])
def test_a_captured_file_read_and_written_is_the_same(name: str) -> None:
    found = state.read(str(CAPTURED / name))
    text = state.render(found.pools, dict(found.holders), found.version, found.stamp)
    assert text.encode() == (CAPTURED / name).read_bytes()


def test_what_a_captured_file_says() -> None:
    found = state.read(str(CAPTURED / "state_v1459.json"))
    assert [(p.name, p.interface, p.priority, p.capacity, p.reserved) for p in found.pools] == [
        ("10.224.0.0/16", "eth0", 0, 3, True),
        ("10.225.0.0/24", "ifb0", 1, 1, True),
    ]
    held = {format_address(a): who[:6] for a, who in found.holders}
    assert held == {"10.224.0.5": "3e23e8", "10.224.0.6": "18ac3e", "10.224.0.7": "2e7d2c", "10.225.0.5": "ca9781"}


def network(first: int, length: int) -> Prefix:
    return Prefix(first >> (128 - length) << (128 - length), length)


prefixes = st.builds(network, st.integers(1 << 120, (1 << 128) - 1), st.integers(97, 126)) | st.builds(
    network, st.integers(0, (1 << 32) - 1).map(lambda a: (0xFFFF << 32) | a), st.integers(97, 126)
)


@st.composite
def states(draw: st.DrawFn) -> state.State:
    networks = draw(st.lists(prefixes, max_size=4, unique=True))
    pools, holders = [], {}
    for each in sorted(networks):
        if any(each.overlaps(pool.network) for pool in pools):
            continue
        places = draw(st.sets(st.integers(each.first, min(each.last, each.first + 50)), max_size=8))
        pools.append(
            LearnedPool(each, each.first + 1, draw(st.sampled_from(["eth0", ""])), draw(st.integers(0, 1)),
                        ranges(places), draw(st.booleans()))
        )  # fmt: skip
        holders.update(
            {place: draw(st.from_regex(r"[a-f0-9]{1,64}", fullmatch=True)) for place in places if draw(st.booleans())}
        )
    return state.State(tuple(pools), tuple(sorted(holders.items())), "v1.4.59", "2026-11-24T06:42:50Z")


@given(states())
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, told: state.State) -> None:
    path = tmp_path_factory.mktemp("state") / "s.json"
    path.write_text(state.render(told.pools, dict(told.holders), told.version, told.stamp))
    assert state.read(str(path)) == told


def test_an_address_that_vanished_while_it_is_held_is_written_with_its_holder() -> None:
    pool = LearnedPool(Prefix(parse_address("10.0.0.0"), 120), None, "eth0", 0, ())
    records = json.loads(state.render((pool,), {parse_address("10.0.0.9"): "c1"}, "v", "t"))
    (found,) = records["IPAM"]["AddressSpaces"]["local"]["Pools"].values()
    assert found["Addresses"] == {"10.0.0.9": {"ID": "c1", "Addr": "10.0.0.9", "InUse": True}}


def document(**pool: object) -> str:
    given = {"Subnet": {"IP": "10.0.0.0", "Mask": "////AA=="}, "Addresses": {}, **pool}
    return json.dumps({"IPAM": {"AddressSpaces": {"local": {"Pools": {"10.0.0.0/24": given}}}}})


def test_an_address_in_use_by_nobody_named_is_not_free(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text(document(Addresses={"10.0.0.5": {"Addr": "10.0.0.5", "InUse": True}}))
    found = state.read(str(path))
    assert found.holders == ((parse_address("10.0.0.5"), state.UNKNOWN),)
    assert '"ID": "",' in state.render(found.pools, dict(found.holders), "", "")


def test_names_in_any_case_and_unknown_ones_are_read_as_go_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text(document(RefCount=1, More=[1]).replace("AddressSpaces", "addressspaces").replace("Pools", "POOLS"))
    assert [p.name for p in state.read(str(path)).pools] == ["10.0.0.0/24"]


@pytest.mark.parametrize("content", [b"", b"{}", b'{"IPAM":null}', b'{"Other":{}}'])
def test_nothing_in_it_is_nothing_to_take_over(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s.json"
    path.write_bytes(content)
    assert state.read(str(path)) == state.State()


BAD = [
    ((CAPTURED / "state_v1459.json").read_bytes()[:700], "unexpected end of JSON input"),
    (b"\0" * 100, "malformed"),
    (b"[]", "the document is not a JSON object"),
    (b'{"IPAM":[]}', "IPAM is not a JSON object"),
    (document(RefCount="1").encode(), "RefCount is not a number"),
    (document(Subnet={"IP": "x", "Mask": "////AA=="}).encode(), "invalid CIDR address: x/24"),
    (document(Subnet={"IP": "10.0.0.0", "Mask": "!"}).encode(), "base64|padding|characters"),
    (document(Addresses={"a": {"Addr": "a"}}).encode(), "invalid IP address: a"),
    (b"\xff\xfe" * 50, "malformed|err:"),
]


@pytest.mark.parametrize(("content", "problem"), BAD)
def test_a_file_that_cannot_be_read_is_named_and_left_as_it_is(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "s.json"
    path.write_bytes(content)
    with pytest.raises(StoreBroken, match=f"Failed to start IPAM plugin, err:.*({problem})") as caught:
        state.read(str(path))
    assert (caught.value.facts["path"], caught.value.facts["code"]) == (str(path), 100)
    assert "move it away" in str(caught.value.facts["details"])
    assert path.read_bytes() == content


def inherited(path: Path, booted: float = 0.0) -> list[tuple[str, str, int]]:
    found = state.inherit(str(path), 5, booted)
    return [(claim.text, claim.owner.holder[:6], claim.boot) for claim in found.claims]


def test_what_is_inherited(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_bytes((CAPTURED / "state_v1459.json").read_bytes())
    assert inherited(path)[0] == ("10.224.0.5", "3e23e8", 5)
    assert inherited(path, booted=path.stat().st_mtime + 1)[0] == ("10.224.0.5", "3e23e8", 4)
    notes = dict(state.inherit(str(path), 5, 0.0).notes)
    assert [p.name for p in decode(notes[learned_note]).pools] == ["10.224.0.0/16", "10.225.0.0/24"]


def test_no_file_is_nothing_to_inherit(tmp_path: Path) -> None:
    assert inherited(tmp_path / "none.json") == []


def test_the_originals_lock_is_waited_for_and_its_holder_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "_TIMEOUT", 0.05)
    path = tmp_path / "azure-vnet-ipam.json"
    path.write_bytes((CAPTURED / "state_v1459.json").read_bytes())
    (tmp_path / "azure-vnet").mkdir()
    lock = tmp_path / "azure-vnet" / "azure-vnet-ipam.lock"
    lock.write_text("4711")
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StoreBusy, match="is held by process 4711"):
            inherited(path)
    assert len(inherited(path)) == 4


def test_a_file_is_written_whole_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    state.write(str(path), lambda: "text", str(tmp_path / "lock"))
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("text", 0o600)
    assert sorted(os.listdir(tmp_path)) == ["lock", "s.json"]


def test_a_write_that_fails_leaves_the_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text("before")

    def fail() -> str:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        state.write(str(path), fail, str(tmp_path / "lock"))
    assert path.read_text() == "before"
    assert sorted(os.listdir(tmp_path)) == ["lock", "s.json"]


@pytest.mark.parametrize(
    ("zone", "nanoseconds", "expected"),
    [
        ("UTC", 1795502570_497669869, "2026-11-24T06:42:50.497669869Z"),
        ("UTC", 1795502570_500000000, "2026-11-24T06:42:50.5Z"),
        ("UTC", 1795502570_000000000, "2026-11-24T06:42:50Z"),
        ("EET-2", 1795502570_070000000, "2026-11-24T08:42:50.07+02:00"),
        ("NST3:30", 1795502570_000000000, "2026-11-24T03:12:50-03:30"),
    ],
)
def test_a_time_as_go_writes_it(monkeypatch: pytest.MonkeyPatch, zone: str, nanoseconds: int, expected: str) -> None:
    import time

    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        assert state.stamp(nanoseconds) == expected
    time.tzset()
