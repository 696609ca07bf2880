"""Three nodes as they are found at night, made up to the byte: what each of their programs would have left behind."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

NODE = "aks-np-1"


def container(number: int) -> str:
    """An id that looks like one: its first twelve letters tell it from the others."""
    return f"{number * 2654435761 % 2**32:08x}{number:056x}"


def leaks(directory: Path) -> None:
    """azure-vnet-ipam: 30 addresses, 18 of live pods and 12 leaked; 12 pods refused, three times each."""
    records = {
        f"10.224.0.{5 + n}": {"ID": container(n + 1), "Addr": f"10.224.0.{5 + n}", "InUse": True} for n in range(30)
    }
    pool = {
        "Id": "10.224.0.0/16",
        "IfName": "eth0",
        "Subnet": {"IP": "10.224.0.0", "Mask": "//8AAA=="},
        "Addresses": records,
    }
    state = {"IPAM": {"Version": "v1.4.59", "AddressSpaces": {"local": {"Pools": {"10.224.0.0/16": pool}}}}}
    (directory / "azure-vnet-ipam.json").write_text(json.dumps(state, indent=1))
    head = "POD ID              CREATED       STATE   NAME     NAMESPACE   ATTEMPT   RUNTIME\n"
    rows = [
        f"{container(n + 1)[:13]}       2 days ago    Ready   web-{n + 1}    shop        0         (default)"
        for n in range(18)
    ]
    (directory / "crictl-pods.txt").write_text(head + "\n".join(rows) + "\n")
    text = "Failed to allocate pool: Failed to delegate: Failed to allocate address: No available addresses"
    _refusals(directory / "syslog", "azure-vnet", text, [f"shop/cart-{n % 12}" for n in range(36)], 3)
    lines = [line for n in range(36) for line in _refused_call(n)]
    (directory / "azure-vnet-ipam.log").write_text("\n".join(lines) + "\n")


def _refused_call(n: int) -> list[str]:
    at = dt.datetime(2025, 3, 1, 3, 0, 2) + dt.timedelta(seconds=117 * n)
    stamp = f"{at:%Y/%m/%d %H:%M:%S} [{9000 + 3 * n}] "
    return [
        stamp + line
        for line in (
            "Acquiring process lock",
            "Acquired process lock with timeout value of 10s ",
            f"[cni-ipam] Processing ADD command with args {{ContainerID:{container(1000 + n)} "
            f"Netns:/var/run/netns/cni-1 IfName:eth0 "
            f'Args:K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-{n % 12} Path:/opt/cni/bin StdinData:{{"type":"azure-vnet",'
            '"mode":"transparent","ipam":{"type":"azure-vnet-ipam","subnet":"10.224.0.0/16"}}}.',
            "[ipam] got 30 addresses from interface eth0, subnet 10.224.0.0/16",
            f"[ipam] Requesting address with address: options:map[azure.address.id:{container(1000 + n)}].",
            "[ipam] Address request failed with No available addresses",
            "[azure-vnet-ipam] Failed to allocate address: No available addresses.",
            "Released process lock",
        )
    ]


def _refusals(path: Path, plugin: str, text: str, pods: list[str], hour: int, *before: str) -> None:
    """Kubelet's lines about pods that got no network, a minute or two apart."""
    lines = []
    for n, pod in enumerate(pods):
        at = dt.datetime(2025, 3, 1, hour, 0, 2) + dt.timedelta(seconds=117 * n)
        stamp, klog = f"{at:%b} {at.day:2} {at:%H:%M:%S} {NODE} kubelet[2775]: ", f"{at:%m%d %H:%M:%S}.668339    2775"
        lines += [f"{stamp}I{klog} {line}" for line in before]
        lines.append(
            f'{stamp}E{klog} pod_workers.go:1298] "Error syncing pod, skipping" err="failed to '
            f'\\"CreatePodSandbox\\": rpc error: '
            f'code = Unknown desc = failed to setup network for sandbox \\"{container(1000 + n)}\\": plugin '
            f'type=\\"{plugin}\\" '
            f'failed (add): {text}" pod="{pod}"'
        )
    path.write_text("\n".join(lines) + "\n")


def full(directory: Path) -> None:
    """kubenet: all 253 addresses of the /24 reserved, 41 sandboxes alive; 7 pods refused, again and again."""
    network = directory / "networks" / "kubenet"
    network.mkdir(parents=True)
    (network / "lock").touch()
    for n in range(253):
        (network / f"10.244.3.{2 + n}").write_text(f"{container(n + 1)}\r\neth0", newline="")
    (directory / "crictl-pods-q.txt").write_text("".join(f"{container(n + 1)}\n" for n in range(41)))
    text = "failed to allocate for range 0: no IP addresses available in range set: 10.244.3.1-10.244.3.254"
    _refusals(directory / "syslog", "bridge", text, [f"batch/worker-{n % 7}" for n in range(40)], 2)


def down(directory: Path) -> None:
    """Azure CNI Overlay: the azure-cns pod crashes over and over; 9 pods refused."""
    text = (
        "IPAM Invoker Add failed with error: Failed to get IP address from CNS: http request failed: Post "
        '\\"http://localhost:10090/network/requestipconfigs\\": dial tcp 127.0.0.1:10090: connect: connection refused'
    )
    probe = (
        'prober.go:107] "Probe failed" probeType="Readiness" pod="kube-system/azure-cns-x7k2p" output="Readiness '
        "probe failed: Get "
        '\\"http://10.224.0.8:10092/readyz\\": dial tcp 10.224.0.8:10092: connect: connection refused"'
    )
    _refusals(directory / "syslog", "azure-vnet", text, [f"front/api-{n % 9}" for n in range(60)], 1, probe)
    (directory / "nnc.txt").write_text(
        "NAME       REQUESTED IPS   ALLOCATED IPS   SUBNET   SUBNET CIDR   NC ID   NC MODE   NC TYPE   NC VERSION\n"
        f"{NODE}   0               256                                  9c6a    static    overlay   0\n"
    )
    (directory / "pods.txt").write_text(
        "NAMESPACE     NAME              READY   STATUS             RESTARTS      AGE   IP            NODE\n"
        f"kube-system   azure-cns-x7k2p   0/1     CrashLoopBackOff   17 (2m ago)   40d   10.224.0.8    {NODE}\n"
        f"front         api-11            1/1     Running            0             4d    192.168.5.9   {NODE}\n"
    )


NIGHTS: dict[str, Callable[[Path], None]] = {"leaks": leaks, "full": full, "down": down}
