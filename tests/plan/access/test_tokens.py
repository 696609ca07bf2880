"""Local tokens: a grant belongs to a space and not to its name; tokens of before, which had names, go on working."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.plan.plans import World

from unipam.model.errors import BadValue, Missing
from unipam.plan import blocks
from unipam.plan.access.tokens import Token, caller_of, create_token, follow_spaces, recognise, shown, tokens


def plans(world: World, text: str) -> set[str]:
    """The spaces that the bearer of a token may plan, by the names that they have now."""
    token = world.ask(recognise, text, world.now)
    return set(world.ask(caller_of, token).plans)


def make(world: World, *spaces: str) -> str:
    made: tuple[Token, str] = world.do(create_token, f"t{len(world.ask(tokens))}", "planner", spaces)
    return made[1]


def age(world: World, text: str, *names: str) -> None:
    """Make of a token what an earlier version had kept: the names of its spaces."""

    def work(tx: Any, _: Any) -> None:
        key = f"token/{text.split('_')[1]}"
        tx.set_note(key, json.dumps({**json.loads(tx.note(key)), "spaces": names}))

    world.do(work)


def test_a_grant_follows_its_space(world: World) -> None:
    text = make(world, "s")
    world.do(blocks.change_space, "S", name="Renamed")
    world.do(blocks.create_space, "S", "another")
    assert plans(world, text) == {"renamed"}
    assert [world.ask(shown, token)["spaces"] for token in world.ask(tokens)] == [["Renamed"]]


def test_a_grant_ends_with_its_space(world: World) -> None:
    text = make(world, "S")
    world.do(blocks.remove_space, "S", force=True)
    world.do(blocks.create_space, "S", "another of this name")
    assert plans(world, text) == set()


def test_everywhere_means_every_space_to_come(world: World) -> None:
    text = make(world, "*")
    world.do(blocks.create_space, "T", "another")
    caller = world.ask(caller_of, world.ask(recognise, text, world.now))
    assert caller.may_plan("S")
    assert caller.may_plan("T")
    assert world.ask(shown, world.ask(tokens)[0])["spaces"] == ["*"]


def test_a_token_with_names_goes_on_working(world: World) -> None:
    text = make(world, "S")
    age(world, text, "S", "long-gone", "*")
    assert plans(world, text) == {"s", "*"}
    age(world, text, "S", "long-gone")
    assert plans(world, text) == {"s"}
    world.do(follow_spaces)
    world.do(blocks.change_space, "S", name="Renamed")
    assert plans(world, text) == {"renamed"}
    world.do(follow_spaces)  # there is nothing left to do
    assert plans(world, text) == {"renamed"}


def test_a_token_names_spaces_that_there_are(world: World) -> None:
    with pytest.raises(Missing):
        make(world, "nope")
    with pytest.raises(BadValue, match="a planner needs"):
        make(world)
    with pytest.raises(BadValue, match="others need none"):
        world.do(create_token, "r", "reader", ["S"])
