"""The page of the JSON documents that commands print, read off their schemas."""

from __future__ import annotations

import json

from unipam.cli.schemas import SCHEMAS, schema_of

_HEAD = """\
# JSON documents

This page is made from the schemas that `unipam schema NAME` prints. Every document that a command prints with
`-o json` (or `yaml`, or `jsonpath=…`) says in `schema` what it is, and in `version` of which version: that rises when a
field goes or changes its meaning, not when one comes. Rows stand in `items`; a row has an `action` with `--dry-run`,
and an `event` (present, added, changed, gone) with `--watch`, which prints one document a line. Counts of addresses
beyond 2^53 are texts, since most readers of JSON would round them.
"""


def page() -> str:
    """Return the page."""
    rows = [f"| [`{name}`](#{name}) | {d.version} | `{d.commands}` |" for name, d in SCHEMAS.items()]
    table = "\n".join(["| schema | version | printed by |", "|---|---|---|", *rows])
    return "\n".join([_HEAD, table, "", *map(section, SCHEMAS)])


def section(name: str) -> str:
    """Return the part of one schema."""
    return f"## {name}\n\n```json\n{json.dumps(schema_of(name), indent=2)}\n```\n"
