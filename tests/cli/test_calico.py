"""The commands for a cluster of Calico's: what they say when they cannot do what they are asked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.conftest import UNIPAM
from tests.dialects.calico.cluster import Cluster

from unipam.cli import calico_cluster
from unipam.cli.main import unipam
from unipam.dialects.calico import connection
from unipam.dialects.calico.where import Where

CLUSTER = b'{"metadata": {"name": "default"}, "spec": {"clusterGUID": "g"}}'


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster()
    monkeypatch.setattr(calico_cluster, "find", lambda config: Where("etcdv3"))
    monkeypatch.setattr(connection, "datastore", lambda where: made.store)
    return made


def run(*words: str) -> Result:
    return CliRunner().invoke(unipam, ["calico", *words])


def test_a_datastore_that_is_away_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback, and the endpoint that was tried."""
    environment = {"PATH": "/usr/bin:/bin", "ETCD_ENDPOINTS": "http://127.0.0.1:1"}
    script = "import unipam.cli.calico_cluster as c; c.PROBE = 0.5; from unipam.cli.main import main; main()"
    python = UNIPAM.with_name("python")
    done = subprocess.run(
        [python, "-c", script, "calico", "ipam", "show"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert "127.0.0.1:1" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["ipam", "show", "--ip=zzz"], "invalid IP address specified: zzz"),
        (["ipam", "release", "--ip=300.1.1.1"], "invalid IP address specified: 300.1.1.1"),
        (["ipam", "check", "--dry-run"], "--dry-run says what --fix would do"),
        (["pool", "apply", "-f", "FILE"], "cannot be read"),
    ],
)
def test_what_makes_no_sense(site: Cluster, tmp_path: Path, words: list[str], why: str) -> None:
    (tmp_path / "file").write_text("a: [")
    before = site.everything()
    done = run(*(word.replace("FILE", str(tmp_path / "file")) for word in words))
    assert done.exit_code in {1, 2}
    assert why in done.stderr
    assert site.everything() == before


def test_a_file_of_pools_is_applied_whole_or_not_at_all(site: Cluster, tmp_path: Path) -> None:
    """Lists, several documents; one that is refused stops all of them."""
    good = {"kind": "IPPool", "metadata": {"name": "a"}, "spec": {"cidr": "10.0.0.0/24"}}
    path = tmp_path / "pools.yaml"
    path.write_text(
        f"kind: List\nitems: [{good}]\n---\nkind: IPPool\nmetadata: {{name: b}}\nspec: {{cidr: 10.1.0.1/24}}\n"
    )
    assert run("pool", "apply", "-f", str(path)).exit_code == 1
    assert site.world.pools() == []
    path.write_text(path.read_text().replace("10.1.0.1", "10.1.0.0"))
    told = run("pool", "apply", "-f", str(path), "--dry-run")
    assert (told.exit_code, site.world.pools()) == (0, [])
    assert "would be created" in told.stdout
    assert run("pool", "apply", "-f", str(path)).exit_code == 0
    assert [pool.name for pool in site.world.pools()] == ["a", "b"]


def test_a_release_can_be_rehearsed(site: Cluster) -> None:
    site.pool("p", "10.0.0.0/24")
    site.node("host-a")
    site.give("10.0.0.1", "host-a", "h")
    assert run("ipam", "release", "--ip=10.0.0.1", "--dry-run").stdout == "would release 10.0.0.1\n"
    assert "10.0.0.9 is not assigned" in run("ipam", "release", "--ip=10.0.0.9", "--dry-run").stdout
    assert "h" in site.handles()


def test_the_lock(site: Cluster) -> None:
    from unipam.dialects.calico.datastore.keys import ClusterKey

    site.store.put(ClusterKey(), CLUSTER)
    assert run("datastore", "lock").stdout == "Datastore locked.\n"
    assert run("datastore", "lock").stdout == "Datastore is locked already.\n"
    assert run("datastore", "unlock").stdout == "Datastore unlocked.\n"


def test_a_configuration_can_be_rehearsed(site: Cluster) -> None:
    told = run("ipam", "configure", "--strictaffinity=true", "--dry-run")
    assert told.stdout == "Would set StrictAffinity to: true\n"
    assert not site.world.configuration().strict
