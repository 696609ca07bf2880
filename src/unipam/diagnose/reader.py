"""Reading one input from end to end: chunks, lines, who takes each line, and an account of all of them.

This is the hot loop. A line goes to the family that its first byte suggests; what no family takes is gathered into
blocks. Nothing is kept but the block at hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from unipam.diagnose import blocks
from unipam.diagnose.blocks import Context
from unipam.diagnose.case import JUNK, Case, evidence, note_unknown
from unipam.diagnose.inputs import Chunks, Reader
from unipam.diagnose.logs.azure_json import AzureJson
from unipam.diagnose.logs.azure_text import AzureText
from unipam.diagnose.logs.envelope import unwrapped
from unipam.diagnose.logs.wrapped import Wrapped
from unipam.diagnose.report import TEXT, Junk, Source
from unipam.diagnose.systems import program_of, speaks_of_addresses

MAX_BLOCK_BYTES = 4 << 20
MAX_BLOCK_LINES = 60_000
MAX_DOCUMENTS = 32 << 20
"""How much of one file is looked at for documents and tables; dumps are far smaller, and reading them is slow work."""

MAX_JUNK_LISTED = 50

Take = Callable[[bytes, int], bool]
"""Takes a line, or tells that it is none of its own."""

Run = Callable[[Iterator[bytes], int], tuple[bytes | None, int]]
"""Takes lines as long as they are its own; gives the first other one, None at the end, and the number before it."""


def _no_run(lines: Iterator[bytes], number: int) -> tuple[bytes | None, int]:
    return next(lines, None), number


class LogReaders:
    """The log readers of one group: a log and its rotated parts share them, so that a call cut by rotation is whole."""

    def __init__(self, case: Case) -> None:
        self.text = AzureText(case)
        self.json = AzureJson(case, self.text)
        self.wrapped = Wrapped(case)
        self.source = Source("")
        self.takers = self.by_first_byte()

    def begin(self, source: Source) -> None:
        self.source = source
        self.text.begin(source)
        self.json.begin(source)
        self.wrapped.begin(source)

    def look_at(self, chunk: bytes) -> None:
        self.wrapped.look_at(chunk)

    def by_first_byte(self) -> list[tuple[tuple[Take, Run], ...]]:
        """Return, for each value of a first byte, who may take the line, likeliest first."""
        text, wrapped = (self.text.take, self.text.run), (self.wrapped.take, self.wrapped.run)
        table: list[tuple[tuple[Take, Run], ...]] = [()] * 256
        for byte in b"0123456789":
            table[byte] = (text, wrapped)
        for byte in b"JFMASONDIWEFtl":
            table[byte] = (wrapped,)
        table[ord("{")] = ((self.json.take, self.json.run), (self._unwrap, _no_run))
        return table

    def _unwrap(self, line: bytes, number: int) -> bool:
        """Give the line inside one of Docker's json-file log or of `journalctl -o json` to whoever takes it."""
        inner, program = unwrapped(line)
        if not inner:
            return False
        if not speaks_of_addresses(program):
            self.source.other += 1
            return True
        return any(take(inner, number) for take, _ in self.takers[inner[0]])

    def end(self) -> None:
        """End a file."""
        self.text.end()
        self.json.end()
        self.wrapped.end()

    def close(self) -> None:
        """End the whole group: what is still open is cut."""
        self.text.sessions.flush()


class FileReader:
    """Reads one input into the case."""

    def __init__(self, case: Case, log_readers: LogReaders, source: Source) -> None:
        self._case = case
        self._readers = log_readers
        self._source = source
        self._context = Context(source.path, program=program_of(source.path))
        self._block: blocks.Lines = []
        self._block_bytes = 0
        self._blocks_read = 0
        self._document_bytes = 0
        self._taken = 0

    def read(self, reader: Reader, progress: Callable[[], None]) -> None:
        """Read to the end. `progress` is called after every chunk."""
        chunks = Chunks(reader)
        self._readers.begin(self._source)
        for chunk in chunks:
            self._chunk(chunk)
            progress()
        self._flush_block(last=True)
        self._readers.end()
        self._source.problem = chunks.problem or self._shortened()
        if self._source.junk_total:
            self._report_junk()

    def _shortened(self) -> str:
        if not self._context.too_long:
            return ""
        return (
            f"documents and tables were looked for in the first {MAX_DOCUMENTS >> 20} MiB of text only, messages in all"
        )

    def _chunk(self, chunk: bytes) -> None:
        clean = self._without_junk(chunk)
        if b"\r" in clean:
            clean = clean.replace(b"\r\n", b"\n")
        self._readers.look_at(clean)
        lines = clean.split(b"\n")
        if lines and not lines[-1]:
            lines.pop()
        self._lines(lines)
        self._source.bytes += len(chunk)

    def _lines(self, lines: list[bytes]) -> None:
        number, rest = self._source.lines, iter(lines)
        line = next(rest, None)
        while line is not None:
            number += 1
            run = self._one(line, number)
            line, number = run(rest, number)
        self._source.lines = number

    def _one(self, line: bytes, number: int) -> Run:
        """Give a line to whoever takes it, or keep it. Tells who may take those that follow."""
        if not line:
            self._source.blank += 1
            if self._block:
                self._keep(line, number)
            return _no_run
        for take, run in self._readers.takers[line[0]]:
            if take(line, number):
                if self._block:
                    self._flush_block(last=False)
                self._taken += 1
                return run
        self._keep(line, number)
        return _no_run

    def _keep(self, line: bytes, number: int) -> None:
        self._block.append((number, line))
        self._block_bytes += len(line)
        if self._block_bytes > MAX_BLOCK_BYTES or len(self._block) > MAX_BLOCK_LINES:
            self._flush_block(last=False)

    def _flush_block(self, *, last: bool) -> None:
        self._document_bytes += self._block_bytes
        lines, self._block, self._block_bytes = self._block, [], 0
        if not lines:
            return
        self._context.lines_taken = self._taken
        self._context.too_long = self._document_bytes > MAX_DOCUMENTS
        whole = last and self._blocks_read == 0 and self._taken == 0
        self._blocks_read += 1
        self._context.known.clear()
        blocks.read(self._case, self._context, lines, whole=whole)
        self._account(lines)

    def _account(self, lines: blocks.Lines) -> None:
        """Count the lines of a block: understood, blank, or not understood by anyone."""
        source, known = self._source, self._context.known
        for number, line in lines:
            if not line:
                continue  # counted when it was read
            if number in known:
                source.formats[TEXT] = source.formats.get(TEXT, 0) + 1
            elif not line.strip():
                source.blank += 1
            else:
                note_unknown(source, number, line)

    def _without_junk(self, chunk: bytes) -> bytes:
        """Return the chunk without every stretch of bytes that is no text; each is put on record."""
        if chunk.isascii() and b"\0" not in chunk and b"\x1b" not in chunk:
            return chunk
        kept, offset, line = [], self._source.bytes, self._source.lines
        for piece in chunk.split(b"\n"):
            line += 1
            plain = _COLOUR.sub(b"", piece)
            good = _text_of(plain)
            if len(good) != len(plain):
                self._junk(offset, line, len(plain) - len(good))
            kept.append(good)
            offset += len(piece) + 1
        return b"\n".join(kept)

    def _junk(self, offset: int, line: int, length: int) -> None:
        self._source.junk_total += length
        if len(self._source.junk) < MAX_JUNK_LISTED:
            self._source.junk.append(Junk(offset, line, length))

    def _report_junk(self) -> None:
        first = self._source.junk[0]
        where = evidence(self._source.path, first.line, f"{first.length} byte(s) from offset {first.offset}")
        self._case.signal(JUNK, self._source.path, where, values={"junk_bytes": self._source.junk_total})


_COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
_CONTROL = bytes(byte for byte in range(32) if byte not in b"\t\r\f\v\n")


def _text_of(piece: bytes) -> bytes:
    """Return the piece without the bytes that are not text."""
    if not piece.isascii():
        piece = piece.decode("utf-8", "ignore").encode()
    return piece.translate(None, _CONTROL)
