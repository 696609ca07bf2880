"""What a refusal of the Resource Manager means for whoever asked: try when, or never as it is.

Sources: the ARM fixtures' README ("Error bodies", "ARM rate limits"), spec kubenet §4 and §5, spec cilium §5.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, NamedTuple

from unipam.clients.azure.pace import BUSY
from unipam.model.errors import SourceFailed


class Kind(Enum):
    """What to do about a refusal."""

    PERMANENT = "permanent"
    """The same request will be refused again until somebody changes something."""
    BUSY = "another operation in progress"
    """The resource, or one that it needs, is being changed: wait for that."""
    THROTTLED = "throttled"
    """Too many requests: nobody may ask before the time that was said."""
    CHANGED = "changed meanwhile"
    """The resource is not as it was read: read it again."""
    PASSING = "passing"
    """A fault on the way or within the service; a write may have been made."""


class Verdict(NamedTuple):
    """`wait` is in seconds, 0 where nothing was said; `operation` is the link of the one that is in the way."""

    kind: Kind
    code: str
    message: str
    wait: float = 0.0
    operation: str = ""

    @property
    def permanent(self) -> bool:
        """Return whether asking again as it is cannot help."""
        return self.kind is Kind.PERMANENT


_LASTING = frozenset(
    {
        "scopelocked",
        "propertychangenotallowed",
        "resourcegroupbeingdeleted",
        "missingsubscriptionregistration",
        "subscriptionnotregistered",
        "disabledsubscription",
        "readonlydisabledsubscription",
    }
)
"""Conflicts (409) that no operation ends, but a person."""
_QUOTA = ("quota", "limit")
_SECONDS = re.compile(r"(?:retried|retry|again) (?:in|after) (\d+) seconds?", re.IGNORECASE)
_LINK = re.compile(r"https://\S+/operations/[^\s\"']+")


def judge(error: SourceFailed) -> Verdict:
    """Return what a failed request means."""
    facts = error.facts
    status, code = int(_number(facts.get("status"))), str(facts.get("code", ""))
    kind = _kind(status, code.lower(), error.message.lower())
    return Verdict(kind, code or (str(status) if status else ""), error.message, _wait(error), _operation(error, kind))


def _kind(status: int, code: str, message: str) -> Kind:
    if status == 412:
        return Kind.CHANGED
    if status in {408, 500, 502, 503, 504} or (not status and not code):
        return Kind.PASSING
    if code in BUSY and status in {0, 400, 409, 429}:
        return Kind.BUSY
    if status == 429:
        return Kind.THROTTLED
    if status == 409 and code not in _LASTING and not any(word in message for word in _QUOTA):
        return Kind.BUSY
    if code in {"canceled", "operationtimeout", "internalservererror"}:
        return Kind.PASSING
    return Kind.PERMANENT


def _wait(error: SourceFailed) -> float:
    said = _SECONDS.search(error.message)
    return max(_number(error.facts.get("retry_after")), float(said[1]) if said else 0.0)


def _operation(error: SourceFailed, kind: Kind) -> str:
    found = _LINK.search(error.message) if kind is Kind.BUSY else None
    return found[0].rstrip(".,;)") if found else ""


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
