"""A year of a node where nothing is wrong: pods come and go, the node restarts, logs are rotated. One writer a variant.

The wording is that of the real programs (specs azure-vnet-ipam §3, calico-ipam §1.13, cni-and-host-local §5), with
what a healthy node also says: a network that is not ready yet at a start, an API server that is away for a moment,
repeated DELs.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

START = dt.datetime(2025, 1, 1, 0, 30)
DAYS = 365
PODS_AT_ONCE = 12
CAPACITY = 28
RESTART_DAYS = 30


class Act(NamedTuple):
    """*verb* is ADD, DEL, AGAIN (a DEL repeated) or START (of the node)."""

    at: dt.datetime
    verb: str
    number: int = 0
    slot: int = 0

    @property
    def container(self) -> str:
        return f"{self.number * 2654435761 % 2**32:08x}{self.number:056x}"

    @property
    def pod(self) -> str:
        return f"web-{self.number}"

    def address(self, prefix: str, first: int = 5) -> str:
        return f"{prefix}.{first + self.slot}"


def year(seed: int = 1) -> Iterator[Act]:
    """The acts of a year, in order: a pod every few hours, all of them gone at each restart."""
    dice, at, number = random.Random(seed), START, 0
    held: dict[int, Act] = {}
    restart = at + dt.timedelta(days=RESTART_DAYS)
    yield Act(at, "START")
    while at < START + dt.timedelta(days=DAYS):
        at += dt.timedelta(minutes=dice.randrange(60, 900))
        if at >= restart:
            restart, held = restart + dt.timedelta(days=RESTART_DAYS), {}
            yield Act(at, "START")
        while len(held) >= PODS_AT_ONCE or (held and dice.random() < 0.4):
            gone = held.pop(dice.choice(sorted(held)))
            at += dt.timedelta(seconds=dice.randrange(2, 90))
            yield gone._replace(at=at, verb="DEL")
            if dice.random() < 0.5:
                yield gone._replace(at=at + dt.timedelta(seconds=1), verb="AGAIN")
        number += 1
        slot = dice.choice([slot for slot in range(CAPACITY) if slot not in held])
        at += dt.timedelta(seconds=dice.randrange(2, 90))
        held[slot] = Act(at, "ADD", number, slot)
        yield held[slot]


def azure_text(directory: Path) -> None:
    """azure-vnet-ipam.log of the text generation, and azure-vnet.log beside it."""
    _write(directory / "azure-vnet-ipam.log", _azure_text(_ipam_text))
    _write(directory / "azure-vnet.log", _azure_text(_vnet_text))


def _azure_text(lines_of: Callable[[Act, bool], Iterator[str]]) -> Iterator[str]:
    fresh, pid = True, 4000
    for act in year():
        pid += 7
        if act.verb == "START":
            fresh = True
            continue
        stamp = f"{act.at:%Y/%m/%d %H:%M:%S} [{pid}] "
        yield from (f"{stamp}{line}" for line in lines_of(act, fresh))
        fresh = False


def _ipam_text(act: Act, fresh: bool) -> Iterator[str]:
    address = act.address("10.224.0")
    ask = f',"ipAddress":"{address}"' if act.verb != "ADD" else ""
    yield "Acquiring process lock"
    yield "Acquired process lock with timeout value of 10s "
    yield "[cni-ipam] Plugin azure-vnet-ipam version v1.4.59."
    yield "[cni-ipam] Running on Linux version 5.15.0-1079-azure (buildd@lcy02-amd64-098) #88-Ubuntu SMP."
    stored = act.at - dt.timedelta(minutes=11)
    yield (
        "[ipam] store key not found"
        if fresh
        else f"[ipam] Restored state, &{{Version:v1.4.59 TimeStamp:{stored:%Y-%m-%d %H:%M:%S}.8 +0000 UTC "
        "AddrSpaces:map[local:0xc0004417d0] store:0xc00013a940 source:<nil> netApi:<nil> Mutex:{state:0 sema:0}}"
    )
    yield "[cni-ipam] Plugin started."
    yield (
        f"[cni-ipam] Processing {'ADD' if act.verb == 'ADD' else 'DEL'} command with args "
        f"{{ContainerID:{act.container} "
        f"Netns:/var/run/netns/cni-1 IfName:eth0 Args:K8S_POD_NAMESPACE=shop;K8S_POD_NAME={act.pod};IgnoreUnknown=1 "
        'Path:/opt/cni/bin StdinData:{"cniVersion":"0.3.0","name":"azure","type":"azure-vnet","mode":"transparent",'
        f'"ipam":{{"type":"azure-vnet-ipam","subnet":"10.224.0.0/16"{ask}}}}}}}.'
    )
    yield "[cni-ipam] Read network configuration &{CNIVersion:0.3.0 Name:azure Type:azure-vnet Mode:transparent}."
    yield "[ipam] Starting source azure."
    yield "[ipam] Refreshing address source."
    yield "[Utils] Initializing HTTP client with connection timeout: 10, response header timeout: 10"
    yield "[ipam] Wireserver call http://168.63.129.16/machine/plugins?comp=nmagent to retrieve IP List"
    yield "[ipam] xml name received:{ Interfaces} interfaces:1"
    yield "[ipam] processing interface:eth0 IsPrimary:true macAddress:7c1e52f9f3c4 ips:1"
    yield "[ipam] Number of IPAddress found in ipsubnet 10.224.0.0/16: 29"
    yield "[ipam] got 28 addresses from interface eth0, subnet 10.224.0.0/16"
    yield "[ipam] merging address space"
    yield "[ipam] saving ipam state."
    yield "[ipam] Save succeeded."
    if act.verb == "ADD":
        yield f"[ipam] Requesting address with address: options:map[azure.address.id:{act.container}]."
        yield f"[ipam] Address request completed with address:{address}/16"
    else:
        yield f"[ipam] Releasing address with address:{address} options:map[azure.address.id:{act.container}]."
        if act.verb == "AGAIN":
            yield "Address not in use. Not Returning error"
        yield f"[ipam] Address release completed with address:{address} err:<nil>."
    yield "[ipam] saving ipam state."
    yield "[ipam] Save succeeded."
    yield f"[cni-ipam] {'ADD' if act.verb == 'ADD' else 'DEL'} command completed with err:<nil>."
    yield "[cni-ipam] Plugin stopped."
    yield "Released process lock"


def _vnet_text(act: Act, fresh: bool) -> Iterator[str]:
    del fresh
    endpoint = f"{act.container[:8]}-eth0"
    verb = "ADD" if act.verb == "ADD" else "DEL"
    yield "[cni-net] Plugin azure-vnet version v1.4.59."
    yield f"[cni-net] Processing {verb} command with args {{ContainerID:{act.container} Netns: IfName:eth0}}."
    if act.verb == "ADD":
        result = f"&{{IPs:[{{Address:{{IP:{act.address('10.224.0')} Mask:ffff0000}}}}]}}"
        yield "[cni] Calling plugin azure-vnet-ipam ADD nwCfg:&{CNIVersion:0.3.0 Name:azure Type:azure-vnet}."
        yield f"[cni] Plugin azure-vnet-ipam returned result:{result}, err:<nil>."
        yield f"[net] Creating endpoint {endpoint} in network azure."
        yield f"[net] Created endpoint &{{Id:{endpoint} HnsId:}}."
    elif act.verb == "AGAIN":
        yield f"[cni-net] Failed to query endpoint {endpoint}: Endpoint not found"
    else:
        yield f"[net] Deleting endpoint {endpoint} from network azure."
        yield f"Releasing ipv4 address :{act.address('10.224.0')} pool: 10.224.0.0/16"
        yield f"[net] Deleted endpoint &{{Id:{endpoint}}}."
    yield f"[cni-net] {verb} command completed for pod {act.pod} with err:<nil>."
    yield "[cni-net] Plugin stopped."


def azure_json(directory: Path) -> None:
    """azure-vnet-ipam.log and azure-vnet.log of the JSON generation."""
    _write(directory / "azure-vnet-ipam.log", _azure_json(_ipam_json))
    _write(directory / "azure-vnet.log", _azure_json(_vnet_json))


def _azure_json(lines_of: Callable[[Act, bool], Iterator[dict[str, object]]]) -> Iterator[str]:
    fresh, pid = True, 4000
    for act in year():
        pid += 7
        if act.verb == "START":
            fresh = True
            continue
        for line in lines_of(act, fresh):
            head = {"level": "info", "ts": f"{act.at:%Y-%m-%dT%H:%M:%S}.706Z", "caller": "ipam/ipam.go:72"}
            yield json.dumps({**head, "pid": pid, **line}, separators=(",", ":"))
        fresh = False


def _ipam_json(act: Act, fresh: bool) -> Iterator[dict[str, object]]:
    del fresh
    verb = "ADD" if act.verb == "ADD" else "DEL"
    common = {"component": "cni-ipam"}
    netconf = {
        "type": "azure-vnet",
        "mode": "transparent",
        "ipam": {"type": "azure-vnet-ipam", "subnet": "10.224.0.0/16"},
    }
    yield {"msg": "Plugin version.", "name": "azure-vnet-ipam", "version": "v1.8.12", **common}
    yield {"msg": "Running on", "platform": "Linux version 6.8", **common}
    yield {"msg": "Plugin started", **common}
    yield {
        "msg": f"Processing {verb} command",
        "ContainerId": act.container,
        "Args": f"K8S_POD_NAMESPACE=shop;K8S_POD_NAME={act.pod}",
        "StdinData": json.dumps(netconf),
        **common,
    }
    if verb == "ADD":
        yield {"msg": "Allocated address", "address": f"{act.address('10.224.0')}/16", **common}
        result = {"ips": [{"address": f"{act.address('10.224.0')}/16"}]}
        yield {"msg": "ADD command completed", "result": result, **common}
    else:
        yield {"msg": "Releasing address", "address": act.address("10.224.0"), **common}
        yield {"msg": "DEL command completed", **common}
    yield {"msg": "Plugin stopped", **common}


def _vnet_json(act: Act, fresh: bool) -> Iterator[dict[str, object]]:
    options, address = {"azure.address.id": act.container}, act.address("10.224.0")
    yield {"msg": "Acquiring process lock", "component": "cni-store"}
    yield {"msg": "Acquired process lock with timeout value of", "timeout": 30, "component": "cni-store"}
    if fresh:
        yield {"msg": "store key not found", "component": "ipam"}
    yield {
        "msg": "got addresses from interface subnet",
        "addressCount": 28,
        "ifName": "eth0",
        "subnet": "10.224.0.0/16",
        "component": "ipam",
    }
    if act.verb == "ADD":
        yield {"msg": "Requesting address with", "address": "", "options": options, "component": "ipam"}
        yield {"msg": "Address request completed with", "address": f"{address}/16", "component": "ipam"}
        yield {"msg": "Creating endpoint", "endpointID": f"{act.container[:8]}-eth0", "component": "net"}
    else:
        yield {"msg": "Releasing address with", "address": address, "options": options, "component": "ipam"}
        if act.verb == "AGAIN":
            yield {"msg": "Address not in use. Not Returning error", "component": "ipam"}
        yield {"level": "error", "msg": "Address release completed with", "address": address, "component": "ipam"}
        yield {"msg": "Deleting endpoint", "endpointID": f"{act.container[:8]}-eth0", "component": "cni-net"}
    yield {"msg": "saving ipam state", "component": "ipam"}
    yield {"msg": "Save succeeded", "component": "ipam"}
    yield {"msg": "Released process lock", "component": "cni-store"}


def kubenet(directory: Path) -> None:
    """A kubenet node: its syslog, host-local's files as they are at the end, and what runs."""
    _write(directory / "syslog", _syslog("kubenet"))
    network = directory / "networks" / "kubenet"
    network.mkdir(parents=True)
    (network / "lock").touch()
    living = _living()
    for act in living:
        (network / act.address("10.244.1", 2)).write_text(f"{act.container}\r\neth0", newline="")
    (directory / "crictl.txt").write_text("".join(f"{act.container}\n" for act in living))


def _living() -> list[Act]:
    held: dict[int, Act] = {}
    for act in year():
        if act.verb == "ADD":
            held[act.slot] = act
        elif act.verb == "DEL":
            held.pop(act.slot, None)
        elif act.verb == "START":
            held.clear()
    return list(held.values())


def _syslog(variant: str) -> Iterator[str]:
    for act in year():
        stamp = f"{act.at:%b} {act.at.day:2} {act.at:%H:%M:%S} aks-node-1 "
        klog = f"{act.at:%m%d %H:%M:%S}.668339    2775"
        runtime = f'{stamp}containerd[812]: time="{act.at:%Y-%m-%dT%H:%M:%S}.398062631Z" level=info msg='
        meta = f"&PodSandboxMetadata{{Name:{act.pod},Uid:0c2b,Namespace:shop,Attempt:0,}}"
        if act.verb == "START":
            yield from (f"{stamp}{line}" for line in _boot(klog, variant))
        elif act.verb == "ADD":
            yield f'{stamp}kubelet[2775]: I{klog} kubelet.go:2465] "SyncLoop ADD" source="api" pods=["shop/{act.pod}"]'
            yield f'{runtime}"RunPodSandbox for {meta}"'
            yield f'{runtime}"RunPodSandbox for {meta} returns sandbox id \\"{act.container}\\""'
        else:
            yield f'{runtime}"StopPodSandbox for \\"{act.container}\\""'
            yield f'{runtime}"TearDown network for sandbox \\"{act.container}\\" successfully"'
            yield f'{runtime}"StopPodSandbox for \\"{act.container}\\" returns successfully"'
            yield f'{runtime}"RemovePodSandbox \\"{act.container}\\" returns successfully"'


def _boot(klog: str, variant: str) -> Iterator[str]:
    yield "systemd[1]: Started containerd container runtime."
    yield (
        f'kubelet[2775]: E{klog} kubelet.go:2855] "Container runtime network not ready" '
        f'networkReady="NetworkReady=false '
        'reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized"'
    )
    yield (
        f"kubelet[2775]: E{klog} reflector.go:150] k8s.io/client-go/informers/factory.go:160: Failed to watch "
        f"*v1.Node: Get "
        '"https://10.0.0.1:443/api/v1/nodes": dial tcp 10.0.0.1:443: connect: connection refused'
    )
    if variant == "overlay":
        yield (
            f'kubelet[2775]: I{klog} prober.go:107] "Probe failed" probeType="Readiness" '
            f'pod="kube-system/azure-cns-x7k2p" '
            'output="Readiness probe failed: Get \\"http://10.224.0.8:10092/readyz\\": dial tcp 10.224.0.8:10092: '
            "connect: "
            'connection refused"'
        )


def calico(directory: Path) -> None:
    """Calico's cni.log, its kube-controllers, and the node's syslog."""
    _write(directory / "calico/cni/cni.log", _calico_cni())
    _write(directory / "calico/kube-controllers.log", _calico_controllers())
    _write(directory / "syslog", _syslog("calico"))


def _calico_cni() -> Iterator[str]:
    for act in year():
        stamp = f"{act.at:%Y-%m-%d %H:%M:%S}.123 [INFO][{3000 + act.number % 20000}] "
        who, endpoint = f'ContainerID="{act.container}"', f'"node1-k8s-{act.pod}-eth0"'
        pod = f'{who} HandleID="k8s-pod-network.{act.container}" Workload={endpoint}'
        named = f'{who} Namespace="shop" Pod="{act.pod}" WorkloadEndpoint={endpoint}'
        address = act.address("10.244.1", 10)
        steps: tuple[str, ...] = ()
        if act.verb == "ADD":
            steps = (
                f"cni-plugin/plugin.go 325: Calico CNI found existing endpoint {named}",
                f"cni-plugin/k8s.go 74: Extracted identifiers for CmdAddK8s {named}",
                f"ipam/ipam_plugin.go 265: Auto assigning IP {pod}",
                "ipam/ipam_plugin.go 353: About to acquire host-wide IPAM lock.",
                "ipam/ipam_plugin.go 368: Acquired host-wide IPAM lock.",
                "ipam/ipam.go 107: Auto-assign 1 ipv4, 0 ipv6 addrs for host 'node1'",
                'ipam/ipam.go 232: Affinity is confirmed and block has been loaded cidr=10.244.1.0/26 host="node1"',
                f"ipam/ipam.go 1216: Successfully claimed IPs: [{address}/26] block=10.244.1.0/26",
                "ipam/ipam_plugin.go 374: Released host-wide IPAM lock.",
                f"cni-plugin/ipam_plugin.go 283: Calico CNI IPAM assigned addresses IPv4=[{address}/26] IPv6=[] {pod}",
                f"cni-plugin/k8s.go 505: Wrote updated endpoint to datastore {named}",
            )
        elif act.verb == "DEL":
            steps = (
                f"cni-plugin/k8s.go 576: Cleaning up netns {pod}",
                f"ipam/ipam_plugin.go 412: Releasing address using handleID {pod}",
                f"ipam/ipam_plugin.go 429: Released address using handleID {pod}",
                f"cni-plugin/k8s.go 589: Teardown processing complete. {pod}",
            )
        elif act.verb == "AGAIN":
            steps = (
                f"ipam/ipam_plugin.go 412: Releasing address using handleID {pod}",
                f"ipam/ipam_plugin.go 432: Asked to release address but it doesn't exist. Ignoring {pod}",
            )
        yield from (f"{stamp}{step}" for step in steps)


def _calico_controllers() -> Iterator[str]:
    for act in year():
        if act.verb == "START":
            stamp = f"{act.at:%Y-%m-%d %H:%M:%S}.840 "
            about = 'handle="h" ip="10.244.1.77" node="node1"'
            yield f"{stamp}[INFO][1] ipam.go 917: Performing a full scan of IPAM allocations to check for leaks"
            yield f"{stamp}[INFO][1] ipam_allocation.go 184: Candidate IP leak {about}"
            yield f"{stamp}[INFO][1] ipam_allocation.go 212: Confirmed valid IP after 7m30s {about}"
            yield f"{stamp}[INFO][1] ipam.go 167: Node and IPAM data is in sync"


def overlay(directory: Path) -> None:
    """Azure CNI Overlay: CNS gives the addresses; azure-cns.log, the syslog and the node's NodeNetworkConfig."""
    _write(directory / "azure-cns.log", _cns())
    _write(directory / "syslog", _syslog("overlay"))
    (directory / "nnc.txt").write_text(
        "NAME         REQUESTED IPS   ALLOCATED IPS   SUBNET   SUBNET CIDR   NC ID   NC MODE   NC TYPE   NC VERSION\n"
        "aks-node-1   0               256                                  9c6a    static    overlay   0\n"
    )


def _cns() -> Iterator[str]:
    for act in year():
        stamp = f"{act.at:%Y/%m/%d %H:%M:%S} [1] "
        if act.verb in {"ADD", "DEL"}:
            state, before = ("Assigned", "Available") if act.verb == "ADD" else ("Available", "Assigned")
            yield (
                f"{stamp}[updateIPConfigState] Changing IpId [{act.address('192.168.2')}] state to [{state}], podInfo "
                f"[InterfaceID: [{act.container[:8]}-eth0], InfraContainerID: [{act.container}], Name: [{act.pod}], "
                f"Namespace: [shop]]. "
                f"Current config [IPConfigurationStatus: Id: [x], NcId: [y], IPAddress: "
                f"[{act.address('192.168.2')}], State: [{before}], "
                f"LastStateTransition: [{act.at - dt.timedelta(minutes=7):%Y-%m-%dT%H:%M:%SZ}]]"
            )
        if act.verb == "DEL":
            yield f"{stamp}[releaseIPConfigs] Released IP {act.address('192.168.2')} for pod {act.pod}"


def cilium(directory: Path) -> None:
    """Cilium as its own IPAM: the agent's and the operator's log, and the syslog."""
    _write(directory / "cilium.log", _cilium())
    _write(directory / "syslog", _syslog("cilium"))


def _cilium() -> Iterator[str]:
    for act in year():
        stamp = f'time="{act.at:%Y-%m-%dT%H:%M:%SZ}" level=info msg='
        if act.verb == "START":
            yield f'{stamp}"Initializing IPAM" mode=azure subsys=daemon'
            yield f'{stamp}"Starting to synchronize CiliumNode custom resources" subsys=cilium-operator-azure'
        elif act.verb == "ADD":
            who = f"containerID={act.container[:10]} k8sPodName=shop/{act.pod}"
            yield f'{stamp}"Create endpoint request" {who} subsys=daemon'
            yield f'{stamp}"New endpoint" ipv4={act.address("10.224.0")} k8sPodName=shop/{act.pod} subsys=endpoint'
        elif act.verb == "DEL":
            yield f'{stamp}"Removed endpoint" ipv4={act.address("10.224.0")} k8sPodName=shop/{act.pod} subsys=endpoint'


VARIANTS: dict[str, Callable[[Path], None]] = {
    "azure-cni, text logs": azure_text,
    "azure-cni, JSON logs": azure_json,
    "kubenet": kubenet,
    "calico": calico,
    "azure-cni-overlay": overlay,
    "cilium": cilium,
}


def _write(path: Path, lines: Iterator[str]) -> None:
    """The lines as a log and its rotated parts: the oldest half packed, a quarter plain, the rest in the live file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    every = list(lines)
    half, rest = len(every) // 2, 3 * len(every) // 4
    rotated = path.suffix == ".log"
    if rotated:
        with gzip.open(path.with_name(f"{path.name}.2.gz"), "wt", compresslevel=1) as file:
            file.writelines(f"{line}\n" for line in every[:half])
        path.with_name(f"{path.name}.1").write_text("".join(f"{line}\n" for line in every[half:rest]))
    path.write_text("".join(f"{line}\n" for line in (every[rest:] if rotated else every)))
