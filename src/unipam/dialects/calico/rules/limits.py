"""How many blocks a host may have (spec §1.7, step 5)."""

from __future__ import annotations

DEFAULT = 20
"""What holds where nobody says anything; no limit at all cannot be had."""


def effective(configured: int, requested: int) -> int:
    """Return the smaller limit of the cluster's and the request's; 0 means that none is given."""
    given = [limit for limit in (configured, requested) if limit > 0]
    return min(given, default=DEFAULT)


def reached(limit: int) -> str:
    """Say what a request is told that would need a block more."""
    return f"Need to allocate an IPAM block but could not - limit of {limit} blocks reached for this node"
