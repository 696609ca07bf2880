"""Which network variant a node runs, and which IPAM that means: the evidence that decides, in one place.

A variant is known by its configuration or by lines that only it writes. Calico's policy on top of Azure CNI changes no
configuration of the latter, so it takes a sign of Calico to tell the two apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from unipam.diagnose.case import Case
from unipam.diagnose.report import Evidence, Variant


class Kind(NamedTuple):
    """What a variant is called, the IPAM it means, and where its state is."""

    title: str
    ipam: str
    look_at: str


_CALICO_PODS = ("calico-system/", "kube-system/calico-", "calico-apiserver/", "tigera-operator/")

KINDS: dict[str, Kind] = {
    "kubenet": Kind(
        "kubenet",
        "host-local, one /24 per node (the node's podCIDR), routed in the VNet",
        "/var/lib/cni/networks/kubenet, the node's podCIDR",
    ),
    "kubenet-calico": Kind(
        "kubenet with Calico (usePodCidr)",
        "host-local with the node's podCIDR, called by the Calico plugin; Calico's pools and blocks are not used "
        "for pods",
        "/var/lib/cni/networks/k8s-pod-network, /var/log/calico/cni/cni.log",
    ),
    "azure-cni": Kind(
        "Azure CNI",
        "azure-vnet-ipam: VNet addresses of the node's NIC, learned from the wireserver",
        "/var/run/azure-vnet-ipam.json, /var/log/azure-vnet-ipam.log",
    ),
    "azure-cni-calico": Kind(
        "Azure CNI with Calico",
        "azure-vnet-ipam; Calico enforces policy only",
        "/var/run/azure-vnet-ipam.json, /var/log/azure-vnet-ipam.log",
    ),
    "azure-cni-overlay": Kind(
        "Azure CNI Overlay",
        "Azure CNS with a static /24 of the overlay range per node",
        "NodeNetworkConfig (kubectl get nnc), /var/log/azure-cns.log",
    ),
    "azure-cni-podsubnet": Kind(
        "Azure CNI with pod subnet (dynamic allocation)",
        'Azure CNS, batches from the pod subnet; a shortage reads "waiting on Azure CNS to allocate more"',
        "NodeNetworkConfig (kubectl get nnc), /var/log/azure-cns.log",
    ),
    "azure-cns": Kind(
        "Azure CNI with CNS",
        "Azure CNS gives the addresses",
        "NodeNetworkConfig (kubectl get nnc), /var/log/azure-cns.log",
    ),
    "azure-cilium": Kind(
        "Azure CNI powered by Cilium",
        "azure-ipam, a delegated plugin that asks Azure CNS; not a CiliumNode pool",
        "NodeNetworkConfig, /var/log/azure-ipam.log, /var/log/azure-cns.log",
    ),
    "cilium": Kind(
        "Cilium (bring your own CNI)",
        "Cilium's own IPAM",
        "the CiliumNode of the node, cilium status, the operator's log",
    ),
    "calico": Kind(
        "Calico (bring your own CNI)",
        "calico-ipam: blocks (/26 unless set) of IPPools, kept in the datastore",
        "calicoctl ipam show, calicoctl ipam check, /var/log/calico/cni/cni.log",
    ),
    "calico-host-local": Kind(
        "Calico with host-local",
        "host-local, called by the Calico plugin; Calico's pools and blocks are not used for pods",
        "/var/lib/cni/networks/k8s-pod-network",
    ),
    "host-local": Kind(
        "bring your own CNI with host-local",
        "host-local with the range in its configuration",
        "/var/lib/cni/networks/<network>",
    ),
    "flannel": Kind(
        "flannel (bring your own CNI)",
        "host-local with the node's podCIDR",
        "/var/lib/cni/networks/cbr0, /run/flannel/subnet.env",
    ),
    "none": Kind("bring your own CNI, none installed yet", "none", "/etc/cni/net.d"),
    "other": Kind("bring your own CNI", "the IPAM that the configuration names", "/etc/cni/net.d"),
}


def seen(case: Case, name: str, where: Evidence, *details: str, certain: bool = True) -> None:
    """Record that a line shows a variant. `details` are further words on it (mode, subnet, node)."""
    kind = KINDS[name]
    variant = case.variants.setdefault(name, Variant(name, kind.title, kind.ipam, kind.look_at, False, []))
    variant.certain = variant.certain or certain
    if len(variant.evidence) < 5 and where not in variant.evidence:
        variant.evidence.append(where)
    variant.details.extend(
        detail for detail in details if detail and detail not in variant.details and len(variant.details) < 12
    )


def azure_call(case: Case, ipam: str, mode: str, pod: str, where: Callable[[], Evidence]) -> None:
    """Record which IPAM a call of azure-vnet was told to use. It comes with every pod, so it is looked at once."""
    if pod.startswith(_CALICO_PODS) and case.calico_sign is None:
        case.calico_sign = where()
    text = f"The calls come from azure-vnet, mode {mode or 'not named'}, IPAM {ipam}."
    new = text not in case.facts
    case.fact("azure-call", text, where)
    name = {"azure-vnet-ipam": "azure-cni", "azure-cns": "azure-cns"}.get(ipam)
    if new and name:
        seen(case, name, where(), f"mode {mode}" if mode else "")


def with_calico(case: Case) -> None:
    """Call Azure CNI beside a sign of Calico Azure CNI with Calico, whose configuration is the same."""
    plain = case.variants.get("azure-cni")
    if plain is None or case.calico_sign is None:
        return
    del case.variants["azure-cni"]
    for where in (*plain.evidence, case.calico_sign):
        seen(case, "azure-cni-calico", where, *plain.details, certain=plain.certain)


def cilium_mode(case: Case, mode: str, where: Evidence) -> None:
    """Record the IPAM mode that Cilium names."""
    seen(case, "azure-cilium" if mode == "delegated-plugin" else "cilium", where, f"IPAM mode {mode}")
