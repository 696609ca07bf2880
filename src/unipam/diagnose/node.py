"""What a node keeps that a diagnosis wants: the usual places below a root, and the journal.

The root is that of the node itself, or where a debug container has it mounted (`kubectl debug node` uses /host).
A link that begins with / is followed below the root, as it would be on the node.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from unipam.diagnose.inputs import NOT_SOURCES, expand, never_ends
from unipam.diagnose.systems import gives_addresses

NODE_PLACES = (
    "/etc/cni/net.d",
    "/var/run/azure-vnet.json",
    "/var/run/azure-vnet-ipam.json",
    "/var/run/azure-vnet-ipamv6.json",
    "/var/run/azure-cns/azure-endpoints.json",
    "/var/lib/azure-network/azure-cns.json",
    "/var/lib/cni/networks",
    "/var/log/azure-vnet.log*",
    "/var/log/azure-vnet-ipam.log*",
    "/var/log/azure-vnet-ipamv6.log*",
    "/var/log/azure-vnet-ipam-*.log*",
    "/var/log/azure-vnet-2*.log*",
    "/var/log/azure-ipam.log*",
    "/var/log/azure-cns.log*",
    "/var/log/calico/cni/cni*.log*",
    "/var/log/cilium-cni.log*",
    "/var/log/syslog",
    "/var/log/messages",
    "/var/log/pods/*/*/*.log*",
    "/var/log/containers/*.log",
    "/var/lib/unipam/*/unipam.db",
    "/var/lib/unipam/*/unipam.db-wal",
)
"""Where the systems keep what a diagnosis wants, on a Linux node, with what must be copied beside it."""

UNITS = ("kubelet", "containerd", "docker", "crio", "unipam-agent")
"""The units whose journal tells of pods and their networks."""

_MAX_LINKS = 16


def node_paths(root: str = "/") -> list[Path]:
    """Return the usual places of a node below `root` that exist; of pods' logs, those of what gives addresses."""
    base = Path(root)
    found: list[Path] = []
    for place in NODE_PLACES:
        directory, pattern = _split(place)
        for match in sorted(_inside(base, directory).glob(pattern)):
            path = _followed(base, match)
            if not path.name.endswith(NOT_SOURCES) and path.exists() and not never_ends(path) and _wanted(match):
                found.append(path)
    return expand([str(path) for path in dict.fromkeys(found)]) if found else []


def _split(place: str) -> tuple[list[str], str]:
    """Return the directories before the first pattern, and the rest."""
    parts = list(Path(place).parts[1:])
    first = next((index for index, part in enumerate(parts) if "*" in part), len(parts) - 1)
    return parts[:first], "/".join(parts[first:])


def journal_command(root: str = "/") -> list[str] | None:
    """Return the command that prints the journal of the node's runtime and kubelet, None where there is no journal."""
    base, program = Path(root), shutil.which("journalctl")
    kept = [base / place for place in ("var/log/journal", "run/log/journal") if (base / place).is_dir()]
    if program is None or not kept:
        return None
    units = [word for unit in UNITS for word in ("-u", unit)]
    return [program, "--no-pager", "-q", "-o", "short-iso", "--directory", str(kept[0]), *units]


def _inside(base: Path, directories: list[str]) -> Path:
    """Return a directory below the base, its links followed below the base too."""
    path = base
    for name in directories:
        path = _followed(base, path / name)
    return path


def _followed(base: Path, path: Path) -> Path:
    """Return where a path leads when its link, if it is one, is read as the node would read it."""
    for _ in range(_MAX_LINKS):
        if not path.is_symlink():
            break
        target = os.readlink(path)
        path = base / target.lstrip("/") if target.startswith("/") else path.parent / target
    return path


def _wanted(path: Path) -> bool:
    """Return whether a log of a pod is one of a program that gives addresses; every other place is wanted anyway."""
    parts = path.parts
    if "pods" in parts[:-3]:
        pod, container = parts[-3].split("_"), parts[-2]
        return gives_addresses(container) or gives_addresses(pod[1] if len(pod) > 1 else pod[0])
    if path.parent.name == "containers":
        return gives_addresses(path.name)
    return True
