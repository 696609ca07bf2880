"""From host-local to Calico's pools on one node, with its pods running, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.dialects.calico.cluster import Cluster

from unipam.addr.prefix import parse_address
from unipam.cli import calico_migrate
from unipam.cli.main import unipam
from unipam.dialects import program, upgrading
from unipam.dialects.calico.datastore.keys import ClusterKey, NodeKey, WorkloadKey
from unipam.dialects.host_local import directory
from unipam.dialects.upgrading import Place
from unipam.model.errors import Missing, Refused, SourceFailed, StoreBusy

NODE = "host-a"


@pytest.fixture(params=[True, False], ids=["at once", "in turn"])
def site(request: pytest.FixtureRequest) -> Cluster:
    """Two nodes with ranges of their own within a pool, and a pod that has 10.244.1.5 on the first."""
    cluster = Cluster(transactional=bool(request.param))
    cluster.store.put(ClusterKey(), b'{"metadata": {"name": "default"}, "spec": {"datastoreReady": true}}')
    cluster.pool("p", "10.244.0.0/16", ipipMode="Always")
    node(cluster, NODE, "10.244.1.0/24")
    node(cluster, "host-b", "10.244.2.0/24")
    pod(cluster, "web", "10.244.1.5")
    return cluster


def node(cluster: Cluster, name: str, pods: str, **spec: Any) -> None:
    document = {"metadata": {"name": name, "labels": {}}, "spec": spec, "status": {"podCIDRs": [pods]}}
    cluster.store.put(NodeKey(name), json.dumps(document).encode())


def pod(cluster: Cluster, name: str, address: str, on: str = NODE) -> None:
    spec = {"pod": name, "node": on, "ipNetworks": [f"{address}/32"]}
    document = {"metadata": {"name": name, "namespace": "d"}, "spec": spec}
    cluster.store.put(WorkloadKey("d", name), json.dumps(document).encode())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Host-local's directory, as it leaves it: a lease of the pod, one of a pod that is gone, a cursor, its lock."""
    made = Place(str(tmp_path / "networks"), "kubenet")
    path = Path(made.directory)
    path.mkdir(parents=True)
    (path / "10.244.1.5").write_bytes(b"c5\r\neth0")
    (path / "10.244.1.9").write_bytes(b"c9\r\neth0")
    (path / "last_reserved_ip.0").write_text("10.244.1.9")
    (path / "lock").touch()
    return made


def files(place: Place) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in Path(place.directory).iterdir()}


def tunnel(cluster: Cluster, name: str = NODE) -> str:
    item = cluster.store.get(NodeKey(name), float("inf"))
    return str(((item.document["spec"].get("bgp")) or {}).get("ipv4IPIPTunnelAddr") or "")


def locked(cluster: Cluster) -> bool:
    return cluster.store.get(ClusterKey(), float("inf")).document["spec"]["datastoreReady"] is False


def test_what_would_be_done(site: Cluster, place: Place) -> None:
    before = site.everything()
    plan = upgrading.preview(site.session, NODE, place)
    assert [(step.what, step.handle) for step in plan.steps] == [
        ("assign", "kubenet.c5"), ("drop", ""), ("assign", f"ipip-tunnel-addr-{NODE}"),
    ]  # fmt: skip
    assert [(name, str(prefix)) for name, prefix in plan.claims] == [
        (NODE, "10.244.1.0/24"),
        ("host-b", "10.244.2.0/24"),
    ]
    assert site.everything() == before


def test_a_pod_keeps_its_address(site: Cluster, place: Place) -> None:
    """The lease, the tunnel, the ranges of all nodes; the datastore is unlocked afterwards, the directory put aside."""
    before = files(place)
    upgrading.move(site.session, NODE, place)
    assert site.handles() == site.recounted()
    assert site.handles() == {
        "kubenet.c5": {"10.244.1.0/26": 1}, f"ipip-tunnel-addr-{NODE}": {"10.244.1.0/26": 1},
    }  # fmt: skip
    owners = {cidr: block.affinity for cidr, block in site.blocks().items()}
    assert owners == {
        f"10.244.{n}.{64 * b}/26": f"host:{name}" for n, name in ((1, NODE), (2, "host-b")) for b in range(4)
    }
    assert tunnel(site) == "10.244.1.1"
    assert not locked(site)
    assert not Path(place.directory).exists()
    assert {each.name: each.read_bytes() for each in Path(place.aside).iterdir()} == before


def test_nobody_is_given_what_another_nodes_host_local_has_out(site: Cluster, place: Place) -> None:
    """host-b is not moved yet: its whole range is its own."""
    upgrading.move(site.session, NODE, place)
    for number in range(300):
        for address, _ in site.ask(1, NODE, handle=f"h{number}").addresses:
            assert not parse_address("10.244.2.0") <= address <= parse_address("10.244.2.255")


def test_it_may_be_done_again(site: Cluster, place: Place) -> None:
    """As after a death between assigning and putting the directory aside."""
    upgrading.move(site.session, NODE, place)
    Path(place.aside).rename(place.directory)
    before = site.handles()
    plan = upgrading.move(site.session, NODE, place)
    assert [step.what for step in plan.steps] == ["keep", "drop", "keep"]
    assert site.handles() == before
    assert set(upgrading.undo(site.session, place).released) == {"10.244.1.5", "10.244.1.1"}


def test_all_of_it_is_undone(site: Cluster, place: Place) -> None:
    before = files(place)
    upgrading.move(site.session, NODE, place)
    assert upgrading.undo(site.session, place, dry_run=True).released == ["10.244.1.5", "10.244.1.1"]
    done = upgrading.undo(site.session, place)
    assert (done.released, done.gone, done.strangers) == (["10.244.1.5", "10.244.1.1"], [], [])
    assert files(place) == before
    assert site.handles() == {}
    assert tunnel(site) == ""
    assert {block.affinity for block in site.blocks().values()} == {"host:host-b"}
    with pytest.raises(Missing, match="was not moved from here"):
        upgrading.undo(site.session, place)


def test_what_went_meanwhile_does_not_come_back(site: Cluster, place: Place) -> None:
    """A container that was removed under Calico has no lease in host-local's directory; new pods are named."""
    upgrading.move(site.session, NODE, place)
    site.drop("kubenet.c5")
    site.ask(1, NODE, handle="kubenet.new", attributes={"node": NODE, "namespace": "d", "pod": "new"})
    done = upgrading.undo(site.session, place)
    assert done.gone == ["10.244.1.5"]
    assert "10.244.1.5" not in files(place)
    assert [text.split(" ")[0] for text in done.strangers] == ["d/new"]
    assert list(site.handles()) == ["kubenet.new"]


def test_a_tunnel_that_has_an_address_keeps_it(site: Cluster, place: Place) -> None:
    node(site, NODE, "10.244.1.0/24", bgp={"ipv4IPIPTunnelAddr": "10.244.1.77"})
    upgrading.move(site.session, NODE, place)
    assert tunnel(site) == "10.244.1.77"
    block = site.session.block(next(p for p in site.session.blocks() if str(p) == "10.244.1.64/26")).value
    assert block.attribute(13) == {
        "handle_id": f"ipip-tunnel-addr-{NODE}", "secondary": {"node": NODE, "type": "ipipTunnelAddress"},
    }  # fmt: skip


def test_without_a_pool_for_tunnels_none_is_assigned(site: Cluster, place: Place) -> None:
    site.pool("p", "10.244.0.0/16")
    assert [step.what for step in upgrading.preview(site.session, NODE, place).steps] == ["assign", "drop"]


@pytest.mark.parametrize("spoil", ["no pool", "taken"])
def test_what_cannot_be_moved_stops_all_of_it(site: Cluster, place: Place, spoil: str) -> None:
    if spoil == "no pool":
        site.pool("p", "10.99.0.0/16")
    else:
        site.give("10.244.1.5", NODE, "somebody")
    before, held = site.everything(), files(place)
    with pytest.raises(Refused, match="1 leases cannot be moved"):
        upgrading.move(site.session, NODE, place)
    assert (site.everything(), files(place)) == (before, held)
    upgrading.move(site.session, NODE, place, force=True)
    assert "kubenet.c5" not in site.handles()


def test_a_lock_that_is_held_is_waited_for_briefly(
    site: Cluster, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "_TIMEOUT", 0.05)
    with directory.locked(place.directory), pytest.raises(StoreBusy):
        upgrading.move(site.session, NODE, place)


def test_a_failure_half_way_leaves_it_unlocked_and_to_be_repeated(site: Cluster, place: Place) -> None:
    writes = iter(range(99))

    def fail(call: str, about: Any) -> Any:
        return "away" if call == "write" and next(writes) == 6 else None

    site.break_down(fail)
    with pytest.raises(SourceFailed):
        upgrading.move(site.session, NODE, place)
    site.break_down(lambda _call, _about: None)
    assert not locked(site)
    assert Path(place.directory).exists()
    upgrading.move(site.session, NODE, place)
    assert site.handles() == site.recounted()
    assert "kubenet.c5" in site.handles()


def test_leases_that_are_in_unipams_ledger_are_given_back_first(site: Cluster, place: Place) -> None:
    directory.leave_note(place.directory)
    with pytest.raises(Refused, match="unipam adopt host-local --rollback"):
        upgrading.move(site.session, NODE, place)


def test_a_node_that_nobody_knows(site: Cluster, place: Place) -> None:
    with pytest.raises(Missing, match="there is no node ghost"):
        upgrading.preview(site.session, "ghost", place)


def test_the_command(site: Cluster, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calico_migrate, "session_of", lambda config: site.session)
    words = ["calico", "migrate", "kubenet", "--node", NODE, "--data-dir", place.data_dir]
    told = CliRunner().invoke(unipam, [*words, "--dry-run"])
    assert told.exit_code == 0, told.output
    assert "would claim 10.244.2.0/24 for host-b" in told.stderr
    assert CliRunner().invoke(unipam, words).exit_code == 0
    undone = CliRunner().invoke(unipam, [*words, "--rollback"])
    assert (undone.exit_code, undone.stdout) == (0, "released 2 addresses\n")


# As the original's init container ------------------------------------------------------------------------------------


@pytest.fixture
def original(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The original's places, moved here."""
    monkeypatch.setattr(upgrading, "BINARIES", (str(tmp_path / "calico"), str(tmp_path / "host-local")))
    (tmp_path / "calico").touch()
    return place


def test_upgrade(site: Cluster, original: Place, tmp_path: Path) -> None:
    assert list(upgrading.upgrade(site.session, NODE, original)) == ["assigned 2 addresses in Calico IPAM"]
    assert not (tmp_path / "calico").exists()
    assert "kubenet.c5" in site.handles()
    assert list(upgrading.upgrade(site.session, NODE, original)) == [
        "host-local IPAM data dir not found; no migration necessary, successfully exiting..."
    ]


def test_upgrade_of_an_empty_directory(site: Cluster, original: Place, tmp_path: Path) -> None:
    """The tunnel has an address all the same, and no program is removed."""
    for each in Path(original.directory).iterdir():
        each.unlink()
    assert list(upgrading.upgrade(site.session, NODE, original)) == ["assigned 1 addresses in Calico IPAM"]
    assert not Path(original.directory).exists()
    assert list(site.handles()) == [f"ipip-tunnel-addr-{NODE}"]
    assert (tmp_path / "calico").exists()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBERNETES_NODE_NAME", "KUBECONFIG", "K8S_API_ENDPOINT", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/nowhere")


@pytest.mark.parametrize(
    ("words", "code", "out", "err"),
    [
        (["-v"], 0, "unipam ", ""),
        (["--v=true"], 0, "unipam ", ""),
        (["-nope"], 2, "", "flag provided but not defined: -nope"),
        (["-h"], 0, "", "Usage of calico-ipam"),
        (["-upgrade"], 1, "", "KUBERNETES_NODE_NAME not specified, refusing to migrate..."),
    ],
)
def test_the_program(
    words: list[str], code: int, out: str, err: str, environment: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(words) == code
    told = capsys.readouterr()
    assert told.out.startswith(out)
    assert err in told.err


def test_an_upgrade_without_a_server_says_so(
    environment: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBERNETES_NODE_NAME", NODE)
    assert program.main(["-upgrade"]) == 1
    assert "failed to initialize api client" in capsys.readouterr().err
