"""azure-vnet-ipam's calls within one process: what must not wait, what is undone, what a reboot does."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from unipam.addr.prefix import format_address
from unipam.clients import wireserver
from unipam.clients.wireserver import WireserverInterface, WireserverSubnet
from unipam.cni.call import Answer, Call
from unipam.cni.context import Context
from unipam.cni.plugin import Learnt
from unipam.dialects.azure_vnet import warm
from unipam.dialects.azure_vnet.space import LearnedSpace
from unipam.dialects.registry import answer
from unipam.ledger import reads
from unipam.ledger.change import nothing
from unipam.ledger.learned import snapshot
from unipam.ledger.open import Ledgers, WouldBlock
from unipam.model.errors import SourceFailed

PLUGIN = "azure-vnet-ipam"
SUBNET = "10.224.0.0/16"


def listing(count: int) -> tuple[WireserverInterface, ...]:
    return (
        WireserverInterface(
            "*", True, (WireserverSubnet(SUBNET, tuple((f"10.224.0.{n}", False) for n in range(5, 5 + count))),)
        ),
    )


class Place:
    """A data directory, a state file, and a wireserver that says what it is told to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.directory = root / "data"
        self.state_file = root / "state.json"
        self.found: tuple[WireserverInterface, ...] | None = listing(2)
        self.asked = 0
        self.netns = "/n"
        self.ledgers = Ledgers()

    def fetch(self, *_: object) -> tuple[WireserverInterface, ...]:
        self.asked += 1
        if self.found is None:
            raise SourceFailed("out of order")
        return self.found

    def call(self, verb: str, container: str, context: Context | None = None, **ipam: Any) -> Answer:
        base = {"type": PLUGIN, "dataDir": str(self.directory), "stateFile": str(self.state_file), "subnet": SUBNET}
        document = {"cniVersion": "1.1.0", "name": "azure", "ipam": {**base, **ipam}}
        env = {"CNI_COMMAND": verb, "CNI_CONTAINERID": container, "CNI_NETNS": self.netns}
        call = Call(PLUGIN, {**env, "CNI_IFNAME": "e", "CNI_PATH": "/"}, json.dumps(document).encode(), str(self.root))
        return answer(call, context or Context(self.ledgers))

    def held(self) -> dict[str, str]:
        ledger = self.ledgers.at(str(self.directory))
        return {format_address(a): who for a, who in snapshot(ledger, PLUGIN)[1].items()}

    def in_use(self) -> list[str]:
        pools = json.loads(self.state_file.read_text())["IPAM"]["AddressSpaces"]["local"]["Pools"]
        return sorted(record["ID"] for record in pools[SUBNET]["Addresses"].values() if record["InUse"])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    made = Place(tmp_path)
    monkeypatch.setattr(wireserver, "fetch", made.fetch)
    yield made
    made.ledgers.close_all()


@pytest.fixture
def hasty(place: Place) -> Iterator[Context]:
    """The context of an agent's first look: nothing may wait."""
    ledgers = Ledgers(timeout=0)
    yield Context(ledgers, attended=True)
    ledgers.close_all()


def test_an_answer_that_nobody_heard_is_undone_with_its_state_file(place: Place) -> None:
    place.call("ADD", "a", writeState=True)
    given = place.call("ADD", "b", writeState=True)
    assert place.in_use() == ["a", "b"]
    assert given.undo
    other = Ledgers()
    given.undo(Context(other))
    other.close_all()
    assert list(place.held().values()) == place.in_use() == ["a"]


def test_what_was_held_already_is_not_undone(place: Place) -> None:
    place.call("ADD", "a")
    assert place.call("ADD", "a").undo is None


@pytest.mark.parametrize("ipam", [{}, {"writeState": True}, {"log": "/nowhere/log"}])
def test_what_would_take_time_is_put_off(place: Place, hasty: Context, ipam: dict[str, Any]) -> None:
    if ipam:
        place.call("ADD", "a")
    with pytest.raises(WouldBlock):
        place.call("ADD", "b", hasty, **ipam)
    assert "b" not in place.held().values()


def test_a_state_file_met_for_the_first_time_is_put_off(place: Place, hasty: Context) -> None:
    place.state_file.write_text('{"IPAM":{}}')
    for verb in ("ADD", "DEL"):
        with pytest.raises(WouldBlock, match="first contact"):
            place.call(verb, "a", hasty)
    assert place.asked == 0


@pytest.mark.parametrize("patient", [True, False])
def test_an_answer_that_came_between_two_looks_is_seen(
    place: Place, monkeypatch: pytest.MonkeyPatch, patient: bool
) -> None:
    """A call finds no pool, another call learns it, and then there is no reason any more to ask the source."""
    ledgers = Ledgers() if patient else Ledgers(timeout=0)
    ledgers.at(str(place.directory)).adopt(PLUGIN, nothing)  # met before, and no pool learned yet
    is_due = LearnedSpace.is_due

    def another_was_faster(site: LearnedSpace, *, needed: bool = False) -> bool:
        monkeypatch.setattr(LearnedSpace, "is_due", is_due)
        place.call("ADD", "another")
        return site.is_due(needed=needed)

    with contextlib.ExitStack() as end:
        end.callback(ledgers.close_all)
        monkeypatch.setattr(LearnedSpace, "is_due", another_was_faster)
        given = place.call("ADD", "a", Context(ledgers, attended=True))
    assert (given.code, place.asked) == (0, 1), given.stdout
    assert sorted(place.held().values()) == ["a", "another"]


def test_a_known_pool_is_served_at_once_however_long_ago_it_was_learned(
    place: Place, hasty: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.call("ADD", "a")
    monkeypatch.setattr("unipam.ledger.refresh.uptime", lambda: 1e9)
    assert place.call("ADD", "b", hasty).code == 0
    ledgers = Ledgers()
    attended = Context(ledgers, attended=True)
    place.call("DEL", "b", attended)
    assert place.call("ADD", "b", attended).code == 0
    ledgers.close_all()
    assert place.asked == 1


def test_an_exhausted_pool_is_asked_for_when_it_is_time(
    place: Place, hasty: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    for container in "ab":
        place.call("ADD", container)
    with pytest.raises(WouldBlock):
        place.call("ADD", "c", hasty)
    assert place.call("ADD", "c").code == 1
    assert place.asked == 1, "a moment ago: the answer would be the same"
    monkeypatch.setattr("unipam.ledger.refresh.uptime", lambda: 1e9)
    assert place.call("ADD", "c").code == 1
    assert place.asked == 2
    (past,) = reads.history(place.ledgers.at(str(place.directory)), "c")
    assert (past.verb, past.reason) == ("refuse", "Failed to allocate address: No available addresses")


def test_an_exhausted_pool_gives_what_is_surely_gone(place: Place, tmp_path: Path) -> None:
    (tmp_path / "netns").touch()
    place.netns = str(tmp_path / "netns")
    for container in "ab":
        place.call("ADD", container)
    (tmp_path / "netns").unlink()
    assert place.call("ADD", "c").code == 0
    assert set(place.held().values()) == {"c"}


def test_what_another_source_was_asked_is_no_reason_to_wait(place: Place) -> None:
    for container in "ab":
        assert place.call("ADD", container, environment="null", subnet="").code == (0 if place.asked else 1)
        assert place.call("ADD", container).code == 0
    assert place.asked == 1, "and it is asked no more often for that"


def test_a_held_address_is_not_found_in_another_pool(place: Place) -> None:
    other = WireserverSubnet("10.225.0.0/24", (("10.225.0.5", False),))
    place.found = (WireserverInterface("*", True, (*listing(1)[0].subnets, other)),)
    assert place.call("ADD", "a").code == 0
    for subnet, code in ((SUBNET, 0), (other.prefix, 1), ("", 0)):
        given = place.call("ADD", "a", subnet=subnet, ipAddress="10.224.0.5")
        assert given.code == code, subnet
        assert code == 0 or json.loads(given.stdout)["msg"] == "Failed to allocate address: Address not found"
    assert place.held() == {"10.224.0.5": "a"}


def test_a_strict_del_asks_for_a_pool_that_is_not_known(place: Place, hasty: Context) -> None:
    with pytest.raises(WouldBlock, match="must be asked"):
        place.call("DEL", "a", hasty, strict=True)
    for _ in range(2):
        assert place.call("DEL", "a", strict=True).code == 0
    failed = json.loads(place.call("DEL", "a", strict=True, subnet="10.99.0.0/16").stdout)
    assert failed["msg"] == "Failed to release address: Pool id 10.99.0.0/16 not found :Invalid address pool"
    assert place.asked == 1


def test_a_strict_del_says_why_no_pool_is_known(place: Place) -> None:
    place.found = None
    failed = json.loads(place.call("DEL", "a", strict=True).stdout)
    assert (failed["msg"], failed["details"]) == (
        "Failed to release address: Invalid address space", "out of order",
    )  # fmt: skip


def test_leases_of_an_earlier_boot_go_with_the_first_add(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for container in "ab":
        place.call("ADD", container)
    place.ledgers.close_all()
    monkeypatch.setattr("unipam.ledger.open.boot_id", lambda: "another")
    place.found = None
    assert place.call("ADD", "c").code == 0, "what was learned before the reboot is known"
    assert list(place.held().values()) == ["c"]


def test_a_pool_without_addresses_is_told_from_one_that_is_full(place: Place) -> None:
    place.found = listing(0)
    empty = json.loads(place.call("ADD", "a").stdout)
    assert empty["msg"] == "Failed to allocate address: No available addresses"
    assert "was given none but its own" in empty["details"]


def test_a_list_of_other_machines_interfaces_is_named_as_the_cause(place: Place) -> None:
    place.found = (WireserverInterface("00112233AABB", True, listing(1)[0].subnets),)
    failed = json.loads(place.call("ADD", "a").stdout)
    assert failed["msg"] == "Failed to allocate address: Invalid address space"
    assert failed["details"] == (
        "no subnet was listed for a network interface of this machine (listed were: 00112233AABB)"
    )


def test_keeping_warm(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert warm.keep_warm(Context(place.ledgers), str(place.directory)) == [], "no ledger, nothing to keep"
    place.call("ADD", "a")
    assert warm.keep_warm(Context(place.ledgers), str(place.directory)) == [], "asked a moment ago"
    monkeypatch.setattr("unipam.ledger.refresh.uptime", lambda: 1e9)
    place.found = listing(3)
    assert warm.keep_warm(Context(place.ledgers), str(place.directory)) == [Learnt(PLUGIN, ((SUBNET, 3),))]
    monkeypatch.setattr("unipam.ledger.refresh.uptime", lambda: 2e9)
    place.found = None
    assert warm.keep_warm(Context(place.ledgers), str(place.directory)) == [Learnt(PLUGIN, (), "out of order")]
    assert place.call("ADD", "b").code == 0


def test_both_plugins_of_one_directory_are_kept_apart(place: Place) -> None:
    place.call("ADD", "a")
    six = Call(
        "azure-vnet-ipamv6",
        {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "a", "CNI_NETNS": "/n", "CNI_IFNAME": "e", "CNI_PATH": "/"},
        json.dumps({"cniVersion": "1.0.0", "name": "azure", "ipam": {"dataDir": str(place.directory)}}).encode(),
        "/",
    )
    assert answer(six, Context(place.ledgers)).code == 0
    ledger = place.ledgers.at(str(place.directory))
    assert [len(snapshot(ledger, name)[1]) for name in (PLUGIN, "azure-vnet-ipamv6")] == [1, 1]
