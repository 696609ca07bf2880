"""Numbers of options: those that one can reckon with."""

from __future__ import annotations

import math
from typing import Any

import click


class Number(click.FloatRange):
    """A number in a range. What Go and Python take for one besides (`nan`, `inf`) is none: no bound holds it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return it. Fails as click's types do."""
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value} is no number to reckon with", param, ctx)
        return found
