"""host-local's directories on disk, and what can be said of them with and without other sources."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from unipam.diagnose import diagnose
from unipam.diagnose.report import Report

ID = "a" * 63


@pytest.fixture
def network(tmp_path: Path) -> Callable[..., Path]:
    def make(**files: str) -> Path:
        directory = tmp_path / "networks" / "kubenet"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "lock").touch()
        for name, content in files.items():
            (directory / name.replace("_", ".")).write_text(content, newline="")
        return directory

    return make


def lease(number: int) -> str:
    return f"{ID}{number:x}\r\neth0"


def kinds(report: Report) -> list[str]:
    return [found.kind for found in report.findings]


def test_a_file_that_is_only_named_like_an_address_is_no_reservation(network: Callable[..., Path]) -> None:
    report = diagnose([network(**{"10_244_0_2": lease(2), "999_1_1_1": lease(3)})])
    assert [pool.in_use for pool in report.pools] == [1]


def test_a_healthy_directory(network: Callable[..., Path]) -> None:
    report = diagnose([network(**{"10_244_0_2": lease(2), "10_244_0_3": lease(3), "last_reserved_ip_0": "10.244.0.3"})])
    assert report.outcome == "healthy"
    (pool,) = report.pools
    assert [(holder.address, holder.owner) for holder in pool.holders] == [
        ("10.244.0.2", f"{ID}2"),
        ("10.244.0.3", f"{ID}3"),
    ]
    assert "2 reservation(s): 10.244.0.2, 10.244.0.3" in report.facts[0].text


def test_it_is_found_below_the_directory_that_is_named(network: Callable[..., Path]) -> None:
    directory = network(**{"10_244_0_2": lease(2)})
    assert [source.path for source in diagnose([directory.parent.parent]).sources] == [str(directory)]


def test_empty_files_are_taken_for_ever(network: Callable[..., Path]) -> None:
    (found,) = diagnose([network(**{"10_244_0_2": "", "10_244_0_3": lease(3)})]).findings
    assert (found.kind, found.entities["addresses"]) == ("empty-reservations", ["10.244.0.2"])


def test_two_addresses_of_one_interface(network: Callable[..., Path]) -> None:
    (found,) = diagnose([network(**{"10_244_0_2": lease(2), "10_244_0_3": lease(2)})]).findings
    assert (found.kind, found.entities["addresses"]) == ("several-addresses", ["10.244.0.2", "10.244.0.3"])


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ("10_244_1_2", []),  # with .0 it may be one /23
        ("10_244_2_2", ["stale-reservations"]),
    ],
)
def test_ranges_that_cannot_be_one(network: Callable[..., Path], second: str, expected: list[str]) -> None:
    assert kinds(diagnose([network(**{"10_244_0_2": lease(2), second: lease(3)})])) == expected


def test_the_podcidr_says_which_range_is_stale(network: Callable[..., Path], tmp_path: Path) -> None:
    directory = network(**{"10_244_0_2": lease(2), "10_244_2_2": lease(3)})
    (tmp_path / "node.txt").write_text("PodCIDR:                      10.244.2.0/24\n")
    (found,) = diagnose([directory, tmp_path / "node.txt"]).findings
    assert found.values["stale"] == "10.244.0.0/24"
    (tmp_path / "node.txt").write_text("PodCIDR:                      10.244.0.0/16\n")
    assert not diagnose([directory, tmp_path / "node.txt"]).findings


def test_reservations_without_a_live_sandbox_look_leaked(network: Callable[..., Path], tmp_path: Path) -> None:
    directory = network(**{"10_244_0_2": lease(2), "10_244_0_3": "b" * 64 + "\r\neth0"})
    head = "POD ID          CREATED       STATE   NAME   NAMESPACE  ATTEMPT  RUNTIME\n"
    (tmp_path / "crictl.txt").write_text(f"{head}{ID[:13]}   2 hours ago   Ready   web-1   default   0   (default)\n")
    (found,) = diagnose([directory, tmp_path / "crictl.txt"]).findings
    assert (found.kind, found.entities["addresses"]) == ("leaked", ["10.244.0.3"])


def test_reservations_beside_a_list_of_pods(network: Callable[..., Path], tmp_path: Path) -> None:
    directory = network(**{"10_244_0_2": lease(2), "10_244_0_3": lease(3)})
    row = "default   web-1   1/1   Running   0   2h   10.244.0.2   node-1   <none>   <none>\n"
    (tmp_path / "pods.txt").write_text(row)
    (found,) = diagnose([directory, tmp_path / "pods.txt"]).findings
    assert (found.kind, found.entities["addresses"]) == ("reservations-without-pod", ["10.244.0.3"])
    (tmp_path / "pods.txt").write_text(row + row.replace("web-1", "web-2").replace("0.2 ", "0.3 "))
    assert not diagnose([directory, tmp_path / "pods.txt"]).findings


CONFLIST = {
    "cniVersion": "0.3.1", "name": "kubenet",
    "plugins": [{
        "type": "bridge", "bridge": "cbr0", "ipam": {
            "type": "host-local", "ranges": [[{"subnet": "10.244.1.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}],
        },
    }],
}  # fmt: skip
BRIDGE = """\
1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000
    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
    inet 127.0.0.1/8 scope host lo
       valid_lft forever preferred_lft forever
4: cbr0: <BROADCAST,MULTICAST,PROMISC,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default qlen 1000
    link/ether 9a:3c:60:b6:7a:10 brd ff:ff:ff:ff:ff:ff
    inet 10.244.1.1/24 brd 10.244.1.255 scope global cbr0
       valid_lft forever preferred_lft forever
"""


@pytest.mark.parametrize(("range_", "told"), [("10.244.2.0/24", True), ("10.244.1.0/24", False)])
def test_k31_a_node_made_anew_with_another_range(tmp_path: Path, range_: str, told: bool) -> None:
    """K31: the Node's range, the configuration's, cbr0's and the reservations of the old one, in one finding."""
    node = {"kind": "Node", "metadata": {"name": "n2"}, "spec": {"podCIDRs": [range_]}, "status": {"addresses": []}}
    (tmp_path / "node.json").write_text(json.dumps(node, indent=1))
    (tmp_path / "10-containerd-net.conflist").write_text(json.dumps(CONFLIST, indent=1))
    (tmp_path / "ip-addr.txt").write_text(BRIDGE)
    kept = tmp_path / "var/lib/cni/networks/kubenet"
    kept.mkdir(parents=True)
    (kept / "10.244.1.7").write_text("c" * 64 + "\r\neth0")
    found = [each for each in diagnose([str(tmp_path)]).findings if each.kind == "other-range"]
    assert len(found) == told
    for one in found:
        assert one.subject == "10.244.2.0/24"
        assert "configuration kubenet 10.244.1.0/24, bridge cbr0 10.244.1.0/24" in one.title
        assert one.entities["addresses"] == ["10.244.1.7"]
        assert {each.file.rpartition("/")[2] for each in one.evidence} == {"10-containerd-net.conflist", "ip-addr.txt"}
