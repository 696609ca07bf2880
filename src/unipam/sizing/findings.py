"""What the planner has to say about a plan: a finding, and how grave it is. Not here: when it is said (`checks`)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from unipam.sizing.rules import Rule


class Severity(Enum):
    """`ERROR`: the plan does not work. `WARNING`: it may not, or not for long. `NOTE`: worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing said about the plan, and the rule it comes from.

    `message` names the thing, the value and the way out.
    """

    severity: Severity
    rule: Rule
    message: str


def error(rule: Rule, message: str) -> Finding:
    """Make a finding that the plan does not work as it is."""
    return Finding(Severity.ERROR, rule, message)


def warning(rule: Rule, message: str) -> Finding:
    """Make a finding that the plan may not work, or not for long."""
    return Finding(Severity.WARNING, rule, message)


def note(rule: Rule, message: str) -> Finding:
    """Make a finding that is worth knowing."""
    return Finding(Severity.NOTE, rule, message)
