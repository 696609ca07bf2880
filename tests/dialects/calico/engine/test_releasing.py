"""Addresses come back: by address, by handle, by host and pool (spec §1.9), and rest (spec §1.4)."""

from __future__ import annotations

import pytest
from tests.dialects.calico.cluster import Cluster, cidr, texts

from unipam.addr.prefix import format_address, parse_address
from unipam.dialects.calico.datastore.keys import PoolKey
from unipam.dialects.calico.engine import affinities, releasing
from unipam.dialects.calico.engine.releasing import Outcome
from unipam.dialects.calico.engine.session import Owner
from unipam.dialects.calico.rules.releasing import Wish
from unipam.model.errors import Conflict, NotEmpty, NotFound

POOL = "10.0.0.0/24"


def release(cluster: Cluster, *wishes: tuple[str, str, int | None] | str) -> Outcome:
    """ReleaseIPs."""
    full = [(each, "", None) if isinstance(each, str) else each for each in wishes]
    return releasing.release(cluster.session, [Wish(parse_address(a), h, s) for a, h, s in full])


@pytest.fixture
def filled(cluster: Cluster) -> Cluster:
    """A pool, and three addresses of three handles in one block."""
    cluster.pool("v4", POOL)
    for number in range(3):
        cluster.give(f"10.0.0.{number}", "host-a", f"h{number}")
    return cluster


def test_by_address(filled: Cluster) -> None:
    """AC-10, AC-14: twice the same is once; what nobody holds is said, and no error."""
    outcome = release(filled, "10.0.0.0", "10.0.0.0", "10.0.0.9", "10.0.0.77", "172.16.0.1")
    assert outcome.error is None
    assert set(map(format_address, outcome.unheld)) == {"10.0.0.9", "10.0.0.77", "172.16.0.1"}
    assert filled.handles() == filled.recounted() == {f"h{number}": {"10.0.0.0/26": 1} for number in (1, 2)}


def test_a_sequence_number_that_does_not_fit(filled: Cluster) -> None:
    """AC-10: the block's whole batch stays, another block's goes."""
    filled.give("10.0.0.64", "host-a", "other")
    right = filled.blocks()["10.0.0.0/26"].sequences[0]
    outcome = release(filled, ("10.0.0.0", "", right), ("10.0.0.1", "", 7), "10.0.0.64")
    assert isinstance(outcome.error, Conflict)
    assert str(outcome.error) == "update conflict: 10.0.0.1"
    number = filled.blocks()["10.0.0.0/26"].sequences[1]
    assert outcome.error.facts["details"] == (
        f"the given sequence number (7) does not match ({number}) when attempting to release IP"
    )
    assert set(filled.handles()) == {"h0", "h1", "h2"}


def test_a_handle_that_does_not_fit(filled: Cluster) -> None:
    """AC-10."""
    outcome = release(filled, ("10.0.0.0", "h1", None))
    assert outcome.error is not None
    assert outcome.error.facts["details"] == ("the given handle (h1) does not match (h0) when attempting to release IP")
    assert release(filled, ("10.0.0.0", "h0", None)).error is None


def test_an_address_handed_out_anew_is_not_released_by_its_former_number(filled: Cluster) -> None:
    former = filled.blocks()["10.0.0.0/26"].sequences[0]
    filled.drop("h0")
    filled.give("10.0.0.0", "host-a", "h0")
    assert isinstance(release(filled, ("10.0.0.0", "h0", former)).error, Conflict)


def test_from_a_pool_that_is_gone(filled: Cluster) -> None:
    """AC-23: the block is looked for, loses its owner with the pool, and goes with its last address."""
    affinities.give_up_pool(filled.session, cidr(POOL))
    assert filled.affinities() == {}
    assert filled.blocks()["10.0.0.0/26"].affinity is None
    filled.store.delete(PoolKey("v4"), None, float("inf"))
    assert release(filled, "10.0.0.0", "10.0.0.1").error is None
    assert set(filled.blocks()) == {"10.0.0.0/26"}
    assert filled.drop("h2") == ["10.0.0.2"]
    assert (filled.blocks(), filled.handles()) == ({}, {})


def test_by_handle(cluster: Cluster) -> None:
    """AC-14: of both families and several blocks."""
    cluster.pool("v4", "10.0.0.0/29", blockSize=30)
    cluster.pool("v6", "fd00::/120")
    given = [*texts(cluster.ask(6, "host-a", handle="h")), *texts(cluster.ask(1, "host-a", handle="h", family=6))]
    cluster.ask(1, "host-a", handle="other")
    assert sorted(cluster.drop("h")) == sorted(given)
    assert cluster.handles() == cluster.recounted()
    assert set(cluster.handles()) == {"other"}
    with pytest.raises(NotFound):
        cluster.drop("h")


def test_a_handle_with_what_a_migration_left_behind_it(cluster: Cluster) -> None:
    """host-local's file had two lines, and both became the handle (spec §1.9)."""
    cluster.pool("v4", POOL)
    cluster.give("10.0.0.1", "host-a", "net.c1\r\neth0")
    outcome = release(cluster, ("10.0.0.1", "net.c1", None))
    assert (outcome.error, outcome.unheld) == (None, [])


def test_a_released_address_rests(cluster: Cluster) -> None:
    """AC-11: it counts as held, and comes back after the others."""
    cluster.configure(cooldown=30)
    cluster.pool("v4", "10.0.0.0/30", blockSize=30)
    cluster.ask(4, "host-a", handle="h")
    cluster.drop("h")
    assert not cluster.blocks()["10.0.0.0/30"].empty
    assert cluster.ask(1, "host-a").addresses == []
    cluster.sleep(31)
    assert texts(cluster.ask(4, "host-a")) == [f"10.0.0.{number}" for number in range(4)]


def test_what_rests_is_released_once(cluster: Cluster) -> None:
    """AC-11."""
    cluster.configure(cooldown=30)
    cluster.pool("v4", POOL)
    cluster.give("10.0.0.1", "host-a", "h")
    assert release(cluster, "10.0.0.1").unheld == []
    assert release(cluster, "10.0.0.1").unheld == [parse_address("10.0.0.1")]


def test_a_host_that_goes(filled: Cluster) -> None:
    filled.pool("v6", "fd00::/120")
    filled.ask(1, "host-a", handle="six", family=6)
    filled.drop("six")
    with pytest.raises(NotEmpty) as refused:
        affinities.give_up_host(filled.session, Owner("host-a"), must_be_empty=True)
    assert str(refused.value) == "block '10.0.0.0/26' is not empty"
    assert set(filled.affinities()) == {("host:host-a", "10.0.0.0/26")}
    affinities.give_up_host(filled.session, Owner("host-a"), must_be_empty=False)
    assert filled.affinities() == {}
    assert filled.blocks()["10.0.0.0/26"].affinity is None


def test_blocks_of_a_cidr(cluster: Cluster) -> None:
    cluster.pool("v4", POOL)
    cluster.give("10.0.0.64", "host-b")
    claims = affinities.claim_cidr(cluster.session, Owner("host-a"), cidr("10.0.0.0/25"))
    assert (list(map(str, claims.claimed)), list(map(str, claims.failed))) == (["10.0.0.0/26"], ["10.0.0.64/26"])
