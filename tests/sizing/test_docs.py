"""The page about sizing keeps its word: its example plans, and it knows every field and variant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from unipam.sizing import page
from unipam.sizing.document import read
from unipam.sizing.fields import InvalidClusterError
from unipam.sizing.plan import plan
from unipam.sizing.variants import VARIANTS

PAGE = (Path(__file__).parents[2] / "docs" / "sizing.md").read_text()


def test_the_example_works() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    planned = plan(read(yaml.safe_load(example)))
    assert planned.works
    assert {each.wanted.name for each in planned.placements} == {"nodes", "pod-cidr", "service-cidr"}
    assert all(each.prefix for each in planned.placements)


@pytest.mark.parametrize(
    "where", [{}, {"pools": [{"x": 1}]}, {"networks": {"x": 1}}, {"extras": {"x": 1}}, {"free": [{"x": 1}]}], ids=str
)
def test_every_field_is_on_the_page(where: dict[str, object]) -> None:
    with pytest.raises(InvalidClusterError) as caught:
        read({"variant": "overlay", "x": 1} | where)
    known = re.findall(r"unknown field 'x': known are (.*)", str(caught.value))
    assert known
    missing = {name for line in known for name in line.split(", ")} - set(re.findall(r"[a-z0-9_]+", PAGE))
    assert not missing


def test_every_variant_is_on_the_page_with_its_default() -> None:
    for name, variant in VARIANTS.items():
        (row,) = [
            line for line in PAGE.splitlines() if line.startswith("|") and re.search(rf"`{name}`.*\|.*\|.*\|", line)
        ]
        default = str(variant.default_max_pods.value) if variant.default_max_pods else "must be given"
        assert row.endswith(f"| {default} |")


def test_every_rule_is_on_the_page_of_rules() -> None:
    assert (Path(__file__).parents[2] / "docs" / "sizing-rules.md").read_text() == "\n".join(page.lines()) + "\n"


def test_every_variants_section_is_on_the_page_of_rules() -> None:
    known = {rule.section for rule in page.every_rule()}
    assert {variant.section for variant in VARIANTS.values()} - {"2.2", "2.4", "2.5", "2.9"} <= known


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("overlai", "did you mean overlay?"),
        ("azure-overlay", "did you mean overlay"),
        ("nodesubnet", "did you mean node-subnet"),
        ("cilium", "did you mean"),
        ("zzz", "choose kubenet, "),
    ],
)
def test_an_unknown_variant_is_answered_with_the_nearest(given: str, hint: str) -> None:
    with pytest.raises(InvalidClusterError) as caught:
        read({"variant": given, "pools": [{"name": "a", "nodes": 1}]})
    assert hint in str(caught.value)
