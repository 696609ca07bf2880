"""Which rules might speak of the lines of a shape, though they do not of the one that was judged."""

from __future__ import annotations

import re
from collections.abc import Iterable

from unipam.diagnose import rules
from unipam.diagnose.rules import unexplained

PHRASES = tuple(anchor for rule in rules.RULES for anchor in rule.anchors)
"""Texts, one of which is in every text that a rule can match."""

_SOURCE_LINE = re.compile(r"(?<=\.go[ :])\d+(?=[:\]])")
"""Where a message stands in its program's source: 429 is no status there."""

_FAILURE = re.compile(r"fail|error|could not|message", re.IGNORECASE)


def suspects(text: str, words: Iterable[bytes]) -> tuple[re.Pattern[str], ...] | None:
    """Return what rules look for that have a phrase in the text; None when each such line must be looked at in full."""
    if not unexplained.WORDS.isdisjoint(words) and _FAILURE.search(text):
        return None
    said = _SOURCE_LINE.sub("", text)
    patterns = tuple(rule.pattern for rule in rules.RULES if any(anchor in said for anchor in rule.anchors))
    return None if any(pattern.search(text) for pattern in patterns) else patterns
