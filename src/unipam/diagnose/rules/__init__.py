"""Error messages and what they are a sign of, one module per system that writes them.

A rule has anchors (phrases whose rarest word decides whether it is tried), a pattern with named groups, and the kind of
signal it gives. Rules match the message text only, never a source file, a line number or a log prefix: those change
with every release of the systems that write them.
"""

from __future__ import annotations

from collections.abc import Iterable

from unipam.diagnose.case import Case
from unipam.diagnose.excerpt import Excerpt
from unipam.diagnose.rules import arm, azure, calico, cilium, cns, host_local, nodes, runtime, unexplained
from unipam.diagnose.rules.rule import Rule
from unipam.diagnose.systems import speaks_of_addresses

RULES: tuple[Rule, ...] = (
    *azure.RULES,
    *arm.RULES,
    *host_local.RULES,
    *calico.RULES,
    *cilium.RULES,
    *cns.RULES,
    *runtime.RULES,
    *nodes.RULES,
)
_BY_WORD: dict[bytes, tuple[int, ...]] = {
    word: tuple(index for index, rule in enumerate(RULES) if word in rule.telling_words)
    for word in dict.fromkeys(word for rule in RULES for word in rule.telling_words)
}
WORDS = frozenset(_BY_WORD) | unexplained.WORDS
"""Words, one of which is in every text that a rule can match, or that tells of a failure."""


def may_apply(words: Iterable[bytes]) -> bool:
    """Tell by the words of a text (`words.words_of`), which is cheap, whether any rule may match it."""
    return not WORDS.isdisjoint(words)


def apply(case: Case, excerpt: Excerpt) -> bool:
    """Record every sign that the excerpt holds, and every failure in it that no rule explains.

    Returns whether a rule knew the excerpt. What a program writes that has nothing to do with addresses is no sign.
    """
    if not speaks_of_addresses(excerpt.origin.program):
        return False
    words = excerpt.words
    indexes = {index for word in _BY_WORD.keys() & words for index in _BY_WORD[word]}
    spans = [span for index in sorted(indexes) for span in RULES[index].apply(case, excerpt)]
    if not unexplained.WORDS.isdisjoint(words):
        unexplained.apply(case, excerpt, spans)
    return bool(spans)


def apply_or_say(case: Case, excerpt: Excerpt, text: str) -> bool:
    """Do as `apply` for a line that its writer calls an error: `text` is told when no rule knows it."""
    if apply(case, excerpt):
        return True
    if speaks_of_addresses(excerpt.origin.program):
        unexplained.say(case, excerpt, text)
    return False
