"""Which document a tree is: each reader is asked, and what is plainly a document but cut is said to be so."""

from __future__ import annotations

import re

from unipam.diagnose.case import Case
from unipam.diagnose.documents import azure_state, calico, cilium, conflist, kubernetes, network_config
from unipam.diagnose.documents.tree import Document

_STATE_NAMES = re.compile(r"azure-vnet(?:-ipam|-ipamv6)?\.json$|azure-endpoints\.json$|azure-cns\.json$")


def read(case: Case, document: Document, *, whole: bool) -> bool:
    """Let every reader look at the tree. `whole` tells that the text was a whole file. Returns whether any knew it."""
    state = azure_state.read(case, document)
    config = conflist.read(case, document, whole=whole)
    other = [reader.read(case, document) for reader in (calico, cilium, network_config, kubernetes)]
    if _is_broken_state(document, whole=whole):
        values = {"reason": document.faults[0].text}
        case.signal("state-corrupt", document.file, document.where(document.faults[0].line), values=values)
        return True
    if state or (not config and any(other)):
        _note_cut(case, document)
    return state or config or any(other)


def is_state(path: str) -> bool:
    """Return whether a file is named as a plugin's state."""
    return _STATE_NAMES.search(path) is not None


def _is_broken_state(document: Document, *, whole: bool) -> bool:
    """Return a plugin's state file, under its own name, that is no JSON and was not cut by a person."""
    named = is_state(document.file)
    return whole and named and bool(document.faults) and not document.elided and not document.fragment


def _note_cut(case: Case, document: Document) -> None:
    if not (document.faults or document.elided or document.fragment):
        return
    reasons = []
    if document.fragment:
        reasons.append("It begins inside an object")
    if document.elided:
        reasons.append("Parts are left out and marked with dots")
    reasons += [fault.text for fault in document.faults[-1:]]
    case.signal(
        "cut-document",
        document.origin or document.file,
        document.where(document.first_line),
        values={"what": f"{document.language} dump", "reason": "; ".join(reasons)},
    )
