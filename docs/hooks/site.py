"""What the site has besides the files of docs/: reference pages made from the code, and the repository's own texts.

MkDocs calls `on_files` and `on_page_markdown`. Nothing that is made here is committed.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

import api
import commands
import documents
import facts
from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
BROUGHT = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "deploy/README.md": "deploy.md",
}
"""Texts of the repository that are pages of the site, and where."""
MADE = {
    "reference/commands.md": commands.page,
    "reference/documents.md": documents.page,
    "reference/api.md": api.native,
    "reference/azure-ipam-api.md": api.azure_ipam,
    "reference/settings.md": facts.settings,
    "reference/metrics.md": facts.metrics,
    "reference/errors.md": facts.errors,
}
_UNMET = re.compile(r"<!-- not run: ([^>]+) -->")
_LINK = re.compile(r"(?<=\]\()([^)#:]+)(?=[)#])")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made, and those that are brought."""
    for place, make in MADE.items():
        files.append(File.generated(config, place, content=make()))
    for source, place in BROUGHT.items():
        files.append(File.generated(config, place, content=(ROOT / source).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Let links between the repository's files lead to their pages, and tell which commands no test typed."""
    place = page.file.src_uri
    source = {there: here for here, there in BROUGHT.items()}.get(place, f"docs/{place}")
    markdown = _UNMET.sub(r"*No test typed this: it needs \1.*\n", markdown)
    return _LINK.sub(lambda found: moved(found[1], source, place), markdown)


def moved(link: str, source: str, place: str) -> str:
    """Return a link of the file `source` as the page `place` has it; what is no page of the site stays as it is."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    if not target.startswith("docs/") and target not in BROUGHT:
        return link
    return posixpath.relpath(BROUGHT.get(target, target.removeprefix("docs/")), posixpath.dirname(place) or ".")
