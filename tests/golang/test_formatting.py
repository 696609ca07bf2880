"""Values as Go prints them."""

from __future__ import annotations

import pytest

from unipam.golang.formatting import quote


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
