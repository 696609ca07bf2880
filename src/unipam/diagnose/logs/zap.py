"""A line of Azure's JSON logs: its keys, and who writes which components and messages (spec azure-vnet-ipam §3.3)."""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from unipam.diagnose import stamps

_KEYS = {
    "container": "ContainerId",
    "args": "Args",
    "netconf": "StdinData",
    "count": "addressCount",
    "interface": "ifName",
    "endpoint": "endpointID",
}


class ZapLine(msgspec.Struct, rename=_KEYS):
    """The keys that matter; everything else is skipped unread. Objects stay raw until they are wanted."""

    msg: str
    ts: str = ""
    level: str = ""
    component: str = ""
    pid: int | str = ""
    error: msgspec.Raw = msgspec.Raw(b"")
    address: msgspec.Raw = msgspec.Raw(b"")
    options: msgspec.Raw = msgspec.Raw(b"")
    am: msgspec.Raw = msgspec.Raw(b"")
    result: msgspec.Raw = msgspec.Raw(b"")
    container: str = ""
    args: str = ""
    netconf: msgspec.Raw = msgspec.Raw(b"")
    version: msgspec.Raw = msgspec.Raw(b"")
    name: msgspec.Raw = msgspec.Raw(b"")
    subnet: msgspec.Raw = msgspec.Raw(b"")
    count: msgspec.Raw = msgspec.Raw(b"")
    interface: msgspec.Raw = msgspec.Raw(b"")
    endpoint: msgspec.Raw = msgspec.Raw(b"")


COMPONENTS = frozenset({"ipam", "cni-ipam", "cni-store", "cni-plugin"})
FAMILY = COMPONENTS | {
    "cni",
    "net",
    "cni-net",
    "azure-vnet",
    "network",
    "cni-network",
    "azure-ipam",
    "telemetry",
    "platform",
}
"""What azure-vnet, azure-vnet-ipam and azure-ipam name as the component of a line."""

CNS_COMPONENTS = ("cns", "ipam-pool", "node-network-config", "nnc", "restserver", "azure-cns")
ERRORS = frozenset({"error", "fatal", "panic", "dpanic"})
STEPS = frozenset(
    {
        "Running on",
        "Releasing address",
        "Save succeeded",
        "Plugin started",
        "Plugin stopped",
        "Read network configuration",
        "Allocated address with subnet",
        "Allocated address",
        "Releasing pool",
        "Starting source",
        "Refreshing address source.",
        "Wireserver call to retrieve IP List",
        "merging address space",
        "saving ipam state",
        "Requesting pool with",
        "Checking pool",
        "Pool is in use",
        "Pool is of a different address family",
        "Pool is not on the requested interface",
        "Pool matches requirements",
        "Pool is preferred because of priority",
        "Pool is preferred because of capacity",
        "Pool request completed with pool",
        "Pool request completed with",
        "Skip releasing pool with due to address being in use",
        "Releasing pool as there are no allocations",
        "Deleting Address record from address pool as metadata doesn't have this address",
        "Unable to read empty file",
        "http return error code for wireserver call",
        "wireserver call failed",
        "Failed to find interface with",
        "Failed to parse subnet",
        "Failed to create pool",
        "Failed to create",
        "Failed to start source",
    }
)


@functools.lru_cache(maxsize=8)
def time_of(text: str) -> float | None:
    """Return the time of a line; neighbours often share it."""
    stamp = stamps.rfc3339(text.encode())
    return stamp[0] if stamp else None


def plain(raw: msgspec.Raw) -> Any:
    """Return a value as plain Python, "" where there is none."""
    return msgspec.json.decode(raw) if raw else ""


@functools.lru_cache(maxsize=64)
def configuration(raw: bytes) -> dict[str, Any]:
    """Return the network configuration of a call, most of which have the same. It is not to be changed."""
    value = msgspec.json.decode(raw) if raw else ""
    try:
        value = msgspec.json.decode(value) if isinstance(value, str) and value else value
    except msgspec.DecodeError:
        return {}
    return value if isinstance(value, dict) else {}
