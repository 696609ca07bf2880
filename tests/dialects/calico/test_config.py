"""What a configuration and CNI_ARGS say (spec §1.13, §9.14 to §9.16), and what is said of what they cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from unipam.addr.prefix import parse_address
from unipam.cni.protocol import read_arguments
from unipam.dialects.calico import arguments, config
from unipam.dialects.calico.arguments import Arguments
from unipam.dialects.calico.config import load
from unipam.dialects.calico.where import Where
from unipam.model.errors import BadConfig

ETCD = {"name": "net", "nodename": "n", "etcd_endpoints": "http://a:1,https://b:2"}


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No file of this machine says what its node is called."""
    monkeypatch.setattr(config, "NODENAME_FILE", str(tmp_path / "nodename"))
    monkeypatch.setattr(config, "hostname", lambda: "machine")


@pytest.mark.parametrize(
    ("more", "families"),
    [
        ({}, (4,)),
        ({"assign_ipv4": None, "assign_ipv6": None}, (4,)),
        ({"assign_ipv4": "false"}, ()),
        ({"assign_ipv6": "true"}, (4, 6)),
        ({"assign_ipv4": "no", "assign_ipv6": "yes"}, (4,)),
        ({"assign_ipv4": "false", "assign_ipv6": "true"}, (6,)),
    ],
)
def test_families(more: dict[str, Any], families: tuple[int, ...]) -> None:
    """AC-16: annotations reach an IPAM plugin as these keys, the outer plugin having put them over the file's."""
    assert load({**ETCD, "ipam": more}).families == families


def test_pools() -> None:
    """AC-16."""
    found = load({**ETCD, "ipam": {"ipv4_pools": ["a", "10.0.0.0/24"], "IPV6_POOLS": ["b"]}})
    assert found.pools == {4: ("a", "10.0.0.0/24"), 6: ("b",)}
    assert load(ETCD).pools == {4: (), 6: ()}


def test_whose_node_it_is(tmp_path: Path) -> None:
    other = {"nodename_file": str(tmp_path / "other"), "hostname": "h"}
    assert load({**ETCD, **other}).node == "n"
    del other["hostname"]
    assert load({"etcd_endpoints": "a", **other}).node == "machine"
    assert load({"etcd_endpoints": "a", "hostname": "Upper"}).node == "Upper"
    (tmp_path / "other").write_text("from-file")
    assert load({"etcd_endpoints": "a", "hostname": "h", **other}).node == "from-file"
    (tmp_path / "nodename").write_text("usual")
    assert load({"etcd_endpoints": "a", "hostname": "h"}).node == "usual"
    (tmp_path / "nodename").write_bytes(b"\xff")
    assert load({"etcd_endpoints": "a", "hostname": "h"}).node == "h"


def test_what_the_machine_is_called() -> None:
    assert config.hostname() == "machine"


@pytest.mark.parametrize(
    ("document", "where"),
    [
        (ETCD, Where("etcdv3", ("http://a:1", "https://b:2"))),
        (
            {**ETCD, "etcd_ca_cert_file": "/ca", "etcd_cert_file": "/c", "etcd_key_file": "/k"},
            Where("etcdv3", ("http://a:1", "https://b:2"), "/ca", "/c", "/k"),
        ),
        ({"datastore_type": "etcdv3"}, Where("etcdv3", ("http://127.0.0.1:2379",))),
        (
            {"datastore_type": "etcdv3", "etcd_scheme": "https", "etcd_authority": "e:1"},
            Where("etcdv3", ("https://e:1",)),
        ),
        ({}, Where("kubernetes")),
        (
            {**ETCD, "datastore_type": "kubernetes", "kubernetes": {"kubeconfig": "/k", "k8s_api_root": "http://x"}},
            Where("kubernetes", kubeconfig="/k", api_root="http://x"),
        ),
        (
            {"kubernetes": {"k8s_api_root": "https://x:1"}, "policy": {"k8s_auth_token": "t"}},
            Where("kubernetes", api_root="https://x:1", token="t"),
        ),
        ({"datastore_type": "etcdv3", "etcd_discovery_srv": "d.example"}, Where("etcdv3", discovery="d.example")),
        ({"calico_api_group": "projectcalico.org/v3"}, Where("kubernetes", api_group="projectcalico.org/v3")),
    ],
)
def test_where_the_datastore_is(document: dict[str, Any], where: Where) -> None:
    assert load(document).where == where


@pytest.mark.parametrize(
    ("document", "asks"),
    [(ETCD, False), ({**ETCD, "policy": {"type": "k8s"}}, True), ({"kubernetes": {"kubeconfig": "/k"}}, True)],
)
def test_whether_the_namespace_is_asked_for(document: dict[str, Any], asks: bool) -> None:
    assert load(document).asks_for_namespace == asks


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"datastore_type": "nope"}, "unknown datastore type: nope"),
        ({**ETCD, "etcd_discovery_srv": "x"}, "multiple discovery or bootstrap options specified"),
        (
            {"ipam": {"assign_ipv6": True}},
            "failed to load netconf: json: cannot unmarshal bool into Go struct field .ipam.assign_ipv6 of type string",
        ),
        (
            {"nodename": 7},
            "json: cannot unmarshal number into Go struct field NetConf.nodename of type string",
        ),
    ],
)
def test_what_makes_no_sense(document: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadConfig) as refused:
        load(document)
    assert problem in str(refused.value)


POD = "K8S_POD_NAMESPACE=d;K8S_POD_NAME=p"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", Arguments()),
        (f"IgnoreUnknown=1;{POD}", Arguments("d", "p")),
        (f"IgnoreUnknown=TRUE;{POD};IP=10.0.0.1", Arguments("d", "p", parse_address("10.0.0.1"))),
        ("IgnoreUnknown=1;K8S_POD_NAME=p", Arguments()),
        ("IP=", Arguments()),
        ("IgnoreUnknown=1;X=Y", Arguments()),
    ],
)
def test_arguments(text: str, found: Arguments) -> None:
    assert arguments.load(read_arguments(text)) == found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (POD, 'ARGS: unknown args ["K8S_POD_NAMESPACE=d" "K8S_POD_NAME=p"]'),
        ("FOO=BAR", 'ARGS: unknown args ["FOO=BAR"]'),
        ("FOO", 'ARGS: invalid pair "FOO"'),
        ("IP=zzz", 'ARGS: error parsing value of pair "IP=zzz": invalid IP address: zzz'),
        (
            "IgnoreUnknown=2",
            'ARGS: error parsing value of pair "IgnoreUnknown=2": boolean unmarshal error: invalid input 2',
        ),
    ],
)
def test_arguments_that_make_no_sense(text: str, problem: str) -> None:
    with pytest.raises(BadConfig) as refused:
        arguments.load(read_arguments(text))
    assert str(refused.value) == problem


@pytest.mark.parametrize(
    ("text", "workload"),
    [("", ""), (POD, "d.p"), ("FOO=BAR;" + POD, "d.p"), ("broken;" + POD, ""), ("K8S_POD_NAME=p", "")],
)
def test_a_del_reads_what_it_can(text: str, workload: str) -> None:
    assert arguments.pod_of(read_arguments(text)).workload == workload
