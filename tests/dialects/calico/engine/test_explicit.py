"""AssignIP: an address that was asked for (spec §1.8)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.dialects.calico.cluster import Cluster, texts

from unipam.model.errors import BadValue, Duplicate, Mismatch, Outside, Taken


def test_an_address_in_a_block_that_is_not_there_yet(cluster: Cluster) -> None:
    cluster.pool("v4", "10.0.0.0/24")
    assert cluster.give("10.0.0.70", "host-a", "h") == "10.0.0.64/26"
    assert cluster.affinities() == {("host:host-a", "10.0.0.64/26"): "confirmed"}
    assert cluster.handles() == cluster.recounted() == {"h": {"10.0.0.64/26": 1}}


def test_what_is_not_looked_at(cluster: Cluster) -> None:
    """AC-9: reservations, selectors, modes and the limit of blocks."""
    cluster.pool("v4", "10.0.0.0/24", nodeSelector="has(nothing)", assignmentMode="Manual")
    cluster.reserve("10.0.0.0/24")
    cluster.configure(strict=True, max_blocks=1)
    cluster.give("10.0.0.0", "host-a")
    cluster.give("10.0.0.255", "host-a")


@pytest.mark.parametrize(
    ("address", "kind", "message"),
    [
        ("10.9.0.1", Outside, "The provided IP address is not in a configured pool\n"),
        ("10.0.1.1", Outside, "The provided IP address is not in a configured pool\n"),
        (
            "10.0.2.1",
            BadValue,
            'IP address 10.0.2.1 is in IP pool "tunnels", which is not allowed for use "Workload"'
            " (allowedUses: [Tunnel])",
        ),
    ],
)
def test_what_is_refused(cluster: Cluster, address: str, kind: type[Exception], message: str) -> None:
    """AC-9."""
    cluster.pool("v4", "10.0.0.0/24")
    cluster.pool("off", "10.0.1.0/24", disabled=True)
    cluster.pool("tunnels", "10.0.2.0/24", allowedUses=["Tunnel"])
    with pytest.raises(kind) as refused:
        cluster.give(address, "host-a")
    assert str(refused.value) == message
    assert cluster.blocks() == {}


def test_no_use_at_all_is_allowed_everywhere(cluster: Cluster) -> None:
    cluster.pool("tunnels", "10.0.2.0/24", allowedUses=["Tunnel"])
    cluster.give("10.0.2.1", "host-a", use="")


def test_an_address_that_is_taken(cluster: Cluster) -> None:
    cluster.pool("v4", "10.0.0.0/24")
    cluster.give("10.0.0.1", "host-a", "h")
    with pytest.raises(Taken) as refused:
        cluster.give("10.0.0.1", "host-a", "h")
    assert str(refused.value) == "resource already exists: 10.0.0.1 with error: Address already assigned in block"
    assert cluster.handles() == cluster.recounted()


def test_an_address_that_cools(cluster: Cluster) -> None:
    """AC-11."""
    cluster.pool("v4", "10.0.0.0/24")
    cluster.configure(cooldown=30)
    cluster.give("10.0.0.1", "host-a", "h")
    cluster.drop("h")
    cluster.sleep(29)
    with pytest.raises(Taken):
        cluster.give("10.0.0.1", "host-a", "h")
    cluster.sleep(2)
    cluster.give("10.0.0.1", "host-a", "h")


def test_somebody_elses_block(cluster: Cluster) -> None:
    cluster.pool("v4", "10.0.0.0/24")
    cluster.give("10.0.0.1", "host-a", "h")
    cluster.give("10.0.0.2", "host-b", "borrowed")
    cluster.configure(strict=True)
    with pytest.raises(Mismatch) as refused:
        cluster.give("10.0.0.3", "host-b", "b")
    assert str(refused.value) == "Block host affinity does not match"


def test_a_block_that_is_nobodys(cluster: Cluster) -> None:
    cluster.pool("v4", "10.0.0.0/24")
    cluster.give("10.0.0.1", "host-a", "h")
    cluster.abandon("host-a")
    cluster.configure(strict=True)
    with pytest.raises(Mismatch) as refused:
        cluster.give("10.0.0.3", "host-b", "b")
    assert str(refused.value) == "Attempt to assign from block 10.0.0.0/26 with no affinity"
    cluster.configure()
    cluster.give("10.0.0.3", "host-b", "b")


def test_a_handle_that_may_have_one(cluster: Cluster) -> None:
    cluster.pool("v4", "10.0.0.0/24")
    cluster.give("10.0.0.1", "host-a", "vm", most=1)
    cluster.give("10.0.0.1", "host-a", "vm", most=1)  # it has it already
    with pytest.raises(Duplicate) as refused:
        cluster.give("10.0.0.2", "host-a", "vm", most=1)
    assert str(refused.value) == (
        "handle vm already has IP(s) allocated, cannot assign additional IP 10.0.0.2 (maxAllocPerIPVersion=1)"
    )
    assert cluster.handles() == cluster.recounted()


def test_what_was_asked_for_is_not_handed_out_again(cluster: Cluster) -> None:
    cluster.pool("v4", "10.0.0.0/30", blockSize=30)
    cluster.give("10.0.0.0", "host-a")
    assert texts(cluster.ask(4, "host-a")) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_hosts_race_for_a_block(cluster: Cluster) -> None:
    """Whoever loses borrows; the real one fails such an ADD."""
    cluster.pool("v4", "10.0.0.0/24")
    hosts = [f"host-{number}" for number in range(16)]
    for host in hosts:
        cluster.node(host)
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda n: cluster.give(f"10.0.0.{n}", hosts[n], f"h{n}"), range(16)))
    assert len(cluster.recounted()) == 16
    assert cluster.handles() == cluster.recounted()
    assert len(cluster.affinities()) == 1
