"""What calicoctl did to the datastore, done by the engine: releases, pools and nodes that go, configurations."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from tests.dialects.calico.captures import CONFIG, Captured, calls, changes, compared, contents, fill

from unipam.addr.prefix import format_address, parse_address, parse_prefix
from unipam.dialects.calico.datastore.memory import MemoryDatastore
from unipam.dialects.calico.documents import block, configuration
from unipam.dialects.calico.engine import affinities, releasing
from unipam.dialects.calico.engine.session import Owner, Session
from unipam.dialects.calico.rules import configuring
from unipam.dialects.calico.rules.blocks import handle_of
from unipam.dialects.calico.rules.releasing import Wish
from unipam.model.errors import BadValue, Conflict

CALLS = {call.number[:3]: call for call in calls("etcd")}


@pytest.fixture(params=[True, False], ids=["at once", "in turn"])
def transactional(request: pytest.FixtureRequest) -> bool:
    """Whether the datastore writes several objects at once."""
    return bool(request.param)


def done(number: str, transactional: bool, act: Callable[[Session], object]) -> None:
    """Do what a captured call did, and compare what it changed of IPAM's documents."""
    call = CALLS[number]
    store = MemoryDatastore(transactional=transactional)
    fill(store, call.before)
    before = contents(store)
    act(Session(store, time.monotonic() + 60, lambda: call.at))
    wanted = {name: value for name, value in call.changes.items() if name.startswith("/calico/ipam/")}
    assert compared(changes(before, contents(store)), before) == compared(wanted, before)


def test_an_address_is_released(transactional: bool) -> None:
    def act(session: Session) -> None:
        assert releasing.release(session, [Wish(parse_address("192.168.200.7"))]).unheld == []

    done("151", transactional, act)


def test_a_free_address_is_released(transactional: bool) -> None:
    def act(session: Session) -> None:
        assert releasing.release(session, [Wish(parse_address("192.168.200.7"))]).unheld == [
            parse_address("192.168.200.7")
        ]

    done("152", transactional, act)


def leaked(call: Captured) -> list[Wish]:
    """The report of 157: all that was allocated then."""
    return [wish for document in call.before.values() if "allocations" in document for wish in _wishes(document)]


def _wishes(document: Any) -> Iterator[Wish]:
    found = block.read(json.loads(json.dumps(document)))
    for ordinal in range(len(found.allocations)):
        if attribute := found.attribute(ordinal):
            yield Wish(found.address(ordinal), handle_of(attribute), found.sequences[ordinal])


def test_a_report_is_released(transactional: bool) -> None:
    """Handles, sequence numbers and, of pools that do not select the node any more, the blocks themselves."""
    report = leaked(CALLS["157"])

    def act(session: Session) -> None:
        outcome = releasing.release(session, report)
        assert (len(outcome.granted), outcome.unheld, outcome.error) == (27, [], None)

    assert len(report) == 28  # with what cools, which no report has
    report = [wish for wish in report if wish.handle]
    done("161", transactional, act)


def test_a_report_is_released_again(transactional: bool) -> None:
    report = [wish for wish in leaked(CALLS["157"]) if wish.handle]

    def act(session: Session) -> None:
        outcome = releasing.release(session, report)
        assert isinstance(outcome.error, Conflict)
        assert str(outcome.error).startswith("update conflict: ")
        assert sorted(map(format_address, outcome.unheld)) == [f"10.77.0.{number}" for number in range(4)]

    done("162", transactional, act)


def test_a_pool_goes(transactional: bool) -> None:
    done("165", transactional, lambda session: affinities.give_up_pool(session, parse_prefix("10.77.0.0/29")))


def test_a_node_goes(transactional: bool) -> None:
    done("166", transactional, lambda session: affinities.give_up_host(session, Owner("node2"), must_be_empty=False))


SETTINGS: dict[str, dict[str, Any]] = {
    "128": {"strict": True},
    "129": {"max_blocks": 1},
    "130": {"cooldown": 30},
    "131": {"cooldown": 99999},
    "139": {"cooldown": 0},
    "141": {"max_blocks": 0},
    "142": {"strict": False},
}


@pytest.mark.parametrize("number", SETTINGS)
def test_what_is_configured(number: str) -> None:
    """`ipam configure` writes that VMs keep their addresses from its first call on (spec §9.11)."""
    call = CALLS[number]
    found = configuration.DEFAULT
    if CONFIG in call.before:
        found = configuration.read(dict(call.before[CONFIG]))
    found = msgspec.structs.replace(found, persistence=found.persistence or configuration.ENABLED, **SETTINGS[number])
    configuring.check(found)
    assert json.dumps(found.document()) == json.dumps(call.changes[CONFIG])


@pytest.mark.parametrize(("number", "change"), [("125", {"max_blocks": 2}), ("140", {"strict": False})])
def test_what_cannot_be_configured(number: str, change: dict[str, Any]) -> None:
    call = CALLS[number]
    found = configuration.read(dict(call.before[CONFIG])) if CONFIG in call.before else configuration.DEFAULT
    with pytest.raises(BadValue, match="MaxBlocksPerHost requires StrictAffinity to be enabled"):
        configuring.check(msgspec.structs.replace(found, **change))
    assert call.exit_code == 1
