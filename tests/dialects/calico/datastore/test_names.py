"""What etcd and Kubernetes call Calico's objects: the vectors of spec calico-ipam §4.2, §4.3; what holds for all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipam.dialects.calico.datastore import names, paths
from unipam.dialects.calico.datastore.api import Selection
from unipam.dialects.calico.datastore.keys import (
    AffinityKey,
    BlockKey,
    ClusterKey,
    ConfigKey,
    HandleKey,
    Key,
    NodeKey,
    PoolKey,
    ReservationKey,
)
from unipam.dialects.calico.datastore.resources import NATIVE, STORED, Objects, name_of, selectors

IPAM, RESOURCES = "/calico/ipam/v2", "/calico/resources/v3/projectcalico.org"
V6 = "fd80:24e2:f998:72d6::/122"
LONG = "long--hostna" * 21

PATHS: dict[Key, str] = {
    BlockKey("10.0.0.0/26"): f"{IPAM}/assignment/ipv4/block/10.0.0.0-26",
    BlockKey(V6): f"{IPAM}/assignment/ipv6/block/fd80:24e2:f998:72d6::-122",
    AffinityKey("node1", "10.0.0.0/26"): f"{IPAM}/host/node1/ipv4/block/10.0.0.0-26",
    AffinityKey("node-1.a", V6): f"{IPAM}/host/node-1.a/ipv6/block/fd80:24e2:f998:72d6::-122",
    AffinityKey("load-balancer", "10.0.0.0/26", "virtual"): f"{IPAM}/virtual/load-balancer/ipv4/block/10.0.0.0-26",
    HandleKey("k8s-pod-network.82Bd"): f"{IPAM}/handle/k8s-pod-network.82Bd",
    ConfigKey(): f"{IPAM}/config",
    PoolKey("p"): f"{RESOURCES}/ippools/p",
    ReservationKey("r"): f"{RESOURCES}/ipreservations/r",
    NodeKey("n"): f"{RESOURCES}/nodes/n",
    ClusterKey(): f"{RESOURCES}/clusterinformations/default",
}
STRANGERS = [
    f"{IPAM}/host/node1", f"{IPAM}/host/node1/ipv4/block/", f"{IPAM}/handle/", f"{IPAM}/handle/a/b", f"{IPAM}/configs",
    f"{RESOURCES}/ippools/", f"{RESOURCES}/tiers/default", "/calico/v1/x", "", f"x{IPAM}/config",
]  # fmt: skip

hosts = st.text("abc-.019", min_size=1, max_size=253)
cidrs = st.sampled_from(["10.0.0.0/26", "192.168.200.192/32", V6, "::/116", "fd80:24e2:f998:72d6:1:2:3:4/128"])


@pytest.mark.parametrize(("key", "path"), PATHS.items(), ids=str)
def test_keys_of_etcd(key: Key, path: str) -> None:
    assert paths.path(key) == path
    assert paths.key(path) == key


@pytest.mark.parametrize("path", STRANGERS)
def test_what_is_not_ours_is_no_key(path: str) -> None:
    assert paths.key(path) is None


@pytest.mark.parametrize("key", PATHS, ids=str)
def test_a_selection_s_range_holds_its_keys_and_no_other_kind_s(key: Key) -> None:
    selection = Selection(type(key))
    first, end = paths.span(selection)
    for other, path in PATHS.items():
        within = path.encode() == first if not end else first <= path.encode() < end
        assert within == isinstance(other, type(key))
        assert paths.selected(other, selection) == isinstance(other, type(key))


@given(st.lists(hosts, min_size=2, max_size=2, unique=True), cidrs, st.sampled_from(["host", "virtual"]))
def test_a_range_of_an_owner_holds_no_other_owner_s_keys(two: list[str], cidr: str, kind: str) -> None:
    first, end = paths.span(Selection(AffinityKey, two[0], kind))
    assert first <= paths.path(AffinityKey(two[0], cidr, kind)).encode() < end
    assert not first <= paths.path(AffinityKey(two[1], cidr, kind)).encode() < end


def test_one_node_can_be_selected() -> None:
    mine = Selection(NodeKey, "n")
    assert paths.span(mine) == (f"{RESOURCES}/nodes/n".encode(), b"")
    assert paths.selected(NodeKey("n"), mine)
    assert not paths.selected(NodeKey("n2"), mine)
    assert selectors(mine) == ({"fieldSelector": "metadata.name=n"},)


@pytest.mark.parametrize(
    ("host", "label"),
    [
        ("node1", "7DS2CCNJGGLTHBDQLLFO6SX24SY2YDDEG3W2VN556FA2W4DLLV5A"),
        ("node-a", "PY3TQE2E3XMTETLM2MJO3UITKPFB27YUJ4T4E5XGPEJON3SM4QAA"),
        ("aks-nodepool1-64104225-vmss000000", "V3EE6E67VDOCVZKVELPILHUBUL57CVOCOUUHMOQGLVALHNDFA7BA"),
        ("load-balancer", "TAU2RK2F2FG7MIS72DPZYC6FJ3U3BIWIDZAMUTQY7ZXMSKQZ5GSQ"),
    ],
)
def test_labels_of_hosts(host: str, label: str) -> None:
    assert names.hostname_hash(host) == label
    assert names.labels(AffinityKey(host, V6, "virtual")) == {
        "projectcalico.org/affinity-type": "virtual",
        "projectcalico.org/hostname-hash": label,
        "projectcalico.org/ip-version": "6",
    }


def test_names_in_kubernetes() -> None:
    assert name_of(BlockKey("10.0.0.0/26")) == "10-0-0-0-26"
    assert name_of(BlockKey(V6)) == "fd80-24e2-f998-72d6---122"
    assert name_of(HandleKey("k8s-pod-network.82Bd")) == "k8s-pod-network.82bd"
    assert name_of(AffinityKey("node1", "10.0.0.0/30")) == "node1-10-0-0-0-30"
    assert name_of(ConfigKey()) == name_of(ClusterKey()) == "default"


def test_a_name_that_would_be_too_long_is_cut() -> None:
    name = name_of(AffinityKey(LONG, "10.0.0.0/26"))
    assert name.endswith("g--hostnalong--hostna-10-0-0-0-26-fb0ffb1c45a")
    assert len(name) == 252


@given(hosts, cidrs)
def test_no_name_is_too_long_for_kubernetes(host: str, cidr: str) -> None:
    name = name_of(AffinityKey(host, cidr))
    assert len(name) <= 252
    assert name == f"{host}-{names.of_cidr(cidr)}" or len(name) == 252


def test_paths_in_kubernetes() -> None:
    assert Objects(STORED).path(ConfigKey()) == "/apis/crd.projectcalico.org/v1/ipamconfigs/default"
    assert Objects(NATIVE).path(ConfigKey()) == "/apis/projectcalico.org/v3/ipamconfigurations/default"
    assert Objects(NATIVE).path(NodeKey("n")) == "/api/v1/nodes/n"
    assert Objects(STORED).path(HandleKey("a/../b\r")) == "/apis/crd.projectcalico.org/v1/ipamhandles/a%2F..%2Fb%0D"
