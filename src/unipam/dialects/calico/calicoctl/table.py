"""calicoctl's tables: boxes of `+`, `-` and `|`, numbers to the right."""

from __future__ import annotations

from collections.abc import Sequence


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> str:
    """Return a table as calicoctl prints it, with a line's end; the columns of `right` are set to the right."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    aligned = [str.rjust if head in right else str.ljust for head in heads]

    def line(cells: Sequence[str], set_cell: Sequence[object] = ()) -> str:
        placed = zip(cells, widths, set_cell or [str.ljust] * len(heads), strict=True)
        return "| " + " | ".join(align(cell, width) for cell, width, align in placed) + " |"  # type: ignore[operator]

    return "\n".join([rule, line(heads), rule, *(line(row, aligned) for row in rows), rule, ""])
