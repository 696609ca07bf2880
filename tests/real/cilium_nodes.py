"""CiliumNodes in a genuine API server, and `unipam controller --cilium` beside it on a fake Azure.

The CiliumNodes' definition is the tests' own: it keeps what it is given, and has the status apart, as the genuine one.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.conftest import UNIPAM
from tests.fakes.azure import FakeAzure
from tests.real import etcd, kube_apiserver
from tests.real.calico_crds import ANY

from unipam.clients.kubernetes.api import KubernetesApi, Refusal
from unipam.dialects.cilium.node import PATH

_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "ciliumnodes.cilium.io"},
    "spec": {
        "group": "cilium.io", "scope": "Cluster", "names": {"kind": "CiliumNode", "plural": "ciliumnodes"},
        "versions": [{
            "name": "v2", "served": True, "storage": True, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": ANY, "status": ANY}}},
        }],
    },
}  # fmt: skip


def until(what: Callable[[], bool], log: Path | None = None) -> None:
    """Wait for what must come; the log is shown when it does not."""
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline, log.read_text()[-4000:] if log else "it took too long"
        time.sleep(0.1)


def define(api: KubernetesApi) -> None:
    """Let the API server know CiliumNodes."""
    with contextlib.suppress(Refusal):
        api.create(_CRDS, _DEFINITION, etcd.soon())

    def served() -> bool:
        with contextlib.suppress(Refusal):
            return bool(api.get(PATH, etcd.soon()))
        return False

    until(served)


@contextlib.contextmanager
def defined() -> Iterator[KubernetesApi]:
    """The API server that tests share, with no CiliumNode before and after."""
    server = kube_apiserver.shared("crd.projectcalico.org/v1")
    with contextlib.closing(KubernetesApi(str(server.kubeconfig))) as made:
        define(made)
        yield made
        made.delete(PATH, {}, etcd.soon())


@contextlib.contextmanager
def operator(
    fake: FakeAzure, subscription: str, kubeconfig: Path, log: Path, *options: str
) -> Iterator[subprocess.Popen[bytes]]:
    """The operator of the resource group MC_g, killed at the end."""
    given = {
        "AZURE_TENANT_ID": fake.entra.tenant, "AZURE_CLIENT_ID": fake.entra.client,
        "AZURE_CLIENT_SECRET": fake.entra.secret, "AZURE_AUTHORITY_HOST": fake.base,
        "UNIPAM_AZURE_ENDPOINT": fake.base, "UNIPAM_AZURE_CA_FILE": fake.ca,
    }  # fmt: skip
    command = [
        str(UNIPAM), "controller", "--cilium", "--kubeconfig", str(kubeconfig), "--listen", "",
        "--lease", "unipam-cilium", "--azure-subscription-id", subscription, "--azure-resource-group", "MC_g", *options,
    ]  # fmt: skip
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=out, env={**os.environ, **given})
    try:
        yield process
    finally:
        process.kill()
        process.wait()
