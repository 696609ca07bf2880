"""Which pools a request is served from, in which order, and where a DEL lets go."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from unipam.addr.prefix import Range, parse_address, parse_prefix
from unipam.dialects.azure_vnet import config, pools
from unipam.dialects.azure_vnet.config import Network
from unipam.ledger.learned import Learned, LearnedPool
from unipam.model.errors import Missing, Unmet


def network(master: str = "", **ipam: Any) -> Network:
    return config.load({"name": "n", "master": master, "ipam": ipam}, "azure-vnet-ipam")


def pool(name: str, count: int, interface: str = "eth0", priority: int = 0) -> LearnedPool:
    prefix = parse_prefix(name)
    spans = (Range(prefix.first + 5, prefix.first + 4 + count),) if count else ()
    return LearnedPool(prefix, prefix.first + 1, interface, priority, spans)


PRIMARY, LARGE, SECONDARY = pool("10.1.0.0/24", 3), pool("10.2.0.0/24", 9), pool("10.3.0.0/24", 1, "eth1", 1)
SIX = pool("fd00::/64", 50)
ALL = (PRIMARY, LARGE, SECONDARY, SIX)


def learned(*known: LearnedPool) -> Learned:
    return Learned(1, known)


@pytest.mark.parametrize("known", list(itertools.permutations(ALL)))
def test_priority_then_capacity_then_address_whatever_the_order(known: tuple[LearnedPool, ...]) -> None:
    assert pools.ordered(known, network()) == (SECONDARY, LARGE, PRIMARY)
    assert pools.ordered(known, network(master="eth0")) == (LARGE, PRIMARY)
    assert pools.ordered(known, network(type="azure-vnet-ipamv6")) == (SIX,)
    twin = pool("10.0.0.0/24", 9)
    assert pools.ordered((*known, twin), network(master="eth0")) == (twin, LARGE, PRIMARY)


def test_a_named_pool_is_taken_as_it_is_named() -> None:
    assert pools.choose(learned(*ALL), network(subnet="10.1.0.0/24")) == (PRIMARY,)
    for name in ("10.1.0.4/24", "10.1.0.0/16", "10.9.0.0/24", "x"):
        with pytest.raises(Missing, match=f"Pool id {name} not found :Invalid address pool"):
            pools.choose(learned(*ALL), network(subnet=name))


def test_no_pool_that_fits() -> None:
    with pytest.raises(Missing, match="no available address pools"):
        pools.choose(learned(PRIMARY), network(type="azure-vnet-ipamv6"))


def test_an_address_asked_for() -> None:
    wish = parse_address("10.1.0.6")
    asked = pools.request_of(learned(*ALL), network(subnet="10.1.0.0/24", ipAddress="10.1.0.6"))
    assert (asked.wishes, asked.within) == ((wish,), (Range(wish, wish),))
    vanished = pools.request_of(learned(*ALL), network(subnet="10.1.0.0/24", ipAddress="10.1.0.99"))
    assert (vanished.pools, vanished.wishes) == ((), (parse_address("10.1.0.99"),))
    for text in ("10.1.0.6/24", "x"):
        with pytest.raises(Unmet):
            pools.request_of(learned(*ALL), network(ipAddress=text))


def test_where_holding_counts_without_a_wish() -> None:
    asked = pools.request_of(learned(*ALL), network(subnet="10.1.0.0/24"))
    assert asked.within == (PRIMARY.span,)
    assert pools.request_of(learned(*ALL), network()).within == (SECONDARY.span, LARGE.span, PRIMARY.span)


@pytest.mark.parametrize(
    ("ipam", "expected"),
    [
        ({}, ()),
        ({"subnet": "10.1.0.0/24"}, (PRIMARY.span,)),
        ({"subnet": "no network"}, ()),
        ({"subnet": "10.1.0.0/24", "ipAddress": "10.1.0.6"}, (Range(*[parse_address("10.1.0.6")] * 2),)),
        ({"ipAddress": "10.1.0.6/24"}, (Range(*[parse_address("10.1.0.6")] * 2),)),
        ({"ipAddress": "10.1.0.6/24", "strict": True}, None),
        ({"ipAddress": "nothing"}, None),
    ],
)
def test_where_a_del_lets_go(ipam: dict[str, Any], expected: tuple[Range, ...] | None) -> None:
    assert pools.released(network(**ipam)) == expected
