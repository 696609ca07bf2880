"""calico-ipam's network configuration: what it says, in Go's types, and where the cluster's datastore is (spec §1.13).

Keys that only the outer plugin looks at are read for their types, and left.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from unipam.golang.decoding import Anything, Flag, ListOf, Struct, Text, Whole, read
from unipam.model.errors import BadConfig

NODENAME_FILE = "/var/lib/calico/nodename"
ETCD, KUBERNETES = "etcdv3", "kubernetes"

_TEXT, _WHOLE, _FLAG = Text(), Whole(), Flag()
_TEXTS = ListOf("[]string", _TEXT)
_IPAM = Struct(
    "struct",
    "",
    {
        "type": _TEXT, "subnet": _TEXT, "assign_ipv4": _TEXT, "assign_ipv6": _TEXT, "ipv4_pools": _TEXTS,
        "ipv6_pools": _TEXTS,
    },
)  # fmt: skip
_POLICY = Struct(
    "types.Policy",
    "Policy",
    dict.fromkeys(
        (
            "type", "k8s_api_root", "k8s_auth_token", "k8s_client_certificate", "k8s_client_key",
            "k8s_certificate_authority",
        ),
        _TEXT,
    ),
)  # fmt: skip
_KUBERNETES = Struct(
    "types.Kubernetes", "Kubernetes", dict.fromkeys(("k8s_api_root", "kubeconfig", "node_name"), _TEXT)
)
_FEATURES = Struct("types.FeatureControl", "FeatureControl", dict.fromkeys(("ip_addrs_no_ipam", "floating_ips"), _FLAG))
_NET = Struct(
    "types.NetConf",
    "NetConf",
    {
        **dict.fromkeys(
            (
                "cniVersion", "name", "type", "mode", "nodename", "nodename_file", "hostname", "ipam_lock_file",
                "datastore_type", "etcd_endpoints", "etcd_discovery_srv", "etcd_scheme", "etcd_key_file",
                "etcd_cert_file", "etcd_ca_cert_file", "etcd_authority", "log_level", "log_file_path",
                "calico_api_group",
            ),
            _TEXT,
        ),
        **dict.fromkeys(("qps", "burst", "mtu", "log_file_max_size", "log_file_max_age", "log_file_max_count"), _WHOLE),
        **dict.fromkeys(("nodename_file_optional", "include_default_routes", "windows_use_single_network"), _FLAG),
        "ipam": _IPAM,
        "policy": _POLICY,
        "kubernetes": _KUBERNETES,
        "feature_control": _FEATURES,
        "container_settings": Struct(
            "types.ContainerSettings", "ContainerSettings", {"allow_ip_forwarding": _FLAG}
        ),
        "args": Anything(),
    },
)  # fmt: skip


class Where(NamedTuple):
    """The datastore of a cluster: an etcd, or the Kubernetes API (that of a kubeconfig, or of the pod itself)."""

    kind: str
    endpoints: tuple[str, ...] = ()
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    kubeconfig: str = ""
    api_group: str = ""


class Network(NamedTuple):
    """What a configuration says. Pools are names or CIDRs; `families` are those that an address is wanted of."""

    name: str
    node: str
    where: Where
    families: tuple[int, ...]
    pools: dict[int, tuple[str, ...]]
    max_blocks: int
    asks_for_namespace: bool

    def handle(self, container: str) -> str:
        """Return the handle of a container's addresses."""
        return f"{self.name}.{container}"


def load(document: object) -> Network:
    """Read a configuration. Raises BadConfig in the original's words."""
    try:
        net = read(_NET, document)
    except BadConfig as error:
        raise BadConfig(f"failed to load netconf: {error.message}") from None
    ipam = net.get("ipam") or {}
    kubernetes, policy = net.get("kubernetes") or {}, net.get("policy") or {}
    wanted = (4,) * (ipam.get("assign_ipv4") != "false") + (6,) * (ipam.get("assign_ipv6") == "true")
    return Network(
        net.get("name") or "",
        _node(net),
        _where(net, kubernetes),
        wanted,
        {family: tuple(each or "" for each in ipam.get(f"ipv{family}_pools") or ()) for family in (4, 6)},
        1 if net.get("windows_use_single_network") else 0,
        bool(kubernetes.get("kubeconfig")) or policy.get("type") == "k8s",
    )


def _node(net: dict[str, Any]) -> str:
    """Return the node that the call is for: as configured, else as the node's file says, else the machine's name."""
    if net.get("nodename"):
        return str(net["nodename"])
    try:
        with open(net.get("nodename_file") or NODENAME_FILE, encoding="utf-8") as file:
            found = file.read()
    except (OSError, UnicodeDecodeError):
        found = ""
    return found or net.get("hostname") or hostname()


def hostname() -> str:
    """Return what the machine is called, in small letters."""
    return os.uname().nodename.strip().lower()


def _where(net: dict[str, Any], kubernetes: dict[str, Any]) -> Where:
    kubeconfig, root = kubernetes.get("kubeconfig") or "", kubernetes.get("k8s_api_root") or ""
    kind = net.get("datastore_type") or (ETCD if net.get("etcd_endpoints") else KUBERNETES)
    if kind == ETCD:
        ca, certificate, key = (net.get(f"etcd_{name}_file") or "" for name in ("ca_cert", "cert", "key"))
        return Where(ETCD, _endpoints(net), ca, certificate, key)
    if kind == KUBERNETES:
        if root and not kubeconfig:
            raise BadConfig(
                "kubernetes.k8s_api_root alone is not supported: name a kubeconfig in kubernetes.kubeconfig"
            )
        return Where(KUBERNETES, kubeconfig=kubeconfig, api_group=net.get("calico_api_group") or "")
    raise BadConfig(f"unknown datastore type: {kind}", datastore_type=kind)


def _endpoints(net: dict[str, Any]) -> tuple[str, ...]:
    if net.get("etcd_discovery_srv"):
        raise BadConfig("etcd_discovery_srv is not supported: name the members in etcd_endpoints")
    if net.get("etcd_endpoints"):
        return tuple(each.strip() for each in net["etcd_endpoints"].split(",") if each.strip())
    return (f"{net.get('etcd_scheme') or 'http'}://{net.get('etcd_authority') or '127.0.0.1:2379'}",)
