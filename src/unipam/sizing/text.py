"""A description of a cluster as people write it, in YAML or JSON, as plain values. Here: parsing; not here: meaning."""

from __future__ import annotations

import json
from collections.abc import Sequence

MOST_BYTES = 1_048_576
"""No description of a cluster is longer."""


def parse(text: str) -> object:
    """Parse the document; as JSON first, for it may be indented by tabs. Raises ValueError or RecursionError."""
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError:
        return _parse_yaml(text)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    _refuse_twice([key for key, _ in pairs])
    return dict(pairs)


def _refuse_twice(keys: Sequence[str]) -> None:
    """Refuse two fields with one name, of which a parser would keep one in silence."""
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            raise ValueError(f"the field {key[:64]!r} is given twice")
        seen.add(key)


def _parse_yaml(text: str) -> object:
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
            _refuse_twice([key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)])
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Loader)  # noqa: S506 (a SafeLoader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
