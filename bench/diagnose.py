"""How fast ``unipam diagnose`` reads, and how much memory it takes: logs made here, read by a process of their own.

Prints MB/s and peak memory per kind of log. ``UNIPAM_BENCH_MB`` sets the size of each (100 unless set); with ``1000``
it is the promise: at most 150 MB of memory, at least 30 MB/s on one core.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

NEEDS = ()
_READ = """
import resource, sys, time
from unipam.diagnose import diagnose
start, worked = time.perf_counter(), time.process_time()
report = diagnose([sys.argv[1]])
took, worked = time.perf_counter() - start, time.process_time() - worked
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
source = report.sources[0]
print(source.bytes, took, worked, peak, source.lines, source.unknown, len(report.findings))
"""
_TEXT_HEAD = (
    "Acquiring process lock\n"
    "Acquired process lock with timeout value of 10s \n"
    "[cni-ipam] Plugin azure-vnet-ipam version v1.4.59.\n"
    "[cni-ipam] Running on Linux version 5.15.0-1079-azure (buildd@lcy02-amd64-098) (gcc 11.4.0) "
    "#88-Ubuntu SMP.\n"
    "[ipam] Restored state, &{{Version:v1.4.59 TimeStamp:{day} {clock}.801819581 +0000 UTC "
    "AddrSpaces:map[local:0xc0004417d0] store:0xc00013a940 source:<nil> netApi:<nil> Mutex:{{state:0 sema:0}}}}\n"
    "[cni-ipam] Plugin started.\n"
    "[cni-ipam] Processing {verb} command with args {{ContainerID:{cid} Netns:/var/run/netns/cni-8d01d157 IfName:eth0 "
    "Args:K8S_POD_UID=0c2b7f49-4c67-425c-a90a-a665b564c5b4;IgnoreUnknown=1;K8S_POD_NAMESPACE=load;K8S_POD_NAME=pod-{n};"
    'K8S_POD_INFRA_CONTAINER_ID={cid} Path:/opt/cni/bin StdinData:{{"cniVersion":"0.3.0","name":"azure",'
    '"type":"azure-vnet","mode":"transparent",'
    '"ipsToRouteViaHost":["169.254.20.10"],"ipam":{{"type":"azure-vnet-ipam","subnet":"10.224.0.0/16"{ask}}},'
    '"dns":{{}},"runtimeConfig":{{"dns":{{}}}},"windowsSettings":{{}}}}}}.\n'
    "[cni-ipam] Read network configuration &{{CNIVersion:0.3.0 Name:azure Type:azure-vnet Mode:transparent "
    "Master: AdapterName: "
    "Bridge: LogLevel: LogTarget: InfraVnetAddressSpace: IPV6Mode: ServiceCidrs: VnetCidrs: "
    "PodNamespaceForDualNetwork:[] "
    "IPsToRouteViaHost:[169.254.20.10] MultiTenancy:false EnableSnatOnHost:false EnableExactMatchForPodName:false "
    "CNSUrl: "
    "IPAM:{{Mode: Type:azure-vnet-ipam Environment: AddrSpace: Subnet:10.224.0.0/16 Address: QueryInterval:}} "
    "AdditionalArgs:[]}}.\n"
    "[ipam] Starting source azure.\n"
    "[ipam] Refreshing address source.\n"
    "[Utils] Initializing HTTP client with connection timeout: 10, response header timeout: 10\n"
    "[ipam] Wireserver call http://168.63.129.16/machine/plugins?comp=nmagent&type=getinterfaceinfov1 to retrieve "
    "IP List\n"
    "[ipam] xml name received:{{ Interfaces}} interfaces:1\n"
    "[ipam] processing interface:eth0 IsPrimary:true macAddress:7c1e52f9f3c4 ips:1\n"
    "[ipam] Number of IPAddress found in ipsubnet 10.224.0.0/16: 251\n"
    "[ipam] got 250 addresses from interface eth0, subnet 10.224.0.0/16\n"
    "[ipam] merging address space\n"
    "[ipam] saving ipam state.\n"
    "[ipam] Save succeeded.\n"
)
_TEXT_ADD = (
    "[ipam] Requesting address with address: options:map[azure.address.id:{cid}].\n"
    "[ipam] Address request completed with address:{ip}/16\n"
    "[ipam] saving ipam state.\n[ipam] Save succeeded.\n"
    "[cni-ipam] Allocated address {ip}/16.\n"
    "[cni-ipam] ADD command completed with result:&{{CNIVersion:1.0.0 Interfaces:[] IPs:[{{Interface:<nil> "
    "Address:{{IP:{ip} "
    "Mask:ffff0000}} Gateway:10.224.0.1}}] Routes:[{{Dst:{{IP:0.0.0.0 Mask:00000000}} GW:10.224.0.1}}] "
    "DNS:{{Nameservers:"
    "[168.63.129.16] Domain: Search:[] Options:[]}}}} err:<nil>.\n"
)
_TEXT_DEL = (
    "[ipam] Releasing address with address:{ip} options:map[azure.address.id:{cid}].\n"
    "[ipam] Address release completed with address:{ip} err:<nil>.\n"
    "[ipam] saving ipam state.\n[ipam] Save succeeded.\n"
    "[cni-ipam] DEL command completed with err:<nil>.\n"
)
_TEXT_TAIL = "[cni-ipam] Plugin stopped.\nReleased process lock\n"


def text_calls() -> Iterator[str]:
    """Sessions of azure-vnet-ipam of the text generation, an ADD and its DEL in turn, over 250 addresses."""
    for n in range(10**9):
        second, ask = divmod(n, 3)[0], f',"ipAddress":"{_ip(n)}"' if n % 2 else ""
        day, clock = (
            f"2025-03-{1 + second // 86400 % 28:02}",
            f"{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}",
        )
        verb, middle = ("DEL", _TEXT_DEL) if n % 2 else ("ADD", _TEXT_ADD)
        body = (_TEXT_HEAD + middle + _TEXT_TAIL).format(
            day=day, clock=clock, verb=verb, cid=_cid(n), n=n // 2, ip=_ip(n), ask=ask
        )
        prefix = f"{day.replace('-', '/')} {clock} [{10_000 + n % 20_000}] "
        yield "".join(f"{prefix}{line}\n" for line in body.splitlines())


def json_calls() -> Iterator[str]:
    """The same calls in the JSON generation, as azure-vnet.log has them, with a state of 30 addresses in each."""
    addresses: dict[str, object] = {
        ip: {"ID": "", "Addr": ip, "InUse": False} for ip in (f"10.224.0.{last}" for last in range(5, 35))
    }
    subnet = {"IP": "10.224.0.0", "Mask": "//8AAA=="}
    pool = {"Id": "10.224.0.0/16", "IfName": "eth0", "Subnet": subnet, "Addresses": addresses}
    space = {"Id": "local", "Scope": 0, "Pools": {"10.224.0.0/16": pool}}
    state = {"Version": "v1.8.12", "AddressSpaces": {"local": space}}
    common: dict[str, dict[str, object]] = {
        "Restored state": {"am": state},
        "Starting source": {"environment": "azure"},
        "merging address space": {},
        "saving ipam state": {},
    }
    for n in range(10**9):
        yield _zap("cni-store", "Acquiring process lock", n, {})
        yield _zap("cni-store", "Acquired process lock with timeout value of", n, {"timeout": 30})
        yield "".join(_zap("ipam", message, n, keys) for message, keys in {**common, **_verb(n)}.items())
        yield _zap("cni-store", "Released process lock", n, {})


def _verb(n: int) -> dict[str, dict[str, object]]:
    options = {"azure.address.id": _cid(n)}
    asked: dict[str, object] = {"address": _ip(n) if n % 2 else "", "options": options}
    if n % 2:
        return {"Releasing address with": asked, "Address release completed with": {"address": _ip(n)}}
    return {"Requesting address with": asked, "Address request completed with": {"address": f"{_ip(n)}/16"}}


def syslog_lines() -> Iterator[str]:
    """A node's syslog: mostly other things, some sandboxes, now and then a refusal."""
    klog = "I0301 18:20:18.668339    2775"
    for n in range(10**9):
        stamp = f"Mar {1 + n // 90000 % 28:2} {n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02} aks-node-1"
        yield f"{stamp} systemd[1]: run-containerd-task-k8s.io-{_cid(n)}-rootfs.mount: Deactivated successfully.\n"
        event = f'{{"ID":"5da5612b-{n}","Type":"ContainerDied","Data":"{_cid(n)}"}}'
        yield (
            f'{stamp} kubelet[2775]: {klog} kubelet.go:2465] "SyncLoop (PLEG): event for pod" '
            f'pod="load/pod-{n}" event={event}\n'
        )
        yield (
            f'{stamp} kubelet[2775]: {klog} reconciler_common.go:231] "MountVolume started for volume" '
            f'pod="load/pod-{n}"\n'
        ) * 6
        yield (
            f'{stamp} containerd[2506]: time="2025-03-01T18:20:18.398062631Z" level=info msg="shim disconnected" '
            f"id={_cid(n)} namespace=k8s.io\n"
        ) * 2
        if n % 50 == 0:
            yield (
                f'{stamp} kubelet[2775]: E{klog[1:]} pod_workers.go:1298] "Error syncing pod, skipping" '
                f'err="failed to setup network for sandbox \\"{_cid(n)}\\": plugin type=\\"azure-vnet\\" failed (add): '
                f'Failed to allocate address: No available addresses" pod="load/pod-{n}"\n'
            )


def calico_lines() -> Iterator[str]:
    """Calico's own log: the ADD and the DEL of one pod after the other, with the plugin's usual steps."""
    for n in range(10**9):
        clock = f"{n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}.123"
        stamp = f"2025-03-{1 + n // 80000 % 28:02} {clock} [INFO][{n % 30000}]"
        pod = f'ContainerID="{_cid(n)}" Namespace="load" Pod="pod-{n}" WorkloadEndpoint="node1-k8s-pod--{n}-eth0"'
        handle = f'handle="k8s-pod-network.{_cid(n)}" host="node1"'
        address = f"10.244.1.{n % 60}/26"
        yield "".join(
            f"{stamp} {message}\n" for message in (*_calico_add(pod, handle, address), *_calico_del(pod, handle))
        )


def _calico_add(pod: str, handle: str, address: str) -> tuple[str, ...]:
    return (
        f"plugin.go 325: Calico CNI found existing endpoint {pod}",
        f"k8s.go 74: Extracted identifiers for CmdAddK8s {pod}",
        f"ipam_plugin.go 265: Auto assigning IP {pod}",
        "ipam_plugin.go 353: About to acquire host-wide IPAM lock.",
        "ipam_plugin.go 368: Acquired host-wide IPAM lock.",
        f"ipam.go 107: Auto-assign 1 ipv4, 0 ipv6 addrs for host 'node1' {handle}",
        f"ipam.go 660: Looking up existing affinities for host {handle}",
        f"ipam.go 372: Looking up existing affinities for host {handle}",
        f"ipam.go 511: Trying affinity for 10.244.1.0/26 {handle}",
        f'ipam.go 155: Attempting to load block cidr=10.244.1.0/26 host="node1" {handle}',
        'ipam.go 232: Affinity is confirmed and block has been loaded cidr=10.244.1.0/26 host="node1"',
        f"ipam.go 1180: Attempting to assign 1 addresses from block block=10.244.1.0/26 {handle}",
        f"ipam.go 1685: Creating new handle: {handle}",
        f"ipam.go 1203: Writing block in order to claim IPs block=10.244.1.0/26 {handle}",
        f"ipam.go 1216: Successfully claimed IPs: [{address}] block=10.244.1.0/26 {handle}",
        f"ipam.go 847: Auto-assigned 1 out of 1 IPv4s: [{address}] {handle}",
        "ipam_plugin.go 374: Released host-wide IPAM lock.",
        f"ipam_plugin.go 283: Calico CNI IPAM assigned addresses IPv4=[{address}] IPv6=[] {pod}",
        f"k8s.go 386: Populated endpoint {pod}",
        f"k8s.go 387: Calico CNI using IPs: [{address}] {pod}",
        f"dataplane_linux.go 69: Setting the host side veth name to cali123 {pod}",
        f"dataplane_linux.go 508: Disabling IPv4 forwarding {pod}",
        f"k8s.go 414: Added Mac, interface name, and active container ID to endpoint {pod}",
        f"k8s.go 505: Wrote updated endpoint to datastore {pod}",
    )


def _calico_del(pod: str, handle: str) -> tuple[str, ...]:
    return (
        f"k8s.go 576: Cleaning up netns {pod}",
        f"k8s.go 583: Releasing IP address(es) {pod}",
        f"utils.go 188: Calico CNI releasing IP address {pod}",
        "ipam_plugin.go 353: About to acquire host-wide IPAM lock.",
        "ipam_plugin.go 368: Acquired host-wide IPAM lock.",
        f"ipam_plugin.go 412: Releasing address using handleID {pod}",
        f"ipam_plugin.go 429: Released address using handleID {pod}",
        f"ipam_plugin.go 440: Releasing address using workloadID {pod} {handle}",
        "ipam_plugin.go 374: Released host-wide IPAM lock.",
        f"k8s.go 589: Teardown processing complete. {pod}",
    )


def _zap(component: str, message: str, n: int, keys: dict[str, object]) -> str:
    stamp = f"2026-11-{1 + n // 86400 % 28:02}T{n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}.706Z"
    head = {"level": "info", "ts": stamp, "caller": "ipam/ipam.go:72", "msg": message, "pid": 10_000 + n % 20_000}
    return json.dumps({**head, "component": component, **keys}, separators=(",", ":")) + "\n"


def _ip(n: int) -> str:
    return f"10.224.{n // 2 % 250 // 125}.{4 + n // 2 % 125}"


def _cid(n: int) -> str:
    return f"{n // 2:064x}"


def _write(path: Path, calls: Callable[[], Iterator[str]], megabytes: int) -> None:
    with path.open("wb") as file:
        for text in calls():
            file.write(text.encode())
            if file.tell() >= megabytes * 1_000_000:
                return


def _measure(path: Path) -> str:
    done = subprocess.run([sys.executable, "-c", _READ, str(path)], capture_output=True, text=True, check=True)
    size, took, worked, peak, lines, unknown, findings = done.stdout.split()
    megabytes = int(size) / 1e6
    return (
        f"{megabytes / float(worked):6.1f} MB a second of one core ({megabytes / float(took):.1f} by the clock), "
        f"{int(peak) / 1024:.0f} MB peak, {int(lines):,} lines, {unknown} unknown, {findings} findings"
    )


def main() -> None:
    """Make, read and print: one line per kind of log."""
    megabytes = int(os.environ.get("UNIPAM_BENCH_MB", "100"))
    with tempfile.TemporaryDirectory() as directory:
        for calls in (text_calls, json_calls, syslog_lines, calico_lines):
            path = Path(directory) / f"{calls.__name__}.log"
            _write(path, calls, megabytes)
            print(f"diagnose {calls.__name__:<12} {megabytes} MB: {_measure(path)}", flush=True)
            path.unlink()


if __name__ == "__main__":
    main()
