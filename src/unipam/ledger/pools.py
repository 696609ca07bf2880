"""What a ledger knows of its pools: how a configuration described them last, and how full they are."""

from __future__ import annotations

import msgspec

from unipam.addr.prefix import format_address as text
from unipam.addr.prefix import parse_address
from unipam.model.records import Pool, PoolRange


def describe(pools: tuple[Pool, ...]) -> str:
    """Return the pools as JSON, for the ledger's note."""
    return msgspec.json.encode([[_range(r) for r in pool.ranges] for pool in pools]).decode()


def _range(span: PoolRange) -> dict[str, object]:
    gateway = {} if span.gateway is None else {"gateway": text(span.gateway)}
    return {"first": text(span.first), "last": text(span.last), "length": span.length, **gateway}


def recall(note: str) -> tuple[Pool, ...]:
    """Return the pools that a note describes."""
    return tuple(
        Pool(number, tuple(_recall_range(span) for span in ranges))
        for number, ranges in enumerate(msgspec.json.decode(note) if note else [])
    )


def _recall_range(span: dict[str, str]) -> PoolRange:
    gateway = parse_address(span["gateway"]) if "gateway" in span else None
    return PoolRange(parse_address(span["first"]), parse_address(span["last"]), int(span["length"]), gateway)
