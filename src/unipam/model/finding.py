"""What is wrong in a cluster, with what, and the way out."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """`kind` is for machines; `about` is the node, route, range or address; `way_out` says what to do about `text`."""

    kind: str
    about: str
    text: str
    way_out: str = ""
