"""calico-ipam's network configuration: what it says, in Go's types, and where the cluster's datastore is (spec §1.13).

Keys that only the outer plugin looks at are read for their types, and left.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from unipam.cni.call import Config
from unipam.dialects.calico.where import Where, from_environment, made
from unipam.golang.decoding import Anything, Flag, ListOf, Struct, Text, Whole, read
from unipam.model.errors import BadConfig

NODENAME_FILE = "/var/lib/calico/nodename"

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
    return _load(document)[1]


def remembered(config: Config) -> Network:
    """Return what a call's configuration says, read once; whether the node's file says another name is asked each time.

    Raises BadConfig.
    """
    net, network = config.read(_load)
    return network if net.get("nodename") else network._replace(node=_node(net))


def _load(document: object) -> tuple[dict[str, Any], Network]:
    """Return what a configuration says, also in Go's types."""
    try:
        net = read(_NET, document)
    except BadConfig as error:
        raise BadConfig(f"failed to load netconf: {error.message}") from None
    ipam = net.get("ipam") or {}
    kubernetes, policy = net.get("kubernetes") or {}, net.get("policy") or {}
    wanted = (4,) * (ipam.get("assign_ipv4") != "false") + (6,) * (ipam.get("assign_ipv6") == "true")
    return net, Network(
        net.get("name") or "",
        _node(net),
        _where(net),
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


_SETTINGS = {
    "datastore_type": "DATASTORE_TYPE",
    "etcd_endpoints": "ETCD_ENDPOINTS",
    "etcd_discovery_srv": "ETCD_DISCOVERY_SRV",
    "etcd_scheme": "ETCD_SCHEME",
    "etcd_authority": "ETCD_AUTHORITY",
    "etcd_key_file": "ETCD_KEY_FILE",
    "etcd_cert_file": "ETCD_CERT_FILE",
    "etcd_ca_cert_file": "ETCD_CA_CERT_FILE",
    "calico_api_group": "CALICO_API_GROUP",
}
"""What a key of the configuration is called among the settings; Kubernetes' own follow."""
_OF_POLICY = {
    "k8s_auth_token": "K8S_API_TOKEN",
    "k8s_client_certificate": "K8S_CERT_FILE",
    "k8s_client_key": "K8S_KEY_FILE",
    "k8s_certificate_authority": "K8S_CA_FILE",
}
_OF_KUBERNETES = {"kubeconfig": "KUBECONFIG", "k8s_api_root": "K8S_API_ENDPOINT"}


def _where(net: dict[str, Any]) -> Where:
    """Return the datastore that the configuration names, and the environment where the configuration is silent."""
    settings = from_environment(os.environ)
    for section, names in (
        (net, _SETTINGS),
        (net.get("policy") or {}, _OF_POLICY),
        (net.get("kubernetes") or {}, _OF_KUBERNETES),
    ):
        settings |= {names[key]: str(value) for key, value in section.items() if key in names and value}
    return made(settings)
