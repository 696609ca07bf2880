"""What a node says in its CiliumNode: what it uses, and whether it gives up what is to be taken (spec cilium §1.7)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from unipam.addr.prefix import format_address
from unipam.dialects.cilium.node import KEPT, MARKED, READY, RELEASED, CiliumNode, section
from unipam.dialects.native.pools import pooled, span_of
from unipam.model import facts
from unipam.model.records import Claim


def answers(node: CiliumNode, held: Collection[int], resting: Collection[int]) -> dict[str, str | None]:
    """Return what the handshake is to say where the node has its say; None for what is to be forgotten.

    | says now           | the address            | answer                                              |
    |--------------------|------------------------|-----------------------------------------------------|
    | marked-for-release | is held                | do-not-release                                      |
    | marked-for-release | is not in the pool     | do-not-release                                      |
    | marked-for-release | cools                  | none yet: whoever gets it next would be mistaken    |
    | marked-for-release | is free                | ready-for-release: from now on nobody is given it   |
    | ready-for-release  | is held                | do-not-release: somebody else has written that      |
    | released           | is not in the pool     | the entry goes                                      |

    """
    pool = pooled(node)
    found: dict[str, str | None] = {}
    for text, state in node.release.items():
        span = span_of(text)
        if span is None:
            continue
        in_use, there = _any(held, *span), span.first in pool
        if state == MARKED and (in_use or not there):
            found[text] = KEPT
        elif state == MARKED and not _any(resting, *span):
            found[text] = READY
        elif state == READY and in_use:
            found[text] = KEPT
        elif state == RELEASED and not there:
            found[text] = None
    return found


def _any(addresses: Collection[int], first: int, last: int) -> bool:
    return any(first <= each <= last for each in addresses)


def used(node: CiliumNode, held: Iterable[Claim]) -> dict[str, dict[str, str]]:
    """Return what `status.ipam.used` is to say of these leases."""
    pool = section(section(section(node.document, "spec"), "ipam"), "pool")
    found = {}
    for claim in held:
        ip = format_address(claim.first)
        resource = str(section(pool, ip).get("resource") or "")
        owner = facts.read_lease(claim.details).pod or str(claim.owner)
        found[ip] = {"owner": owner} | ({"resource": resource} if resource else {})
    return found


def used_patch(node: CiliumNode, wanted: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return the merge patch of `status.ipam.used`, empty where nothing differs."""
    said = section(section(section(node.document, "status"), "ipam"), "used")
    gone = dict.fromkeys(said.keys() - wanted.keys())
    return {**gone, **{ip: dict(entry) for ip, entry in wanted.items() if said.get(ip) != entry}}


def is_older(revision: str, known: str) -> bool:
    """Return whether a document is older than one that is known; revisions that are no numbers tell nothing."""
    return revision.isdigit() and known.isdigit() and int(revision) < int(known)
