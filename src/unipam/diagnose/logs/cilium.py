"""The Cilium agent and operator: which IPAM mode runs, which ranges it has, and what the operator fills up."""

from __future__ import annotations

import re

from unipam.diagnose import variants
from unipam.diagnose.case import Case
from unipam.diagnose.excerpt import Excerpt
from unipam.diagnose.logs.envelope import Written

WORDS = frozenset(b"subsys module clusterpool deficit deficits neededips".split())
PHRASES = ("Initializing IPAM", "--ipam=", "Starting ClusterPool", "eficit", "needed")
"""Texts, one of which is in every message that is read here."""

_MODE = re.compile(r"(?:Initializing IPAM\"?.*?mode=\"?|--ipam=['\"]?)([a-z-]+)")
_CLUSTER_POOL = re.compile(r"Starting ClusterPool IP allocator.*?ipv4CIDRs=\"?\[([^\]]*)\].*?ipv6CIDRs=\"?\[([^\]]*)\]")
_FIELD = re.compile(r"(\w[\w.-]*)=(\"[^\"]*\"|\S+)")
_WIDE = re.compile(r"/(?:[0-9]|1[0-1])$")


class CiliumLog:
    """Reads Cilium's messages, whatever envelope they came in."""

    words, phrases = WORDS, PHRASES

    def __init__(self, case: Case) -> None:
        self._case = case

    def read(self, written: Written, text: str, excerpt: Excerpt) -> bool:
        """Read a message. Tells whether it is one that is known."""
        if match := _MODE.search(text):
            variants.cilium_mode(self._case, match[1], excerpt.where())
        elif match := _CLUSTER_POOL.search(text):
            self._cluster_pool(match[1], match[2], excerpt)
        elif "eficit" in text or "needed" in text:
            return self._deficit(written, text, excerpt)
        else:
            return False
        return True

    def _cluster_pool(self, ipv4: str, ipv6: str, excerpt: Excerpt) -> None:
        ranges = ", ".join(part for part in (ipv4, ipv6) if part)
        wide = any(_WIDE.search(cidr) for cidr in ipv4.replace(",", " ").split())
        check = (
            " A range this wide may overlap the VNet or the service range: compare before blaming allocation."
            if wide
            else ""
        )
        self._case.fact(
            "cilium-ranges",
            f"Cilium hands out node ranges from {ranges} ({'no IPv6' if not ipv6 else 'dual stack'}).{check}",
            excerpt.where(),
        )

    def _deficit(self, written: Written, text: str, excerpt: Excerpt) -> bool:
        fields = {name: value.strip('"') for name, value in _FIELD.findall(text)}
        needed = next(
            (
                fields[name]
                for name in ("neededIPs", "needed", "neededIPCount", "toAlloc")
                if fields.get(name, "").isdigit()
            ),
            None,
        )
        if needed is None:
            return False
        node = (
            fields.get("name") or fields.get("nodeName") or fields.get("node") or fields.get("instanceID") or "a node"
        )
        counts = {
            name: fields[name]
            for name in ("available", "used", "availableForAllocation", "selectedInterface", "subnetID")
            if name in fields
        }
        shown = ", ".join(f"{name} {value}" for name, value in counts.items())
        self._case.fact(
            "cilium-needs",
            f"Cilium operator: {node} needs {needed} address(es){f' ({shown})' if shown else ''}.",
            excerpt.where(),
        )
        if int(needed) > 0:
            self._case.signal(
                "cilium-deficit", node, excerpt.where(), at=written.at, values={"needed": int(needed)}, nodes=[node]
            )
        return True
