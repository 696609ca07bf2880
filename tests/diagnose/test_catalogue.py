"""Catalogue and rules hold together: every sign has a meaning, every text can be filled, every rule can be reached."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from unipam.diagnose import rules
from unipam.diagnose.case import Case, Signal, evidence
from unipam.diagnose.catalogue import catalogue, finding
from unipam.diagnose.phrases import of
from unipam.diagnose.words import telling_word, words_of

SOURCE = Path(rules.__file__).parents[1]
NAMED_IN_CODE = re.compile(r'(?:signal\(\s*|\b_found\(|tell\()"([a-z0-9-]+)"')


def kinds_in_code() -> set[str]:
    named = {rule.kind for rule in rules.RULES}
    for path in SOURCE.rglob("*.py"):
        named |= set(NAMED_IN_CODE.findall(path.read_text(encoding="utf-8")))
    return named


def test_every_kind_has_a_meaning() -> None:
    assert kinds_in_code() - {"cilium-empty-pool"} <= set(catalogue())  # the one that only feeds a conclusion


@pytest.mark.parametrize("kind", sorted(catalogue()))
def test_a_bare_signal_reads_as_sentences(kind: str) -> None:
    signal = Signal(kind, "10.0.0.0/24", evidence=[evidence("f", 1, "text")])
    found = finding(signal, of(Case(), signal))
    for text in (found.title, found.meaning, found.action):
        assert text
        assert "{" not in text
        assert "  " not in text
    assert found.meaning.endswith((".", ")"))
    assert found.action.endswith(".")
    assert all(found.commands)
    assert not [line for line in found.commands if "{}" in line]


@pytest.mark.parametrize("kind", sorted(catalogue()))
def test_texts_name_values_only(kind: str) -> None:
    for text in (catalogue()[kind].title, catalogue()[kind].meaning, catalogue()[kind].action):
        names = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
        assert all(name.isidentifier() for name in names)


def test_every_anchor_has_a_telling_word() -> None:
    for rule in rules.RULES:
        for anchor in rule.anchors:
            assert telling_word(anchor) in words_of(anchor.encode())


def test_an_anchor_of_common_words_is_refused() -> None:
    with pytest.raises(ValueError, match="only common words"):
        telling_word("failed with address")
