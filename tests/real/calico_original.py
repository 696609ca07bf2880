"""The real calicoctl and calico-ipam, on a real datastore, where somebody brought them.

`UNIPAM_CALICOCTL` and `UNIPAM_CALICO_IPAM` name the executables (of v3.32 or newer).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml
from tests.real import etcd, kube_apiserver
from tests.real.calico_crds import definitions

from unipam.clients.etcd.client import Etcd
from unipam.clients.etcd.settings import Settings
from unipam.clients.kubernetes.api import KubernetesApi
from unipam.dialects.calico.datastore.api import Datastore
from unipam.dialects.calico.datastore.etcd import EtcdDatastore
from unipam.dialects.calico.datastore.kubernetes import KubernetesDatastore
from unipam.dialects.calico.datastore.resources import NATIVE, STORED

CALICOCTL, CALICO_IPAM = (os.environ.get(name, "") for name in ("UNIPAM_CALICOCTL", "UNIPAM_CALICO_IPAM"))
_WHY = (
    "UNIPAM_CALICOCTL and UNIPAM_CALICO_IPAM name no executables"
    if not (os.path.exists(CALICOCTL) and os.path.exists(CALICO_IPAM))
    else kube_apiserver.WHY
)
brought = [pytest.mark.real, pytest.mark.brought, pytest.mark.skipif(bool(_WHY), reason=_WHY)]
"""The marks of a test that needs them."""

_VOLATILE = ("resourceVersion", "generation", "managedFields")
_CONTROLLERS = {"controllers": {"node": {"leakGracePeriod": "15m"}}}
"""`calicoctl ipam check` fails without a KubeControllersConfiguration."""


class Site(Protocol):
    """A datastore that the originals and unipam share."""

    store: Datastore
    environment: dict[str, str]
    network: dict[str, Any]

    def stored(self) -> dict[str, Any]:
        """Everything of Calico's that is in it, but for revisions."""

    def add_node(self, name: str) -> None:
        """Let there be a node."""

    def close(self) -> None:
        """Remove everything."""


class EtcdSite:
    """A site on etcd. Services are read from Kubernetes all the same."""

    def __init__(self, directory: Path) -> None:
        endpoints = etcd.shared().endpoints
        self._etcd = Etcd(Settings(endpoints))
        etcd.empty(self._etcd)
        self.store: Datastore = EtcdDatastore(Etcd(Settings(endpoints)))
        kubeconfig = str(kube_apiserver.shared(STORED).kubeconfig)
        self.environment = {
            "DATASTORE_TYPE": "etcdv3", "ETCD_ENDPOINTS": ",".join(endpoints), "KUBECONFIG": kubeconfig,
        }  # fmt: skip
        self.network = {"datastore_type": "etcdv3", "etcd_endpoints": ",".join(endpoints)}
        apply(self, directory, resource("KubeControllersConfiguration", "default", _CONTROLLERS))

    def stored(self) -> dict[str, Any]:
        return dict(etcd.everything(self._etcd))

    def add_node(self, name: str) -> None:
        calicoctl(self, "create", "-f", "-", document=resource("Node", name, {}))

    def close(self) -> None:
        etcd.empty(self._etcd)
        self._etcd.close()
        self.store.close()


class KubernetesSite:
    """A site on the Kubernetes API, in one of the groups that may hold Calico's resources."""

    def __init__(self, directory: Path, group: str = STORED) -> None:
        self._group = group
        kubeconfig = str(kube_apiserver.shared(group).kubeconfig)
        self._api = KubernetesApi(kubeconfig)
        kube_apiserver.empty(self._api, group)
        self.store: Datastore = KubernetesDatastore(KubernetesApi(kubeconfig))
        self.environment = {"DATASTORE_TYPE": "kubernetes", "KUBECONFIG": kubeconfig}
        self.network = {"datastore_type": "kubernetes", "kubernetes": {"kubeconfig": kubeconfig}}
        apply(self, directory, resource("KubeControllersConfiguration", "default", _CONTROLLERS))

    def stored(self) -> dict[str, Any]:
        found = {}
        for definition in definitions(self._group):
            plural = definition["spec"]["names"]["plural"]
            for item in self._api.get(f"/apis/{self._group}/{plural}", etcd.soon())["items"]:
                about = {name: value for name, value in item["metadata"].items() if name not in _VOLATILE}
                found[f"{plural}/{about['name']}"] = {**item, "metadata": about}
        return found

    def add_node(self, name: str) -> None:
        self._api.create("/api/v1/nodes", {"kind": "Node", "metadata": {"name": name}}, etcd.soon())

    def close(self) -> None:
        kube_apiserver.empty(self._api, self._group)
        self._api.close()
        self.store.close()


SITES: dict[str, Callable[[Path], Site]] = {
    "etcd": EtcdSite,
    "kubernetes": KubernetesSite,
    "kubernetes-native": lambda directory: KubernetesSite(directory, NATIVE),
}


def resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """What a person writes into a file for calicoctl."""
    return {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": {"name": name}, "spec": spec}


def apply(site: Site, directory: Path, document: dict[str, Any]) -> None:
    """`calicoctl apply` of one resource."""
    path = directory / f"{document['kind']}.yaml"
    path.write_text(yaml.safe_dump(document))
    calicoctl(site, "apply", "-f", str(path))


def calicoctl(site: Site, *words: str, document: dict[str, Any] | None = None) -> str:
    """What it prints; it must succeed."""
    given = yaml.safe_dump(document) if document else ""
    done = subprocess.run(
        [CALICOCTL, *words, "--allow-version-mismatch"],
        env=site.environment, input=given, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def calico_ipam(site: Site, directory: Path, verb: str, container: str, **ipam: Any) -> dict[str, Any]:
    """The result of a call of the original plugin; it must succeed."""
    network = {
        "cniVersion": "1.0.0", "name": "k8s-pod-network", "type": "calico", "nodename": "node1",
        "log_file_path": str(directory / "cni.log"), "ipam_lock_file": str(directory / "ipam.lock"),
        "ipam": {"type": "calico-ipam", **ipam}, **site.network,
    }  # fmt: skip
    environment = {
        "CNI_COMMAND": verb, "CNI_CONTAINERID": container, "CNI_NETNS": "/var/run/netns/x", "CNI_IFNAME": "eth0",
        "CNI_PATH": "/opt/cni/bin",
        "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod-{container}",
    }  # fmt: skip
    done = subprocess.run(
        ["calico-ipam"], executable=CALICO_IPAM, env=environment, input=json.dumps(network),
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout, done.stderr)
    return dict(json.loads(done.stdout)) if done.stdout.strip() else {}
