"""Serving who asks of a full pool: what is surely gone is freed first, and a refusal is told and kept.

What that takes is in `shortage`, and is imported when a pool is full: it is more than an ADD that is served needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from unipam.ledger.change import Inherit
from unipam.ledger.ledger import Ledger
from unipam.model.errors import Exhausted
from unipam.model.records import Request

T = TypeVar("T")


def attempt(
    ledger: Ledger, space: str, work: Callable[[], T], inherit: Inherit, require_waiting: Callable[[str], None]
) -> T:
    """Do the work; where the pool is full, free what is surely gone, and do it again.

    Raises what `work` raises, and what `require_waiting` raises where the caller may not wait for this.
    """
    try:
        return work()
    except Exhausted as error:
        if not error.facts["ranges"]:  # a pool without addresses
            raise
        require_waiting(f"the pool of {space} is full: what is gone is looked for")
    from unipam.ledger import shortage

    return shortage.relieve(ledger, space, work, inherit)


def refuse(
    ledger: Ledger, space: str, request: Request, error: Exhausted, *, pools: str = "", explain: str = ""
) -> None:
    """Write down that nothing was left for a request; `pools` describes where.

    With `explain`, the command that says more, the error tells how full the pool is.
    """
    from unipam.ledger import shortage

    if explain:
        filling = shortage.filling(ledger, space, request.pools[int(str(error.facts["pool"]))])
        error.facts["details"] = f"{filling}: {explain}"
    shortage.record(ledger, space, request, error, pools)
