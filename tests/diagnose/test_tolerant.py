"""The tolerant JSON reader: exact on JSON, silent on nothing, and never at a loss."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipam.diagnose.documents.tolerant import parse
from unipam.diagnose.documents.tree import Document

_keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_scalars = st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_json = st.recursive(
    _scalars, lambda part: st.lists(part, max_size=4) | st.dictionaries(_keys, part, max_size=4), max_leaves=20
)
_documents = st.dictionaries(_keys, _json, max_size=5) | st.lists(_json, max_size=5)


def read(text: str) -> Document:
    return parse("f", text, 1, {})


@given(_documents, st.sampled_from([None, 1, "\t"]))
def test_json_is_read_as_json(value: Any, indent: Any) -> None:
    document = read(json.dumps(value, indent=indent))
    assert document.root == value
    assert not document.faults
    assert not document.fragment


@given(_documents.filter(bool), st.data())
def test_a_cut_end_is_a_fault_and_what_stands_is_read(value: Any, data: st.DataObject) -> None:
    text = json.dumps(value)
    cut = data.draw(st.integers(1, len(text) - 1))
    document = read(text[:cut])
    assert document.faults  # something is always missing


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    read(text)


@given(
    st.lists(
        st.sampled_from(["{", "}", "[", "]", ":", ",", '"a"', '"', "1", "...", "null", "\n", " ", "__X__"]), max_size=60
    ).map("".join)
)
def test_any_mixture_of_marks_is_read_without_an_error(text: str) -> None:
    read(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"a": 1', "ends before '}': 1 closing brace is missing"),
        ('{"a": [1}', "']' is missing before '}'"),
        ('{"a": 1}}', "a '}' closes nothing"),
        ('{"plugins": ["ipam": {"type": "x"}]}', "a key stands directly in an array (its '{' is missing)"),
        ('{"a": "b\n}', "a quote is not closed on its line"),
        ("{a: 1}", "the key a has no quotes"),
    ],
)
def test_faults_are_named(text: str, fault: str) -> None:
    assert fault in [found.text for found in read(text).faults]


def test_a_fragment_is_read_from_its_middle() -> None:
    document = read('"ipam": {\n "type": "host-local\n')
    assert document.fragment
    assert document.root == {"ipam": {"type": "host-local"}}
    assert document.root.obj("ipam").line_of("type") == 2


def test_elision_marks_are_noted() -> None:
    document = read('{"Endpoints": {\n...\n}, "b": {... "c": 1}}')
    assert document.elided
    assert document.root == {"Endpoints": {}, "b": {"c": 1}}


def test_depth_is_bounded() -> None:
    assert read("[" * 100_000).faults
