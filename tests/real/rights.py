"""What a process asked of an API server and of Azure, against what deploy/ grants it.

The API server decides by the roles of deploy/ (RBAC), and its audit says what was asked. Azure's actions are read off
the requests that the fake saw.
"""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.deploy.test_manifests import BUILT
from tests.fakes.azure_http import Request
from tests.real import etcd
from tests.real.kube_apiserver import ACCOUNT, ACCOUNT_TOKEN, ApiServer, api_server, write_kubeconfig

from unipam.clients.kubernetes.api import KubernetesApi

DEPLOY = Path(__file__).parents[2] / "deploy"
NAMESPACE = "unipam-controller"
_AUTHORIZATION = "/apis/rbac.authorization.k8s.io/v1"
_PATHS = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts",
    "ClusterRole": f"{_AUTHORIZATION}/clusterroles",
    "ClusterRoleBinding": f"{_AUTHORIZATION}/clusterrolebindings",
    "Role": f"{_AUTHORIZATION}/namespaces/{NAMESPACE}/roles",
    "RoleBinding": f"{_AUTHORIZATION}/namespaces/{NAMESPACE}/rolebindings",
}
_POLICY = f"""\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {{level: Metadata, users: ["{ACCOUNT}"]}}
  - {{level: None}}
"""


class Right(NamedTuple):
    """A verb that may be used on a resource."""

    group: str
    resource: str
    verb: str


class Guarded:
    """An API server that asks who may do what, with the roles of one place of deploy/kubernetes."""

    def __init__(self, server: ApiServer, place: str, audit: Path) -> None:
        self.server, self._objects, self._audit = server, BUILT[f"deploy/kubernetes/{place}"], audit
        self.kubeconfig = server.directory / "kubeconfig.account"
        write_kubeconfig(self.kubeconfig, server.port, server.directory / "certs" / "apiserver.crt", ACCOUNT_TOKEN)

    def apply(self, api: KubernetesApi) -> None:
        """Create the account and its roles."""
        for one in self._objects:
            if path := _PATHS.get(one["kind"]):
                api.create(path, one, etcd.soon())

    @property
    def granted(self) -> set[Right]:
        """What the roles grant."""
        rules = [rule for one in self._objects for rule in one.get("rules", ()) if one["kind"].endswith("Role")]
        return {
            Right(group, resource, verb)
            for rule in rules for group in rule["apiGroups"] for resource in rule["resources"] for verb in rule["verbs"]
        }  # fmt: skip

    def used(self) -> set[Right]:
        """What was asked, and granted, of resources."""
        return {_right(each["objectRef"], each["verb"]) for each in self._asked() if each["code"] != 403}

    def refused(self) -> set[Right]:
        """What was asked and not granted."""
        return {_right(each["objectRef"], each["verb"]) for each in self._asked() if each["code"] == 403}

    def _asked(self) -> Iterator[dict[str, Any]]:
        for line in self._audit.read_text().splitlines():
            entry = json.loads(line)
            if entry.get("objectRef", {}).get("resource"):
                yield {**entry, "code": entry.get("responseStatus", {}).get("code")}


def _right(reference: dict[str, str], verb: str) -> Right:
    resource = "/".join(filter(None, (reference["resource"], reference.get("subresource"))))
    return Right(reference.get("apiGroup", ""), resource, verb)


@contextlib.contextmanager
def guarded(place: str) -> Iterator[tuple[Guarded, KubernetesApi]]:
    """A server with the roles of a place, and whoever may do everything there."""
    with tempfile.TemporaryDirectory(prefix="unipam-audit-") as directory:
        policy, audit = Path(directory) / "policy.yaml", Path(directory) / "audit.log"
        policy.write_text(_POLICY)
        options = (
            "--authorization-mode", "RBAC", "--audit-policy-file", str(policy), "--audit-log-path", str(audit),
            "--audit-log-mode", "blocking",
        )  # fmt: skip
        with (
            api_server("crd.projectcalico.org/v1", options) as server,
            contextlib.closing(KubernetesApi(str(server.kubeconfig))) as api,
        ):
            made = Guarded(server, place, audit)
            made.apply(api)
            yield made, api


def actions(calls: Iterable[Request]) -> set[str]:
    """The actions of Azure's that these requests need, without those of polling an operation, which needs none."""
    return {
        _action(call.method, call.path)
        for call in calls
        if call.path.startswith("/subscriptions/") and "/operations/" not in call.path.lower()
    }


def _action(method: str, path: str) -> str:
    provider, _, rest = path.partition("/providers/")[2].partition("/")
    words = rest.split("/")
    kinds = "/".join(words[::2])
    return f"{provider}/{kinds}/{'read' if method == 'GET' else 'write'}"


def role(name: str) -> set[str]:
    """The actions of a role in deploy/azure."""
    document = json.loads((DEPLOY / "azure" / f"{name}.json").read_text("utf-8"))
    assert not re.search(r"\*", json.dumps(document["Actions"])), "no wildcard"
    return set(document["Actions"])
