"""Calico's cni.log: the plugin's steps on the way to an address and back, pod after pod."""

from __future__ import annotations

from collections.abc import Iterator

from bench.logs.pods import Act, acts

_WAY = (
    "cni-plugin/k8s.go 74: Extracted identifiers for CmdAddK8s {endpoint}",
    "ipam/ipam_plugin.go 265: Auto assigning IP {pod}",
    "ipam/ipam_plugin.go 353: About to acquire host-wide IPAM lock.",
    "ipam/ipam_plugin.go 368: Acquired host-wide IPAM lock.",
    "ipam/ipam.go 107: Auto-assign 1 ipv4, 0 ipv6 addrs for host 'node1'",
    'ipam/ipam.go 660: Looking up existing affinities for host handle="{handle}" host="node1"',
    'ipam/ipam.go 511: Trying affinity for 10.244.1.0/26 host="node1"',
    'ipam/ipam.go 155: Attempting to load block cidr=10.244.1.0/26 host="node1"',
    'ipam/ipam.go 232: Affinity is confirmed and block has been loaded cidr=10.244.1.0/26 host="node1"',
)
_FORMS = {
    "ADD": (
        "cni-plugin/plugin.go 325: Calico CNI found existing endpoint: {endpoint}",
        *_WAY,
        'ipam/ipam.go 1180: Attempting to assign 1 addresses from block block=10.244.1.0/26 handle="{handle}"',
        "ipam/ipam.go 1685: Creating new handle: {handle}",
        'ipam/ipam.go 1203: Writing block in order to claim IPs block=10.244.1.0/26 handle="{handle}" host="node1"',
        'ipam/ipam.go 1216: Successfully claimed IPs: [{ip}/26] block=10.244.1.0/26 handle="{handle}" host="node1"',
        'ipam/ipam.go 847: Auto-assigned 1 out of 1 IPv4s: [{ip}/26] handle="{handle}" host="node1"',
        "ipam/ipam_plugin.go 374: Released host-wide IPAM lock.",
        "ipam/ipam_plugin.go 283: Calico CNI IPAM assigned addresses IPv4=[{ip}/26] IPv6=[] {pod}",
        "cni-plugin/k8s.go 386: Populated endpoint {endpoint}",
        "cni-plugin/k8s.go 387: Calico CNI using IPs: [{ip}/32] {endpoint}",
        "cni-plugin/dataplane_linux.go 69: Setting the host side veth name to cali123 {endpoint}",
        "cni-plugin/dataplane_linux.go 508: Disabling IPv4 forwarding {endpoint}",
        "cni-plugin/k8s.go 414: Added Mac, interface name, and active container ID to endpoint {endpoint}",
        "cni-plugin/k8s.go 505: Wrote updated endpoint to datastore {endpoint}",
    ),
    "DEL": (
        "cni-plugin/k8s.go 576: Cleaning up netns {endpoint}",
        'cni-plugin/dataplane_linux.go 573: Entered netns, deleting pod interface. ContainerID="{container}"',
        "cni-plugin/k8s.go 583: Releasing IP address(es) {endpoint}",
        "cni-plugin/utils.go 188: Calico CNI releasing IP address {endpoint}",
        "ipam/ipam_plugin.go 412: Releasing address using handleID {pod}",
        "ipam/ipam_plugin.go 353: About to acquire host-wide IPAM lock.",
        "ipam/ipam_plugin.go 368: Acquired host-wide IPAM lock.",
        "ipam/ipam_plugin.go 429: Released address using handleID {pod}",
        "ipam/ipam_plugin.go 440: Releasing address using workloadID {pod}",
        "ipam/ipam_plugin.go 374: Released host-wide IPAM lock.",
        "cni-plugin/k8s.go 589: Teardown processing complete. {endpoint}",
    ),
    "AGAIN": (
        "cni-plugin/k8s.go 576: Cleaning up netns {endpoint}",
        "ipam/ipam_plugin.go 412: Releasing address using handleID {pod}",
        "ipam/ipam_plugin.go 353: About to acquire host-wide IPAM lock.",
        "ipam/ipam_plugin.go 368: Acquired host-wide IPAM lock.",
        "ipam/ipam_plugin.go 432: Asked to release address but it doesn't exist. Ignoring {pod}",
        "ipam/ipam_plugin.go 374: Released host-wide IPAM lock.",
        "cni-plugin/k8s.go 589: Teardown processing complete. {endpoint}",
    ),
    "FAIL": (
        *_WAY,
        "ipam/ipam_plugin.go 374: Released host-wide IPAM lock.",
        'cni-plugin/plugin.go 121: Final result of CNI ADD was an error. error=failed to request IPv4 addresses: '
        "Assigned 0 out of 1 requested IPv4 addresses; No IPs available in pools: [10.244.0.0/16]",
    ),
}  # fmt: skip


def lines() -> Iterator[str]:
    """Yield the log, a call at a time."""
    for act in acts():
        stamp = f"{act.at:%Y-%m-%d %H:%M:%S}.{act.at.microsecond // 1000:03} "
        fields = _fields(act)
        yield "".join(_line(stamp, act, form, fields) for form in _FORMS[act.verb])


def _line(stamp: str, act: Act, form: str, fields: dict[str, str]) -> str:
    level = "ERROR" if "Final result" in form else "WARNING" if "Asked to" in form else "INFO"
    return f"{stamp}[{level}][{act.pid}] {form.format_map(fields)}\n"


def _fields(act: Act) -> dict[str, str]:
    container, endpoint = f'ContainerID="{act.container}"', f"node1-k8s-{act.pod.replace('-', '--')}-eth0"
    handle = f"k8s-pod-network.{act.container}"
    return {
        "container": act.container,
        "handle": handle,
        "ip": f"10.244.1.{act.slot}",
        "endpoint": f'{container} Namespace="{act.namespace}" Pod="{act.pod}" WorkloadEndpoint="{endpoint}"',
        "pod": f'{container} HandleID="{handle}" Workload="{endpoint}"',
    }
