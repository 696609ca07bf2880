"""JSON as Go reads it: what fits, what does not, and in which words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipam.golang.decoding import Anything, Flag, ListOf, Struct, Text, Whole, parse, quote, read
from unipam.model.errors import BadConfig, Undecodable


def upper(text: str) -> str:
    if not text.isalpha():
        raise ValueError(f"no letters: {text}")
    return text.upper()


INNER = Struct("pkg.Inner", "Inner", {"count": Whole(), "name": Text()})
OPAQUE = Struct("pkg.Sealed", "Sealed", {"mtu": Whole(), "name": Text()}, opaque=True)
SHAPE = Struct(
    "pkg.Outer",
    "Outer",
    {
        "name": Text(), "count": Whole(), "flag": Flag(), "any": Anything(), "inner": INNER, "sealed": OPAQUE,
        "list": ListOf("[]pkg.Inner", INNER), "loud": Text("*pkg.Loud", upper),
        "nullable": Text("*pkg.Loud", upper, null=""),
    },
)  # fmt: skip

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*SHAPE.fields, "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def words(value: object) -> str:
    with pytest.raises(BadConfig) as refused:
        read(SHAPE, value)
    return str(refused.value)


# Documents ---------------------------------------------------------------------------------------------------


@given(values)
def test_json_means_what_it_says(value: object) -> None:
    assert parse(json.dumps(value).encode()) == value


@pytest.mark.parametrize("document", [b"", b"  \n", b"{", b'{"a":', b'{"a":"b', b"[1,"])
def test_half_a_document_ends_unexpectedly(document: bytes) -> None:
    with pytest.raises(Undecodable, match=r"^unexpected end of JSON input$"):
        parse(document)


@pytest.mark.parametrize("document", [b"nope", b"{} {}", b"{'a':1}", b'{"a":1,}', b"\xff\xfe", b"[01]", b'{"a" 1}'])
def test_what_is_no_json_is_refused_in_words(document: bytes) -> None:
    with pytest.raises(Undecodable) as refused:
        parse(document)
    assert refused.value.message


@pytest.mark.parametrize(
    ("document", "value"),
    [
        (b'"a\xffb"', "a\ufffdb"),
        (rb'"\ud800"', "\ufffd"),
        (rb'"\udc00x"', "\ufffdx"),
        (rb'"\ud83d\ude00"', "\U0001f600"),
        (rb'"\\ud800"', "\\ud800"),
        (b'{"\xfe":1}', {"\ufffd": 1}),
    ],
)
def test_bytes_that_are_no_text_are_replaced(document: bytes, value: object) -> None:
    assert parse(document) == value


def test_a_document_too_deep_is_refused() -> None:
    for document in (b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 50_000 + b"1" + b"}" * 50_000):
        with pytest.raises(Undecodable):
            parse(document)


@given(st.binary())
def test_any_bytes_are_a_document_or_undecodable(document: bytes) -> None:
    try:
        found = parse(document)
    except Undecodable as refused:
        found = refused.message
    assert found is not None or document.strip() == b"null"


# Shapes ------------------------------------------------------------------------------------------------------


def test_declared_keys_are_read_and_others_ignored() -> None:
    value = {
        "name": "n",
        "count": 3,
        "flag": True,
        "any": [1],
        "inner": {"count": 1, "x": 2},
        "list": [{"name": "a"}, None],
    }
    assert read(SHAPE, value | {"unknown": {"deep": 1}}) == value | {"inner": {"count": 1}}
    assert read(SHAPE, None) == {}


def test_names_match_without_regard_to_case_and_the_last_wins() -> None:
    assert read(SHAPE, {"NAME": "a", "Name": "b", "COUNT": 4}) == {"name": "b", "count": 4}


def test_null_leaves_a_value_away_or_is_parsed() -> None:
    assert read(SHAPE, {"name": None, "count": None, "loud": None}) == {"name": None, "count": None, "loud": None}
    assert words({"nullable": None}) == "no letters: "


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "json: cannot unmarshal array into Go value of type pkg.Outer"),
        ("x", "json: cannot unmarshal string into Go value of type pkg.Outer"),
        ({"name": 5}, "json: cannot unmarshal number into Go struct field Outer.name of type string"),
        ({"name": {}}, "json: cannot unmarshal object into Go struct field Outer.name of type string"),
        ({"count": "5"}, "json: cannot unmarshal string into Go struct field Outer.count of type int"),
        ({"count": True}, "json: cannot unmarshal bool into Go struct field Outer.count of type int"),
        ({"flag": "yes"}, "json: cannot unmarshal string into Go struct field Outer.flag of type bool"),
        ({"inner": []}, "json: cannot unmarshal array into Go struct field Outer.inner of type pkg.Inner"),
        ({"inner": {"count": ""}}, "json: cannot unmarshal string into Go struct field Inner.inner.count of type int"),
        ({"list": {}}, "json: cannot unmarshal object into Go struct field Outer.list of type []pkg.Inner"),
        ({"list": [{"name": 1}]}, "json: cannot unmarshal number into Go struct field Inner.list.name of type string"),
        ({"loud": 1}, "json: cannot unmarshal number into Go struct field Outer.loud of type *pkg.Loud"),
    ],
)
def test_a_misfit_is_told_as_go_tells_it(value: object, message: str) -> None:
    assert words(value) == message


def test_the_first_misfit_is_told_unless_a_parser_fails_later() -> None:
    assert "Outer.name" in words({"name": 1, "count": "x"})
    assert words({"name": 1, "loud": "4"}) == "no letters: 4"
    assert "Sealed" not in words({"sealed": {"mtu": "x"}})
    assert "into Go struct field Outer.sealed of type int" in words({"name": 1, "sealed": {"mtu": "x"}})


def test_values_that_parse_themselves() -> None:
    assert read(SHAPE, {"loud": "abc", "nullable": "d"}) == {"loud": "ABC", "nullable": "D"}


@given(st.dictionaries(st.sampled_from([*SHAPE.fields, "Name", "x"]), values))
def test_any_document_is_read_or_refused(value: dict[str, Any]) -> None:
    try:
        found = read(SHAPE, value)
    except BadConfig as refused:
        assert refused.message  # noqa: PT017 (both outcomes are right)
    else:
        assert set(found) <= set(SHAPE.fields)


# Quoting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("plain", '"plain"'), ('a"b\\c', r'"a\"b\\c"'), ("\a\b\t\n\v\f\r", r'"\a\b\t\n\v\f\r"'),
        ("\x00\x7f", r'"\x00\x7f"'),
        ("ü☃😀", '"ü☃😀"'), ("\u200b", r'"\u200b"'), ("\U000e0001", r'"\U000e0001"'),
    ],
)  # fmt: skip
def test_text_is_quoted_as_go_quotes_it(text: str, quoted: str) -> None:
    assert quote(text) == quoted
