"""What is wrong with nodes, ranges and routes, and the way out."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """`kind` is for machines, `about` the node, route or range; `text` says what is wrong, `way_out` what to do."""

    kind: str
    about: str
    text: str
    way_out: str = ""
