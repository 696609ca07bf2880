"""Error messages and what they are a sign of, one module per system that writes them.

A rule has anchors (phrases whose rarest word decides whether it is tried), a pattern with named groups, and the kind of
signal it gives. Rules match the message text only, never a source file, a line number or a log prefix: those change
with every release of the systems that write them.
"""

from __future__ import annotations

from collections.abc import Iterable

from unipam.diagnose.case import Case
from unipam.diagnose.passage import Passage
from unipam.diagnose.rules import azure, calico, cilium, cns, host_local, runtime
from unipam.diagnose.rules.rule import Rule

RULES: tuple[Rule, ...] = (
    *azure.RULES,
    *host_local.RULES,
    *calico.RULES,
    *cilium.RULES,
    *cns.RULES,
    *runtime.RULES,
)
_BY_WORD: dict[bytes, tuple[int, ...]] = {
    word: tuple(index for index, rule in enumerate(RULES) if word in rule.telling_words)
    for word in dict.fromkeys(word for rule in RULES for word in rule.telling_words)
}


def may_apply(words: Iterable[bytes]) -> bool:
    """A cheap look at the words of a text (``words.words_of``): False when no rule can match it."""
    return not _BY_WORD.keys().isdisjoint(words)


def apply(case: Case, passage: Passage) -> bool:
    """Record every sign that the passage holds. Tells whether there was any."""
    indexes = {index for word in _BY_WORD.keys() & passage.words for index in _BY_WORD[word]}
    found = False
    for index in sorted(indexes):
        found = RULES[index].apply(case, passage) or found
    return found
