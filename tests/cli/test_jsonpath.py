"""The templates of kubectl's that are in use."""

from __future__ import annotations

import pytest

from unipam.cli.jsonpath import render

DOCUMENT = {
    "version": 1,
    "items": [
        {"name": "a", "size": 4, "use": {"free": 1}, "tags": ["x", "y"], "odd.name": True},
        {"name": "b", "size": 16, "use": {"free": 9}, "tags": [], "none": None},
    ],
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{.version}", "1"),
        (".version", "1"),
        ("{.items[*].name}", "a b"),
        ("{.items[0].use.free}", "1"),
        ("{.items[-1].name}", "b"),
        ("{.items[9].name}", ""),
        ("{.items[0]['odd.name']}", "true"),
        ("{$.items[0].tags}", '["x", "y"]'),
        ("{.items[0].use.*}", "1"),
        ("{.items[1].none}", "null"),
        ("{.nothing.at.all}", ""),
        ('{.items[?(@.name=="b")].size}', "16"),
        ("{.items[?(@.size>=4)].name}", "a b"),
        ("{.items[?(@.use.free<5)].name}", "a"),
        ("{.items[?(@.name<5)].name}", ""),
        ('name={.items[0].name}{"\\n"}', "name=a\n"),
        ('{range .items[*]}{.name}{"\\t"}{.size}{"\\n"}{end}', "a\t4\nb\t16\n"),
        ("{range .items[*]}{range .tags[*]}{@},{end};{end}", "x,y,;;"),
    ],
)
def test_templates(template: str, text: str) -> None:
    assert render(template, DOCUMENT) == text


@pytest.mark.parametrize(
    "template", ["{.items", "{.items[}", "{end}", "{range .items}", "{..name}", "{.a[?(@.b)]}", "x"]
)
def test_what_is_no_template_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        render(template, DOCUMENT)
