"""YAML and what looks like it: `kubectl get -o yaml`, `kubectl describe`, ConfigMaps, fragments."""

from __future__ import annotations

import re
import textwrap
from typing import Any

from unipam.diagnose.documents.tree import Document, Obj

_KEY_LINE = re.compile(
    rb"^\s*(?:- )*[\"']?[A-Za-z0-9_./ -]{1,80}[\"']?\s*:(?:\s|$)|^\s*- ?\S*|^\s*-\s*$|^\s*#|^\s*\.\.\.\s*$|^---"
)
_ELISION = re.compile(r"^\s*(?:\.{3,}|…)\s*$")
_ADDRESS_KEY = re.compile(r"^\s*(?:- )?[0-9a-fA-F:.]+:\s*$")


def looks_like_yaml(lines: list[bytes]) -> bool:
    """Return whether nearly all lines have the shape of YAML's block style, and at least one opens a mapping."""
    full = [line for line in lines if line.strip()]
    if len(full) < 2 or full[0].lstrip()[:1] in b'{["<':
        return False
    shaped = sum(1 for line in full if _KEY_LINE.match(line))
    return shaped >= 0.8 * len(full) and any(line.rstrip().endswith(b":") for line in full)


def parse(file: str, text: str, first_line: int, raw_lines: dict[int, bytes]) -> list[Document]:
    """Return every document of the text that can be read as a mapping or a list; none when it is not YAML after all."""
    import yaml

    class Loader(yaml.SafeLoader):
        """No aliases: a dump has none, and a handful of them can stand for a billion nodes."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("aliases are not read")
            return super().compose_node(parent, index)

    lines = text.split("\n")
    elided = any(_ELISION.match(line) for line in lines)
    kept = textwrap.dedent("\n".join("" if _ELISION.match(line) else line for line in lines))
    try:
        loader = Loader(kept)
        nodes = []
        while loader.check_node():
            nodes.append(loader.get_node())
    except (yaml.YAMLError, ValueError, RecursionError):
        return []
    roots = [_value(node, first_line) for node in nodes]
    return [
        Document(file, root, first_line, raw_lines, "YAML", elided=elided)
        for root in roots
        if isinstance(root, Obj | list)
    ]


def _value(node: Any, first_line: int) -> Any:
    import yaml

    line = first_line + node.start_mark.line
    if isinstance(node, yaml.MappingNode):
        obj = Obj(line)
        for key, value in node.value:
            obj.put(str(key.value), _value(value, first_line), first_line + key.start_mark.line)
        return obj
    if isinstance(node, yaml.SequenceNode):
        return [_value(part, first_line) for part in node.value]
    return _scalar(node)


def _scalar(node: Any) -> Any:
    if node.tag == "tag:yaml.org,2002:null":
        return None
    if node.tag == "tag:yaml.org,2002:bool":
        return node.value.lower() in {"true", "yes", "on"}
    if node.tag == "tag:yaml.org,2002:int" and node.value.lstrip("-").isdigit():
        return int(node.value)
    return node.value
