"""The verdict: what the case comes to, in a word for machines and a line for people, and the cause with its numbers."""

from __future__ import annotations

from unipam.diagnose import phrases
from unipam.diagnose.case import Case, Signal
from unipam.diagnose.catalogue import catalogue, finding, rank
from unipam.diagnose.consequences import Key, parents, with_effects
from unipam.diagnose.report import Finding, Outcome
from unipam.diagnose.stamps import show_minutes

ENOUGH = 0.5
"""The share of the lines of address-giving programs that must be understood before their silence means health."""


def ranked(case: Case) -> list[Finding]:
    """Return every finding and note, each with the findings that follow from it, the worst first."""
    above = parents(case)
    children: dict[Key, list[Key]] = {}
    for child, parent in above.items():
        children.setdefault(parent, []).append(child)
    roots = [key for key in case.signals if key not in above]
    return sorted((_tree(case, key, children) for key in roots), key=rank)


def _tree(case: Case, key: Key, children: dict[Key, list[Key]]) -> Finding:
    signal = case.signals[key]
    found = finding(signal, phrases.of(case, signal))
    found.consequences = sorted((_tree(case, child, children) for child in children.get(key, ())), key=rank)
    for effect in found.consequences:
        effect.commands = [] if effect.commands == found.commands else effect.commands  # said once is enough
    worst = min((found, *found.consequences), key=lambda each: rank(each)[0])
    found.severity = worst.severity  # what it brings about is how bad it is
    related = list(with_effects(case, key, children))
    if any(catalogue()[each.kind].severity in {"fault", "unknown"} for each in related):
        found.refused = len({name for each in related if _refuses(each) for name in each.refused})
    found.cause = _cause(found, related)
    return found


def _refuses(signal: Signal) -> bool:
    return catalogue()[signal.kind].severity in {"fault", "unknown"}


def _cause(found: Finding, related: list[Signal]) -> str:
    """Return the cause in a sentence: what is wrong, what came of it, since when."""
    title = found.title.rstrip(".")
    if not found.refused:
        return f"{title}."
    since = min((each.first for each in related if each.first is not None and _refuses(each)), default=None)
    pods = f"{found.refused} pod{'s were' if found.refused != 1 else ' was'} refused"
    when = f" since {show_minutes(since)}" if since is not None else ""
    return f"{title}{', so' if found.consequences else ':'} {pods}{when}{_tries(found, related)}."


def _tries(found: Finding, related: list[Signal]) -> str:
    """Return how often they tried, when that is more often than there are pods, and over how long an event says so."""
    tries = max((each.count for each in related if each.refused), default=0)
    lasted = next((each.values["lasted"] for each in related if "lasted" in each.values), "")
    if tries <= found.refused:
        return ""
    return f" ({tries:,} tries{f' over {lasted}' if lasted else ''})"


def outcome(case: Case, wrong: list[Finding]) -> Outcome:
    """Return what it comes to: a known fault outranks what is not understood, and that outranks a warning."""
    severities = {found.severity for found in wrong}
    if "fault" in severities or severities == {"warning"}:
        return "findings"
    return "not understood" if severities or not _understood(case) else "healthy"


def in_words(case: Case, result: Outcome, wrong: list[Finding]) -> str:
    """Return the verdict in one line."""
    if result == "healthy":
        return f"Healthy. Nothing wrong in {_lines(case)}."
    if result == "not understood":
        return f"Not understood. {_not_understood(case, wrong)}"
    return f"{_counted(wrong)}."


def _counted(wrong: list[Finding]) -> str:
    names = {"fault": "fault", "unknown": "unexplained failure", "warning": "warning"}
    counts = {name: sum(found.severity == severity for found in wrong) for severity, name in names.items()}
    parts = [f"{count} {name}{'s' if count != 1 else ''}" for name, count in counts.items() if count]
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


def _not_understood(case: Case, wrong: list[Finding]) -> str:
    unknown = [found for found in wrong if found.severity == "unknown"]
    refused = sum(found.refused for found in unknown)
    if refused:
        return f"{refused} pod{'s were' if refused != 1 else ' was'} refused, and unipam does not know the cause."
    if unknown:
        return "Something failed, and unipam does not know the cause."
    if not case.is_about_addresses:
        return "Nothing here speaks of addresses."
    understood, unknown_lines = case.log_lines()
    return f"{unknown_lines:,} of {understood + unknown_lines:,} log lines say what unipam does not know."


def _lines(case: Case) -> str:
    lines = sum(source.lines for source in case.sources)
    return (
        f"{lines:,} lines of {len(case.sources)} inputs"
        if len(case.sources) > 1
        else f"{lines:,} line{'s' if lines != 1 else ''}"
    )


def _understood(case: Case) -> bool:
    understood, unknown = case.log_lines()
    return case.is_about_addresses and understood >= ENOUGH * (understood + unknown)
