"""Where a datastore is, by the environment and by files, as calicoctl reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from unipam.dialects.calico.where import CALICOCTL_CONFIG, Where, find, from_environment, made
from unipam.model.errors import BadConfig, UnreadableInput

TLS = {"ETCD_CA_CERT_FILE": "/ca", "ETCD_CERT_FILE": "/c", "ETCD_KEY_FILE": "/k"}


@pytest.mark.parametrize(
    ("environment", "where"),
    [
        ({}, Where("kubernetes")),
        ({"ETCD_ENDPOINTS": "http://a:1, http://b:1"}, Where("etcdv3", ("http://a:1", "http://b:1"))),
        ({"ETCD_ENDPOINTS": "a", "CALICO_ETCD_ENDPOINTS": "b"}, Where("etcdv3", ("b",))),
        ({"ETCD_ENDPOINTS": "a", "DATASTORE_TYPE": "kubernetes"}, Where("kubernetes")),
        ({"DATASTORE_TYPE": "etcdv3", **TLS}, Where("etcdv3", ("http://127.0.0.1:2379",), "/ca", "/c", "/k")),
        (
            {"ETCD_ENDPOINTS": "a", "ETCD_USERNAME": "u", "ETCD_PASSWORD": "p"},
            Where("etcdv3", ("a",), user="u", password="p"),
        ),
        ({"DATASTORE_TYPE": "etcdv3", "ETCD_DISCOVERY_SRV": "x"}, Where("etcdv3", discovery="x")),
        (
            {"KUBECONFIG": "/k", "CALICO_API_GROUP": "projectcalico.org/v3", "K8S_CURRENT_CONTEXT": "c"},
            Where("kubernetes", kubeconfig="/k", api_group="projectcalico.org/v3", context="c"),
        ),
        (
            {"K8S_API_ENDPOINT": "https://s", "K8S_CA_FILE": "/ca", "K8S_INSECURE_SKIP_TLS_VERIFY": "true"},
            Where("kubernetes", ca_file="/ca", api_root="https://s", insecure=True),
        ),
    ],
)
def test_the_environment(environment: dict[str, str], where: Where) -> None:
    assert made(from_environment(environment), environment) == where


def test_the_usual_kubeconfig(tmp_path: Path) -> None:
    """Where nothing else is named, and only if it is there."""
    home = {"HOME": str(tmp_path)}
    assert made({}, home).kubeconfig == ""
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").touch()
    assert made({}, home).kubeconfig == str(tmp_path / ".kube" / "config")
    assert made({"KUBECONFIG": "/k"}, home).kubeconfig == "/k"
    assert made({"K8S_API_ENDPOINT": "https://s"}, home).kubeconfig == ""


def file(tmp_path: Path, spec: Any, /, **more: Any) -> str:
    path = tmp_path / "calicoctl.cfg"
    document = {"apiVersion": "projectcalico.org/v3", "kind": "CalicoAPIConfig", "metadata": {}, "spec": spec, **more}
    path.write_text(yaml.safe_dump(document))
    return str(path)


def test_a_file_goes_before_the_environment(tmp_path: Path) -> None:
    spec = {"datastoreType": "etcdv3", "etcdEndpoints": "http://a:1", "etcdCACert": "PEM", "etcdKeyFile": "/k"}
    found = find(file(tmp_path, spec), {"ETCD_ENDPOINTS": "http://b:1"})
    assert found == Where("etcdv3", ("http://a:1",), key_file="/k", inline=("PEM", "", ""))


def test_without_the_usual_file_the_environment_says() -> None:
    assert find(CALICOCTL_CONFIG, {"ETCD_ENDPOINTS": "a"}) == Where("etcdv3", ("a",))


@pytest.mark.parametrize(
    ("spec", "more", "why"),
    [
        ({"etcdEndpoint": "a"}, {}, "unknown field 'etcdEndpoint'"),
        ({}, {"kind": "IPPool"}, "expected kind 'CalicoAPIConfig', got 'IPPool'"),
        ({}, {"apiVersion": "v1"}, "unknown APIVersion 'v1'"),
        ([], {"spec": ["a"]}, "its spec is no object"),
        ({"datastoreType": "nope"}, {}, "unknown datastore type: nope"),
        ({"etcdEndpoints": "a", "etcdDiscoverySrv": "x"}, {}, "multiple discovery or bootstrap options"),
    ],
)
def test_a_file_that_makes_no_sense(tmp_path: Path, spec: Any, more: dict[str, Any], why: str) -> None:
    with pytest.raises(BadConfig, match=why):
        find(file(tmp_path, spec, **more), {})


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match="No such file"):
        find(str(tmp_path / "gone"), {})
    (tmp_path / "x").write_text("a: [")
    with pytest.raises(BadConfig, match="syntax error in"):
        find(str(tmp_path / "x"), {})
