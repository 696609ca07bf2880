"""An excerpt: lines that say one thing together, joined and freed of quoting, that can still name the line of a word.

Error messages reach us wrapped by terminals, quoted in Markdown, or as a string inside a string inside JSON. Rules
match against `text`; `where` leads back to the input.
"""

from __future__ import annotations

import bisect
import itertools
import re

import msgspec

from unipam.diagnose.case import evidence
from unipam.diagnose.report import Evidence
from unipam.diagnose.words import words_of

_QUOTE = re.compile(r"(?:[>|] ?)+")
_MARKUP = re.compile(r"[\s>#|*•-]+")
_ESCAPED_QUOTE = re.compile(r"\\+([\"'])")
_SPACES = re.compile(r"\s+")
_REPEATS = re.compile(r"\(x(?P<one>\d+)(?: over (?P<long>[^)]*))?\)|\bx(?P<other>\d+) over (?P<while>\w+)")
_SANDBOX = re.compile(
    r"(?:sandbox|container(?:ID)?|ContainerID|InfraContainerID|reserved for)[\s=:\"'\[]{1,4}([0-9a-f]{64})\b"
)
_POD_ENDPOINT = re.compile(r"-k8s-([a-z0-9-]+)-(?:eth|net)\d+\"?")
_POD_FORMS = (
    ("pod=", re.compile(r"\bpod=\"?(?P<namespace>[a-z0-9.-]+)/(?P<name>[a-z0-9.-]+)")),
    ("od/", re.compile(r"\b[Pp]od/(?P<name>[a-z0-9][a-z0-9.-]+)")),
    (
        "PodNamespace",
        re.compile(
            r"PodName['\"]?:\s*['\"](?P<name>[^'\"]+)['\"],\s*['\"]?PodNamespace['\"]?:\s*['\"](?P<namespace>[^'\"]+)"
        ),
    ),
    ('pod "', re.compile(r"pod \"(?P<name>[a-z0-9.-]+)_(?P<namespace>[a-z0-9-]+)[(\"]")),
    ('name "', re.compile(r"name \"(?P<name>[a-z0-9.-]+)_(?P<namespace>[a-z0-9-]+)_[0-9a-f-]{36}_\d+\"")),
    (
        "PodSandboxMetadata",
        re.compile(r"PodSandboxMetadata\{Name:(?P<name>[^,]+),Uid:[^,]*,Namespace:(?P<namespace>[^,]+),"),
    ),
    ("Namespace=", re.compile(r"Namespace=\"?(?P<namespace>[a-z0-9-]+)\"? .*?Pod=\"?(?P<name>[a-z0-9.-]+)")),
)
_RELEASE = (
    "failed (delete)", "destroy network", "teardown", "Teardown", "FailedKillPod", "StopPodSandbox", "killing pod"
)  # fmt: skip

_ASKED = re.compile(r"[Ss]andbox|SandBox|failed \(add\)|[Nn]etwork[Pp]lugin|\bCNI\b|IPAM|ipam")
_PLUGIN = re.compile(r"plugin type=[\"']?([a-z0-9-]+)[\"']?")


class Origin(msgspec.Struct, frozen=True):
    """What is known of an excerpt beside its words: from an envelope, a file's name, the fields of an event."""

    at: float | None = None
    pod: str = ""
    container: str = ""
    node: str = ""
    program: str = ""
    """Who wrote it, "" when that is not known."""
    times: int = 0
    """How often it happened, 0 when only its words can tell."""
    shown: Evidence | None = None
    """The line to show for it, when its words were taken out of a document."""


_NOWHERE = Origin()


class Excerpt:
    """One or more numbered lines as a single line of plain text."""

    def __init__(self, file: str, lines: list[tuple[int, bytes]], origin: Origin = _NOWHERE) -> None:
        self.file = file
        self.origin = origin
        self.at = origin.at
        self._lines = lines
        # Made when first wanted; plain attributes, for functools.cached_property takes a lock each time.
        self._text: str | None = None
        self._pods: list[str] | None = None
        self._starts: list[int] = []

    @property
    def text(self) -> str:
        """Return the lines joined, quoting and line wrapping taken out."""
        if self._text is None and len(self._lines) == 1:
            self._starts, self._text = [0], _plain(self._lines[0][1])
        if self._text is None:
            cut = _is_cut_at_a_width(self._lines)
            parts = [_plain(raw, keep_ends=cut) for _, raw in self._lines]
            glue = "" if cut else " "
            self._starts = [0, *itertools.accumulate(len(part) + len(glue) for part in parts)][:-1]
            self._text = glue.join(parts)
        return self._text

    @property
    def words(self) -> list[bytes]:
        """Return the words of the lines, folded as rules look for them."""
        if len(self._lines) == 1:
            return words_of(self._lines[0][1])
        if _is_cut_at_a_width(self._lines):
            return words_of(self.text.encode())
        return words_of(b" ".join(raw for _, raw in self._lines))

    def where(self, offset: int = 0) -> Evidence:
        """Return the input line of a place in `text`."""
        if self.origin.shown is not None:
            return self.origin.shown
        if len(self._lines) == 1:
            return evidence(self.file, *self._lines[0])
        number, raw = self._lines[max(0, bisect.bisect_right(self._starts, offset) - 1)]
        return evidence(self.file, number, raw)

    @property
    def place(self) -> tuple[str, int]:
        """The file, and the number of the first line."""
        return self.file, self._lines[0][0]

    @property
    def is_heading(self) -> bool:
        """Return whether it is the title of something ("# error: ..."), which is no occurrence of it."""
        title = all(raw.lstrip().startswith(b"#") for _, raw in self._lines)
        return title and len(self.text) < _TITLE and not _NAMES.search(self.text)

    @property
    def times(self) -> int:
        """Return how often the message occurred: Kubernetes folds repeats into `(x16 over 2m11s)`."""
        match = self._repeats()
        return self.origin.times or (int(match["one"] or match["other"]) if match else 1)

    @property
    def lasted(self) -> str:
        """Return over how long it occurred, when it says so ("5d7h"), "" otherwise."""
        match = self._repeats()
        return (match["long"] or match["while"] or "") if match else ""

    def _repeats(self) -> re.Match[str] | None:
        # Nearly no message has these marks, and looking for them is much quicker than the pattern.
        return _REPEATS.search(self.text) if "(x" in self.text or " over " in self.text else None

    @property
    def is_refusal(self) -> bool:
        """Return whether the message says that a pod asked and got nothing."""
        return _ASKED.search(self.text) is not None and not self.is_release

    @property
    def is_release(self) -> bool:
        """Return whether the message is about a pod that ends."""
        return tells_of_an_end(self.text)

    def containers(self) -> list[str]:
        found = [self.origin.container] if self.origin.container else []
        return list(dict.fromkeys([*found, *_SANDBOX.findall(self.text)]))

    def plugins(self) -> list[str]:
        return list(dict.fromkeys(_PLUGIN.findall(self.text)))

    @property
    def pods(self) -> list[str]:
        """Return the pods that the excerpt names, as `namespace/name` where it says the namespace."""
        if self._pods is None:
            self._pods = self._find_pods()
        return self._pods

    def _find_pods(self) -> list[str]:
        found, text = [self.origin.pod] if self.origin.pod else [], self.text
        for mark, pattern in _POD_FORMS:  # the mark is looked for first: most excerpts have none of them
            if mark in text:
                found += [_joined(match) for match in pattern.finditer(text)]
        if not found and "-k8s-" in text:
            found += [name.replace("--", "-") for name in _POD_ENDPOINT.findall(text)]
        return list(dict.fromkeys(found))


def tells_of_an_end(text: str) -> bool:
    """Tell whether a message is about a pod that ends: it is refused no address."""
    return any(mark in text for mark in _RELEASE)


def _joined(match: re.Match[str]) -> str:
    namespace = match.groupdict().get("namespace")
    return f"{namespace}/{match['name']}" if namespace else match["name"]


def _is_cut_at_a_width(lines: list[tuple[int, bytes]]) -> bool:
    """Return whether a terminal cut one long line: all pieces but the last have one length, within words too."""
    if len(lines) < _PIECES:
        return False
    width = len(lines[0][1])
    return width >= _NARROWEST and len(lines[-1][1]) <= width and all(len(raw) == width for _, raw in lines[:-1])


_PIECES, _NARROWEST = 3, 40
_TITLE = 240
_NAMES = re.compile(r"[0-9a-f]{12,}|\d\d:\d\d:\d\d|\bpod \"|\bpod/")


def _plain(raw: bytes, *, keep_ends: bool = False) -> str:
    text = raw.decode("utf-8", "replace")
    if markup := (_QUOTE if keep_ends else _MARKUP).match(text):
        text = text[markup.end() :]
    if "\\" in text:
        text = _ESCAPED_QUOTE.sub(r"\1", text).replace("\\n", " ").replace("\\t", " ")
    if "  " in text or "\t" in text:
        text = _SPACES.sub(" ", text)
    return text if keep_ends else text.strip()
