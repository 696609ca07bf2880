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
