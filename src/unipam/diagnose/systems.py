"""Who is who: the programs whose words about addresses count, and the CNI plugins, what each belongs to and logs.

A phrase such as "No available addresses" may stand in any program's log. It is a sign only where a program of this
field wrote it, so the readers name the writer (a syslog tag, a component, the container of a log file) and ask here.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

_PROGRAM = re.compile(
    r"(?:kube|hyperkube|k3s|k0s|rke2|microk8s|snap\.microk8s|containerd|docker|cri-?o|crio|podman|nerdctl|conmon"
    r"|azure-?|aks-"
    r"|cns|cni|calico|cilium|tigera|typha|felix|confd|bird|flannel|canal|multus|whereabouts|danm|weave|antrea|kube-?ovn"
    r"|ovn|ovs-cni|aws-(?:node|cni|k8s|vpc)|ipamd?|terway|spiderpool|host-local|bridge|install-cni|cluster-autoscaler"
    r"|autoscaler|cloud-(?:controller|node)|route-controller|karpenter|node-ipam|terraform|az$|unipam"
    r"|journal$|acs-engine|gardener|capz)",
    re.IGNORECASE,
)
"""How the names of programs begin that give addresses, carry the words of those that do, or plan with Azure."""

_GIVER = re.compile(
    r"(?:azure-(?:vnet|ipam|cns|cni)|cns|calico|cilium|tigera|typha|flannel|kube-flannel|canal|multus|kube-multus"
    r"|whereabouts|danm"
    r"|host-local|weave|antrea|kube-?ovn|ovnkube|aws-node|spiderpool|unipam)",
    re.IGNORECASE,
)
"""The programs of these that give addresses themselves: what they call an error concerns a diagnosis."""

_POD_LOG = re.compile(
    r"/(?:containers/[^/]+_[^/]+_(?P<container>[a-z0-9-]+?)-[0-9a-f]{64}\.log"
    r"|pods/[^/]+_[^/]+_[0-9a-f-]+/(?P<pod>[^/]+)/\d+\.log)"
)


class System(NamedTuple):
    """What a CNI plugin belongs to, and where it writes what went wrong."""

    title: str
    look_at: str


_AZURE = System("Azure CNI", "/var/log/azure-vnet.log and /var/log/azure-vnet-ipam.log")
_CALICO = System("Calico", "/var/log/calico/cni/cni.log and the calico-node pod of the node")
_CILIUM = System("Cilium", "the cilium pod of the node (kubectl -n kube-system logs ds/cilium) and cilium-operator")
_CNS = System("Azure CNS", "/var/log/azure-cns.log and the azure-cns pod of the node (kubectl -n kube-system)")
_MULTUS = System("Multus", "the multus pod of the node; its delegates' own logs name the cause")
_REFERENCE = System(
    "the CNI reference plugins", "the kubelet's and the runtime's log (journalctl -u kubelet -u containerd)"
)
_AWS = System("Amazon VPC CNI", "/var/log/aws-routed-eni/ipamd.log and plugin.log; no system of Azure")
_FLANNEL = System("flannel", "the kube-flannel pod of the node and /run/flannel/subnet.env")
SYSTEMS: dict[str, System] = {
    **dict.fromkeys(("azure-vnet", "azure-vnet-ipam", "azure-vnet-ipamv6"), _AZURE),
    "azure-ipam": _CNS,
    "azure-cns": _CNS,
    **dict.fromkeys(("calico", "calico-ipam", "calico-node", "kube-controllers"), _CALICO),
    **dict.fromkeys(("cilium", "cilium-cni", "cilium-agent", "cilium-operator"), _CILIUM),
    **dict.fromkeys(("multus", "multus-cni", "multus-shim"), _MULTUS),
    "whereabouts": System("whereabouts", "the whereabouts pod of the node, ippools.whereabouts.cni.cncf.io"),
    "danm": System("DANM", "the danm pods, kubectl get danmeps; its own allocator gave the answer"),
    "flannel": _FLANNEL,
    **dict.fromkeys(
        ("bridge", "host-local", "ptp", "portmap", "loopback", "bandwidth", "firewall", "tuning", "macvlan", "ipvlan",
         "vlan", "static", "dhcp", "sbr", "host-device", "kubenet", "cbr0"),
        _REFERENCE,
    ),
    **dict.fromkeys(("aws-cni", "aws-node", "vpc-bridge", "egress-v4-cni", "egress-cni"), _AWS),
    "terway": System("Terway (Alibaba Cloud)", "the terway pod of the node; no system of Azure"),
    **dict.fromkeys(("gke", "netd", "gcp-ipam"), System("GKE's network plugin", "the netd pod of the node; no system "
                                                                                "of Azure")),
    "oci-ipvlan": System("OCI native pod networking", "the vcn-native-ip-cni pods; no system of Azure"),
    "weave-net": System("Weave Net", "the weave-net pod of the node (weave status ipam)"),
    "antrea": System("Antrea", "the antrea-agent pod of the node"),
    "kube-ovn": System("Kube-OVN", "the kube-ovn-cni pod of the node and kube-ovn-controller"),
    "ovn-k8s-cni-overlay": System("OVN-Kubernetes", "the ovnkube-node pod of the node"),
    "openshift-sdn": System("OpenShift SDN", "the sdn pod of the node and /var/lib/cni/networks/openshift-sdn"),
    **dict.fromkeys(("spiderpool", "coordinator"), System("Spiderpool", "the spiderpool-agent pod of the node")),
    "sriov": System("SR-IOV CNI", "the sriov plugin's caller (multus) and its own log"),
    "ovs": System("ovs-cni", "the ovs-cni pod of the node"),
    "unipam": System("unipam", "unipam status, unipam lease list, the agent's journal (journalctl -u unipam-agent)"),
}  # fmt: skip
"""CNI plugins by the type that a configuration names them by."""

ELSEWHERE = System("", "the kubelet's and the runtime's log (journalctl -u kubelet -u containerd) at that moment")


@functools.lru_cache(maxsize=1024)
def speaks_of_addresses(program: str) -> bool:
    """Return whether what a program writes counts. "" is a text whose writer is not known: it counts."""
    return not program or _PROGRAM.match(program) is not None


@functools.lru_cache(maxsize=1024)
def gives_addresses(program: str) -> bool:
    """Return whether a program gives addresses, so that its errors count even when no rule knows them."""
    return _GIVER.match(program) is not None


def program_of(path: str) -> str:
    """Return the container that a log below /var/log/containers or /var/log/pods belongs to, "" for any other file."""
    match = _POD_LOG.search(path)
    return (match["container"] or match["pod"]) if match else ""
