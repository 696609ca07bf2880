"""BlockAffinity: an owner's claim on a block, and how far it has got (spec §1.5)."""

from __future__ import annotations

from typing import Any

import msgspec

from unipam.dialects.calico.documents.fields import broken, field, rest

CONFIRMED, PENDING, PENDING_DELETION = "confirmed", "pending", "pendingDeletion"
_STATES = frozenset(("", CONFIRMED, PENDING, PENDING_DELETION))


class Affinity(msgspec.Struct):
    """The state of a claim; old data has none, which means confirmed. Routes follow confirmed ones only."""

    state: str
    deleted: bool = False
    rest: dict[str, Any] = {}

    @property
    def confirmed(self) -> bool:
        """Whether the block belongs to the owner."""
        return self.state in {CONFIRMED, ""}

    def document(self) -> dict[str, Any]:
        """Return the affinity as it is stored."""
        return {"state": self.state, "deleted": self.deleted, **self.rest}


def read(document: dict[str, Any], of: str) -> Affinity:
    """Read the affinity in a document, called `of` in errors. Raises Unreadable."""
    state = field(document, "state", str, "", of)
    if state not in _STATES:
        raise broken(of, f"its state is {state!r}, which is none of confirmed, pending and pendingDeletion", "state")
    return Affinity(state, field(document, "deleted", bool, False, of), rest(document, frozenset(("state", "deleted"))))
