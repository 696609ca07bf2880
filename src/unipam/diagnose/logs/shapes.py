"""Lines of one shape: the same words, with other numbers, ids and names between them.

Most lines of a log are of a few dozen shapes. Their reader judges the first lines of a shape in full and says here what
became of them; those that follow are known by one match of a pattern.

Why that is safe: rules and readers answer to whole words (`words`), and a line of a shape has the words of the line
that was judged, except those of its ids and names. Ids are of letters of which no word that matters is made, and the
few numbers that matter are left out; names are looked into when they are first seen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from unipam.diagnose.words import words_of

HEAD = 24
"""How many bytes of its message tell which shapes a line may have."""

ENOUGH = 4
"""A shape is made for every so many lines of one head that had none: making one costs as much as judging two."""

MAX_SHAPES = 512
MAX_OF_A_HEAD = 12
MAX_LENGTH = 2_000
"""A longer line has no shape."""

_TRIES = 8
"""So often in a row lines of a head may be refused a shape before they are left alone."""

_MAX_HEADS = 4_096
_MAX_NAMES = 5_000
_DATE_AND_TIME, _TIME_OF_DAY = rb"\d{4}-\d\d-\d\dT[0-9:.+-]++Z?", rb"\d\d:\d\d:\d\d(?:\.\d++)?"
_TOKEN = re.compile(
    rb"(?<![A-Za-z0-9])(?:%s|[a-z0-9][a-z0-9._/:@+-]*+(?![A-Z]))|(?<=\b[IWEF])\d{4}(?= \d\d:)" % _DATE_AND_TIME
)
_TIMES = [(re.compile(pattern), pattern) for pattern in (_DATE_AND_TIME, _TIME_OF_DAY)]
_LONG_ID = re.compile(rb"[0-9a-f]{16,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_IS_ID = re.compile(rb"(?=.*\d)[0-9a-f._/:@+-]+")
_IS_NAME = re.compile(rb"[a-z0-9._/:@+-]*[0-9/-][a-z0-9._/:@+-]*")
_OF_IDS = re.compile(rb"[0-9a-f]+")
_ANY_NUMBER, _ANY_ID, _ANY_NAME = rb"[0-9]++", rb"[0-9a-f]++", rb"([a-z0-9._/:@+-]++)"

Verdict = TypeVar("Verdict")
Match = Callable[[bytes], "re.Match[bytes] | None"]


class Shapes(Generic[Verdict]):
    """The shapes of one log, and what becomes of their lines."""

    def __init__(self, words: frozenset[bytes], phrases: Iterable[str]) -> None:
        """Take the `words` that matter, and the `phrases` that readers of the log look for, which hold such a word."""
        joined = (token for phrase in phrases for token in _TOKEN.findall(phrase.encode()) if _IS_NAME.fullmatch(token))
        self._telling = words.union(*map(words_of, joined))
        marks = [word for word in self._telling if _OF_IDS.fullmatch(word)]
        self._no_mark = rb"(?!(?:%s)(?![0-9A-Za-z]))" % b"|".join(marks) if marks else b""
        self._missed: Counter[bytes] = Counter()
        self._count = 0
        self.by_head: dict[bytes, list[tuple[Match, Verdict]]] = {}
        """The shapes that lines of a head may have: what matches them, and what becomes of them.

        The names that a match catches must be known (`knows`).
        """
        self._harmless: set[bytes] = set()

    def is_due(self, head: bytes) -> bool:
        """Count a line of this head that had no shape. Tells whether it is time to make one."""
        full = self._count >= MAX_SHAPES or len(self.by_head.get(head, ())) >= MAX_OF_A_HEAD
        if full or len(self._missed) >= _MAX_HEADS:
            return False
        self._missed[head] += 1
        return self._missed[head] % ENOUGH == 0 and self._missed[head] <= _TRIES * ENOUGH

    def learn(self, head: bytes, line: bytes, kept: tuple[int, int], verdict: Verdict) -> None:
        """Remember what became of a line. What stands from one place to another (`kept`) is a part of its shape."""
        if len(line) > MAX_LENGTH:
            return
        pattern = re.compile(self._shape_of(line, *kept), re.DOTALL)
        self.by_head.setdefault(head, []).append((pattern.fullmatch, verdict))
        self._count += 1
        del self._missed[head]

    def knows(self, names: tuple[bytes, ...]) -> bool:
        """Return whether no word of these names matters."""
        if self._harmless.issuperset(names):
            return True
        if not self._telling.isdisjoint(words_of(b" ".join(names))):
            return False
        if len(self._harmless) > _MAX_NAMES:
            self._harmless.clear()
        self._harmless.update(names)
        return True

    def _shape_of(self, line: bytes, begin: int, end: int) -> bytes:
        """Return the pattern of a line: ids and names may vary, and names are caught.

        A name that matters must be the same.
        """
        parts, at = [], 0
        for token in _TOKEN.finditer(line):
            piece = self._piece(token[0])
            if piece and not begin <= token.start() < end:
                parts += [re.escape(line[at : token.start()]), piece]
                at = token.end()
        return b"".join([*parts, re.escape(line[at:])])

    def _piece(self, token: bytes) -> bytes:
        """Return what stands for a token in a shape, b"" for one that stands for itself."""
        for time, pattern in _TIMES:
            if time.fullmatch(token):
                return pattern
        if not self._telling.isdisjoint(words_of(token)):
            return b""
        if _IS_ID.fullmatch(token) and not _LONG_ID.search(token):
            return b"".join(self._of_id(part) for part in _PARTS.findall(token))
        return _named(token) if _IS_NAME.fullmatch(token) else b""

    def _of_id(self, part: bytes) -> bytes:
        if not part.isalnum():
            return re.escape(part)
        return self._no_mark + (_ANY_NUMBER if part.isdigit() else _ANY_ID)


def _named(token: bytes) -> bytes:
    """Return the pattern of a name, and of the long ids in it; only what follows the last of those may vary."""
    parts, at = [], 0
    for found in _LONG_ID.finditer(token):
        parts += [re.escape(token[at : found.start()]), rb"[0-9a-f-]{%d}" % len(found[0])]
        at = found.end()
    return b"".join(parts) + (_ANY_NAME if _IS_NAME.fullmatch(token[at:]) else re.escape(token[at:]))


_PARTS = re.compile(rb"[0-9a-f]+|[^0-9a-f]+")
