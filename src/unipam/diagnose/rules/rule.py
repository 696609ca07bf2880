"""What a rule is, and how it is applied. The rules themselves stand with the systems that write the messages."""

from __future__ import annotations

import re

from unipam.diagnose.case import Case
from unipam.diagnose.passage import Passage
from unipam.diagnose.words import telling_word

_FIELDS_THAT_NAME = {
    "address": "addresses",
    "node": "nodes",
    "container": "containers",
    "pod": "pods",
    "subnet": "subnets",
    "reason": "reasons",
}


class Rule:
    """*pattern* is a sign of *kind*. *subject* is a format over the named groups.

    *anchors* are phrases, at least one of which is in every text that the pattern can match; the telling word of one of
    them must be in a line for the rule to be tried at all, so whole words, and rare ones, serve best.
    *unless* is a pattern that, when it is found in the same passage, takes the rule's meaning away.
    """

    def __init__(self, kind: str, pattern: str, *anchors: str, subject: str = "", unless: str = "") -> None:
        self.kind = kind
        self.pattern = re.compile(pattern)
        self.anchors = anchors
        self.telling_words = frozenset(telling_word(anchor) for anchor in anchors)
        self.subject = subject
        self.unless = re.compile(unless) if unless else None

    def apply(self, case: Case, passage: Passage) -> bool:
        """Record a signal for every match in the passage. Tells whether there was one."""
        if not any(anchor in passage.text for anchor in self.anchors):
            return False
        if self.unless is not None and self.unless.search(passage.text):
            return False
        told: set[str] = set()
        for match in self.pattern.finditer(passage.text):
            self._signal(case, passage, match, told)
        return bool(told)

    def _signal(self, case: Case, passage: Passage, match: re.Match[str], told: set[str]) -> None:
        fields = {name: value.strip() for name, value in match.groupdict().items() if value}
        named = {sort: [fields[name]] for name, sort in _FIELDS_THAT_NAME.items() if name in fields}
        named.setdefault("containers", passage.containers())
        named.setdefault("pods", passage.pods)
        subject = self.subject.format_map(_Blank(fields))
        case.signal(
            self.kind,
            subject,
            passage.where(match.start()),
            at=passage.at,
            times=0 if subject in told else passage.times,  # one message often says the same thing twice
            values={name: _number(value) for name, value in fields.items()},
            plugins=passage.plugins(),
            **named,
        )
        told.add(subject)


class _Blank(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""


def _number(value: str) -> str | int:
    return int(value) if value.isdigit() and len(value) < 16 else value
