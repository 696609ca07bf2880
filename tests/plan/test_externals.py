"""External networks, their subnets and endpoints, on every store."""

from __future__ import annotations

from typing import Any

import pytest
from tests.plan.plans import ME, World

from unipam.addr.prefix import format_address, parse_address, parse_prefix
from unipam.model.errors import BadValue, Exhausted, NameTaken, NotEmpty, Outside, Overlap, Stale
from unipam.plan import externals, reads
from unipam.plan.externals import Change, NewEndpoint, NewPrefix
from unipam.plan.tree import find_block, find_space


def test_externals_hold_their_place_at_every_level(world: World) -> None:
    made = world.do(externals.create, world.at(), externals.NewPrefix("dc", "data centre", bits=24))
    assert str(made.prefix) == "10.0.0.0/24"
    assert world.reserve(bits=24)[0].prefix == "10.0.1.0/24"
    subnet = world.do(externals.create, made, externals.NewPrefix("web", "web", bits=30))
    first = world.do(externals.create, subnet, externals.NewEndpoint("a", "a"))
    world.do(externals.create, subnet, externals.NewEndpoint("net", "n", subnet.prefix.first))
    second = world.do(externals.create, subnet, externals.NewEndpoint("b", "b"))
    assert [externals.address_text(e) for e in (first, second)] == ["10.0.0.1", "10.0.0.2"]  # D3
    with pytest.raises(Exhausted):
        world.do(externals.create, subnet, externals.NewEndpoint("c", "c"))
    with pytest.raises(NotEmpty):
        world.do(externals.remove, made)
    with pytest.raises(Outside):
        world.do(externals.change, subnet, externals.Change(prefix=parse_prefix("10.0.0.4/30")))


def block(tx: Any) -> Any:
    return find_block(tx, find_space(tx, "S").id, "B")


def make(world: World, *new: NewPrefix) -> list[str]:
    made = world.do(lambda tx, by: externals.create_all(tx, by, block(tx), new))
    return [str(node.prefix) for node in made]


def a_subnet(world: World, prefix: str) -> Any:
    made = world.do(externals.create, world.at(), NewPrefix("dc", "dc", bits=17))
    return world.do(externals.create, made, NewPrefix("web", "web", parse_prefix(prefix)))


def test_several_come_all_or_none_and_those_that_name_their_place_first(world: World) -> None:
    named = NewPrefix("named", "d", parse_prefix("10.0.0.0/24"))
    assert make(world, NewPrefix("any", "d", bits=24), named) == ["10.0.1.0/24", "10.0.0.0/24"]
    for bad, error in (
        (NewPrefix("ANY", "d", bits=24), NameTaken),
        (NewPrefix("c", "d", bits=15), Exhausted),
        (NewPrefix("c", "d", bits=33), BadValue),
        (NewPrefix("c", "", bits=24), BadValue),
        (NewPrefix("c", "d", parse_prefix("10.0.1.0/25")), Overlap),
        (NewPrefix("c", "d", parse_prefix("10.1.0.0/24")), Outside),
    ):
        with pytest.raises(error):
            make(world, NewPrefix("good", "d", bits=24), bad)
    with pytest.raises(NameTaken):
        make(world, NewPrefix("twin", "d", bits=24), NewPrefix("Twin", "d", bits=24))
    assert [node.facts.name for node in world.ask(lambda tx: externals.inner(tx, block(tx)))] == [
        "named", "any",
    ]  # fmt: skip


def test_where_the_free_prefix_lies_can_be_chosen(world: World) -> None:
    make(world, NewPrefix("low", "d", parse_prefix("10.0.0.0/18")), NewPrefix("mid", "d", parse_prefix("10.0.96.0/19")))
    assert make(world, NewPrefix("last", "d", bits=20, reverse=True)) == ["10.0.240.0/20"]
    assert make(world, NewPrefix("tight", "d", bits=20, smallest=True)) == ["10.0.224.0/20"]


def test_endpoints_get_the_addresses_that_were_announced(world: World) -> None:
    subnet = a_subnet(world, "10.0.0.0/29")
    announced = world.ask(externals.free_addresses, subnet, 3)
    new = [NewEndpoint("a", "d"), NewEndpoint("b", "d", parse_address("10.0.0.1")), NewEndpoint("c", "d")]
    made = world.do(externals.create_all, subnet, new)
    assert [externals.address_text(node) for node in made] == ["10.0.0.2", "10.0.0.1", "10.0.0.3"]
    assert sorted(node.claim.first for node in made) == announced
    assert world.ask(externals.free_addresses, subnet, 9) == [parse_address(f"10.0.0.{n}") for n in (4, 5, 6)]
    with pytest.raises(Exhausted):
        world.do(externals.create_all, subnet, [NewEndpoint(f"n{n}", "d") for n in range(4)])
    assert len(world.ask(externals.inner, subnet)) == 3


@pytest.mark.parametrize(
    ("prefix", "hosts"),
    [
        ("10.0.0.0/30", "10.0.0.1 10.0.0.2"),
        ("10.0.0.0/31", "10.0.0.0 10.0.0.1"),
        ("10.0.0.7/32", "10.0.0.7"),
        ("2001:db8::/126", "2001:db8::1 2001:db8::2 2001:db8::3"),
        ("2001:db8::/127", "2001:db8:: 2001:db8::1"),
        ("2001:db8::7/128", "2001:db8::7"),
    ],
)
def test_endpoints_get_the_addresses_of_hosts(world: World, prefix: str, hosts: str) -> None:
    world.block("six", "2001:db8::/48")
    block, bits = ("B", 24) if "." in prefix else ("six", 64)
    made = world.do(externals.create, world.at(block=block), NewPrefix("dc", "dc", bits=bits))
    subnet = world.do(externals.create, made, NewPrefix("s", "s", parse_prefix(prefix)))
    found = world.ask(externals.free_addresses, subnet, 9)
    assert [format_address(address) for address in found] == hosts.split()


def test_what_an_external_holds_uses_it_up(world: World) -> None:
    subnet = a_subnet(world, "10.0.0.0/24")
    world.do(externals.create_all, subnet, [NewEndpoint(f"n{n}", "d") for n in range(3)])
    external = world.at("DC")
    assert world.ask(reads.use_of, external) == (32768, 256, 0, 32512)
    assert world.ask(reads.use_of, subnet) == (256, 3, 0, 253)
    assert [str(c.prefix) for c in world.ask(reads.candidates, external, 24, 2)] == ["10.0.1.0/24", "10.0.2.0/24"]


def test_what_changed_meanwhile_is_left_alone_at_every_level(world: World) -> None:
    subnet = a_subnet(world, "10.0.0.0/24")
    endpoint = world.do(externals.create, subnet, NewEndpoint("a", "d"))
    for node in (endpoint, subnet, world.at("dc")):
        seen = ME._replace(expect=node.claim.generation)
        changed = world.do(externals.change, node, Change(desc="new"), by=seen)
        with pytest.raises(Stale):
            world.do(externals.change, changed, Change(desc="newer"), by=seen)
        with pytest.raises(Stale):
            world.do(externals.remove, changed, by=seen, force=True)
