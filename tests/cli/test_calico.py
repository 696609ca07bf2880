"""The commands for a cluster of Calico's: what they say when they cannot do what they are asked."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.cli.test_schemas import printed, require_described
from tests.conftest import UNIPAM
from tests.dialects.calico.cluster import Cluster

from unipam.cli import calico_check, calico_cluster, calico_doctor
from unipam.cli.main import unipam
from unipam.dialects.calico import connection
from unipam.dialects.calico.datastore.keys import ClusterKey
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
    assert site.session.pools() == []
    path.write_text(path.read_text().replace("10.1.0.1", "10.1.0.0"))
    told = run("pool", "apply", "-f", str(path), "--dry-run")
    assert (told.exit_code, site.session.pools()) == (0, [])
    assert "would be created" in told.stdout
    assert run("pool", "apply", "-f", str(path)).exit_code == 0
    assert [pool.name for pool in site.session.pools()] == ["a", "b"]


def test_a_release_can_be_rehearsed(site: Cluster) -> None:
    site.pool("p", "10.0.0.0/24")
    site.node("host-a")
    site.give("10.0.0.1", "host-a", "h")
    assert run("ipam", "release", "--ip=10.0.0.1", "--dry-run").stdout == "would release 10.0.0.1\n"
    assert "10.0.0.9 is not assigned" in run("ipam", "release", "--ip=10.0.0.9", "--dry-run").stdout
    assert "h" in site.handles()


def test_the_lock(site: Cluster) -> None:
    site.store.put(ClusterKey(), CLUSTER)
    assert run("datastore", "lock").stdout == "Datastore locked.\n"
    assert run("datastore", "lock").stdout == "Datastore is locked already.\n"
    assert run("datastore", "unlock").stdout == "Datastore unlocked.\n"


def test_a_configuration_can_be_rehearsed(site: Cluster) -> None:
    told = run("ipam", "configure", "--strictaffinity=true", "--dry-run")
    assert told.stdout == "Would set StrictAffinity to: true\n"
    assert not site.session.configuration().strict


# Documents --------------------------------------------------------------------------------------------------------


@pytest.fixture
def busy(site: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A cluster in which there is one of everything."""
    site.store.put(ClusterKey(), CLUSTER)
    site.node("host-a")
    site.node("host-b")
    site.pool("p", "10.0.0.0/24")
    site.give("10.0.0.1", "host-a", "net.c1", attributes={"node": "host-a", "namespace": "d", "pod": "w"})
    site.give("10.0.0.2", "host-a", "net.c2", attributes={"node": "host-b", "namespace": "d", "pod": "x"})
    monkeypatch.setattr(calico_check, "find", lambda config: Where("etcdv3"))
    monkeypatch.setattr(calico_doctor, "find", lambda config: Where("etcdv3"))
    monkeypatch.setenv("KUBECONFIG", "/a/kubeconfig")
    return site


@pytest.mark.parametrize(
    "words",
    [
        "calico ipam show --show-blocks", "calico ipam show --ip=10.0.0.1", "calico ipam show --ip=10.0.0.9",
        "calico ipam show --show-borrowed", "calico ipam show --show-configuration", "calico ipam check",
        "calico ipam configure --ip-cooldown-seconds=30", "calico ipam release --ip=10.0.0.1", "calico doctor",
        "calico pool delete p --dry-run", "calico pool apply -f pool.yaml", "lease list --calico",
        "explain 10.0.0.1 --calico", "explain 10.0.0.9 --calico",
    ],
)  # fmt: skip
def test_documents(busy: Cluster, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is what its schema says, and has no field besides."""
    monkeypatch.chdir(tmp_path)
    Path("pool.yaml").write_text("kind: IPPool\nmetadata: {name: q}\nspec: {cidr: 10.9.0.0/24}\n")
    require_described(printed(words))


def test_a_split_and_what_was_moved_back_have_schemas_too(busy: Cluster, tmp_path: Path) -> None:
    run("datastore", "lock")
    require_described(printed("calico ipam split 2 --name=p"))
    record = tmp_path / "moved-to-calico" / "net.json"
    record.parent.mkdir()
    record.write_text('{"node": "host-a", "network": "net", "assigned": []}')
    words = f"calico migrate net --rollback --dry-run --data-dir {tmp_path / 'networks'}"
    document = printed(words)
    require_described(document)
    assert document["strangers"] == ["d/w (10.0.0.1)"]


def test_a_printed_report_releases_as_a_written_one(busy: Cluster, tmp_path: Path) -> None:
    """Its large numbers are texts, and its version is that of the schema."""
    (tmp_path / "report").write_text(json.dumps(printed("calico ipam check")))
    run("datastore", "lock")
    refused = run("ipam", "release", f"--from-report={tmp_path / 'report'}", "--force")
    assert "all stale" in str(refused.exception)
    (tmp_path / "report").write_text(json.dumps(printed("calico ipam check")))
    assert "Released 2 IPs successfully" in run("ipam", "release", f"--from-report={tmp_path / 'report'}").stdout
    assert busy.handles() == {}
