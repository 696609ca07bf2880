"""Which addresses are in use on this machine: those that any process has in its network namespace.

The kernel shows them under /proc/PID/net (proc(5)), also to those who may not trace the process.
"""

from __future__ import annotations

import os
import re

from unipam.addr.prefix import parse_address

_LOCAL = re.compile(r"\|-- (\S+)\n +/32 host LOCAL")


def addresses() -> frozenset[int]:
    """Return all of them, IPv4 and IPv6; of a process that has just ended, none."""
    one_of_each = {_namespace(process): process for process in os.listdir("/proc") if process.isdecimal()}
    return frozenset(address for process in one_of_each.values() for address in (*_v4(process), *_v6(process)))


def _namespace(process: str) -> int:
    """Return a number that only processes of one network namespace have in common."""
    try:
        return os.stat(f"/proc/{process}/net/dev").st_ino
    except OSError:
        return 0


def _v4(process: str) -> list[int]:
    return [parse_address(text) for text in set(_LOCAL.findall(_read(process, "fib_trie")))]


def _v6(process: str) -> list[int]:
    return [int(line[:32], 16) for line in _read(process, "if_inet6").splitlines()]


def _read(process: str, name: str) -> str:
    try:
        with open(f"/proc/{process}/net/{name}", encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""
