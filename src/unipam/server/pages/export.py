"""The rows of a list as a file: CSV or JSON, all of them, sent while they are read.

A cell that a spreadsheet would take for a formula begins with an apostrophe in CSV, so that a name or a description
cannot run in the spreadsheet of whoever opens the file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from fastapi.responses import StreamingResponse

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_CHUNK = 500
"""Rows that are sent at once."""
_encode = msgspec.json.Encoder(enc_hook=str).encode

Row = Mapping[str, Any]
Rows = Iterable[Row] | AsyncIterable[Row]


def export(rows: Rows, columns: Sequence[str], name: str, kind: str) -> StreamingResponse:
    """Answer with these members of every row, as `kind` (csv or json), under a file name without suffix."""
    lines = _csv(rows, columns) if kind == "csv" else _json(rows, columns)
    media_type = "text/csv; charset=utf-8" if kind == "csv" else "application/json"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.{kind}"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return StreamingResponse(lines, headers=headers, media_type=media_type)


async def _each(rows: Rows) -> AsyncIterator[Row]:
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row


async def _csv(rows: Rows, columns: Sequence[str]) -> AsyncIterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")  # RFC 4180
    writer.writerow(columns)
    number = 0
    async for row in _each(rows):
        writer.writerow([_cell(row.get(column)) for column in columns])
        number += 1
        if number % _CHUNK == 0:
            yield _taken(text)
    yield _taken(text)


def _taken(text: io.StringIO) -> bytes:
    content = text.getvalue().encode(errors="replace")
    text.seek(0)
    text.truncate()
    return content


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else _encode(value).decode()
    return f"'{text}" if text.startswith(_FORMULA) else text


async def _json(rows: Rows, columns: Sequence[str]) -> AsyncIterator[bytes]:
    before = b"[\n"
    async for row in _each(rows):
        yield before + _encode({column: row.get(column) for column in columns})
        before = b",\n"
    yield b"[]\n" if before == b"[\n" else b"\n]\n"
