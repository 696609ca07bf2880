"""calicoctl's ipam commands and ours on one datastore: the same cells, texts and reports; and ours judged by theirs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.real.calico_original import (
    SITES,
    KubernetesSite,
    Site,
    apply,
    brought,
    calico_ipam,
    calicoctl,
    resource,
)
from tests.real.etcd import soon

from unipam.cli.main import unipam
from unipam.clients.kubernetes.api import KubernetesApi, Refusal
from unipam.dialects.calico import connection
from unipam.dialects.calico.datastore.api import Item, Selection
from unipam.dialects.calico.datastore.keys import AffinityKey, BlockKey, HandleKey

pytestmark = brought

POOLS: dict[str, dict[str, Any]] = {
    "a-small": {"cidr": "10.77.0.0/28", "blockSize": 30},
    "b-six": {"cidr": "fd80:24e2:f998:72d6::/112"},
    "c-off": {"cidr": "10.80.0.0/24", "disabled": True},
    "d-wide": {"cidr": "192.168.0.0/16", "nodeSelector": "!all()"},
}


@pytest.fixture(params=["etcd", "kubernetes", "kubernetes-native"])
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A cluster of two nodes: dual stack, a borrowed and a cooling address, a reservation, a foreign workload."""
    made = SITES[request.param](tmp_path)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    for node in ("node1", "node2"):
        made.add_node(node)
    for name, spec in POOLS.items():
        apply(made, tmp_path, resource("IPPool", name, spec))
    apply(made, tmp_path, resource("IPReservation", "r", {"reservedCIDRs": ["10.77.0.1/32", "192.168.0.0/20"]}))
    for number in range(4):
        calico_ipam(made, tmp_path, "ADD", f"c{number}", assign_ipv6="true")
    yield made
    connection.close()
    made.close()


def ours(*words: str, code: int = 0) -> str:
    """What our command prints."""
    result = CliRunner().invoke(unipam, ["calico", *words])
    assert result.exit_code == code, (words, result.output, result.exception)
    return result.stdout


def unordered(text: str) -> list[str]:
    """The lines, those of addresses in order: calicoctl prints them by chance."""
    lines = text.splitlines()
    listed = re.compile(r" leaked; | in use by | belongs to |doesn't have any|doesn't exist|has multiple")
    at = [place for place, line in enumerate(lines) if listed.search(line)]
    for place, line in zip(at, sorted(lines[place] for place in at), strict=True):
        lines[place] = line
    return lines


def mark(site: Site) -> None:
    """Leave what the original leaves that is cut off between marking a handle as deleted and removing it."""
    handle = HandleKey("k8s-pod-network.marked")
    item = site.store.create(handle, {"block": {"192.168.0.0/26": 1}, "deleted": False}, soon())
    site.store.update(item._replace(document={**item.document, "deleted": True}), soon())


def borrow(site: Site, directory: Path) -> None:
    """Fill node1's part until it must borrow, beside a block of node2's."""
    network = {**site.network, "nodename": "node2"}
    other = type("Other", (), {"network": network, "environment": site.environment})()
    calico_ipam(other, directory, "ADD", "other")
    for number in range(10):
        calico_ipam(site, directory, "ADD", f"more{number}")


def spoil(site: Site) -> None:
    """Leave what crashes leave: a handle that counts too much, one of nothing, an affinity of nothing."""
    item = site.store.list(Selection(HandleKey), soon()).items[0]
    cidr = next(iter(item.document["block"]))
    item.document["block"][cidr] += 2
    site.store.update(item, soon())
    site.store.create(HandleKey("k8s-pod-network.nothing"), {"block": {cidr: 1}, "deleted": False}, soon())
    site.store.create(AffinityKey("node1", "192.168.255.0/26"), {"state": "confirmed", "deleted": False}, soon())


def test_show_prints_the_same(site: Site, tmp_path: Path) -> None:
    """AC-18."""
    borrow(site, tmp_path)
    address = calico_ipam(site, tmp_path, "ADD", "seen", assign_ipv4="false", assign_ipv6="true")["ips"][0]["address"]
    text = address.partition("/")[0]
    for words in ([], ["--show-blocks"], ["--show-borrowed"], [f"--ip={text}"], ["--ip=10.77.0.1"], ["--ip=8.8.8.8"]):
        assert ours("ipam", "show", *words) == calicoctl(site, "ipam", "show", *words), words
    assert "node2" in ours("ipam", "show", "--show-borrowed")


def test_check_prints_and_reports_the_same(site: Site, tmp_path: Path) -> None:
    """AC-18."""
    borrow(site, tmp_path)
    spoil(site)
    calicoctl(site, "ipam", "configure", "--ip-cooldown-seconds=600")
    calico_ipam(site, tmp_path, "DEL", "more1")
    for words in ([], ["--show-problem-ips"], ["--show-all-ips"]):
        told = calicoctl(site, "ipam", "check", *words, "-o", str(tmp_path / "theirs"))
        assert unordered(ours("ipam", "check", *words, "-o", str(tmp_path / "ours"))) == unordered(told), words
    theirs, mine = (json.loads((tmp_path / name).read_text()) for name in ("theirs", "ours"))
    assert {**mine, "version": ""} == {**theirs, "version": ""}
    assert theirs["leakedHandles"]


def test_an_invalid_block_is_named_the_same(site: Site, tmp_path: Path) -> None:
    """AC-18."""
    item = site.store.list(Selection(BlockKey), soon()).items[0]
    item.document["attributes"].append({"handle_id": "nobody"})
    site.store.update(Item(item.key, item.document, item.revision, item.origin), soon())
    assert unordered(ours("ipam", "check")) == unordered(calicoctl(site, "ipam", "check"))
    assert "attribute index" in ours("ipam", "check")


def test_what_is_fixed_is_in_order_for_calicoctl(site: Site) -> None:
    """AC-14: handles that count too much or nothing, and affinities of nothing, are gone."""
    spoil(site)
    before = site.stored()
    plan = ours("ipam", "check", "--fix", "--dry-run")
    assert site.stored() == before
    assert plan.count("would repair") == 3
    ours("ipam", "check", "--fix")
    told = calicoctl(site, "ipam", "check")
    assert "Found 0 handles with no matching IPs (and 4 handles with matches)." in told
    assert all("192.168.255" not in key.cidr for key in _affinities(site))
    counted = [item.document["block"] for item in site.store.list(Selection(HandleKey), soon()).items]
    assert all(set(each.values()) == {1} for each in counted)


def test_a_handle_that_is_marked_as_deleted_is_named_the_same_and_goes(site: Site) -> None:
    """In Kubernetes whoever removes one marks it first; the original may be cut off then, and succeeds all the same."""
    if site.store.transactional:
        return  # etcd has no marks
    mark(site)
    assert unordered(ours("ipam", "check")) == unordered(calicoctl(site, "ipam", "check"))
    assert "Found 1 handles with no matching IPs" in calicoctl(site, "ipam", "check")
    told = ours("ipam", "check", "--fix")
    assert "it is marked as deleted, and still there" in told
    assert "Found 0 handles with no matching IPs" in calicoctl(site, "ipam", "check")


def _affinities(site: Site) -> list[AffinityKey]:
    return [item.key for item in site.store.list(Selection(AffinityKey), soon()).items]  # type: ignore[misc]


def test_leaks_are_released_from_reports(site: Site, tmp_path: Path) -> None:
    """AC-18: calicoctl finds the datastore in order afterwards; what a handle counts too much is --fix's to mend."""
    spoil(site)
    ours("datastore", "lock")
    ours("ipam", "check", "-o", str(tmp_path / "report"))
    told = ours("ipam", "release", f"--from-report={tmp_path / 'report'}")
    assert "Released 8 IPs successfully" in told
    ours("datastore", "unlock")
    ours("ipam", "check", "--fix")
    assert "Check complete; found 0 problems." in calicoctl(site, "ipam", "check")


def test_pools_are_made_split_and_deleted(site: Site, tmp_path: Path) -> None:
    """AC-1, AC-23 to AC-25: calicoctl reads what ours wrote, and its plugin hands out of it."""
    path = tmp_path / "pool.yaml"
    path.write_text(json.dumps(resource("IPPool", "new", {"cidr": "10.99.0.0/24", "blockSize": 28})))
    ours("pool", "apply", "-f", str(path))
    assert "10.99.0.0/24" in calicoctl(site, "get", "ippool", "new")
    (given,) = calico_ipam(site, tmp_path, "ADD", "n1", ipv4_pools=["new"])["ips"]
    ours("datastore", "lock")
    ours("ipam", "split", "2", "--name=new")
    ours("datastore", "unlock")
    assert "split-new-1" in calicoctl(site, "get", "ippool", "-o", "wide")
    assert given["address"].endswith("/28")
    part = "split-new-0" if given["address"] < "10.99.0.128" else "split-new-1"
    left = ours("pool", "delete", part)
    assert "1 addresses of 10.99.0." in left
    calico_ipam(site, tmp_path, "DEL", "n1")
    assert not [each for each in _blocks(site) if each.startswith("10.99")]


def _blocks(site: Site) -> list[str]:
    return [item.key.cidr for item in site.store.list(Selection(BlockKey), soon()).items]  # type: ignore[union-attr]


def test_a_configuration_is_read_by_calicoctl(site: Site) -> None:
    """AC-21."""
    ours("ipam", "configure", "--strictaffinity=true", "--max-blocks-per-host=3")
    told = calicoctl(site, "ipam", "show", "--show-configuration")
    assert re.search(r"StrictAffinity +\| true", told)
    assert re.search(r"MaxBlocksPerHost +\| 3", told)
    calicoctl(site, "ipam", "configure", "--max-blocks-per-host=0")
    assert re.search(r"MaxBlocksPerHost +\| 0", ours("ipam", "show", "--show-configuration"))


# Moving ------------------------------------------------------------------------------------------------------------

RANGE = "10.244.1.0/24"


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesSite]:
    """A cluster on Kubernetes with a node that has a range, and a pod on it whose address host-local gave."""
    made = KubernetesSite(tmp_path)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    api = KubernetesApi(made.environment["KUBECONFIG"])
    with contextlib.closing(api):
        spec = {"podCIDR": RANGE, "podCIDRs": [RANGE]}
        api.create("/api/v1/nodes", {"kind": "Node", "metadata": {"name": "mover"}, "spec": spec}, soon())
        apply(made, tmp_path, resource("IPPool", "p", {"cidr": "10.244.0.0/16", "ipipMode": "Always"}))
        with contextlib.suppress(Refusal):  # a server that has just begun makes it later
            api.create("/api/v1/namespaces", {"kind": "Namespace", "metadata": {"name": "default"}}, soon())
        pods = "/api/v1/namespaces/default/pods"
        container = {"name": "c", "image": "none"}
        pod = {"kind": "Pod", "metadata": {"name": "web"}, "spec": {"nodeName": "mover", "containers": [container]}}
        written = api.create(pods, pod, soon())
        status = {"phase": "Running", "podIP": "10.244.1.7", "podIPs": [{"ip": "10.244.1.7"}]}
        api.replace(f"{pods}/web/status", {**written, "status": status}, soon())
        yield made
        for path in (f"{pods}/web", "/api/v1/nodes/mover"):
            api.delete(path, {"gracePeriodSeconds": 0}, soon())
    connection.close()
    made.close()


@pytest.fixture
def leases(tmp_path: Path) -> Path:
    """What host-local left of that pod, and of one that is gone."""
    path = tmp_path / "networks" / "k8s-pod-network"
    path.mkdir(parents=True)
    for address, container in (("10.244.1.7", "c7"), ("10.244.1.8", "c8")):
        (path / address).write_bytes(f"{container}\r\neth0".encode())
    return path


def test_a_running_pod_is_moved_and_calicoctl_finds_it(node: KubernetesSite, leases: Path, tmp_path: Path) -> None:
    """The pod uses what Calico has assigned; the original's DEL frees it, and all of it can be undone."""
    before = calicoctl(node, "ipam", "check", "--show-problem-ips")
    assert "10.244.1.7 in use by Workload(default/mover-k8s-web-eth0) and in active IPAM pool but has no" in before
    words = ["migrate", "k8s-pod-network", "--node", "mover", "--data-dir", str(leases.parent)]
    assert "would claim 10.244.1.0/24 for mover" in ours_err(*words, "--dry-run")
    ours(*words)
    told = calicoctl(node, "ipam", "check", "--show-problem-ips")
    assert "Check complete; found 0 problems." in told
    assert "Found 1 node tunnel IPs." in told
    assert "Handle ID: k8s-pod-network.c7" in calicoctl(node, "ipam", "show", "--ip=10.244.1.7")
    ours(*words, "--rollback")
    assert calicoctl(node, "ipam", "check", "--show-problem-ips") == before
    assert sorted(each.name for each in leases.iterdir() if each.name != "lock") == ["10.244.1.7", "10.244.1.8"]
    ours(*words)
    calico_ipam(node, tmp_path, "DEL", "c7")
    assert "10.244.1.7 is not assigned" in calicoctl(node, "ipam", "show", "--ip=10.244.1.7")


def ours_err(*words: str) -> str:
    result = CliRunner().invoke(unipam, ["calico", *words])
    assert result.exit_code == 0, result.output
    return result.stderr


def test_the_doctor_finds_a_cluster_of_calicos_fit(node: KubernetesSite, leases: Path) -> None:
    found = json.loads(ours("doctor", "-o", "json"))["items"]
    assert not [each for each in found if each["verdict"] == "unfit"]
    assert any("addresses of pools are used unassigned" in each["what"] for each in found)


def test_an_address_is_explained(node: KubernetesSite, leases: Path) -> None:
    ours("migrate", "k8s-pod-network", "--node", "mover", "--data-dir", str(leases.parent))
    told = CliRunner().invoke(unipam, ["explain", "10.244.1.7", "--calico"]).stdout
    assert "10.244.1.7 is held by pod default/web on mover" in told
    listed = json.loads(CliRunner().invoke(unipam, ["lease", "list", "--calico", "-o", "json"]).stdout)["items"]
    assert {each["address"] for each in listed} == {"10.244.1.1", "10.244.1.7"}


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a mount namespace of its own")


@needs_root
def test_the_init_container_upgrades_a_node(node: KubernetesSite, leases: Path, tmp_path: Path) -> None:
    """`calico-ipam -upgrade` by the installed launcher, in a mount namespace of its own for the original's places."""
    made = CliRunner().invoke(unipam, ["cni", "install", "--bin-dir", str(tmp_path), "--name", "calico-ipam"])
    assert made.exit_code == 0, made.output
    plugin = tmp_path / "calico-ipam"
    assert subprocess.run([plugin, "-v"], capture_output=True, text=True, check=True).stdout.startswith("unipam ")
    script = (
        f"mount -t tmpfs none /var/lib && mkdir -p /var/lib/cni && cp -r {leases.parent} /var/lib/cni/networks &&"
        f" {plugin} -upgrade && ls /var/lib/cni/networks /var/lib/cni/moved-to-calico"
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        env={**os.environ, "KUBERNETES_NODE_NAME": "mover"}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "assigned 2 addresses in Calico IPAM" in done.stderr
    assert done.stdout.split() == [
        "/var/lib/cni/moved-to-calico:", "k8s-pod-network", "k8s-pod-network.json", "/var/lib/cni/networks:",
    ]  # fmt: skip
    assert "Check complete; found 0 problems." in calicoctl(node, "ipam", "check")
