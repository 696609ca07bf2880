"""Where a cluster's datastore is: from settings as calicoctl and the plugin read them (spec §1.13, §3.1).

Both name the same settings in three ways: the environment (`ETCD_ENDPOINTS`, also `CALICO_ETCD_ENDPOINTS`), a file of
kind CalicoAPIConfig (`etcdEndpoints`), and the plugin's network configuration.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from unipam.model.errors import BadConfig, UnreadableInput

ETCD, KUBERNETES = "etcdv3", "kubernetes"

CALICOCTL_CONFIG = "/etc/calico/calicoctl.cfg"
"""The file that calicoctl reads where none is named and this one is there."""


class Where(NamedTuple):
    """The datastore of a cluster: an etcd, or the Kubernetes API (that of a kubeconfig, or of the pod itself).

    Of etcd, `ca_file`, `cert_file` and `key_file` name files, and `inline` has what a file of settings holds in their
    place. `discovery` is the domain whose SRV records name the members. Of Kubernetes, `api_root` is the server's
    address where no kubeconfig says it, and then the files and the token are for that server.
    """

    kind: str
    endpoints: tuple[str, ...] = ()
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    kubeconfig: str = ""
    api_group: str = ""
    user: str = ""
    password: str = ""
    discovery: str = ""
    api_root: str = ""
    token: str = ""
    insecure: bool = False
    context: str = ""
    inline: tuple[str, str, str] = ("", "", "")


_SETTINGS = {
    "DATASTORE_TYPE": "datastoreType",
    "ETCD_ENDPOINTS": "etcdEndpoints",
    "ETCD_DISCOVERY_SRV": "etcdDiscoverySrv",
    "ETCD_USERNAME": "etcdUsername",
    "ETCD_PASSWORD": "etcdPassword",
    "ETCD_KEY_FILE": "etcdKeyFile",
    "ETCD_CERT_FILE": "etcdCertFile",
    "ETCD_CA_CERT_FILE": "etcdCACertFile",
    "KUBECONFIG": "kubeconfig",
    "K8S_API_ENDPOINT": "k8sAPIEndpoint",
    "K8S_KEY_FILE": "k8sKeyFile",
    "K8S_CERT_FILE": "k8sCertFile",
    "K8S_CA_FILE": "k8sCAFile",
    "K8S_API_TOKEN": "k8sAPIToken",
    "K8S_INSECURE_SKIP_TLS_VERIFY": "k8sInsecureSkipTLSVerify",
    "K8S_CURRENT_CONTEXT": "k8sCurrentContext",
    "CALICO_API_GROUP": "calicoAPIGroup",
}
"""What a setting is called in the environment, and in a file."""
_INLINE = ("etcdCACert", "etcdCert", "etcdKey")
_IGNORED = ("k8sDisableNodePoll", "usePodCIDR", "k8sClientQPS", "k8sClientBurst", "kubeconfigInline")
_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))


def find(path: str, environment: Mapping[str, str] = os.environ) -> Where:
    """Return the datastore that a file of settings names; where the usual file is not there, the environment does.

    Raises UnreadableInput, BadConfig.
    """
    if path == CALICOCTL_CONFIG and not os.path.exists(path):
        return made(from_environment(environment), environment)
    return made(_from_file(path), environment)


def from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings in the environment, by their names there; `CALICO_` before a name goes first."""
    found = {name: environment.get(f"CALICO_{name}") or environment.get(name, "") for name in _SETTINGS}
    return {name: value for name, value in found.items() if value}


def _from_file(path: str) -> dict[str, str]:
    """Read a CalicoAPIConfig. Raises UnreadableInput, or BadConfig for one with fields that nobody knows."""
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            document = yaml.safe_load(file.read())
    except OSError as error:
        problem = f"cannot read the configuration {path}: {error.strerror}"
        raise UnreadableInput(problem, path=path, reason=error.strerror) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadConfig(f"syntax error in {path}: {' '.join(str(error).split())}", path=path) from error
    spec = _spec(document, path)
    names = {field: name for name, field in _SETTINGS.items()} | {field: field for field in _INLINE}
    if unknown := [name for name in spec if name not in names and name not in _IGNORED]:
        raise BadConfig(f"syntax error in {path}: unknown field {unknown[0]!r} of spec", path=path)
    return {names[field]: str(value) for field, value in spec.items() if field in names and value not in ("", None)}


def _spec(document: object, path: str) -> dict[str, Any]:
    if not isinstance(document, dict) or document.get("kind") != "CalicoAPIConfig":
        found = document.get("kind") if isinstance(document, dict) else None
        raise BadConfig(f"syntax error in {path}: expected kind 'CalicoAPIConfig', got {found!r}", path=path)
    if document.get("apiVersion") != "projectcalico.org/v3":
        problem = f"syntax error in {path}: unknown APIVersion {document.get('apiVersion')!r}"
        raise BadConfig(f"{problem}: write projectcalico.org/v3", path=path)
    spec = document.get("spec") or {}
    if not isinstance(spec, dict):
        raise BadConfig(f"syntax error in {path}: its spec is no object", path=path)
    return spec


def made(settings: Mapping[str, str], environment: Mapping[str, str] = os.environ) -> Where:
    """Return the datastore that settings name, by their names in the environment. Raises BadConfig."""
    kind = settings.get("DATASTORE_TYPE") or (ETCD if settings.get("ETCD_ENDPOINTS") else KUBERNETES)
    if kind == ETCD:
        return _etcd(settings)
    if kind == KUBERNETES:
        return _kubernetes(settings, environment)
    raise BadConfig(f"unknown datastore type: {kind}", datastore_type=kind)


def _etcd(given: Mapping[str, str]) -> Where:
    discovery = given.get("ETCD_DISCOVERY_SRV", "")
    listed = tuple(each.strip() for each in given.get("ETCD_ENDPOINTS", "").split(",") if each.strip())
    if listed and discovery:
        raise BadConfig("multiple discovery or bootstrap options specified, use either etcd_endpoints or SRV discovery")
    fallback = f"{given.get('ETCD_SCHEME') or 'http'}://{given.get('ETCD_AUTHORITY') or '127.0.0.1:2379'}"
    return Where(
        ETCD,
        () if discovery else listed or (fallback,),
        given.get("ETCD_CA_CERT_FILE", ""),
        given.get("ETCD_CERT_FILE", ""),
        given.get("ETCD_KEY_FILE", ""),
        user=given.get("ETCD_USERNAME", ""),
        password=given.get("ETCD_PASSWORD", ""),
        discovery=discovery,
        inline=tuple(given.get(name, "") for name in _INLINE),  # type: ignore[arg-type]  # three of them
    )


def _kubernetes(given: Mapping[str, str], environment: Mapping[str, str]) -> Where:
    kubeconfig, root = given.get("KUBECONFIG", ""), given.get("K8S_API_ENDPOINT", "")
    usual = os.path.join(environment.get("HOME", ""), ".kube", "config")
    if not kubeconfig and not root and environment.get("HOME") and os.path.exists(usual):
        kubeconfig = usual
    return Where(
        KUBERNETES,
        (),
        given.get("K8S_CA_FILE", ""),
        given.get("K8S_CERT_FILE", ""),
        given.get("K8S_KEY_FILE", ""),
        kubeconfig,
        given.get("CALICO_API_GROUP", ""),
        api_root=root,
        token=given.get("K8S_API_TOKEN", ""),
        insecure=given.get("K8S_INSECURE_SKIP_TLS_VERIFY", "") in _TRUE,
        context=given.get("K8S_CURRENT_CONTEXT", ""),
    )
