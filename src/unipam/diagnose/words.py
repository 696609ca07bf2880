"""A cheap look at a line: does it hold any word that matters? This decides most lines of a large log.

A line is folded to lower-case words, which one set operation compares with all words wanted at once: the cost does not
grow with their number, as it would if each were searched for.
"""

from __future__ import annotations

import re

_WORD_BYTES = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_FOLD = bytes(byte if byte in _WORD_BYTES else 32 for byte in range(256)).lower()
_COMMON = frozenset(
    b"namespace failed runtime plugin state cluster address node with from have been system network endpoint interface "
    b"assigned acquire confirmed affinities affinity cidr block".split()
)
"""Words of so many lines that they tell nothing."""

_LONG = 64 << 10
"""Of a longer line (bytes) each word is given once: all of them would take fifty times its memory."""

_WORD = re.compile(rb"[^ ]+")


def words_of(line: bytes) -> list[bytes]:
    """Return the words of a line: runs of letters and digits, in lower case."""
    folded = line.translate(_FOLD)
    return folded.split() if len(folded) <= _LONG else [*{match[0] for match in _WORD.finditer(folded)}]


def telling_word(phrase: str) -> bytes:
    """Return the word of a phrase that is rarest in logs, taken to be the longest one that is not common.

    Raises ValueError when the phrase holds no such word.
    """
    words = [word for word in words_of(phrase.encode()) if word not in _COMMON]
    if not words:
        raise ValueError(f"{phrase!r} holds only common words")
    return max(words, key=len)
