"""What no log reader took: documents, tables, listings and messages, told apart by shape and handed to who knows them.

A block is a run of lines. It may mix a prompt, a fragment of JSON, a table and prose; each part goes its own way.
Every block is also read as prose, paragraph by paragraph, because an error message can stand anywhere.
"""

from __future__ import annotations

import re

import msgspec

from unipam.diagnose import rules
from unipam.diagnose.case import Case
from unipam.diagnose.documents import azure_state, known, tolerant, yamldoc
from unipam.diagnose.documents.tree import Document
from unipam.diagnose.excerpt import Excerpt, Origin
from unipam.diagnose.tables import calicoctl, interfaces, kubectl, listing, pods, status

Lines = list[tuple[int, bytes]]

_PROMPT = re.compile(
    rb"^[\s>]*(?:(?:[\w.-]+@)?(?P<host>[\w.-]+)?(?::[^\s#$]*)?\s?[#$]|\xe2\x9e\x9c)\s*(?:sudo )?(?P<verb>cat|ls"
    rb"|cd|kubectl|k|calicoctl|journalctl|tail|curl)\b\s*(?P<rest>.*)$"
)
_JSON_OPENS = re.compile(rb'^\s*(?:[{\[]\s*(?:$|["{\[}\]])|-?"[^"\n]*"\s*:)')
_JSON_GOES_ON = re.compile(rb'^\s*(?:[{}\[\],"]|-?\d[\d.eE+-]*\s*,?\s*$|(?:true|false|null)\s*,?\s*$|\.{3,}|$)')
_PATH = re.compile(rb"(/[\w./*-]+)")
_ENTRY = re.compile(
    rb"^\s*#?\s*(?:[*-] |Warning\s|Normal\s|Error\b|E\d{4} |>\s*[*-] |[\"'`]?Failed (?:to )?create pod sandbox|\w{3} "
    rb"\d\d \d\d:\d\d:)"
)
_ASSIGNED = re.compile(rb"Successfully assigned ([\w.-]+/[\w.-]+) to ")
_DESCRIBED = re.compile(rb"^Name:\s+\S")
_MANIFEST = re.compile(rb"^apiVersion: \S")
_IN_MANIFEST = re.compile(rb"^(?:\s|- |[a-zA-Z]\w*:(?:\s|$)|---|\.{3}|#)")
MAX_PARAGRAPH = 60
MAX_PARAGRAPH_BYTES = 256 << 10
"""A text that is longer is no paragraph but a file without line ends, whose pieces are read one at a time."""

MAX_ROW = 64 << 10
"""No row of a table is longer (bytes)."""

MAX_LABEL = 48


class Context(msgspec.Struct):
    """What earlier lines of the file say about the next ones."""

    file: str
    too_long: bool = False
    """More of this file came here than any document has: from here on it is read for messages only."""
    origin: str = ""
    node: str = ""
    directory: str = ""
    pod: str = ""
    """The pod that a `kubectl describe` is about."""
    label: str = ""
    """The short line just before a fragment: what whoever pasted it called it."""
    lines_taken: int = 0
    """Lines of this file that log readers took: a file with some is not one document."""
    known: set[int] = msgspec.field(default_factory=set)
    """The lines of the block at hand that somebody understood."""
    program: str = ""
    """Who wrote the file, when its name says so."""

    def knew(self, lines: Lines) -> None:
        """Remember that these lines were understood."""
        self.known.update(number for number, _ in lines)


def read(case: Case, context: Context, lines: Lines, *, whole: bool) -> None:
    """Read a block. `whole` tells that it is the whole file, so that a document in it should be complete."""
    full = [line for _, line in lines]
    if context.too_long:
        _read_prose(case, context, lines)
        return
    parts = _manifests(lines)
    if len(parts) > 1:
        for part in parts:
            read(case, context, part, whole=False)
        return
    if yamldoc.looks_like_yaml(full) and _read_yaml(case, context, lines):
        return
    text: Lines = []
    start = 0
    while start < len(lines):
        end = _end_of_json(lines, start)
        if end > start and _read_json(case, context, text, lines[start:end], whole=whole and end == len(lines)):
            _read_text(case, context, text)
            text, start = [], end
            continue
        end = max(end, start + 1)  # what looked like JSON and is none is a part of the text around it
        if text and _PROMPT.match(lines[start][1]):
            _note_prompts(context, text)
            _read_text(case, context, text)
            text = []
        text += lines[start:end]
        start = end
    _note_prompts(context, text)
    _read_text(case, context, text)


def _manifests(lines: Lines) -> list[Lines]:
    """Return the lines cut where a Kubernetes manifest begins and where it ends, for it may stand amid other text."""
    cuts, inside = [0], False
    for index, (_, line) in enumerate(lines):
        if not inside and _MANIFEST.match(line):
            inside = True
            cuts.append(index)
        elif inside and line.strip() and not _IN_MANIFEST.match(line):
            inside = False
            cuts.append(index)
    ends = [*cuts[1:], len(lines)]
    return [lines[start:end] for start, end in zip(cuts, ends, strict=True) if end > start]


def _end_of_json(lines: Lines, start: int) -> int:
    """Return where the lines end that look like JSON from `start` on; `start` itself when it does not."""
    if not _JSON_OPENS.match(lines[start][1]):
        return start
    end = start + 1
    while end < len(lines) and _JSON_GOES_ON.match(lines[end][1]):
        end += 1
    return end


def _read_yaml(case: Case, context: Context, lines: Lines) -> bool:
    text = b"\n".join(line for _, line in lines).decode("utf-8", "replace")
    documents = yamldoc.parse(context.file, text, lines[0][0], dict(lines))
    taken = False
    for document in documents:
        document.origin, document.node = context.origin, context.node
        taken = known.read(case, document, whole=False) or taken
        taken = _read_inner_json(case, document, lines) or taken
    if taken:
        context.knew(lines)
    return taken


def _read_inner_json(case: Case, document: Document, lines: Lines) -> bool:
    """Read JSON that YAML keeps as text, as a ConfigMap keeps a conflist."""
    taken = False
    for _, obj in document.objects():
        for key, value in obj.items():
            if isinstance(value, str) and value.lstrip().startswith("{"):
                inner = tolerant.parse(document.file, value, obj.line_of(key) + 1, dict(lines))
                taken = known.read(case, inner, whole=False) or taken
    return taken


def _read_json(case: Case, context: Context, before: Lines, lines: Lines, *, whole: bool) -> bool:
    """Read lines as JSON. False when it is no document that anyone knows; then nothing has been said of it."""
    text = b"\n".join(line for _, line in lines).decode("utf-8", "replace")
    document = tolerant.parse(context.file, text, lines[0][0], dict(lines))
    _note_prompts(context, before)
    document.origin, document.node, document.label = context.origin, context.node, context.label
    alone = whole and context.lines_taken == 0 and not any(line.strip() for _, line in before)
    if not known.read(case, document, whole=alone):
        return False
    context.knew(lines)
    context.origin = context.node = context.label = ""  # the output of the command that a prompt showed is over
    if '"involvedObject"' not in text:  # the messages of events have been read, with all that is around them
        _apply(case, context, lines[:MAX_PARAGRAPH])
    return True


def _read_text(case: Case, context: Context, lines: Lines) -> None:
    if any(b"<IPSubnet" in line for _, line in lines):
        text = b"\n".join(line for _, line in lines)
        number, first = next((number, line) for number, line in lines if b"<I" in line)
        azure_state.read_wireserver(case, context.file, number, text.decode("utf-8", "replace"), first)
        context.knew(lines)
        return
    numbered = [(number, line.decode("utf-8", "replace")) for number, line in lines if len(line) <= MAX_ROW]
    context.known |= listing.read(case, context.file, context.directory, numbered)
    for table in (calicoctl, pods, kubectl, status, interfaces):
        context.known |= table.read(case, context.file, numbered)
    _read_prose(case, context, lines)


def _note_prompts(context: Context, lines: Lines) -> None:
    for number, line in lines:
        match = _PROMPT.match(line)
        if match is None:
            context.label = line.strip().decode("utf-8", "replace")[:MAX_LABEL] or context.label
            continue
        context.knew([(number, line)])
        path = _PATH.search(match["rest"])
        verb = match["verb"]
        context.node = (match["host"] or b"").decode() or context.node
        if path and verb in {b"ls", b"cd"}:
            context.directory = path[1].decode()
        elif path:
            context.origin = path[1].decode()


def _read_prose(case: Case, context: Context, lines: Lines) -> None:
    paragraph: Lines = []
    size = 0
    for number, line in lines:
        full = len(paragraph) >= MAX_PARAGRAPH or size >= MAX_PARAGRAPH_BYTES
        if full or not line.strip() or _ENTRY.match(line):
            _apply(case, context, paragraph)
            paragraph, size = [], 0
        if line.strip():
            paragraph.append((number, line))
            size += len(line)
            _note_pod(context, line)
    _apply(case, context, paragraph)


def _note_pod(context: Context, line: bytes) -> None:
    if _DESCRIBED.match(line):
        context.pod = ""  # the description of the next one begins
    elif (match := _ASSIGNED.search(line)) is not None:
        context.pod = match[1].decode()


def _apply(case: Case, context: Context, lines: Lines) -> None:
    excerpt = Excerpt(context.file, lines, Origin(pod=context.pod, program=context.program))
    if lines and rules.may_apply(excerpt.words) and not excerpt.is_heading and rules.apply(case, excerpt):
        context.knew(lines)
