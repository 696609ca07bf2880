"""The order in which things were made, and that of a replaced list, in a store of every kind."""

from __future__ import annotations

import pytest
from tests.plan.plans import World

from unipam.plan import externals as plan_externals
from unipam.plan import networks, tree
from unipam.plan.externals import NewEndpoint, NewPrefix
from unipam.plan.transfer.export import Document, export
from unipam.plan.transfer.importing import move_in
from unipam.store.memory import MemoryStore


def put_networks(world: World, *names: str) -> list[str]:
    """Replace the block's networks; the names as they are listed afterwards."""
    ids = [n.id for name in names for n in world.cloud.networks.values() if n.name == name]
    world.do(networks.replace, "S", "B", ids, world.cloud.snapshot())
    return list(world.networks())


@pytest.fixture
def three(world: World) -> World:
    """Three networks, none of them made in the order of their prefixes."""
    for name, prefix in (("c", "10.0.2.0/24"), ("a", "10.0.0.0/24"), ("b", "10.0.1.0/24")):
        world.associate(world.cloud.put(name, prefix))
    return world


def test_networks_are_listed_as_they_came_or_were_put(three: World) -> None:
    assert list(three.networks()) == ["c", "a", "b"]
    assert put_networks(three, "b", "c", "a") == ["b", "c", "a"]
    assert put_networks(three, "a", "b") == ["a", "b"]
    three.associate(next(n.id for n in three.cloud.networks.values() if n.name == "c"))
    assert list(three.networks()) == ["a", "b", "c"]


def test_a_put_that_changes_nothing_writes_nothing(three: World) -> None:
    before = three.ask(lambda tx: len(tx.journal()))
    assert put_networks(three, "c", "a", "b") == ["c", "a", "b"]
    assert three.ask(lambda tx: len(tx.journal())) == before


def test_a_network_keeps_its_place_through_all_that_befalls_it(three: World) -> None:
    order = put_networks(three, "b", "a", "c")
    three.cloud.put("b", "10.0.9.0/24")  # it moved, and what it had is free
    three.sync()
    assert list(three.networks()) == order
    lost = three.cloud.networks.pop(next(k for k, n in three.cloud.networks.items() if n.name == "a"))
    for _ in range(3):
        three.sync()
        three.now += 301
    assert three.networks()["a"] == ([], False)
    assert list(three.networks()) == order
    three.cloud.networks[lost.id.lower()] = lost
    three.sync()
    assert three.networks()["a"] == (["10.0.0.0/24"], True)
    assert list(three.networks()) == order


def test_a_network_that_is_gone_can_be_put_elsewhere_in_the_list(three: World) -> None:
    three.cloud.networks.pop(next(k for k, n in three.cloud.networks.items() if n.name == "c"))
    for _ in range(3):
        three.sync()
        three.now += 301
    ids = {name: next(e.facts.id for e in associated(three) if e.facts.name == name) for name in three.networks()}
    three.do(networks.replace, "S", "B", [ids[n] for n in "abc"], three.cloud.snapshot())
    assert list(three.networks()) == ["a", "b", "c"]


def associated(world: World) -> list[networks.Associated]:
    found: list[networks.Associated] = world.ask(
        lambda tx: networks.associated(tx, tree.find_block(tx, tree.find_space(tx, "S").id, "B"))
    )
    return found


def test_an_export_comes_in_again_in_the_order_of_making(world: World) -> None:
    for name in ("z", "a", "m"):
        world.do(plan_externals.create, world.at(), NewPrefix(name, None if name == "m" else "d", bits=28))
    parent = world.at("z")
    subnet = world.do(plan_externals.create, parent, NewPrefix("y", "d", bits=29))
    for order in ("ab", "ba"):
        wanted = [NewEndpoint(name, "d", subnet.claim.first + ord(name) - 96) for name in order]
        world.do(plan_externals.replace_endpoints, subnet, wanted)
    document: Document = world.ask(lambda tx: export(tx, world.now))
    other = World(MemoryStore())
    other.do(move_in, document, other.cloud.snapshot())
    assert externals(other) == externals(world) == ["z", "a", "m"]
    inner = other.at("z", "y")
    ends = other.ask(lambda tx: tree.in_order(plan_externals.inner(tx, inner)))
    assert [end.facts.name for end in ends] == ["b", "a"]


def externals(world: World) -> list[str]:
    def work(tx: tree.Tx) -> list[str]:
        block = tree.find_block(tx, tree.find_space(tx, "S").id, "B")
        return [each.facts.name for each in tree.in_order(plan_externals.inner(tx, block))]

    return list(world.ask(work))
