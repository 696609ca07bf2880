"""The real azure-vnet-ipam 1.4.59 in a node's namespace, where `UNIPAM_AZURE_VNET_IPAM` says that there is one."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest
from tests.dialects.azure_vnet.azure import PLUGIN, AzureNode
from tests.real.node import missing

ORIGINAL = os.environ.get("UNIPAM_AZURE_VNET_IPAM", "")
_WHY = (
    "UNIPAM_AZURE_VNET_IPAM names no azure-vnet-ipam 1.4.59"
    if not os.path.exists(ORIGINAL)
    else "network namespaces need root"
    if os.getuid()
    else missing({"iproute2": "ip", "util-linux": "nsenter"})
)
brought = [pytest.mark.real, pytest.mark.brought, pytest.mark.skipif(bool(_WHY), reason=_WHY)]
"""The marks of a test that needs it."""


def original(node: AzureNode, verb: str, container: str, conf: bytes) -> tuple[int, str]:
    """Run the original with /run and /var/log of the node's own (`run` and `log` below its root)."""
    env = {
        "CNI_COMMAND": verb, "CNI_CONTAINERID": container, "CNI_IFNAME": "eth0", "CNI_PATH": str(node.bin_dir),
        "CNI_NETNS": f"/var/run/netns/cni-{container}", "PATH": os.environ["PATH"],
    }  # fmt: skip
    script = 'mount --bind "$1" /run && mount --bind "$2" /var/log && exec "$3"'
    done = subprocess.run(
        ["nsenter", f"--net=/run/netns/{node.name}", "unshare", "--mount", "sh", "-c", script, "sh",
         str(node.root / "run"), str(node.root / "log"), ORIGINAL],
        env=env, input=conf, capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout.decode()


def conf(version: str = "0.3.0", **ipam: Any) -> bytes:
    base = {"cniVersion": version, "name": "azure", "type": "azure-vnet", "mode": "transparent"}
    return json.dumps({**base, "ipam": {"type": PLUGIN, **ipam}}).encode()
