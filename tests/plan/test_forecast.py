"""When blocks and spaces run dry, from the plan's own journal, on every store."""

from __future__ import annotations

import pytest
from tests.plan.plans import World

from unipam.addr.prefix import parse_prefix
from unipam.model.errors import Missing
from unipam.plan import blocks, reservations
from unipam.plan.blocks import BlockChange
from unipam.plan.forecast import BEYOND, DATED, FULL, UNKNOWN, Forecast, Period, of_block, of_space, soonest

DAY = 86_400.0


def ask(world: World, block: str = "B", ahead: int = 365) -> Forecast:
    return world.ask(of_block, "S", block, Period(world.now, ahead))  # type: ignore[no-any-return]


def pass_days(world: World, days: int, each: int = 0, bits: int = 24, block: str = "B") -> None:
    """Let days pass; on each of them so many prefixes are reserved."""
    for _ in range(days):
        world.now += DAY
        if each:
            world.reserve(block, bits=bits, amount=each)


def test_nothing_is_foretold_of_a_block_of_yesterday(world: World) -> None:
    pass_days(world, 10, each=2)
    row = ask(world)
    assert (row.verdict, row.rate, row.likely) == (UNKNOWN, None, None)
    assert row.why == "too little past: 9 whole days, 14 are needed"
    assert (row.taken, row.free) == (20 * 256, 236 * 256)


def test_a_block_that_grows_every_day_is_full_when_nothing_is_left(world: World) -> None:
    pass_days(world, 41, each=4)
    row = ask(world)
    assert (row.verdict, row.days, row.changes) == (DATED, 40, 160)
    assert row.rate == pytest.approx(1024)
    assert (row.claimed, row.freed) == (160 * 256, 0)
    assert row.past == [day * 1024 for day in range(41)]
    assert row.likely == pytest.approx(world.now + row.free / 1024 * DAY)
    assert row.since == (world.now // DAY - 41 + 1) * DAY
    assert row.why.startswith("full about 19")


def test_the_horizon_bounds_what_is_said(world: World) -> None:
    pass_days(world, 31, each=1)
    assert ask(world, ahead=300).verdict == DATED
    row = ask(world, ahead=200)
    assert (row.verdict, row.likely, row.why) == (BEYOND, None, "not within 200 days")
    assert row.rate == pytest.approx(256)


def test_a_block_that_stands_or_shrinks_is_not_foretold_to_fill(world: World) -> None:
    made = world.reserve(bits=24, amount=60)
    pass_days(world, 20)
    assert (ask(world).verdict, ask(world).rate) == (BEYOND, 0)
    for each in made[:30]:
        world.now += DAY
        world.do(reservations.cancel, "S", "B", [each.facts.id], lambda _: None)
    row = ask(world)
    assert row.verdict == BEYOND
    assert row.rate is not None
    assert row.rate < 0
    assert (row.freed, row.likely) == (29 * 256, None)


def test_a_full_block_is_full_now_whatever_the_past(world: World) -> None:
    world.reserve(bits=17, amount=2)
    row = ask(world)
    assert (row.verdict, row.likely, row.latest, row.why) == (FULL, world.now, world.now, "no address is left")


def test_a_reservation_that_becomes_a_network_is_no_growth(world: World) -> None:
    pass_days(world, 20)
    made = world.reserve(bits=24)[0]
    before = ask(world).taken
    world.cloud.put("net", made.prefix, tags={"X-IPAM-RES-ID": made.facts.id})
    world.now += DAY
    world.sync()
    row = ask(world)
    assert world.networks() == {"net": ([made.prefix], True)}
    assert row.taken == before == 256


def test_what_moves_counts_by_the_difference(world: World) -> None:
    world.block("inner", "10.0.0.0/24", "B")
    pass_days(world, 20)
    world.do(blocks.change_block, "S", "inner", BlockChange(prefix=parse_prefix("10.0.0.0/22")))
    pass_days(world, 1)
    row = ask(world)
    assert row.past[-2:] == [256, 1024]
    assert (row.claimed, row.freed, row.taken) == (1024, 256, 1024)


def test_only_the_last_days_count(world: World) -> None:
    pass_days(world, 40, each=4)
    pass_days(world, 91)
    row = ask(world)
    assert (row.days, row.rate, row.changes) == (90, 0, 0)
    assert row.past == [160 * 256] * 91


def test_today_counts_for_what_is_free_and_not_for_how_it_grows(world: World) -> None:
    pass_days(world, 21, each=1)
    before = ask(world)
    world.reserve(bits=18)
    row = ask(world)
    assert (row.rate, row.past) == (before.rate, before.past)
    assert row.free == before.free - 2**14


def test_a_space_is_its_outermost_blocks_together(world: World) -> None:
    world.block("six", "fd00::/48")
    world.block("C", "10.1.0.0/16")
    world.block("inner", "10.1.0.0/17", "C")
    pass_days(world, 30, each=1)
    pass_days(world, 1, each=1, block="inner")
    row = world.ask(of_space, "s", Period(world.now))
    assert (row.name, row.space, row.block, row.cidr) == ("S", "S", "", "")
    assert row.size == 2 * 65536
    assert row.taken == 30 * 256 + 32768
    assert row.rate == pytest.approx(256)


def test_a_space_without_blocks_has_nothing_to_run_dry(world: World) -> None:
    world.do(blocks.create_space, "empty", "none")
    row = world.ask(of_space, "empty", Period(world.now))
    assert (row.verdict, row.why, row.size) == (UNKNOWN, "it has no blocks", 0)


def test_what_runs_dry_first_comes_first(world: World) -> None:
    world.block("slow", "10.1.0.0/16")
    world.block("still", "10.2.0.0/16")
    world.do(blocks.create_space, "T", "another")
    world.block("far", "10.0.0.0/16", space="T")
    for _ in range(20):
        pass_days(world, 1, each=2)
        world.reserve("slow", bits=24)
    rows = world.ask(soonest, Period(world.now))
    assert [row.name for row in rows] == ["S/B", "S/slow", "S/still", "T/far"]
    assert [row.name for row in world.ask(soonest, Period(world.now), "t")] == ["T/far"]
    with pytest.raises(Missing):
        world.ask(soonest, Period(world.now), "nowhere")


def test_ipv6_is_foretold_as_well(world: World) -> None:
    world.block("six", "fd00::/48")
    pass_days(world, 32, each=64, bits=60, block="six")
    row = ask(world, "six")
    assert row.rate == pytest.approx(64 * 2**68)
    assert row.likely == pytest.approx(world.now + DAY * (4096 - 32 * 64) / 64)


def test_there_is_no_forecast_of_what_there_is_not(world: World) -> None:
    with pytest.raises(Missing):
        ask(world, "nothing")
