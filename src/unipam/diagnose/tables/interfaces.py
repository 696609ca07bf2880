"""What `ip addr` prints of a node's bridges: on a kubenet node cbr0 bears the gateway of the node's range."""

from __future__ import annotations

import re

from unipam.addr.prefix import parse_interface
from unipam.diagnose.case import Case, evidence

_LINK = re.compile(r"^\d+:\s+(?P<name>[^\s:@]+)(?:@\S+)?:\s+<")
_ADDRESS = re.compile(r"^\s+inet6?\s+(?P<cidr>[0-9a-fA-F.:]+/\d+)\s.*\bscope global\b")
_DETAIL = re.compile(r"^\s+(?:link/|inet6? |valid_lft )")
_BRIDGES = frozenset({"cbr0", "cni0"})


def read(case: Case, file: str, lines: list[tuple[int, str]]) -> set[int]:
    """Read whatever of this the lines hold. Returns the numbers of the lines that were understood."""
    known: set[int] = set()
    name = ""
    for number, text in lines:
        if (link := _LINK.match(text)) is not None:
            name = link["name"]
        elif not (name and _DETAIL.match(text)):
            name = ""
            continue
        known.add(number)
        if name in _BRIDGES and (address := _ADDRESS.match(text)) is not None:
            _, network = parse_interface(address["cidr"])
            case.ranges_in_use.append((f"bridge {name}", network, evidence(file, number, text)))
    return known
