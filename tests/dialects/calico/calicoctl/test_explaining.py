"""Who has an address of Calico's, in sentences and as leases."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from tests.dialects.calico.cluster import Cluster

from unipam.addr.prefix import parse_address
from unipam.cli import calico_lease
from unipam.cli.main import unipam
from unipam.dialects.calico.calicoctl import explaining
from unipam.dialects.calico.datastore.keys import AffinityKey, HandleKey

POD = {"namespace": "d", "pod": "web", "node": "host-a", "timestamp": "2026-09-01 12:00:00.5 +0000 UTC"}


@pytest.fixture
def site(cluster: Cluster) -> Cluster:
    cluster.pool("p", "10.0.0.0/28", blockSize=30)
    return cluster


def told(site: Cluster, address: str) -> str:
    return " ".join(explaining.sentences(site.session, parse_address(address)))


def test_a_pods_address(site: Cluster) -> None:
    site.give("10.0.0.1", "host-a", "net.c1", attributes=POD)
    text = told(site, "10.0.0.1")
    assert "10.0.0.1 is held by pod d/web on host-a since 2026-09-01" in text
    assert "handle net.c1, write " in text
    assert "Its handle counts 1 addresses in 10.0.0.0/30." in text
    assert "It lies in block 10.0.0.0/30, of which 1 of 4 addresses are in use, and which is host:host-a's" in text
    assert "(affinity confirmed)" in text
    assert "Its pool is p (10.0.0.0/28, enabled, Workload and Tunnel, automatic, nodes all())." in text


def test_a_borrowed_address(site: Cluster) -> None:
    site.give("10.0.0.1", "host-a", "net.c1", attributes=POD)
    site.give("10.0.0.2", "host-b", "net.c2", attributes={**POD, "node": "host-b"})
    assert "on host-b since 2026-09-01T12:00:00Z, borrowed from host-a" in told(site, "10.0.0.2")


def test_what_is_broken_is_named_with_the_way_out(site: Cluster) -> None:
    site.give("10.0.0.1", "host-a", "net.c1", attributes=POD)
    site.store.delete(HandleKey("net.c1"), None, float("inf"))
    site.store.delete(AffinityKey("host-a", "10.0.0.0/30"), None, float("inf"))
    text = told(site, "10.0.0.1")
    assert "The handle net.c1 is missing" in text
    assert "(affinity missing: `unipam calico ipam check --fix`)" in text


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("10.0.0.3", "10.0.0.3 is free, number 3 of 3 in its block's queue."),
        ("10.0.0.9", "10.0.0.9 is free: nobody has claimed the block 10.0.0.8/30 that it lies in."),
        ("10.0.0.12", "10.0.0.12 is free, and reserved"),
        ("10.9.9.9", "10.9.9.9 lies in no pool and no block: Calico never hands it out. No pool covers 10.9.9.9."),
        ("10.0.1.1", "disabled: nothing is handed out of it"),
    ],
)
def test_nobodys_address(site: Cluster, address: str, text: str) -> None:
    site.give("10.0.0.0", "host-a", "net.c1", attributes=POD)
    site.reserve("10.0.0.12/32")
    site.pool("off", "10.0.1.0/24", disabled=True)
    assert text in told(site, address)


def test_an_address_of_a_disabled_pool_is_found(site: Cluster) -> None:
    """The original says that it is not assigned (spec §1.19.5)."""
    site.give("10.0.0.1", "host-a", "net.c1", attributes=POD)
    site.pool("p", "10.0.0.0/28", blockSize=30, disabled=True)
    assert "10.0.0.1 is held by pod d/web" in told(site, "10.0.0.1")


def test_a_cooling_address(site: Cluster) -> None:
    """AC-11."""
    site.configure(cooldown=60)
    site.give("10.0.0.1", "host-a", "net.c1", attributes=POD)
    site.drop("net.c1")
    assert (
        "10.0.0.1 was released at 2025-09-01T12:00:00Z and is not handed out again until 2025-09-01T12:01:00Z"
        in told(site, "10.0.0.1")
    )


def test_leases_are_listed(site: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calico_lease, "session_of", lambda config: site.session)
    site.give("10.0.0.1", "host-a", "net.c1", attributes=POD)
    site.give(
        "10.0.0.2", "host-a", "ipip-tunnel-addr-host-a", attributes={"node": "host-a", "type": "ipipTunnelAddress"}
    )
    done = CliRunner().invoke(unipam, ["lease", "list", "--calico", "-o", "json"])
    assert done.exit_code == 0, done.output
    pod, tunnel = json.loads(done.stdout)["items"]
    assert (pod["network"], pod["container"], pod["pod"], pod["state"]) == ("net", "c1", "d/web", "held")
    assert (tunnel["network"], tunnel["handle"], tunnel["since"]) == ("", "ipip-tunnel-addr-host-a", "")
    only = CliRunner().invoke(unipam, ["lease", "list", "--calico", "--network", "net"])
    assert "10.0.0.1" in only.stdout
    assert "10.0.0.2" not in only.stdout


def test_explain(site: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calico_lease, "session_of", lambda config: site.session)
    site.give("10.0.0.1", "host-a", "net.c1", attributes=POD)
    done = CliRunner().invoke(unipam, ["explain", "10.0.0.1", "--calico"])
    assert (done.exit_code, len(done.stdout.splitlines())) == (0, 4)
    document = json.loads(CliRunner().invoke(unipam, ["explain", "10.0.0.1", "--calico", "-o", "json"]).stdout)
    assert document["leases"][0]["handle"] == "net.c1"
    assert "--calico explains addresses" in CliRunner().invoke(unipam, ["explain", "net", "--calico"]).stderr
