"""IPReservation: CIDRs that nobody is given unasked (spec §1.11)."""

from __future__ import annotations

from typing import Any

from unipam.addr.prefix import Prefix, parse_interface
from unipam.dialects.calico.documents.fields import field


def read(document: dict[str, Any]) -> tuple[list[Prefix], list[str]]:
    """Return the CIDRs of a reservation, and those of its entries that are none. Spaces around them do not matter.

    A plain address is one CIDR, and host bits are ignored, as the original reads them. Raises Unreadable.
    """
    about = field(document, "metadata", dict, {}, "a reservation")
    of = f"reservation {field(about, 'name', str, '', 'a reservation')}"
    entries = field(field(document, "spec", dict, {}, of), "reservedCIDRs", list, [], of)
    good, bad = [], []
    for entry in entries:
        try:
            good.append(_cidr(str(entry).strip()))
        except ValueError:
            bad.append(str(entry))
    return good, bad


def _cidr(text: str) -> Prefix:
    if "/" not in text:
        text += "/128" if ":" in text else "/32"
    return parse_interface(text)[1]
