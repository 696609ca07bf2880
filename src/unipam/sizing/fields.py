"""Reading a document of any shape field by field, collecting every problem instead of stopping at the first.

Here: the mechanics (types, bounds, names, prefixes, unknown keys). Not here: which fields there are (`document`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum
from reprlib import Repr
from typing import TypeVar

from unipam.addr.prefix import Prefix, format_address, is_v4, parse_address, parse_prefix
from unipam.sizing.arithmetic import Percent, Share
from unipam.sizing.limits import Limit
from unipam.sizing.rules import Rule

_PERCENT = re.compile(r"\+?([0-9]{1,6}) ?%", re.ASCII)
_COUNT = re.compile(r"\+?([0-9]{1,9})", re.ASCII)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}", re.ASCII)
NAME_RULE = "a letter or digit, then up to 79 of letters, digits, '.', '_' and '-'"
_E = TypeVar("_E", bound=Enum)


class InvalidClusterError(ValueError):
    """The description is not one of a cluster. `problems`: one line each, naming field, value, rule and way out."""

    def __init__(self, problems: Collection[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class _Shown(Repr):
    """Short forms, also of integers too long for `repr`."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 60

    def repr_int(self, x: int, level: int) -> str:  # noqa: ARG002 (the signature of Repr)
        return repr(x) if x.bit_length() <= 64 else f"an integer of {x.bit_length()} bits"


_SHOWN = _Shown()


def shown(value: object) -> str:
    """Return a value as an error may show it: short, whatever it is."""
    return _SHOWN.repr(value)


def nearest(value: object, known: Collection[str]) -> list[str]:
    """Return the known names that are most like a value: spelt alike, or a part of it or it of them."""
    if not isinstance(value, str) or not value.strip():
        return []
    text = value[:60].strip().lower().replace("_", "-").replace(" ", "-")
    inside = [name for name in known if len(text) > 2 and (text in name or name in text)]
    return list(dict.fromkeys([*get_close_matches(text, known, 3), *inside]))[:3]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The integers a field accepts, and the rule that says so, if it is a rule of Azure."""

    low: int
    high: int
    rule: Rule | None = None

    def __str__(self) -> str:
        return f"{self.low} to {self.high}" + (f" (rule {self.rule.id})" if self.rule else "")


def upto(limit: Limit, low: int = 0) -> Bounds:
    """Return the bounds of a limit."""
    return Bounds(low, limit.value, limit)


@dataclass(slots=True)
class Fields:
    """A mapping of the document at `path`; every problem goes to `problems`, which all parts of a document share.

    A field that is missing or wrong reads as its default, so that reading goes on and finds what else is wrong.
    """

    values: dict[object, object]
    path: str = ""
    problems: list[str] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)

    def problem(self, key: str, message: str) -> None:
        """Note what is wrong with a field."""
        self.problems.append(f"{self.at(key)}: {message}")

    def at(self, key: str) -> str:
        """Return the path of a field, as `pools[0].nodes`."""
        return f"{self.path}.{key}" if self.path and key else self.path or key or "document"

    def raw(self, key: str) -> object:
        """Return the value as it stands; None if absent."""
        self._known.add(key)
        return self.values.get(key)

    def has(self, key: str) -> bool:
        """Return whether the field is given."""
        return self.raw(key) is not None

    def boolean(self, key: str) -> bool:
        """Read true or false; false if absent."""
        value = self.raw(key)
        if value is not None and not isinstance(value, bool):
            self.problem(key, f"{shown(value)} is not true or false")
        return value is True

    def integer(self, key: str, bounds: Bounds, default: int = 0) -> int:
        """Read an integer within bounds."""
        value = self.raw(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            self.problem(key, f"{shown(value)} is not an integer: give {bounds}")
            return default
        return self._within(key, value, bounds, default)

    def _within(self, key: str, value: int, bounds: Bounds, default: int) -> int:
        if bounds.low <= value <= bounds.high:
            return value
        self.problem(key, f"{shown(value)} is out of range: give {bounds}")
        return default

    def share(self, key: str, nodes: Bounds, most: int) -> Share | None:
        """Read a number of nodes, or a percentage from 0 to `most`; None if absent."""
        return self.as_share(key, self.raw(key), nodes, most)

    def as_share(self, key: str, value: object, nodes: Bounds, most: int) -> Share | None:
        """Read the same of a value that was read already."""
        if value is None:
            return None
        if isinstance(value, str) and (match := _PERCENT.fullmatch(value.strip())):
            return Percent(self._within(key, int(match[1]), Bounds(0, most, nodes.rule), 0))
        if isinstance(value, str) and (match := _COUNT.fullmatch(value.strip())):
            value = int(match[1])
        if isinstance(value, int) and not isinstance(value, bool):
            return self._within(key, value, nodes, 0)
        self.problem(key, f"{shown(value)} is neither a number of nodes nor a percentage: write 2 or '33%'")
        return None

    def name(self, key: str, default: str, pattern: re.Pattern[str] = NAME, rule: str = NAME_RULE) -> str:
        """Read a name of letters, digits, '.', '_' and '-'."""
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, str) or not pattern.fullmatch(value):
            self.problem(key, f"{shown(value)} is not a name: {rule}")
            return default
        return value

    def choice(self, key: str, options: type[_E], default: _E) -> _E:
        """Read a member of an enumeration, by value."""
        value = self.raw(key)
        if value is None:
            return default
        for option in options:
            if option.value == value:
                return option
        self.problem(key, f"{shown(value)} is unknown: choose {', '.join(str(option.value) for option in options)}")
        return default

    def prefix(self, key: str, family: int = 4) -> Prefix | None:
        """Read a prefix of one family; None if absent or wrong."""
        value = self.raw(key)
        return None if value is None else self.as_prefix(key, value, (family,))

    def as_prefix(self, key: str, value: object, families: Collection[int]) -> Prefix | None:
        """Return the prefix that a value writes."""
        if not isinstance(value, str) or len(value) > 64 or not value.isprintable():
            self.problem(key, f"{shown(value)} is not a prefix: write it as '10.0.0.0/16'")
            return None
        try:
            prefix = parse_prefix(value)
        except ValueError as error:
            self.problem(key, str(error))
            return None
        if prefix.family not in families:
            self.problem(key, f"{prefix} is IPv{prefix.family}: give IPv{' or IPv'.join(map(str, families))}")
            return None
        return prefix

    def prefixes(self, key: str, families: Collection[int] = (4, 6), most: int = 100_000) -> tuple[Prefix, ...]:
        """Read a list of prefixes; a single one may stand without a list."""
        value = self.raw(key)
        items = [] if value is None else value if isinstance(value, list) else [value]
        if len(items) > most:
            self.problem(key, f"{len(items)} prefixes are too many: give at most {most}")
            return ()
        read = (self.as_prefix(f"{key}[{index}]", item, families) for index, item in enumerate(items))
        return tuple(prefix for prefix in read if prefix)

    def address(self, key: str) -> int | None:
        """Read an IPv4 address, on the number line of `addr.prefix`; None if absent or wrong."""
        value = self.raw(key)
        if value is None:
            return None
        try:
            if isinstance(value, str) and is_v4(address := parse_address(value)):
                return address
        except ValueError:
            pass
        self.problem(key, f"{shown(value)} is not an IPv4 address: write it as '{format_address(0xFFFF0A00000A)}'")
        return None

    def section(self, key: str) -> Fields:
        """Read a mapping within; empty if absent."""
        return self.as_section(key, self.raw(key))

    def as_section(self, key: str, value: object) -> Fields:
        """Return the mapping that a value is."""
        if value is not None and not isinstance(value, dict):
            self.problem(key, f"{shown(value)} is not a mapping of fields")
        return Fields(value if isinstance(value, dict) else {}, self.at(key), self.problems)

    def items(self, key: str) -> Iterator[tuple[str, object]]:
        """Yield the elements of a list, each with its path below this mapping."""
        value = self.raw(key)
        if value is not None and not isinstance(value, list):
            self.problem(key, f"{shown(value)} is not a list")
        elif value is not None:
            yield from ((f"{key}[{index}]", item) for index, item in enumerate(value))

    def refuse_unknown(self) -> None:
        """Refuse a key that nothing has asked for: it is a mistake, most likely of spelling."""
        for key in self.values:
            if key not in self._known:
                near = nearest(key, self._known)[:1]
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(self._known))}"
                self.problem("", f"unknown field {shown(key)}: {hint}")
