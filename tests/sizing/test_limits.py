"""The table of limits: whole, sourced, and the only place where numbers of Azure stand."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import unipam.sizing
from unipam.sizing import limits, rules
from unipam.sizing.limits import Limit
from unipam.sizing.rules import Rule

RULES = [value for value in vars(rules).values() if isinstance(value, Rule)]
ROOM = Path(unipam.sizing.__file__).parent
HARMLESS = {0, 1, 2, 3, 4, 6, 9, 10, 32, 64, 100}
"""Counting, the families and bits of IP, percent: numbers that mean something of their own in code."""


@pytest.mark.parametrize("rule", [*limits.table(), *RULES], ids=lambda rule: f"{rule.id}: {rule.statement}")
def test_every_rule_says_where_it_comes_from(rule: Rule) -> None:
    assert rule.source
    assert rule.statement
    assert rule.evidence in {"D", "I", "C", "G", "N"}
    assert rule.section[0].isdigit()


def test_old_pages_and_soft_ground_are_to_be_verified() -> None:
    assert limits.RESERVED.verify  # 2019
    assert limits.VNET_ADDRESSES.verify  # 2022
    assert limits.STATIC_SPOILT.verify  # inference
    assert not limits.MAX_MAX_PODS.verify  # 2024


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        ("S1", {5}), ("S4", {29, 8, 64}), ("L1", {65_536}), ("L2", {128_000}), ("L3", {256}), ("L4", {3_000, 500}),
        ("L5", {400}), ("L6", {5_000, 1_000, 100}), ("L7", {300}), ("L8", {1}), ("L9", {200_000, 50_000, 750}),
        ("L10", {250, 20_000}), ("L11", {10}), ("M1", {250, 30, 110}), ("M2", {110}), ("M3", {10, 250}),
        ("M4", {30, 20}), ("M7", {110}), ("M8", {110}), ("U4", {10}), ("U5", {33}), ("U6", {35}), ("X2", {8}),
        ("X4", {9, 28}), ("X5", {250, 24}), ("O2", {13, 28}), ("O3", {33}), ("O14", {108, 64}), ("E5", {27}),
        ("2.3", {2}), ("2.6", {16, 8, 1, 65_000}), ("2.7", {28, 1, 2, 12}), ("2.8", {24, 8, 63, 1_000}),
        ("2.10", {26}), ("2.11", {6, 12}),
    ],
)  # fmt: skip
def test_numbers_are_those_of_the_specification(rule: str, values: set[int]) -> None:
    assert {limit.value for limit in limits.table() if limit.id == rule} == values


def test_the_table_is_whole() -> None:
    assert len(limits.table()) == sum(isinstance(value, Limit) for value in vars(limits).values())


def _numbers(tree: ast.AST) -> set[int]:
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and type(node.value) is int}


@pytest.mark.parametrize("path", sorted(ROOM.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOM)))
def test_no_limit_of_azure_stands_elsewhere(path: Path) -> None:
    if path.name in ("limits.py", "rules.py"):
        return
    known = {limit.value for limit in limits.table()} - HARMLESS
    assert not _numbers(ast.parse(path.read_text())) & known
