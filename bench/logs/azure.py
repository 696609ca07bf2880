"""azure-vnet-ipam of the text generation (1.4.59) and azure-vnet of the JSON generation (1.8.12), call by call."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator

from bench.logs.pods import AT_ONCE, Act, acts

_CAPACITY = 250
_HEAD = (
    "Acquiring process lock",
    "Acquired process lock with timeout value of 10s ",
    "[cni-ipam] Plugin azure-vnet-ipam version v1.4.59.",
    "[cni-ipam] Running on Linux version 5.15.0-1079-azure (buildd@lcy02-amd64-098) (gcc (Ubuntu 11.4.0-1ubuntu1~22.04)"
    " 11.4.0, GNU ld (GNU Binutils for Ubuntu) 2.38) #88-Ubuntu SMP Thu Jan 16 20:05:31 UTC 2025.",
    "[ipam] Restored state, &{Version:v1.4.59 TimeStamp:%(stored)s.801819581 +0000 UTC "
    "AddrSpaces:map[local:0xc0004417d0] store:0xc00013a940 source:<nil> netApi:<nil> Mutex:{state:0 sema:0}}",
    "[cni-ipam] Plugin started.",
    "[cni-ipam] Processing %(command)s command with args {ContainerID:%(container)s Netns:/var/run/netns/cni-%(uid)s "
    "IfName:eth0 Args:K8S_POD_UID=%(uid)s;IgnoreUnknown=1;K8S_POD_NAMESPACE=%(namespace)s;K8S_POD_NAME=%(pod)s;"
    'K8S_POD_INFRA_CONTAINER_ID=%(container)s Path:/opt/cni/bin StdinData:{"cniVersion":"0.3.0","name":"azure",'
    '"type":"azure-vnet","mode":"transparent","ipsToRouteViaHost":["169.254.20.10"],"ipam":{"type":"azure-vnet-ipam",'
    '"subnet":"10.224.0.0/16"%(ask)s},"dns":{},"runtimeConfig":{"dns":{}},"windowsSettings":{}}}.',
    "[cni-ipam] Read network configuration &{CNIVersion:0.3.0 Name:azure Type:azure-vnet Mode:transparent Master: "
    "AdapterName: Bridge: LogLevel: LogTarget: InfraVnetAddressSpace: IPV6Mode: ServiceCidrs: VnetCidrs: "
    "PodNamespaceForDualNetwork:[] IPsToRouteViaHost:[169.254.20.10] MultiTenancy:false EnableSnatOnHost:false "
    "EnableExactMatchForPodName:false CNSUrl: IPAM:{Mode: Type:azure-vnet-ipam Environment: AddrSpace: "
    "Subnet:10.224.0.0/16 Address: QueryInterval:} AdditionalArgs:[]}.",
    "[ipam] Starting source azure.",
    "[ipam] Refreshing address source.",
    "[Utils] Initializing HTTP client with connection timeout: 10, response header timeout: 10",
    "[ipam] Wireserver call http://168.63.129.16/machine/plugins?comp=nmagent&type=getinterfaceinfov1 to retrieve "
    "IP List",
    "[ipam] xml name received:{ Interfaces} interfaces:1",
    "[ipam] processing interface:eth0 IsPrimary:true macAddress:7c1e52f9f3c4 ips:1",
    f"[ipam] Number of IPAddress found in ipsubnet 10.224.0.0/16: {_CAPACITY + 1}",
    f"[ipam] got {_CAPACITY} addresses from interface eth0, subnet 10.224.0.0/16",
    "[ipam] merging address space",
    "[ipam] saving ipam state.",
    "[ipam] Save succeeded.",
)
_SAVED = ("[ipam] saving ipam state.", "[ipam] Save succeeded.")
_ASKED = "[ipam] Requesting address with address: options:map[azure.address.id:%(container)s]."
_FULL = "Failed to allocate address: No available addresses."
_MIDDLE = {
    "ADD": (
        _ASKED,
        "[ipam] Address request completed with address:%(ip)s/16",
        *_SAVED,
        "[cni-ipam] Allocated address %(ip)s/16.",
        "[cni-ipam] ADD command completed with result:&{CNIVersion:1.0.0 Interfaces:[] IPs:[{Interface:<nil> "
        "Address:{IP:%(ip)s Mask:ffff0000} Gateway:10.224.0.1}] Routes:[{Dst:{IP:0.0.0.0 Mask:00000000} GW:10.224.0.1}]"
        " DNS:{Nameservers:[168.63.129.16] Domain: Search:[] Options:[]}} err:<nil>.",
    ),
    "DEL": (
        "[ipam] Releasing address with address:%(ip)s options:map[azure.address.id:%(container)s].",
        "[ipam] Address release completed with address:%(ip)s err:<nil>.",
        *_SAVED,
        "[cni-ipam] DEL command completed with err:<nil>.",
    ),
    "AGAIN": (
        "[ipam] Releasing address with address:%(ip)s options:map[azure.address.id:%(container)s].",
        "Address not found. Not Returning error",
        "[ipam] Address release completed with address:%(ip)s err:<nil>.",
        "[cni-ipam] DEL command completed with err:<nil>.",
    ),
    "FAIL": (
        _ASKED,
        "[ipam] Address request failed with No available addresses",
        f"[azure-vnet-ipam] {_FULL}",
        f"[cni-ipam] ADD command completed with result:<nil> err:{_FULL}",
    ),
}
_TAIL = ("[cni-ipam] Plugin stopped.", "Released process lock")
_FORMS = {verb: (*_HEAD, *middle, *_TAIL) for verb, middle in _MIDDLE.items()}


def text() -> Iterator[str]:
    """Yield azure-vnet-ipam.log: calls of processes that wait for one another, so that their lines interleave."""
    before: list[str] = []
    for number, act in enumerate(acts()):
        lines = _text_call(act)
        if number % 4 == 3:  # this process asked for the lock while the one before it held it
            before.insert(len(before) // 2, lines.pop(0))
        yield "".join(before)
        before = lines


def _text_call(act: Act) -> list[str]:
    stamp, ip = f"{act.at:%Y/%m/%d %H:%M:%S} [{act.pid}] ", _ip(act)
    adds = act.verb in {"ADD", "FAIL"}
    ask = "" if adds else f',"ipAddress":"{ip}"'
    stored = f"{act.at - dt.timedelta(minutes=7):%Y-%m-%d %H:%M:%S}"
    fields = {**act._asdict(), "command": "ADD" if adds else "DEL", "ip": ip, "ask": ask, "stored": stored}
    return [f"{stamp}{line % fields if '%' in line else line}\n" for line in _FORMS[act.verb]]


def json_lines() -> Iterator[str]:
    """Yield azure-vnet.log: the calls of both plugins, with the whole state in each."""
    held: dict[str, str] = {}
    for act in acts():
        stamp = f"{act.at:%Y-%m-%dT%H:%M:%S}.{act.at.microsecond // 1000:03}Z"
        for caller, component, message, keys in _calls(act, held):
            level = "error" if message in {"error", "Address request failed with"} else "info"
            head = {"level": level, "ts": stamp, "caller": caller, "msg": message, "pid": act.pid}
            yield json.dumps({**head, "component": component, **keys}, separators=(",", ":")) + "\n"
        if act.verb in {"ADD", "DEL"}:
            held[_ip(act)] = act.container if act.verb == "ADD" else ""


Call = tuple[str, str, str, dict[str, object]]


def _calls(act: Act, held: dict[str, str]) -> Iterator[Call]:
    args = f"K8S_POD_NAMESPACE={act.namespace};K8S_POD_NAME={act.pod};K8S_POD_UID={act.uid};IgnoreUnknown=1"
    command = {"ContainerId": act.container, "Netns": f"/var/run/netns/cni-{act.uid}", "IfName": "eth0", "Args": args}
    verb = "ADD" if act.verb in {"ADD", "FAIL"} else "DEL"
    yield "network/network.go:188", "cni-net", "Plugin Info", {"name": "azure-vnet", "version": "v1.8.12"}
    yield "network/network.go:471", "cni-net", f"Processing {verb} command", {**command, "StdinData": _NETCONF}
    yield "network/network.go:480", "cni-net", "Read network configuration", {"config": json.loads(_NETCONF)}
    yield "store/json.go:196", "cni-store", "Acquiring process lock", {}
    yield "store/json.go:215", "cni-store", "Acquired process lock with timeout value of", {"timeout": 30}
    yield "ipam/manager.go:157", "ipam", "Restored state", {"am": _state(held)}
    yield "ipam/manager.go:219", "ipam", "Starting source", {"environment": "azure"}
    yield "ipam/manager.go:241", "ipam", "Refreshing address source.", {}
    yield "ipam/azure.go:98", "ipam", "Wireserver call to retrieve IP List", {"queryUrl": _WIRESERVER}
    yield "ipam/azure.go:179", "ipam", "got addresses from interface subnet", _GOT
    yield "ipam/pool.go:164", "ipam", "merging address space", {}
    yield from _SAVES
    yield from _json_middle(act)
    yield "store/json.go:234", "cni-store", "Released process lock", {}


_NETCONF = (
    '{"cniVersion":"0.3.0","name":"azure","type":"azure-vnet","mode":"transparent","ipsToRouteViaHost":'
    '["169.254.20.10"],"ipam":{"type":"azure-vnet-ipam","subnet":"10.224.0.0/16"},"dns":{}}'
)
_WIRESERVER = "http://168.63.129.16/machine/plugins?comp=nmagent&type=getinterfaceinfov1"
_GOT: dict[str, object] = {"addressCount": AT_ONCE, "ifName": "eth0", "subnet": "10.224.0.0/16"}
_SAVES: tuple[Call, ...] = (
    ("ipam/manager.go:173", "ipam", "saving ipam state", {}),
    ("ipam/manager.go:176", "ipam", "Save succeeded", {}),
)


def _json_middle(act: Act) -> Iterator[Call]:
    asked: dict[str, object] = {
        "address": "" if act.verb in {"ADD", "FAIL"} else _ip(act),
        "options": {"azure.address.id": act.container},
    }
    endpoint: dict[str, object] = {"endpointID": f"{act.container[:8]}-eth0"}
    if act.verb == "ADD":
        yield "ipam/pool.go:462", "ipam", "Requesting address with", asked
        yield "ipam/pool.go:517", "ipam", "Address request completed with", {"address": f"{_ip(act)}/16"}
        yield from _SAVES
        yield "network/manager.go:412", "net", "Creating endpoint", {**endpoint, "networkID": "azure"}
        yield "network/endpoint.go:131", "net", "Created endpoint", {"endpoint": {"Id": endpoint["endpointID"]}}
    elif act.verb == "FAIL":
        yield "ipam/pool.go:462", "ipam", "Requesting address with", asked
        yield "ipam/pool.go:499", "ipam", "Address request failed with", {"error": "No available addresses"}
        yield "cni/plugin.go:163", "cni-plugin", "error", {"plugin": "azure-vnet-ipam", "error": _FULL.rstrip(".")}
    else:
        yield "network/manager.go:431", "net", "Deleting endpoint", endpoint
        yield "ipam/pool.go:531", "ipam", "Releasing address with", asked
        if act.verb == "AGAIN":
            yield "ipam/pool.go:549", "ipam", "Address not found. Not Returning error", {}
        yield "ipam/pool.go:560", "ipam", "Address release completed with", {"address": _ip(act)}
        yield from _SAVES


def _state(held: dict[str, str]) -> dict[str, object]:
    addresses = {
        ip: {"ID": held.get(ip, ""), "Addr": ip, "InUse": bool(held.get(ip))}
        for ip in (f"10.224.0.{5 + slot}" for slot in range(AT_ONCE))
    }
    subnet = {"IP": "10.224.0.0", "Mask": "//8AAA=="}
    pool = {"Id": "10.224.0.0/16", "IfName": "eth0", "Subnet": subnet, "Addresses": addresses, "RefCount": 1}
    space = {"Id": "local", "Scope": 0, "Pools": {"10.224.0.0/16": pool}}
    return {"Version": "v1.8.12", "TimeStamp": "2025-03-01T06:42:51.43602Z", "AddressSpaces": {"local": space}}


def _ip(act: Act) -> str:
    return f"10.224.0.{5 + act.slot}"
