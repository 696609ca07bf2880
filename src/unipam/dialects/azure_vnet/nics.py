"""The network interfaces of this machine, by hardware address; asked of the kernel, in the process's own namespace."""

from __future__ import annotations

import fcntl
import socket
import struct

_SIOCGIFHWADDR = 0x8927
_REQUEST = struct.Struct("16s24x")


def local() -> tuple[tuple[str, str], ...]:
    """Return the name and hardware address (lower case, no colons) of every interface, in the kernel's order."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        return tuple((name, _address(asking, name)) for _, name in socket.if_nameindex())


def _address(asking: socket.socket, name: str) -> str:
    try:
        answer = fcntl.ioctl(asking, _SIOCGIFHWADDR, _REQUEST.pack(name.encode()))
    except OSError:  # gone since it was listed
        return ""
    return answer[18:24].hex()


def normal(mac: str) -> str:
    """Return a hardware address as `local` writes it."""
    return mac.replace(":", "").lower()
